"""The flags of the service, what was done to them and what is to go wrong, in one JSON file of its folder.

Every change is on the disk before it is answered, so that a killed service comes back as it was. One event loop uses
one store.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Flag = dict[str, Any]
PROJECT = "default"
ENVIRONMENTS = ("production", "test")


class Refusal(Exception):
    """An answer other than success: its status, code and words. Raising one must leave the flags as they were."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message}
        self.headers = headers or {}


@dataclass(kw_only=True)
class Faults:
    """What is to go wrong next. Counters count down as they are used up; the rest stays until it is changed.

    Attributes:
        rate_limit_next: how many coming requests are answered 429. `retry_after_s`: what those say.
        conflict_next: how many coming writes are refused, because another write is under way.
        fail_next: how many coming writes are answered 503, without effect.
        approval: writes are refused until somebody approves them in the user interface.
        at_write: the write that goes wrong, counted from 1 over all writes; 0 for none.
        moment: whether it goes wrong `before` it counts, or `after`.
        how: `cut` breaks the connection; `hold` answers nothing for as long as the caller waits.
    """

    rate_limit_next: int = 0
    retry_after_s: int = 1
    conflict_next: int = 0
    fail_next: int = 0
    approval: bool = False
    at_write: int = 0
    moment: str = "before"
    how: str = "cut"

    def update(self, changes: dict[str, Any]) -> None:
        """Set switches by name. Raises ValueError, and changes nothing, for a name or type that is not known."""
        for name, value in changes.items():
            if not hasattr(self, name) or type(getattr(self, name)) is not type(value):
                raise ValueError(f"{name} cannot be {value!r}")
        for name, value in changes.items():
            setattr(self, name, value)

    def strikes(self, counter: str) -> bool:
        """Use up one count of a switch, if any is left."""
        left: int = getattr(self, counter)
        setattr(self, counter, max(0, left - 1))
        return left > 0


@dataclass(kw_only=True)
class Store:
    """Everything that the service knows.

    Attributes:
        history: what was done, oldest first, in the words of the audit log.
        writes: accepted and refused changes over the API, from 1; a person's changes by hand do not count.
        done: the accepted ones.
        seed: decides salts and ids.
    """

    folder: Path
    seed: str = ""
    environments: tuple[str, ...] = ENVIRONMENTS
    flags: dict[str, Flag] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    writes: int = 0
    done: int = 0
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        if self._path.exists():
            kept = json.loads(self._path.read_text("utf-8"))
            self.flags, self.history = kept["flags"], kept["history"]
            self.writes, self.done = kept["writes"], kept["done"]

    def keep(self) -> None:
        """Put everything on the disk, at once or not at all."""
        kept = {"flags": self.flags, "history": self.history, "writes": self.writes, "done": self.done}
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(kept), "utf-8")
        draft.replace(self._path)

    def token(self, *parts: str) -> str:
        """32 hexadecimal digits that look like chance and are the same in every run."""
        return hashlib.sha256("\0".join((self.seed, *parts)).encode()).hexdigest()[:32]

    def flag(self, project: str, key: str) -> Flag:
        """A flag as it stands. Raises 404."""
        if project != PROJECT:
            raise Refusal(404, "not_found", f"Unknown project key {project}")
        if key not in self.flags:
            raise Refusal(404, "not_found", f"Unknown flag key {key}")
        return self.flags[key]

    @property
    def _path(self) -> Path:
        return self.folder / "flags.json"
