"""Column types that give back exactly what was put in, on both databases."""

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from optimizer.identity import Json


class AnyText(sa.TypeDecorator[str]):
    """Any Python string, as UTF-8 bytes.

    Strangers' text holds NUL characters, which PostgreSQL refuses in text, and lone surrogates, which both databases
    refuse. One such comment must not be able to stop a prompt for ever.
    """

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> bytes | None:  # noqa: ARG002 -- its interface
        return None if value is None else value.encode("utf-8", "surrogatepass")

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 -- its interface
        return None if value is None else bytes(value).decode("utf-8", "surrogatepass")


class JsonText(sa.TypeDecorator[Json]):
    """A JSON value as ASCII text: no database looks into it, so none has to understand what is in its strings."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Json, dialect: sa.Dialect) -> str:  # noqa: ARG002 -- its interface
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> Json:  # noqa: ARG002 -- its interface
        result: Json = None if value is None else json.loads(value)
        return result


class Moment(sa.TypeDecorator[datetime]):
    """An aware moment in UTC; a naive one is refused. SQLite forgets the zone, so it is put back on reading."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs its time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
