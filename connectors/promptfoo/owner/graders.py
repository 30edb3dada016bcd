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


def routed(provider: Json, *, judge_model: str, embedding_model: str) -> Json:
    """Graders that ask the gateway, ours where the owner names none; null when one cannot be the one that is named."""
    listed = provider if isinstance(provider, dict) and "id" not in provider else {"": provider}
    graders = standard(judge_model, embedding_model)
    for kind, named in listed.items():
        client = _client(named, embedding_model)
        if client is None or kind not in ("", "text", "embedding"):
            return None
        graders[kind or ("embedding" if EMBEDDING.fullmatch(str(client["id"])) else "text")] = client
    return {**graders}


def standard(judge_model: str, embedding_model: str) -> dict[str, Json]:
    """The graders where the owner names none."""
    graders: dict[str, Json] = {}
    if judge_model:
        graders["text"] = _options(f"openai:chat:{judge_model}", {"temperature": 0})
    if embedding_model:
        graders["embedding"] = _options(f"openai:embedding:{embedding_model}", {})
    return graders


def _client(provider: Json, embedding_model: str) -> dict[str, Json] | None:
    written = provider if isinstance(provider, dict) else {"id": provider}
    named, config = written.get("id"), written.get("config") or {}
    if not isinstance(named, str) or not isinstance(config, dict) or config.keys() - KEPT - ADDRESSES:
        return None
    found = EMBEDDING.fullmatch(named)
    if found:
        return _options(named, {}) if found[1] == embedding_model else None
    found = CHAT.fullmatch(named)
    if found is None:
        return None
    return _options(f"openai:chat:{found[1]}", {name: config[name] for name in config.keys() & KEPT})


def _options(named: str, config: Mapping[str, Json]) -> dict[str, Json]:
    return {"id": named, "config": dict(config)}
