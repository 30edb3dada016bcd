"""Separation of duties, checked at start: who proposes cannot publish, and who publishes has no model to talk to.

A proposer reads what strangers wrote and asks models about it; it holds nothing that publishes, merges or flips a
flag. A publisher holds all of that, has no model to read strangers' words to, and acts only on what was approved.
Langfuse's keys can do everything, so the proof that a proposer's cannot is an attempt: a write that changes nothing.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import httpx

from deploy.settings import Settings
from deploy.web.reading_gateway import ONLY_READS
from optimizer.errors import BadSettings, Unreachable

MODEL_VARIABLES = ("OPENAI_API_KEY",)
FORGE_VARIABLES = ("GITHUB_TOKEN", "GH_TOKEN")
"""Where a key would be in the environment although no setting names it."""

PROBE = "/api/public/v2/prompts/tracegrad-may-not-write/versions/2147483647"
"""No prompt is called so; and if one were, it would not have so many versions, and no label is given to any."""

Prober = Callable[[Settings], Awaitable[bool]]
"""Whether a write with the settings' Langfuse keys is refused by a reading gateway. Raises Unreachable."""


async def only_reads(settings: Settings) -> bool:
    """Try a write that cannot change anything; only the gateway's own refusal counts."""
    langfuse = settings.langfuse
    keys = (langfuse.public_key, langfuse.secret_key.get_secret_value())
    url = langfuse.host.rstrip("/") + PROBE
    try:
        async with httpx.AsyncClient(auth=keys, timeout=langfuse.timeout_s, trust_env=False) as client:
            answer = await client.patch(url, json={"newLabels": []})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(f"the reading gateway at {langfuse.host} cannot be reached") from error
    return answer.status_code == 403 and _error_of(answer) == ONLY_READS


async def check(settings: Settings, *, prober: Prober = only_reads, environ: Mapping[str, str] = os.environ) -> None:
    """Whether this process holds only what its role may hold.

    Raises:
        BadSettings: it holds more; the sentence says what to take away.
        Unreachable: a proposer's way to Langfuse is not there, so nothing is proved.
    """
    if settings.role == "proposer":
        held = _of_proposer(settings, environ)
        if held:
            raise BadSettings(f"the role `proposer` must not hold {held[0]}", f"remove {held[1]}, or set `role: all`")
        if not await prober(settings):
            raise BadSettings(
                "the role `proposer` must not be able to write to Langfuse, and a write was not refused",
                "start `tracegrad reading-gateway` beside the publisher, and give `langfuse` its address and its keys",
            )
    if settings.role == "publisher" and (held := _of_publisher(settings, environ)):
        raise BadSettings(f"the role `publisher` must not hold {held[0]}", f"remove {held[1]}, or set `role: all`")


def _of_proposer(settings: Settings, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """What a proposer holds and must not, and where it is."""
    forge = settings.forge
    if forge.token.get_secret_value():
        return "a forge's token", "`forge.token`"
    if forge.webhook_secret.get_secret_value():
        return "the secret that signs a forge's webhooks", "`forge.webhook_secret`"
    if forge.remote and "://" in forge.remote and urlsplit(forge.remote).password:
        return "a password for a git remote", "it from `forge.remote`"
    if settings.launchdarkly.token.get_secret_value():
        return "a flag service's token", "`launchdarkly.token`"
    if settings.gateway.secret_key.get_secret_value():
        return "the reading gateway's settings", "`gateway` and give its keys to `langfuse`"
    return _in(environ, FORGE_VARIABLES, "a forge's token")


def _of_publisher(settings: Settings, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """What a publisher holds and must not, and where it is."""
    if settings.model.api_key.get_secret_value():
        return "a model's key", "`model.api_key` and OPENAI_API_KEY"
    return _in(environ, MODEL_VARIABLES, "a model's key")


def _in(environ: Mapping[str, str], names: tuple[str, ...], what: str) -> tuple[str, str] | None:
    found = next((name for name in names if environ.get(name)), None)
    return (what, f"{found} from its environment") if found else None


def _error_of(answer: httpx.Response) -> object:
    """What a JSON answer calls its error."""
    try:
        said = answer.json()
    except ValueError:
        return None
    return said.get("error") if isinstance(said, dict) else None
