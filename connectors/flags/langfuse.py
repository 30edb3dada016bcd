"""FlagService over Langfuse: the split of prompt `x` is the JSON text of a prompt `rollouts/x`.

    {"format": 1, "salt": "...", "bands": [{"below": 0.1, "version": 8}, {"below": 1, "version": 0}]}

Applications read its production version through their SDK's cache, within about a minute. Every change is a new
version, so that Langfuse keeps the history; the label is moved onto it by compare and set, so that what a person did
meanwhile stands. Must never be read resolved: a salt is no template.
"""

from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimizer.errors import BadAnswer, NotFound
from optimizer.identity import canonical, digest
from optimizer.ports import PromptRegistry
from optimizer.prompts import Body, Head, PromptVersion, Superseded
from optimizer.rollouts import PRODUCTION, Band, Split, point

FOLDER = "rollouts/"
LABEL = "production"


class Shelf(PromptRegistry, Protocol):
    """A registry that can begin a prompt."""

    async def ensure(self, name: str, body: Body, *, note: str) -> PromptVersion:
        """The newest version; where there is no such prompt, its first one, made of `body` and without our labels."""
        ...


class _Band(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    below: float = Field(ge=0, le=1)
    version: int = Field(ge=0)


class _Rollout(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal[1]
    salt: str
    bands: list[_Band] = Field(min_length=1)


class LangfuseFlags:
    """FlagService over a registry of prompts."""

    def __init__(self, registry: Shelf) -> None:
        self._registry = registry

    @property
    def name(self) -> str:
        """See FlagService."""
        return "Langfuse"

    async def read(self, prompt: str) -> Split | None:
        """See FlagService; None when there is no such prompt, or none of its versions is labelled yet."""
        head = await self._head(prompt)
        return None if head is None else split_of(prompt, head.production)

    async def start(self, prompt: str, salt: str) -> Split:
        """See FlagService; the salt is the one that was asked for, unless a rollout stands."""
        wanted = Split(prompt=prompt, salt=salt)
        stands = await self.read(prompt) or await self._begin(wanted)
        if stands == wanted or any(band.version != PRODUCTION for band in stands.bands):
            return stands
        if not await self.write(wanted, expect=stands, why="A new release begins."):
            raise BadAnswer(
                f"prompt '{FOLDER}{prompt}' was changed by somebody else in the same moment as by us",
                "look at its versions in Langfuse and label the right one",
            )
        return wanted

    async def write(self, split: Split, *, expect: Split, why: str) -> bool:
        """See FlagService."""
        name, head = FOLDER + split.prompt, await self._head(split.prompt)
        stands = _understood(split.prompt, head)
        if head is None or stands in (None, split) or stands != expect:
            return stands == split
        version = await self._version(name, text_of(split), head, why)
        return bool(version) and await self._registry.move_label(
            name, LABEL, to=version, expect=head.production.version
        )

    def place(self, split: Split, key: str) -> float:
        """See FlagService."""
        return point(split.salt, key)

    async def _version(self, name: str, text: str, head: Head, why: str) -> int:
        """The number of the version that holds the change, 0 when somebody was faster.

        One that was made before an interruption is the newest still, and is used.
        """
        newest = await self._registry.get(name, head.newest)
        if newest.body == text:
            return newest.version
        run_id = digest(str(head.newest), text)[:16]
        made = await self._registry.publish(name, text, base=head, run_id=run_id, note=why)
        return 0 if isinstance(made, Superseded) else made.version.version

    async def _begin(self, wanted: Split) -> Split:
        """Make the first version and label it; an unlabelled one that an interruption left is taken."""
        name = FOLDER + wanted.prompt
        first = await self._registry.ensure(name, text_of(wanted), note="Everybody on production.")
        stands = split_of(wanted.prompt, first)
        everybody = all(band.version == PRODUCTION for band in stands.bands)
        if not everybody or not await self._registry.move_label(name, LABEL, to=first.version, expect=0):
            raise BadAnswer(
                f"prompt '{name}' has no version with the label '{LABEL}'",
                "label the one that is to be served, or delete the prompt",
            )
        return stands

    async def _head(self, prompt: str) -> Head | None:
        try:
            return await self._registry.head(FOLDER + prompt, label=LABEL)
        except NotFound:
            return None


def text_of(split: Split) -> str:
    """A split as the text of its prompt."""
    bands = [{"below": band.below, "version": band.version} for band in split.bands]
    return canonical({"format": 1, "salt": split.salt, "bands": bands})


def split_of(prompt: str, version: PromptVersion) -> Split:
    """The split that a version holds. Raises BadAnswer for what is none."""
    try:
        read = _Rollout.model_validate_json(version.body if isinstance(version.body, str) else "")
    except ValidationError as error:
        raise _no_split(prompt, version) from error
    bands = tuple(Band(below=band.below, version=band.version) for band in read.bands)
    ends = [band.below for band in bands]
    if ends != sorted(set(ends)) or ends[-1] != 1:
        raise _no_split(prompt, version)
    return Split(prompt=prompt, salt=read.salt, bands=bands)


def _understood(prompt: str, head: Head | None) -> Split | None:
    """What is served; None for nothing, and for what somebody made by hand and is no split."""
    try:
        return None if head is None else split_of(prompt, head.production)
    except BadAnswer:
        return None


def _no_split(prompt: str, version: PromptVersion) -> BadAnswer:
    return BadAnswer(
        f"version {version.version} of prompt '{FOLDER}{prompt}' is no rollout",
        f"move its label '{LABEL}' back to the version before, or correct the JSON",
    )
