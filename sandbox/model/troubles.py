"""The switches that make the simulated model misbehave in ways that a gate has to survive.

They change what is answered, never what a good answer is worth.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any


class Trouble(StrEnum):
    """What happens to one call."""

    NONE = "none"
    ERROR = "error"
    EMPTY = "empty"
    BABBLE = "babble"


@dataclass(kw_only=True)
class Troubles:
    """What is to go wrong. The switches may be set while the model is served.

    Attributes:
        first_place: the judge of pairs always prefers the answer that it is shown first.
        dead: models that answer every call with 500.
        babbling: models whose structured replies are prose.
        crash_phrase: a task call whose system message holds this phrase fails; empty for none.
        crash_empty: such a call is answered with no text, instead of 500.
        outage_after: so many further calls are answered, then every one is a 500; None for no outage.
    """

    first_place: bool = False
    dead: list[str] = field(default_factory=list)
    babbling: list[str] = field(default_factory=list)
    crash_phrase: str = ""
    crash_empty: bool = False
    outage_after: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    @property
    def settings(self) -> dict[str, Any]:
        """The switches by name, as the HTTP route shows and takes them."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.init}

    def update(self, changes: Mapping[str, Any]) -> None:
        """Set switches by name; nothing changes when one of them is unknown.

        Raises:
            ValueError: a name is unknown, or a value has the wrong type.
        """
        if not isinstance(changes, Mapping):
            raise ValueError("troubles are set by name")
        if unknown := sorted(set(changes) - set(self.settings)):
            raise ValueError(f"unknown troubles {unknown}; known are {sorted(self.settings)}")
        for name, value in changes.items():
            if not _fits(name, value):
                raise ValueError(f"{name} cannot be {value!r}")
        with self._lock:
            for name, value in changes.items():
                setattr(self, name, value)

    def strikes(self, *, model: str, kind: str, system: str) -> Trouble:
        """What happens to the next call; a call that is let through brings an outage nearer."""
        with self._lock:
            if self.outage_after is not None:
                if self.outage_after <= 0:
                    return Trouble.ERROR
                self.outage_after -= 1
            if model in self.dead:
                return Trouble.ERROR
            if kind == "task" and self.crash_phrase and self.crash_phrase in system:
                return Trouble.EMPTY if self.crash_empty else Trouble.ERROR
            return Trouble.BABBLE if model in self.babbling and kind != "task" else Trouble.NONE


def _fits(name: str, value: object) -> bool:
    if name in ("dead", "babbling"):
        return isinstance(value, list) and all(isinstance(model, str) for model in value)
    if name == "outage_after":
        return value is None or (isinstance(value, int) and not isinstance(value, bool))
    return isinstance(value, str if name == "crash_phrase" else bool)
