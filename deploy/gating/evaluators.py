"""From the owner's settings to who answers and who judges. Only this file and `deploy.wiring` choose among connectors.

promptfoo is started only where the owner asks for it: for assertions of his own, or for his own configuration.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.direct import DirectEvaluator
from connectors.embeddings import Embedder
from connectors.judges import http, python
from connectors.judges.matching import Match, MatchingJudge
from connectors.judges.pairwise import PairwiseJudge
from connectors.judges.rubric import ModelJudge
from connectors.promptfoo.evaluator import PromptfooEvaluator
from connectors.promptfoo.owner.config import OwnerTests
from connectors.promptfoo.owner.evaluator import OwnerEvaluator
from connectors.promptfoo.runtime import locate
from connectors.promptfoo.settings import EvaluatorSettings
from deploy.gating.order import Evaluators
from deploy.offline.texts import read
from deploy.settings import GateSettings, PromptSettings, Settings
from gates.attacks import attacks
from gates.safety.attack import Attack, parsed
from gates.safety.judging import AttackJudge
from gates.safety.settling import Settling
from optimizer.identity import canonical
from optimizer.ports import Evaluator, Judge, LanguageModel, PairJudge
from optimizer.prompts import Body

Progress = Callable[[int, int], None]

PROJECT_MARKS = (".git", "tracegrad.yaml")
"""What stands at the top of a project."""


@asynccontextmanager
async def evaluators(
    settings: Settings,
    prompt: PromptSettings,
    model: LanguageModel,
    secret: bytes,
    *,
    bodies: tuple[Body, Body],
    progress: Progress,
) -> AsyncIterator[Evaluators]:
    """Everything that answers and judges in one prompt's gate.

    Args:
        bodies: baseline and candidate.

    Raises:
        BadInput, BadSettings: an evaluator, an assertion or a file of the owner's cannot be used.
        Unsupported: promptfoo is needed and not installed.
    """
    async with judge_of(settings, prompt.gate, model, secret) as judge, embedder_of(settings) as embedder:
        owner = owned(settings, prompt, model, bodies, embedder, progress)
        known = attacks_of(prompt.gate)
        safety = direct(settings, model, AttackJudge(known, bodies), progress, repeats=0)
        yield Evaluators(
            screen=runner(settings, prompt.gate, model, judge, progress, repeats=prompt.gate.repeats),
            plain=runner(settings, prompt.gate, model, judge, progress, repeats=0),
            judge=judge,
            alone=by_itself(settings, prompt.gate, model, judge, secret, progress),
            owner=owner.evaluator if owner else None,
            owner_cases=owner.tests.cases if owner else (),
            owner_names={id_: test.name for id_, test in owner.tests.tests.items()} if owner else {},
            told=tuple(filter(None, [owner.tests.finding()])) if owner else (),
            safety=Settling(safety, known) if known else None,
            attacks=known,
            settings=canonical(
                {
                    "model": settings.model.model_dump(mode="json", include={"task", "judge", "temperature"}),
                    "gate": prompt.gate.model_dump(mode="json", include={"evaluator", "rubric", "assertions"}),
                }
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """The owner's own promptfoo tests, and who runs them."""

    tests: OwnerTests
    evaluator: OwnerEvaluator


def owned(
    settings: Settings,
    prompt: PromptSettings,
    model: LanguageModel,
    bodies: tuple[Body, Body],
    embedder: Embedder | None,
    progress: Progress,
) -> Owned | None:
    """The owner's configuration, if he named one. Raises BadInput when it cannot be read."""
    path = prompt.gate.promptfoo
    if path is None:
        return None
    tests = OwnerTests.load(
        path,
        project=project_of(path),
        prompt_name=prompt.name,
        body=bodies[0],
        candidate=bodies[1],
        judge_model=settings.model.judge,
        embedding_model=settings.model.embedding,
    )
    chosen = evaluator_settings(settings, prompt.gate)
    runtime = locate(settings.node_dir)
    return Owned(
        tests=tests,
        evaluator=OwnerEvaluator(runtime, model, tests, chosen, embedder=embedder, progress=progress),
    )


def project_of(path: Path) -> Path:
    """The folder whose files the owner's tests may read: the repository around them, or else their own folder."""
    folder = path.resolve().parent
    roots = (parent for parent in (folder, *folder.parents) if any((parent / mark).exists() for mark in PROJECT_MARKS))
    return next(roots, folder)


def runner(
    settings: Settings,
    gate: GateSettings,
    model: LanguageModel,
    judge: Judge | PairJudge,
    progress: Progress,
    *,
    repeats: int,
) -> Evaluator:
    """Who runs our own cases: promptfoo where the owner has assertions for it, else this process."""
    if not gate.assertions:
        return direct(settings, model, judge, progress, repeats=repeats)
    chosen = evaluator_settings(settings, gate)
    return PromptfooEvaluator(locate(settings.node_dir), model, judge, chosen, repeats=repeats, progress=progress)


def direct(
    settings: Settings, model: LanguageModel, judge: Judge | PairJudge, progress: Progress, *, repeats: int
) -> DirectEvaluator:
    """Both arms and the judge in this process."""
    return DirectEvaluator(
        model,
        judge,
        task_model=settings.model.task,
        temperature=settings.model.temperature,
        concurrency=settings.model.concurrency,
        repeats=repeats,
        progress=progress,
    )


def by_itself(
    settings: Settings,
    gate: GateSettings,
    model: LanguageModel,
    judge: Judge | PairJudge,
    secret: bytes,
    progress: Progress,
) -> Evaluator | None:
    """Beside a judge of pairs, the rubric: an answer that is liked less than another one is no failure yet."""
    if not isinstance(judge, PairwiseJudge):
        return None
    rubric = ModelJudge(model, settings.model.judge, gate.rubric, fence_secret=secret)
    return runner(settings, gate, model, rubric, progress, repeats=0)


def evaluator_settings(settings: Settings, gate: GateSettings) -> EvaluatorSettings:
    """How promptfoo is run."""
    return EvaluatorSettings(
        task_model=settings.model.task,
        assertions=gate.assertions,
        concurrency=settings.model.concurrency,
        timeout_s=gate.timeout_s,
        temperature=settings.model.temperature,
    )


@asynccontextmanager
async def embedder_of(settings: Settings) -> AsyncIterator[Embedder | None]:
    """The client for embeddings, where the owner named a model for them."""
    model = settings.model
    if not model.embedding:
        yield None
        return
    async with Embedder(model.base_url, model.api_key.get_secret_value(), model.embedding) as embedder:
        yield embedder


@asynccontextmanager
async def judge_of(
    settings: Settings, gate: GateSettings, model: LanguageModel, secret: bytes
) -> AsyncIterator[Judge | PairJudge]:
    """The judge that the owner chose. What a comparison cannot judge, the judge model does."""
    rubric = ModelJudge(model, settings.model.judge, gate.rubric, fence_secret=secret)
    kind, _, rest = gate.evaluator.partition(":")
    if kind == "rubric":
        yield rubric
    elif kind == "pairwise":
        yield PairwiseJudge(model, settings.model.judge, fence_secret=secret)
    elif kind == "python":
        yield python.load(rest, Path.cwd())
    elif kind in ("http", "https"):
        async with http.HttpJudge(gate.evaluator) as judge:
            await judge.check()
            yield judge
    else:
        yield MatchingJudge(Match(kind), otherwise=rubric)


def attacks_of(gate: GateSettings) -> tuple[Attack, ...]:
    """Our own attacks, unless the owner turned them off, and the owner's."""
    found = list(attacks()) if gate.attacks else []
    for path in gate.attack_files:
        found += parsed(read(path), path.name, taken={attack.id for attack in found})
    return tuple(found)
