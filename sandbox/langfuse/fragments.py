"""JSON objects in pieces: a row keeps each field group as the text between the braces, and a read joins the pieces.

A cursor is the position of the last row of a page, opaque to clients and precise to the millisecond.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def fragment(fields: Mapping[str, Any]) -> str:
    """`"a":1,"b":2`, ready to stand between braces."""
    return _COMPACT.encode(fields)[1:-1]


def assembled(pieces: list[str]) -> str:
    """One JSON object of several fragments."""
    return "{" + ",".join(pieces) + "}"


def cursor_text(position: Mapping[str, Any], *, urlsafe: bool) -> str:
    """The opaque form of a position; the older endpoints pad it, the v3 ones make it safe for URLs."""
    raw = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=") if urlsafe else base64.b64encode(raw).decode()


def cursor_position(text: str) -> dict[str, Any] | None:
    """The position that a cursor stands for, or None when it is not one of ours."""
    padded = text + "=" * (-len(text) % 4)
    try:
        position = json.loads(base64.b64decode(padded, altchars=b"-_" if {"-", "_"} & set(text) else None))
    except (binascii.Error, ValueError):
        return None
    return position if isinstance(position, dict) else None
