"""Who grades the owner's model-graded assertions: our judge, or the model that he names, always through our client.

promptfoo's own OpenAI client is left in place; its address is the gateway's. Other clients would go to other machines.
"""

import re
from collections.abc import Mapping

from optimizer.identity import Json

CHAT = re.compile(r"openai:(?:chat:)?([^:]+)")
EMBEDDING = re.compile(r"openai:embeddings?:([^:]+)")
KEPT = frozenset({"temperature", "max_tokens"})
ADDRESSES = frozenset({"apiBaseUrl", "apiHost", "apiKey", "apiKeyEnvar", "organization"})
"""Where the owner would send it; here it is the gateway that knows."""


def routed(provider: Json, *, embedding_model: str) -> Json:
    """A grader that asks the gateway; None when it cannot be the one that is named."""
    if isinstance(provider, str):
        return _client(provider, {}, embedding_model)
    if not isinstance(provider, dict):
        return None
    if "id" in provider:
        config = provider.get("config") or {}
        named = provider["id"]
        if not isinstance(config, dict) or not isinstance(named, str) or config.keys() - KEPT - ADDRESSES:
            return None
        return _client(named, {name: config[name] for name in config.keys() & KEPT}, embedding_model)
    parts = {kind: routed(part, embedding_model=embedding_model) for kind, part in provider.items()}
    if not parts or parts.keys() - {"text", "embedding"} or None in parts.values():
        return None
    return {kind: part for kind, part in parts.items() if part is not None}


def standard(judge_model: str, embedding_model: str) -> dict[str, Json]:
    """The graders where the owner names none."""
    graders: dict[str, Json] = {}
    if judge_model:
        graders["text"] = _options(f"openai:chat:{judge_model}", {"temperature": 0})
    if embedding_model:
        graders["embedding"] = _options(f"openai:embedding:{embedding_model}", {})
    return graders


def _client(named: str, config: Mapping[str, Json], embedding_model: str) -> Json:
    found = EMBEDDING.fullmatch(named)
    if found:
        return _options(named, {}) if found[1] == embedding_model else None
    found = CHAT.fullmatch(named)
    return _options(f"openai:chat:{found[1]}", config) if found else None


def _options(named: str, config: Mapping[str, Json]) -> Json:
    return {"id": named, "config": dict(config)}
