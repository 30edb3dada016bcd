"""What a prompt is: text or chat messages, one immutable version of it, and the head of its registry entry.

A body is a *template*: it may hold `{{variables}}`, chat placeholders and `@@@langfusePrompt:...@@@` composition tags,
none of them resolved. `optimizer.template` reads and fills them.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from optimizer.identity import canonical, digest
from optimizer.images import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One chat message. `role` is the model's word: system, user, assistant, developer, tool.

    Attributes:
        parts: texts and images in the order in which the model sees them, for a message with images; `content` then
            holds the texts alone. Registered prompts have none.
    """

    role: str
    content: str
    parts: tuple[str | Image, ...] = ()

    @property
    def images(self) -> tuple[Image, ...]:
        """The images of the message, in order."""
        return tuple(part for part in self.parts if isinstance(part, Image))

    @property
    def marks(self) -> tuple[str, ...]:
        """The parts in their order, an image by its digest: what tells two messages with the same texts apart."""
        return tuple(f"image {part.sha256}" if isinstance(part, Image) else f"text {part}" for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placeholder:
    """A slot in a chat prompt that the application fills with a list of messages."""

    name: str


Body: TypeAlias = str | tuple[Message | Placeholder, ...]
"""A text prompt, or a chat prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVersion:
    """One immutable version in the prompt registry.

    Attributes:
        config_json: the version's config as canonical JSON; carried over to new versions untouched.
        labels: movable pointers that named this version when it was read.
        commit_message: what its author said; ours carry the run id.
    """

    name: str
    version: int
    body: Body
    config_json: str = "{}"
    labels: tuple[str, ...] = ()
    commit_message: str = ""

    @property
    def sha256(self) -> str:
        """Hash of body and config: what compare-and-set compares."""
        return body_sha256(self.body, self.config_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the registry said about one prompt at one moment: the base of a compare-and-set.

    Attributes:
        production: the version that the release label points to.
        newest: the highest version number that exists, which `latest` points to.
        label: the label that was asked for.
    """

    production: PromptVersion
    newest: int
    label: str = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The draft is in the registry, and was read back."""

    version: PromptVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """Somebody changed the prompt between our read and our write; their change stands.

    Attributes:
        head: the registry as it is now.
        stray: our own version that must never get a label, 0 when none was made.
    """

    head: Head
    stray: int

    @property
    def latest_is_stray(self) -> bool:
        """True when `latest` serves our unapproved text: a person has to be told."""
        return self.stray != 0 and self.stray == self.head.newest


def body_json(body: Body) -> str:
    """A body as canonical JSON, in Langfuse's chat shape; the inverse of `body_from_json`."""
    if isinstance(body, str):
        return canonical(body)
    return canonical(
        [
            {"type": "placeholder", "name": part.name}
            if isinstance(part, Placeholder)
            else {"role": part.role, "content": part.content}
            for part in body
        ]
    )


def body_from_json(text: str) -> Body:
    """The body that `body_json` was given."""
    parts = json.loads(text)
    if isinstance(parts, str):
        return parts
    return tuple(
        Placeholder(name=part["name"])
        if part.get("type") == "placeholder"
        else Message(role=part["role"], content=part["content"])
        for part in parts
    )


def body_sha256(body: Body, config_json: str) -> str:
    """Hash of a body and its config; text and chat prompts never collide."""
    return digest("text" if isinstance(body, str) else "chat", body_json(body), config_json)


def system_text(body: Body) -> str:
    """The part of a body that the optimizer may change: text prompts whole, chat prompts' system messages."""
    if isinstance(body, str):
        return body
    return "\n".join(text for role, text in _messages(body) if role in ("system", "developer"))


def _messages(body: Iterable[Message | Placeholder]) -> Iterable[tuple[str, str]]:
    return ((part.role, part.content) for part in body if isinstance(part, Message))
