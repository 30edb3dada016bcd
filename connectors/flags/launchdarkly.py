"""FlagService over LaunchDarkly: percentage rollouts by semantic patch, read back.

The flag only chooses a label; which version a label stands for is the registry's to say, now. So nothing is kept here
that could be out of date after a crash, and a label that somebody moved shows in what is read.

LaunchDarkly takes no expected version with a patch. Compare and set is therefore ours: read, compare, write once, read
back, and see by the count of changes whether somebody else wrote in between.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha1
from types import TracebackType
from typing import Self

from connectors.flags.launchdarkly_flag import (
    ALL,
    FlagReading,
    Shares,
    instruction,
    new_flag,
    read_flag,
    shares_of,
)
from connectors.flags.launchdarkly_http import KEY, LaunchDarklyAccess, LaunchDarklyClient
from optimizer.errors import (
    BadAnswer,
    BadCredentials,
    BadInput,
    BadSettings,
    NotFound,
    ServerFault,
    TracegradError,
    Transient,
    Unreachable,
)
from optimizer.ports import PromptRegistry
from optimizer.rollouts import CANARY_LABEL, HOLDBACK_LABEL, PRODUCTION, Split, canary, holdback

__all__ = ["LaunchDarkly", "LaunchDarklyAccess"]

COMMENT_CHARS = 500
"""Of a reason, in the flag's history."""

_SCALE = float(0xFFFFFFFFFFFFFFF)
"""Fifteen hexadecimal digits: what LaunchDarkly's SDKs divide a hash by."""


class LaunchDarkly:
    """FlagService over one environment. An async context manager.

    Args:
        flags: the flag's key of each prompt.
        registry: says which versions the labels `canary` and `holdback` stand for. Before a split is written, its
            label must be on its version.
        production: the label of those prompts whose applications read another one than `production`.

    Raises:
        BadSettings: a flag's key is none, or two prompts have the same flag.
    """

    def __init__(
        self,
        access: LaunchDarklyAccess,
        flags: Mapping[str, str],
        registry: PromptRegistry,
        *,
        production: Mapping[str, str] | None = None,
    ) -> None:
        for prompt, flag in flags.items():
            if not KEY.fullmatch(flag):
                raise BadSettings(
                    f"`release.flag` of prompt '{prompt}' is no key of a flag", "copy it from LaunchDarkly"
                )
        if len(set(flags.values())) < len(flags):
            raise BadSettings("two prompts name the same LaunchDarkly flag", "give each its own `release.flag`")
        self._access = access
        self._client = LaunchDarklyClient(access)
        self._flags = dict(flags)
        self._registry = registry
        self._production = dict(production or {})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    @property
    def name(self) -> str:
        """See FlagService."""
        return "LaunchDarkly"

    async def read(self, prompt: str) -> Split | None:
        """See FlagService; None when there is no such flag."""
        reading = await self._reading(prompt)
        return None if reading is None else await self._split(prompt, reading)

    async def start(self, prompt: str, salt: str) -> Split:  # noqa: ARG002  # LaunchDarkly keeps a salt of its own
        """See FlagService; a missing flag is made, switched on in every environment, with everybody on production."""
        reading = await self._reading(prompt) or await self._create(prompt)
        return await self._split(prompt, reading)

    async def write(self, split: Split, *, expect: Split, why: str) -> bool:
        """See FlagService.

        Raises:
            BadInput: the split's label is not on its version, so that another one would be shown.
            BadAnswer: somebody else changed the flag in the same moment, and what they did may be overwritten.
        """
        wanted, before = _Part.of(split), await self._reading(split.prompt)
        if before is None or not isinstance(before.shares, Shares):
            return False
        stands = await self._part(split.prompt, before, before.shares)
        if stands == wanted:
            return True
        if not stands.may_be(_Part.of(expect)) or wanted.salt != stands.salt:
            return False
        await self._require_label(split.prompt, wanted)
        lost: TracegradError | None = None
        try:
            told = instruction(wanted.shares, before.ids)
            await self._client.patch(self._key(split.prompt), [told], why[:COMMENT_CHARS])
        except (Unreachable, ServerFault) as error:
            lost = error  # it may have been done all the same
        return self._done(split.prompt, wanted.shares, before, await self._reading(split.prompt), lost)

    def place(self, split: Split, key: str) -> float:
        """See FlagService; by the formula of LaunchDarkly's SDKs."""
        digits = sha1(f"{split.salt}.{key}".encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:15]
        return int(digits, 16) / _SCALE

    def _done(
        self,
        prompt: str,
        wanted: Shares,
        before: FlagReading,
        after: FlagReading | None,
        lost: TracegradError | None,
    ) -> bool:
        """Whether our change is what stands. Changes are counted, so that one that we overwrote is not passed over."""
        changes = after.version - before.version if after else 0
        if after and after.shares == wanted and changes == 1:
            return True
        if changes == 0:
            raise lost or ServerFault("LaunchDarkly took a change and does not show it")
        if after and after.shares != wanted and (lost or changes > 1):
            return False
        raise BadAnswer(
            f"flag '{self._key(prompt)}' was changed by somebody else in the same moment as by us",
            "look at its history in LaunchDarkly and set it as it should be",
        )

    async def _require_label(self, prompt: str, wanted: "_Part") -> None:
        label = wanted.shares.label
        if label and (stands := await self._labelled(prompt, label)) != wanted.version:
            raise BadInput(
                f"label '{label}' of prompt '{prompt}' is on version {stands}, not on version {wanted.version}",
                "move the label onto the version before its users are sent there",
            )

    async def _split(self, prompt: str, reading: FlagReading) -> Split:
        """What is served, with the version that the label stands for now."""
        shares = reading.shares
        if not isinstance(shares, Shares):
            raise BadAnswer(f"flag '{self._key(prompt)}' in LaunchDarkly {shares[0]}", shares[1])
        part = await self._part(prompt, reading, shares)
        if not shares.label:
            return Split(prompt=prompt, salt=reading.salt)
        if part.version == PRODUCTION:
            raise BadAnswer(
                f"flag '{self._key(prompt)}' shows users the label '{shares.label}', which prompt '{prompt}' has not",
                "set the flag's default rule to production in LaunchDarkly",
            )
        if shares.canary:
            return canary(prompt, reading.salt, version=part.version, share=shares.canary / ALL)
        return holdback(prompt, reading.salt, version=part.version, share=shares.holdback / ALL)

    async def _part(self, prompt: str, reading: FlagReading, shares: Shares) -> "_Part":
        version = await self._labelled(prompt, shares.label) if shares.label else PRODUCTION
        return _Part(salt=reading.salt, shares=shares, version=version)

    async def _labelled(self, prompt: str, label: str) -> int:
        """The version with a label, 0 when none has it."""
        try:
            return (await self._registry.head(prompt, label=label)).production.version
        except NotFound:
            return PRODUCTION

    async def _reading(self, prompt: str) -> FlagReading | None:
        body = await self._client.get(self._key(prompt))
        if body is None:
            return None
        return read_flag(body, environment=self._access.environment, production=self._label(prompt))

    async def _create(self, prompt: str) -> FlagReading:
        """Make the flag; the one that is there when somebody else was faster, or when the answer was lost."""
        key = self._key(prompt)
        try:
            await self._client.create(new_flag(key, prompt, self._label(prompt)))
        except BadCredentials as error:
            values = f"`{CANARY_LABEL}`, `{self._label(prompt)}` and `{HOLDBACK_LABEL}`"
            raise BadCredentials(
                f"there is no flag '{key}' in LaunchDarkly, and the token may not make it",
                f"make it with the string variations {values} in this order, let its default rule and its off "
                f"variation be `{self._label(prompt)}`, and switch it on",
            ) from error
        except Transient:
            # it may have been made all the same, or by somebody else
            made = await self._reading(prompt)
            if made is None:
                raise
            return made
        made = await self._reading(prompt)
        if made is None:
            raise ServerFault(f"LaunchDarkly made flag '{key}' and does not show it")
        return made

    def _key(self, prompt: str) -> str:
        if prompt not in self._flags:
            raise BadSettings(f"no LaunchDarkly flag is named for prompt '{prompt}'", "set `release.flag`")
        return self._flags[prompt]

    def _label(self, prompt: str) -> str:
        return self._production.get(prompt, "production")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A split as LaunchDarkly has it, with shares in its weights: what compare-and-set compares.

    Attributes:
        version: what the part is shown; production when there is no part, or nothing has its label.
    """

    salt: str
    shares: Shares
    version: int

    def may_be(self, other: "_Part") -> bool:
        """Equal, where a label that stands for nothing may have stood for any version: that one was deleted."""
        return (self.salt, self.shares) == (other.salt, other.shares) and self.version in (other.version, PRODUCTION)

    @staticmethod
    def of(split: Split) -> "_Part":
        """The split in weights. Raises BadInput as `shares_of` does."""
        shown = (band.version for band in split.bands if band.version != PRODUCTION)
        shares = shares_of(split)
        return _Part(salt=split.salt, shares=shares, version=next(shown, PRODUCTION) if shares.label else PRODUCTION)
