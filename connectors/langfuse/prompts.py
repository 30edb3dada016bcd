"""Prompts as the SDK has them, and as the loop has them. What would be lost on the way is refused, never dropped."""

import json

from langfuse.api import (
    ChatMessage,
    CreateChatPromptRequest,
    CreateChatPromptType,
    CreateTextPromptRequest,
    PlaceholderMessage,
    Prompt,
    Prompt_Text,
)
from langfuse.api.prompts.types.placeholder_message_type import PlaceholderMessageType

from optimizer.errors import Unsupported
from optimizer.identity import canonical
from optimizer.prompts import Body, Message, Placeholder, PromptVersion


def to_version(prompt: Prompt) -> PromptVersion:
    """The loop's value of a registry entry.

    Raises:
        Unsupported: a chat message holds more than role and content, which a new version would lose.
    """
    body: Body = prompt.prompt if isinstance(prompt, Prompt_Text) else tuple(_part(p, prompt) for p in prompt.prompt)
    return PromptVersion(
        name=prompt.name,
        version=prompt.version,
        body=body,
        config_json=canonical(prompt.config or {}),
        labels=tuple(prompt.labels),
        commit_message=prompt.commit_message or "",
    )


def create_request(
    name: str, body: Body, *, config_json: str, commit_message: str
) -> CreateTextPromptRequest | CreateChatPromptRequest:
    """A request for the next version: no labels, and no tags, so that the server carries them over."""
    config = json.loads(config_json)
    if isinstance(body, str):
        return CreateTextPromptRequest(name=name, prompt=body, config=config, labels=[], commit_message=commit_message)
    return CreateChatPromptRequest(
        name=name,
        type=CreateChatPromptType("chat"),
        prompt=[
            PlaceholderMessage(type=PlaceholderMessageType("placeholder"), name=part.name)
            if isinstance(part, Placeholder)
            else ChatMessage(role=part.role, content=part.content)
            for part in body
        ],
        config=config,
        labels=[],
        commit_message=commit_message,
    )


def _part(part: ChatMessage | PlaceholderMessage, prompt: Prompt) -> Message | Placeholder:
    if part.model_extra:
        raise Unsupported(
            f"version {prompt.version} of prompt '{prompt.name}' has messages with {', '.join(part.model_extra)}",
            "keep only role and content in its messages, or do not register it",
        )
    if isinstance(part, PlaceholderMessage):
        return Placeholder(name=part.name)
    return Message(role=part.role, content=part.content)
