"""Is everything in place? One check per thing that goes wrong in practice, each with what to do about it.

Reads only: nothing is written to Langfuse, the registry or the store, and one tiny model call is paid.
"""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from connectors.langfuse.server import Server
from connectors.promptfoo.runtime import locate
from deploy.settings import PromptSettings, Settings
from optimizer.errors import TracegradError
from optimizer.ports import Clock, LanguageModel, ModelRequest, PromptRegistry, TraceSource
from optimizer.prompts import Head, Message
from optimizer.replay import NotReplayable, rebuild
from optimizer.types import Generation, Window

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
    """Version and clock."""
    found = [ok("Langfuse", f"version {server.version}, project {server.project_id}")]
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
    said = f"{share:.0%} of the last {len(sample)} generations are linked to a prompt version"
    if linked == 0:
        return failed("prompt links", f"{said}; pass `prompt=` to the generation in your application.")
    return ok("prompt links", said) if share > 0.5 else warning("prompt links", f"{said}; link the others too.")


async def check_prompt(
    prompt: PromptSettings, registry: PromptRegistry, source: TraceSource, window: Window
) -> AsyncIterator[Check]:
    """One registered prompt: its labelled version, its traffic, and how much of that can be replayed."""
    name = f"prompt {prompt.name}"
    head = await registry.head(prompt.name, label=prompt.label)
    yield ok(name, f"`{prompt.label}` is version {head.production.version} of {head.newest}")
    if not prompt.rules:
        yield failed(name, "no score is called a complaint; add `rules` to it in tracegrad.yaml.")
    sample = [g async for g in source.recent(window, limit=SAMPLE, prompt=prompt.name)]
    if not sample:
        yield failed(name, "no generation is linked to it; pass `prompt=` to the generation in your application.")
        return
    yield reads_latest(name, head, sample)
    yield await replayable_share(name, head, registry, sample)


def reads_latest(name: str, head: Head, sample: list[Generation]) -> Check:
    """An application that reads `latest` would serve a version that nobody approved."""
    ahead = sum(1 for g in sample if g.prompt_version == head.newest != head.production.version)
    if ahead:
        return warning(
            name, f"{ahead} generations used version {head.newest}, as `latest` would; read it by label instead."
        )
    return ok(name, "no application seems to read `latest`")


async def replayable_share(name: str, head: Head, registry: PromptRegistry, sample: list[Generation]) -> Check:
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
    said = f"{share:.0%} of {len(sample)} recorded inputs can be replayed"
    if not reasons:
        return ok(name, said)
    why = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(3))
    said = f"{said} ({why})"
    return ok(name, said) if share >= 0.5 else warning(name, f"{said}; name a dataset under `gate` for the others.")


async def check_model(model: LanguageModel, role: str, model_id: str) -> Check:
    """One tiny call, so that keys, address and model name are proven."""
    if not model_id:
        return failed(f"model {role}", f"no model is named; set `model.{role}` in tracegrad.yaml.")
    request = ModelRequest(
        purpose="doctor", model=model_id, messages=(Message(role="user", content="Answer with OK."),), max_tokens=256
    )
    try:
        reply = await model.complete(request)
    except TracegradError as error:
        return failed(f"model {role}", str(error))
    return ok(f"model {role}", f"{model_id} answers ({reply.usage.input_tokens + reply.usage.output_tokens} tokens)")


def check_promptfoo(settings: Settings) -> Check:
    """Node and the pinned promptfoo."""
    try:
        runtime = locate(settings.node_dir)
    except TracegradError as error:
        return failed("promptfoo", str(error))
    return ok("promptfoo", f"{runtime.version} in {settings.node_dir}")


def sample_window(clock: Clock, prompt: PromptSettings | None = None) -> Window:
    """The stretch of time that the checks look at."""
    now = clock.now()
    return Window(start=now - timedelta(days=prompt.lookback_days if prompt else 7), end=now)
