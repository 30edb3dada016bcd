"""Every registered prompt as a flag: its value is the version to fetch, or 0 for what carries the production label.

Pure: the last copy of the splits, and what follows from it for one user or session. It must never guess a version:
without a copy everybody is on production.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from deploy.store.splits import KeptSplit
from optimizer.identity import Json
from optimizer.rollouts import PRODUCTION, Split, point


class Reason(StrEnum):
    """Why a value is what it is, in OpenFeature's words."""

    STATIC = "STATIC"
    SPLIT = "SPLIT"
    DEFAULT = "DEFAULT"


class ErrorCode(StrEnum):
    """What is wrong with a question, in OpenFeature's words."""

    PARSE_ERROR = "PARSE_ERROR"
    INVALID_CONTEXT = "INVALID_CONTEXT"
    TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    GENERAL = "GENERAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One flag for one user or session.

    Attributes:
        variant: production, candidate (the first of the users) or holdback (the last, after a promotion).
        serial: counts the changes of the split; 0 before the first one.
    """

    key: str
    version: int
    variant: str
    reason: Reason
    serial: int = 0

    def json(self) -> Json:
        """As the protocol says it."""
        return {
            "key": self.key,
            "value": self.version,
            "reason": self.reason,
            "variant": self.variant,
            "metadata": {"serial": self.serial},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why there is no value; `key` is empty when all flags were asked for."""

    key: str
    code: ErrorCode
    details: str

    def json(self) -> Json:
        """As the protocol says it."""
        said: dict[str, Json] = {"errorCode": self.code, "errorDetails": self.details}
        return {"key": self.key, **said} if self.key else said


@dataclass(slots=True, kw_only=True)
class Flags:
    """The flags of the registered prompts.

    Attributes:
        splits: the last copy; None before the first.
    """

    prompts: frozenset[str]
    splits: Mapping[str, KeptSplit] | None = field(default=None)

    @classmethod
    def of(cls, prompts: Iterable[str]) -> "Flags":
        """Flags of these prompts, nothing read yet."""
        return cls(prompts=frozenset(prompts))

    def shown(self, prompt: str, unit: str) -> Shown | Fault:
        """What this user or session is shown; an empty unit is nobody in particular.

        A prompt that is not registered has no flag, even with a split: nobody would take that one back.
        """
        if prompt not in self.prompts:
            return Fault(key=prompt, code=ErrorCode.FLAG_NOT_FOUND, details="no prompt of this name is registered")
        if self.splits is None:
            return Shown(key=prompt, version=PRODUCTION, variant="production", reason=Reason.DEFAULT)
        kept = self.splits.get(prompt)
        if kept is None:
            return Shown(key=prompt, version=PRODUCTION, variant="production", reason=Reason.STATIC)
        versions = {band.version for band in kept.split.bands}
        if len(versions) == 1:
            return _shown(kept, versions.pop(), Reason.STATIC)
        if not unit:
            details = "this prompt is being rolled out; give the user or session as targetingKey"
            return Fault(key=prompt, code=ErrorCode.TARGETING_KEY_MISSING, details=details)
        return _shown(kept, kept.split.at(point(kept.split.salt, unit)), Reason.SPLIT)

    def all(self, unit: str) -> tuple[Shown | Fault, ...]:
        """Every flag, by name."""
        return tuple(self.shown(prompt, unit) for prompt in sorted(self.prompts))


def _shown(kept: KeptSplit, version: int, reason: Reason) -> Shown:
    return Shown(
        key=kept.split.prompt,
        version=version,
        variant=_variant(kept.split, version),
        reason=reason,
        serial=kept.serial,
    )


def _variant(split: Split, version: int) -> str:
    if version == PRODUCTION:
        return "production"
    return "candidate" if version == split.bands[0].version else "holdback"
