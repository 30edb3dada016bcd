"""The search against the simulated model over HTTP: real requests, malformed replies, faults."""

import pytest

from connectors.openai import CallRules, OpenAIModel
from optimizer.fence import Fence
from optimizer.prompts import Message, PromptVersion, system_text
from optimizer.search.found import Found
from optimizer.search.plan import SearchPlan
from optimizer.search.search import search
from optimizer.types import Candidate, Case, CaseInput, CaseOrigin, Scored, Unscored
from sandbox.model.app import API_KEY, create_app
from sandbox.model.families import Kind, family
from sandbox.model.grader import grade, hits
from sandbox.model.world import World
from sandbox.serving import serve

SEED = 3


class Grader:
    """The simulated task's own grader."""

    name = "grader"

    def __init__(self, world: World, *streams: str) -> None:
        self._world = world
        self._rows = {
            f"{stream}-{number:02}": row
            for stream in streams
            for number, row in enumerate(world.cases(60, seed=SEED, stream=stream))
        }

    async def judge(self, case: Case, output: str) -> Scored | Unscored:
        graded = grade(self._world, self._rows[case.id], output)
        return Scored(value=graded.score, reason=graded.feedback)

    def cases(self, stream: str, count: int) -> list[Case]:
        """The first rows of a stream as cases."""
        return [
            Case(
                id=key,
                origin=CaseOrigin.DATASET,
                input=CaseInput(history=(Message(role="user", content=row.question),)),
                reference=row.expected,
                source_key=key,
            )
            for key, row in self._rows.items()
            if key.startswith(stream) and int(key[-2:]) < count
        ]


async def found_in(world: World, *, garble: float = 0.0, faults: float = 0.0) -> Found:
    judge = Grader(world, "train", "validation")
    plan = SearchPlan(
        task_model="sim-task", critic_model="sim-critic", rewriter_model="sim-critic", max_task_calls=400, seed=SEED
    )
    rules = CallRules(concurrency=64, backoff_s=0.01)
    with serve(create_app(seed=SEED, world=world, garble=garble, faults=faults)) as url:
        async with OpenAIModel(f"{url}/v1", API_KEY, rules=rules) as model:
            return await search(
                PromptVersion(name="simulated", version=1, body=world.base_prompt),
                train=judge.cases("train", 60),
                validation=judge.cases("validation", 40),
                model=model,
                judge=judge,
                plan=plan,
                fence=Fence.of(b"secret"),
            )


def accuracy(world: World, prompt: str) -> float:
    rows = world.cases(200, seed=SEED, stream="holdout")
    return sum(hits(world, rows, seed=SEED, prompt=prompt)) / len(rows)


@pytest.mark.parametrize(("kind", "number"), [(Kind.PLAIN, 11), (Kind.CLASHING, 12)])
async def test_a_prompt_is_found_that_is_nearly_as_good_as_the_best_known(kind: Kind, number: int) -> None:
    world = family(kind, number)
    found = await found_in(world)
    assert isinstance(found.best, Candidate)
    assert found.task_calls <= 400
    assert accuracy(world, system_text(found.document.body)) >= 0.9 * accuracy(world, world.oracle_prompt)


async def test_malformed_replies_and_faults_do_not_spoil_it() -> None:
    world = family(Kind.PLAIN, 11)
    found = await found_in(world, garble=0.05, faults=0.07)
    assert accuracy(world, system_text(found.document.body)) >= 0.9 * accuracy(world, world.oracle_prompt)
