"""The doctor's findings on worlds in memory: what is ok, what is a warning, what fails, and what to do about it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.langfuse.server import Server
from connectors.memory import MemoryRegistry, MemoryTraceSource
from deploy import doctor
from deploy.doctor import Check, Health
from deploy.endpoint import prices_of
from deploy.settings import GateSettings, NumericRuleSettings, PromptSettings, Settings
from optimizer.types import Generation, Score, ScoreKind, Window

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
WINDOW = Window(start=NOW - timedelta(days=7), end=NOW)
PROMPT = PromptSettings(
    name="p",
    rules=(NumericRuleSettings(kind="numeric", score="feedback", below=0.5),),
)
RECORDED = '[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]'


def generation(number: int, **changes: object) -> Generation:
    made = Generation(
        id=f"g{number}",
        trace_id=f"t{number}",
        prompt_name="p",
        prompt_version=1,
        environment="production",
        at=NOW - timedelta(hours=number + 1),
        input=RECORDED,
        output="Hi",
        model="m",
        source_key=f"user-{number}",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def complaint(trace_id: str) -> Score:
    return Score(
        id=f"s-{trace_id}",
        name="feedback",
        kind=ScoreKind.NUMERIC,
        value=0.1,
        comment="",
        trace_id=trace_id,
        observation_id="",
        environment="production",
        at=NOW - timedelta(hours=1),
        updated_at=NOW,
    )


async def findings(
    generations: Sequence[Generation],
    *,
    prompt: PromptSettings = PROMPT,
    scores: Sequence[Score] = (complaint("t0"),),
    versions: int = 1,
) -> list[Check]:
    registry = MemoryRegistry()
    for number in range(versions):
        registry.add("p", "Be kind.", labels=() if number else ("production",))
    source = MemoryTraceSource(generations=generations, scores=scores)
    sample = await doctor.recent(prompt, source, WINDOW)
    return [check async for check in doctor.check_prompt(prompt, registry, source, WINDOW, sample)]


def trouble(found: Sequence[Check]) -> list[tuple[Health, str]]:
    """What is not well; every such sentence ends with what to do."""
    bad = [(check.health, check.said) for check in found if check.health is not Health.OK]
    assert all(said.endswith(".") and ";" in said for _, said in bad)
    return bad


async def test_all_is_well() -> None:
    found = await findings([generation(n) for n in range(4)])
    assert trouble(found) == []
    said = "\n".join(check.said for check in found)
    assert "`production` is version 1 of 1" in said
    assert "1 complaints in the last 30 days" in said
    assert "generations come from 4 different users or sessions" in said
    assert "100% of 4 recorded inputs can be replayed" in said


async def test_anonymous_generations_cannot_reach_the_quorum() -> None:
    [(health, said)] = trouble(await findings([generation(n, source_key="") for n in range(4)]))
    assert health is Health.FAILED
    assert "100% of 4 generations name no user and no session: they count as one source" in said
    assert "nothing can reach the quorum of 2 sources" in said


async def test_mostly_anonymous_generations_are_a_warning() -> None:
    mixed = [generation(n, source_key="" if n < 3 else f"user-{n}") for n in range(5)]
    [(health, said)] = trouble(await findings(mixed))
    assert health is Health.WARNING
    assert said.startswith("60% of 5 generations name no user and no session")


@pytest.mark.parametrize(
    ("changes", "health", "said"),
    [
        ({"scores": ()}, Health.WARNING, "no score of the last 30 days is a complaint by its rules"),
        ({"prompt": PROMPT.model_copy(update={"rules": ()})}, Health.FAILED, "add `rules` to it"),
        ({"versions": 2}, Health.WARNING, "2 generations used version 2, as `latest` would"),
    ],
)
async def test_one_thing_is_wrong(changes: dict[str, object], health: Health, said: str) -> None:
    version = changes.get("versions", 1)
    found = trouble(await findings([generation(n, prompt_version=version) for n in range(2)], **changes))  # type: ignore[arg-type]
    assert [h for h, _ in found] == [health]
    assert said in found[0][1]


async def test_no_linked_generation_and_unreadable_inputs() -> None:
    assert trouble(await findings([])) == [
        (Health.FAILED, "no generation is linked to it; pass `prompt=` to the generation in your application.")
    ]
    odd = [generation(n, input="not what the prompt renders to") for n in range(3)]
    [(health, said)] = trouble(await findings(odd))
    assert health is Health.WARNING
    assert said.startswith("0% of 3 recorded inputs can be replayed (3 not: ")
    assert "gates stay undecided below 50%; record what the prompt renders to" in said
    tolerant = PROMPT.model_copy(update={"gate": GateSettings(least_replayable=0.0)})
    assert trouble(await findings(odd, prompt=tolerant)) == []


def test_rows_that_nobody_understood_are_told() -> None:
    class Odd(MemoryTraceSource):
        skipped_rows = 3

    assert doctor.check_skipped(MemoryTraceSource()).health is Health.OK
    check = doctor.check_skipped(Odd())
    assert check.health is Health.WARNING
    assert check.said.startswith("3 rows of Langfuse were left out")


def test_promptfoo_is_needed_for_what_the_owner_wrote_for_it() -> None:
    def asked(**gate: object) -> Check:
        prompts = [{"name": "p", "gate": gate}]
        return doctor.check_promptfoo(Settings.model_validate({"prompts": prompts, "node_dir": "/nowhere"}))

    assert asked().health is Health.OK
    assert asked(assertions=[{"type": "contains", "value": "x"}]).health is Health.FAILED
    assert asked(promptfoo="promptfooconfig.yaml").health is Health.FAILED


async def test_links() -> None:
    def source(*names: str) -> MemoryTraceSource:
        made = [generation(n, prompt_name=name) for n, name in enumerate(names)]
        return MemoryTraceSource(generations=made, scores=())

    assert (await doctor.check_links(source("p", "p", ""), WINDOW)).health is Health.OK
    assert (await doctor.check_links(source("p", "", ""), WINDOW)).health is Health.WARNING
    assert (await doctor.check_links(source("", ""), WINDOW)).health is Health.FAILED
    assert "check `langfuse.environments`." in (await doctor.check_links(source(), WINDOW)).said


@pytest.mark.parametrize(("ahead_s", "health"), [(-4.0, Health.OK), (90.0, Health.WARNING), (-90.0, Health.WARNING)])
def test_clock_and_old_servers(ahead_s: float, health: Health) -> None:
    server = Server(version="4.20.0", project_id="x", clock_ahead_s=ahead_s, batch_scores=False)
    version, scores, clock = doctor.check_server(server)
    assert (version.health, scores.health, clock.health) == (Health.OK, Health.OK, health)
    assert "one by one" in scores.said


def test_a_budget_needs_prices() -> None:
    def budget(**prices: dict[str, float]) -> Check:
        models = {"task": "mine", "critic": "gpt-5", "judge": "gpt-5", "prices": prices}
        settings = Settings.model_validate({"model": models})
        return doctor.check_budget(settings, prices_of(settings))

    assert budget(mine={"input_usd_per_mtok": 0, "output_usd_per_mtok": 0}).health is Health.OK
    unknown = budget()
    assert unknown.health is Health.WARNING
    assert unknown.said == "nobody knows the price of mine, so the budget limits nothing; set `model.prices`."


@pytest.mark.parametrize(
    ("share", "said"), [(0.0, "0%"), (0.001, "less than 1%"), (0.5, "50%"), (0.999, "more than 99%"), (1.0, "100%")]
)
def test_shares_are_never_rounded_to_all_or_nothing(share: float, said: str) -> None:
    assert doctor.percent(share) == said
