"""Can this prompt's releases go their way? What the doctor finds out about it, each with what to do.

Only reads: nothing is pushed, no flag is made or changed. What a token may write shows at the first proposal only.
"""

import asyncio
import errno
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar, cast
from urllib.parse import urlsplit

import httpx

from deploy import roles
from deploy.collecting import SETTLE
from deploy.doctor import Check, failed, ok, percent, sentence, warning
from deploy.release_settings import OfrepSettings
from deploy.releases.asking import usable
from deploy.releases.metrics import metric_of
from deploy.releases.watching import given_by
from deploy.settings import PromptSettings, Settings
from deploy.store.ledger import Ledger
from deploy.wiring import House
from gates.error_budget import next_stake
from optimizer.errors import BadSettings, NotFound, TracegradError
from optimizer.rollouts import PRODUCTION, Exposure, Metric, Split
from optimizer.rules import EveryScore
from optimizer.types import Generation, Window

WEEK = timedelta(days=7)

ENOUGH = 5_000
"""Answers and scores that are read at most: whoever has as many in a week need not be told how many more."""

ASK_S = 2.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a canary finds with so much traffic, as the table of docs/canary.md has it.

    Attributes:
        units: scored units a week, of both arms.
        three, five: how often a gain of 3 and of 5 points is promoted before the canary ends; the least traffic has
            eight weeks for it.
        days: of the middle canary until it promotes a gain of 5 points.
    """

    units: int
    three: float
    five: float
    days: int


PROMISES = (
    Promise(units=3_000, three=0.955, five=0.996, days=9),
    Promise(units=1_000, three=0.602, five=0.989, days=17),
    Promise(units=300, three=0.188, five=0.670, days=45),
)
"""The most traffic first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """A week of production, as a canary would see it.

    Attributes:
        since: the moment from which it was read: a week ago, or later where there was too much.
        answers: with a key of a unit.
        odd: scores of the metric's name and another kind or value.
        scored: units that gave at least one score of the metric.
        whole: everything was read; otherwise the numbers are lower bounds.
    """

    since: datetime
    answers: Sequence[Exposure]
    odd: int
    scores: int
    scored: int
    whole: bool


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


async def check_production(
    name: str, house: House, prompt: PromptSettings, sample: Sequence[Generation]
) -> AsyncIterator[Check]:
    """Whether production can decide: whose the answers are, and how many of these people say what they think."""
    try:
        metric = metric_of(prompt)
    except BadSettings as error:
        yield failed(name, sentence(error))
        return
    seen = await traffic(house, prompt, metric)
    yield check_units(name, prompt, seen, sample)
    yield check_metric(name, metric, seen)
    if seen.scored:
        yield check_speed(name, prompt, metric, seen)
    yield await check_stake(name, house, prompt)


async def traffic(house: House, prompt: PromptSettings, metric: Metric) -> Traffic:
    """The last week of production, or the newest part of it."""
    end = house.clock.now() - SETTLE
    window = Window(start=end - WEEK, end=end)
    shown = house.traces.exposures(window, prompt.name, place=lambda _key: 0.0, by=prompt.release.canary.unit)
    answers, all_answers = await newest(shown)
    said, all_scores = await newest(house.traces.scores(window, (EveryScore(name=metric.score),)))
    unit_of = {answer.trace_id: answer.unit for answer in answers}
    mine = [score for score in said if score.trace_id in unit_of]
    given = [found for score in mine if (found := given_by(score, metric))]
    return Traffic(
        since=window.start if all_answers else answers[-1].at,
        answers=answers,
        odd=len(mine) - len(given),
        scores=len(given),
        scored=len({unit_of[score.trace_id] for score in given}),
        whole=all_answers and all_scores,
    )


async def newest(walk: AsyncIterator[T], most: int = ENOUGH) -> tuple[list[T], bool]:
    """The first of a walk, `most` at most, and whether that was all of it."""
    found: list[T] = []
    # every source's walk is a generator, and one that is left early has requests under way
    async with aclosing(cast(AsyncGenerator[T, None], walk)) as rows:
        async for row in rows:
            if len(found) == most:
                return found, False
            found.append(row)
    return found, True


def check_units(name: str, prompt: PromptSettings, seen: Traffic, sample: Sequence[Generation]) -> Check:
    """The share of the answers that say whose they are: nobody else is counted."""
    unit = prompt.release.canary.unit
    known = {answer.trace_id for answer in seen.answers}
    traces = {one.trace_id for one in sample if one.at >= seen.since}
    if not traces:
        return failed(name, "no answer of the last 7 days is linked to it; pass `prompt=` to the generation.")
    share = len(traces & known) / len(traces)
    said = f"{percent(share)} of {len(traces)} answers name a {unit}, and only these are counted"
    if share < 0.5:
        other = "`release.canary.unit: session`" if unit == "user" else "`release.canary.unit: user`"
        return (failed if share == 0 else warning)(name, f"{said}; set the {unit} id of your traces, or {other}.")
    return ok(name, said)


def check_metric(name: str, metric: Metric, seen: Traffic) -> Check:
    """A score of that name and kind is given at all."""
    what = f"a {metric.kind.lower()} score '{metric.score}'"
    if not seen.scores:
        other = f" ({seen.odd} of that name are of another kind)" if seen.odd else ""
        return failed(
            name, f"no answer of the last 7 days has {what}{other}; correct `release.canary.metric`, or have it scored."
        )
    how = "as a hash decides" if metric.sampled else "by whoever wants to"
    return ok(name, f"{_count(seen, seen.scores)} answers of the last 7 days were given {what}, {how}")


def check_speed(name: str, prompt: PromptSettings, metric: Metric, seen: Traffic) -> Check:
    """What a canary would find with so many users who say what they think."""
    units = f"{_count(seen, seen.scored)} {prompt.release.canary.unit}s a week give such a score"
    more = "" if metric.sampled else ", and more is needed where people choose whether to score (`sampled: false`)"
    found = next((promise for promise in PROMISES if seen.scored >= promise.units), None)
    if prompt.release.canary.margin and metric.sampled:
        return ok(name, f"{units}; what a margin asks for is in docs/canary.md")
    margin = ", set `release.canary.margin`" if metric.sampled else ""
    fix = f"have more answers scored{margin}, or let people alone decide (`policy: propose`, `then: promote`)."
    if found is None:
        least = PROMISES[-1].units
        return warning(
            name, f"{units}: with fewer than {least} a canary rarely proves even a gain of 5 points{more}; {fix}"
        )
    said = (
        f"{units}: with {found.units:,} a gain of 3 points is proven in {percent(found.three)} of canaries, "
        f"and one of 5 in {percent(found.five)}, typically after {found.days} days{more}"
    )
    return ok(name, said) if found.three > 0.5 else warning(name, f"{said}; {fix}")


async def check_stake(name: str, house: House, prompt: PromptSettings) -> Check:
    """What is left of the year's error budget of canaries. No stake is opened."""
    ledgers, budget = house.store.ledgers, prompt.release.canary.budget

    def left_of_year() -> float:
        prompt_id = ledgers.prompt_id(prompt.name, formerly=prompt.formerly)
        return ledgers.left(prompt_id, Ledger.RELEASE, budget)

    left = await asyncio.to_thread(left_of_year)
    stake = next_stake(left)
    said = f"{left:.3g} of the canaries' error budget of {budget:g} a year is left"
    if stake <= 0:
        return warning(name, f"{said}, so no canary can begin; wait, or raise `release.canary.budget`.")
    return ok(name, f"{said}; the next canary stakes {stake:.2g} and promotes at evidence of {1 / stake:.0f}")


def _count(seen: Traffic, number: int) -> str:
    return f"{'' if seen.whole else 'at least '}{number:,}"
