"""Instants as the wire has them (ISO 8601, milliseconds, Z) and as the database keeps them (whole milliseconds)."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """The time of this machine."""
    return time.time_ns() // 1_000_000


def wire(instant_ms: int) -> str:
    """`2026-11-21T00:08:13.507Z`."""
    seconds, milliseconds = divmod(instant_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def parse(text: str) -> int:
    """Milliseconds since 1970 of an ISO instant; one without an offset is UTC.

    Raises:
        ValueError: it is not an instant.
    """
    instant = datetime.fromisoformat(text)
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return (aware - datetime.fromtimestamp(0, UTC)) // _MILLISECOND


_MILLISECOND = datetime.resolution * 1000
