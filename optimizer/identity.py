"""Content addresses. Two values with the same content have the same id, on every machine and in every process."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What a JSON text can hold, as Python has it."""


def digest(*parts: str) -> str:
    """SHA-256 over length-prefixed parts, in hexadecimal: ("ab", "c") and ("a", "bc") differ."""
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        hasher.update(len(data).to_bytes(8, "big"))
        hasher.update(data)
    return hasher.hexdigest()


def canonical(value: "Json | Mapping[str, Any]") -> str:
    """JSON with sorted keys and no insignificant space: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
