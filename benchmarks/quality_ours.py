"""Ours on one simulated task, as the other optimizers' programs in `benchmarks/peers`: same command line, same ending.

The settings are the search's own, except for models and budget: nothing here may be set for the sake of the benchmark.
"""

import asyncio
import json
import sys

from peers.task import CRITIC_MODEL, KEY, TASK_MODEL, Task, hand_back, read_task

from connectors.openai import CallRules, OpenAIModel
from optimizer.fence import Fence
from optimizer.prompts import Message, PromptVersion, system_text
from optimizer.search.plan import SearchPlan
from optimizer.search.search import search
from optimizer.types import Case, CaseInput, CaseOrigin, Scored, Unscored
from sandbox.model.world import Case as Row

CONCURRENCY = 128


class Grader:
    """The task's grader as a judge."""

    name = "grader"

    def __init__(self, task: Task) -> None:
        self._task = task

    async def judge(self, case: Case, output: str) -> Scored | Unscored:
        """Score and feedback in the grader's words."""
        graded = self._task.graded(case.input.history[-1].content, output)
        return Scored(value=graded.score, reason=graded.feedback)


def cases(rows: tuple[Row, ...], stream: str) -> list[Case]:
    """Rows as cases; every row is a source of its own."""
    return [
        Case(
            id=f"{stream}-{number:03}",
            origin=CaseOrigin.DATASET,
            input=CaseInput(history=(Message(role="user", content=row.question),)),
            reference=row.expected,
            source_key=f"{stream}-{number:03}",
        )
        for number, row in enumerate(rows)
    ]


async def run(task: Task) -> None:
    """One search."""
    plan = SearchPlan(
        task_model=TASK_MODEL,
        critic_model=CRITIC_MODEL,
        rewriter_model=CRITIC_MODEL,
        max_task_calls=task.task_calls,
        seed=task.seed,
        least_quorum=1,  # the rows are the owner's, as for `tracegrad optimize`
    )
    async with OpenAIModel(task.base_url, KEY, rules=CallRules(concurrency=CONCURRENCY, backoff_s=0.05)) as model:
        found = await search(
            PromptVersion(name="quality", version=1, body=task.world.base_prompt),
            train=cases(task.train, "train"),
            validation=cases(task.validation, "validation"),
            model=model,
            judge=Grader(task),
            plan=plan,
            fence=Fence.of(b"quality", str(task.seed)),
            watch=lambda event: print(json.dumps(repr(event)[:400]), file=sys.stderr),
        )
    print(f"{found.rounds} rounds, stopped because {found.stopped_because}", file=sys.stderr)
    hand_back(system_text(found.document.body))


if __name__ == "__main__":
    asyncio.run(run(read_task()))
