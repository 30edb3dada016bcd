"""The switches that make the sandbox misbehave as real servers do. A fault changes answers, never stored data."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

Bucket = Literal["general", "metrics", "datasets", "prompts", "tracing"]
BUCKETS: frozenset[str] = frozenset(get_args(Bucket))


@dataclass(kw_only=True)
class Faults:
    """What is to go wrong next. Counters count down as they are used up; the rest stays until it is changed.

    Attributes:
        visibility_delay_s: observations and scores become readable this long after they were accepted.
        rate_limit_next: how many coming requests of a bucket are answered 429.
        retry_after_s: what those answers say in `Retry-After`.
        drop_answer_after_commit: how many prompt creations are committed and then answered 502.
        prompt_conflict_next: how many prompt creations lose a race against another writer (400, nothing stored).
        version: the version the server claims; below 4.59 it knows no list of scores.
    """

    visibility_delay_s: float = 0.0
    rate_limit_next: dict[str, int] = field(default_factory=dict)
    retry_after_s: int = 1
    drop_answer_after_commit: int = 0
    prompt_conflict_next: int = 0
    version: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    @property
    def settings(self) -> dict[str, Any]:
        """The switches by name, as the HTTP route shows and takes them."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.init}

    def update(self, changes: Mapping[str, Any]) -> None:
        """Set switches by name; nothing changes when one of them is unknown.

        Raises:
            ValueError: a name or a bucket is unknown, or a value has the wrong type.
        """
        if not isinstance(changes, Mapping):
            raise ValueError("faults are set by name")
        known = self.settings
        if unknown := sorted(set(changes) - set(known)):
            raise ValueError(f"unknown faults {unknown}; known are {sorted(known)}")
        for name, value in changes.items():
            accepted = str | None if name == "version" else dict if name == "rate_limit_next" else int | float
            if not isinstance(value, accepted):
                raise ValueError(f"{name} cannot be {value!r}")
        if unknown := sorted(set(changes.get("rate_limit_next", ())) - BUCKETS):
            raise ValueError(f"unknown buckets {unknown}; known are {sorted(BUCKETS)}")
        with self._lock:
            for name, value in changes.items():
                setattr(self, name, value)

    def limits(self, bucket: Bucket) -> bool:
        """Use up one 429 of this bucket, if any is left."""
        with self._lock:
            left = self.rate_limit_next.get(bucket, 0)
            if left > 0:
                self.rate_limit_next[bucket] = left - 1
            return left > 0

    def strikes(self, counter: Literal["drop_answer_after_commit", "prompt_conflict_next"]) -> bool:
        """Use up one count of this switch, if any is left."""
        with self._lock:
            left: int = getattr(self, counter)
            if left > 0:
                setattr(self, counter, left - 1)
            return left > 0
