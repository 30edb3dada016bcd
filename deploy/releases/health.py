"""Can this prompt's releases go their way? What the doctor finds out about it, each with what to do.

Only reads: nothing is pushed, no flag is made or changed. What a token may write shows at the first proposal only.
"""

import errno
import socket
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

import httpx

from deploy import roles
from deploy.doctor import Check, failed, ok, percent, sentence, warning
from deploy.release_settings import OfrepSettings
from deploy.releases.prospects import check_production
from deploy.releases.pull_requests import usable
from deploy.settings import PromptSettings, Settings
from deploy.wiring import House
from optimizer.errors import NotFound, TracegradError
from optimizer.rollouts import PRODUCTION, Split
from optimizer.types import Generation

ASK_S = 2.0
"""How long whoever listens on our port has to answer."""


# ---- what is the same for every prompt -----------------------------------------------------------------------------


async def check_role(settings: Settings) -> Check:
    """Whether this process holds only what its role may hold."""
    try:
        await roles.check(settings)
    except TracegradError as error:
        return failed("role", sentence(error))
    return ok("role", f"`{settings.role}`: {SAID_OF_ROLE[settings.role]}")


SAID_OF_ROLE = {
    "all": "one process proposes and publishes",
    "proposer": "it holds nothing that could publish",
    "publisher": "it holds no model's key",
}


def check_notify(settings: Settings) -> Check:
    """Whether the addresses are some; nothing is sent, and none is printed."""
    if not settings.notify:
        return ok("notify", "nobody is told of releases")
    for number, address in enumerate(settings.notify, start=1):
        if not _is_address(address.url.get_secret_value()):
            return failed("notify", f"address {number} of `notify` is none; give one that begins with https://.")
    addresses = "one address is" if len(settings.notify) == 1 else f"{len(settings.notify)} addresses are"
    return ok("notify", f"{addresses} told of releases")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


async def check_ofrep(settings: Settings) -> Check:
    """Whether the evaluation endpoint can listen where it should, or does already."""
    ofrep, where = settings.ofrep, f"{settings.ofrep.host}:{settings.ofrep.port}"
    if settings.role == "proposer" or not any(
        prompt.release.watched and prompt.release.resolver == "ofrep" for prompt in settings.prompts
    ):
        return ok("ofrep", "not needed: no application asks here which version a user gets")
    try:
        with socket.create_server((ofrep.host, ofrep.port)):
            return ok("ofrep", f"{where} is free; `tracegrad run` answers there")
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            why = str(error.strerror).partition(" (while")[0]
            return failed("ofrep", f"nothing can listen on {where} ({why}); correct `ofrep.host` or `ofrep.port`.")
    if await _answers(ofrep):
        return ok("ofrep", f"the evaluation endpoint answers on {where}")
    return failed("ofrep", f"something else listens on {where}; set another `ofrep.port`, or stop whoever uses it.")


async def _answers(ofrep: OfrepSettings) -> bool:
    """Whether what listens there speaks the protocol."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(ofrep.host, ofrep.host)
    token = ofrep.token.get_secret_value()
    try:
        async with httpx.AsyncClient(timeout=ASK_S, trust_env=False) as client:
            answer = await client.post(
                f"http://{host}:{ofrep.port}/ofrep/v1/evaluate/flags",
                json={"context": {"targetingKey": "doctor"}},
                headers={"Authorization": f"Bearer {token}"} if token else {},
            )
            told = answer.json() if answer.status_code == httpx.codes.OK else None
    except (httpx.HTTPError, ValueError):
        return False
    return isinstance(told, dict) and "flags" in told


# ---- one prompt ----------------------------------------------------------------------------------------------------


async def check_release(house: House, prompt: PromptSettings, sample: Sequence[Generation]) -> AsyncIterator[Check]:
    """One prompt's releases: where people are asked, where users are dealt, and what production can decide.

    Args:
        sample: recent generations of the prompt.
    """
    name, release, publishes = f"release {prompt.name}", prompt.release, house.settings.role != "proposer"
    yield ok(name, said_of_policy(prompt))
    if release.policy == "observe":
        return
    if release.ask == "pull-request" and publishes:
        yield await check_forge(name, house, prompt)
    if release.watched:
        if publishes:
            yield await check_flag(name, house, prompt)
        async for check in check_production(name, house, prompt, sample):
            yield check


def said_of_policy(prompt: PromptSettings) -> str:
    """What follows a pass."""
    release = prompt.release
    if release.policy == "observe":
        return "policy `observe`: a pass is reported, and nothing is released"
    if release.policy == "canary":
        return "policy `canary`: production decides about what passes its gate"
    asked = "a pull request" if release.ask == "pull-request" else "`tracegrad approve`"
    then = "production decides" if release.watched else f"`{prompt.label}` moves"
    return f"policy `propose`: a person is asked by {asked}, and then {then}"


async def check_forge(name: str, house: House, prompt: PromptSettings) -> Check:
    """The repository can be reached, and the prompt's file on the base branch is what production reads."""
    path, branch = prompt.release.path, house.settings.forge.branch
    if house.forge is None:
        return failed(name, "pull requests are asked for and no forge is named; set `forge` in tracegrad.yaml.")
    try:
        text = await house.forge.text_at(path, branch)
        production = (await house.registry.head(prompt.name, label=prompt.label)).production
        same = usable(text, path, production.body) == production.body
    except NotFound as error:
        fix = f"put what production reads at {path} there, or correct `release.path` or what `forge` says."
        return failed(name, f"{error.what}, or nobody without rights may see it; {fix}")
    except TracegradError as error:
        return failed(name, sentence(error))
    said = f"{house.forge.name} has {path} on {branch}"
    if not same:
        return warning(
            name,
            f"{said}, and it is not the text of version {production.version}, which `{prompt.label}` is; "
            "a proposal replaces the file, so bring the two together first.",
        )
    return ok(name, f"{said}, as `{prompt.label}` is; what the token may write shows at the first proposal")


async def check_flag(name: str, house: House, prompt: PromptSettings) -> Check:
    """The flag service can be reached, and what it serves is understood."""
    service = house.flags(prompt)
    try:
        served = await service.read(prompt.name)
    except TracegradError as error:
        return failed(name, sentence(error))
    where = f"`{prompt.release.resolver}`"
    if served is None:
        return ok(name, f"{where} has nothing for it yet; the first release begins it")
    others = sorted({band.version for band in served.bands} - {PRODUCTION})
    if not others:
        return ok(name, f"{where} shows production to everybody")
    return ok(name, f"{where} shows {shown_by(served)}")


def shown_by(split: Split) -> str:
    """Which part of the users is shown what."""
    begins = [0.0, *(band.below for band in split.bands)]
    parts = zip(split.bands, begins, strict=False)
    return ", ".join(
        f"{f'version {band.version}' if band.version else 'production'} to {percent(band.below - begin)}"
        for band, begin in parts
    )
