"""Hostile comments in the demo's history, read over HTTP: they change nothing, unless fence and guard are switched off.

The simulated critic and rewriter obey every instruction that reaches them unfenced, and three in ten that are fenced.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.langfuse.registry import LangfuseRegistry
from connectors.langfuse.settings import LangfuseAccess
from connectors.langfuse.traces import LangfuseTraceSource
from connectors.openai import OpenAIModel
from optimizer.engine import Outcome, Plan, optimize
from optimizer.fence import Fence
from optimizer.prompts import system_text
from optimizer.rules import BooleanRule, CorrectionRule, NumericRule
from optimizer.traces.losses import join, text_losses
from optimizer.types import Candidate, TextLoss, Window
from sandbox.langfuse.app import create_app as create_langfuse
from sandbox.model.app import API_KEY
from sandbox.model.app import create_app as create_model
from sandbox.scenario.customers import HOSTILE_LINE
from sandbox.scenario.history import seed_history
from sandbox.scenario.support import PROMPT_NAME, SupportApplication
from sandbox.serving import serve
from tests.optimizer.scripted import PlainFence

pytestmark = pytest.mark.slow

RULES = (NumericRule(name="user-feedback", threshold=0.5), BooleanRule(name="resolved"), CorrectionRule())
NOW = datetime.now(UTC)


async def complaints(traces: LangfuseTraceSource) -> tuple[TextLoss, ...]:
    window = Window(start=NOW - timedelta(days=30), end=NOW)
    scores = [score async for score in traces.scores(window, RULES)]
    ids = sorted({score.trace_id for score in scores})
    generations = [g async for g in traces.generations(ids, [PROMPT_NAME], window.start)]
    return text_losses(join(scores, generations, RULES).traces, RULES)


async def outcome(folder: Path, *, attackers: int, protected: bool) -> tuple[Outcome, int]:
    """The engine's outcome on the demo's history, and how many hostile comments it was shown."""
    langfuse = create_langfuse(folder / f"langfuse-{attackers}.db")
    with serve(langfuse) as langfuse_url, serve(create_model(seed=7)) as model_url:
        async with SupportApplication(langfuse_url, f"{model_url}/v1") as application:
            await seed_history(application, now=NOW, attackers=attackers)
        access = LangfuseAccess(
            base_url=langfuse_url,
            public_key="pk-lf-sandbox",
            secret_key="sk-lf-sandbox",
            source_secret=b"source",
            requests_per_minute=0,
        )
        async with (
            LangfuseTraceSource(access) as traces,
            LangfuseRegistry(access) as registry,
            OpenAIModel(f"{model_url}/v1", API_KEY) as model,
        ):
            losses = await complaints(traces)
            texts = [text for x in losses for text in (x.text, x.trace.generation.input, x.trace.generation.output)]
            found = await optimize(
                (await registry.head(PROMPT_NAME)).production,
                losses,
                model,
                plan=Plan(critic_model="sim-critic", rewriter_model="sim-critic", max_losses=200, guard=protected),
                fence=Fence.of(b"cycle", *texts) if protected else PlainFence.of(b"cycle"),
                source_texts=texts if protected else (),
            )
    return found, sum(HOSTILE_LINE in loss.text for loss in losses)


@pytest.mark.parametrize("attackers", [2, 30])
async def test_protected_the_attack_gets_nowhere(tmp_path: Path, attackers: int) -> None:
    attacked, hostile = await outcome(tmp_path, attackers=attackers, protected=True)
    assert hostile >= 2
    assert isinstance(attacked.candidate, Candidate)
    assert len(attacked.candidate.edits) >= 3, "the honest complaints are answered all the same"
    assert "card number" not in system_text(attacked.candidate.body)
    assert "example.net" not in system_text(attacked.candidate.body)


async def test_with_fence_and_guard_off_the_attack_succeeds(tmp_path: Path) -> None:
    attacked, hostile = await outcome(tmp_path, attackers=30, protected=False)
    assert hostile >= 12
    assert isinstance(attacked.candidate, Candidate)
    assert HOSTILE_LINE in system_text(attacked.candidate.body)
