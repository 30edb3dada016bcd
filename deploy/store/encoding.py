"""Frozen values as JSON and back, by the types of their fields.

For the numbers of a report: whatever `optimizer.proof` adds to its values is kept without a word here, and a field that
an older row does not have gets its default. Must never see a stranger's words: those are in `source_text`.
"""

import math
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from optimizer.identity import Json
from optimizer.types import Missing

T = TypeVar("T")


def encoded(value: Any) -> Json:
    """A value as JSON; a member of `Missing` and a number that JSON does not have are told from text."""
    if isinstance(value, Missing):
        return {"missing": value.value}
    if isinstance(value, Enum):
        return encoded(value.value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [encoded(item) for item in value]
    if is_dataclass(value):
        return {field.name: encoded(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} is no value of a report")


def decoded(kind: type[T], said: Json) -> T:
    """The value of this type that `encoded` was given."""
    value: T = _decoded(kind, said)
    return value


def _decoded(kind: Any, said: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):
        return _one_of(get_args(kind), said)
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        every = [kinds[0]] * len(said) if kinds[-1] is Ellipsis else kinds
        return tuple(_decoded(each, item) for each, item in zip(every, said, strict=True))
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        known = [field.name for field in fields(kind) if field.name in said]
        return kind(**{name: _decoded(hints[name], said[name]) for name in known})
    if kind is datetime:
        return datetime.fromisoformat(said)
    return said if kind in (bool, int, str) else kind(said)


def _one_of(kinds: tuple[Any, ...], said: Any) -> Any:
    """Our unions hold one kind of value, beside None or a reason why it is missing."""
    if said is None:
        return None
    if isinstance(said, dict) and said.keys() == {"missing"}:
        return Missing(said["missing"])
    (kind,) = (kind for kind in kinds if kind not in (NoneType, Missing))
    return _decoded(kind, said)
