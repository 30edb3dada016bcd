"""Fills a Langfuse project with the simulated shop's past, and sends it new customers.

Everything has ids that follow from the seed, so writing it again makes no doubles. `now` is an argument; the past ends
ten minutes before it.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.model.world import World
from sandbox.scenario.customers import FEEDBACK, SHOPS, Stream, attacks, feedback, hostile, questions
from sandbox.scenario.support import PROMPT_NAME, SupportApplication

DATASET = "support-regression"
ITEMS = 120
QUESTIONS = 300
USERS = 300
"""Accounts that may ask; about two hundred do: enough for cases that are replayed and others that are sealed."""
DISLIKED = 0.5
"""Feedback below it counts as a complaint."""

_PAST = timedelta(days=6)
_QUIET = timedelta(minutes=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What seeding wrote; all counts are 0 when everything was there already."""

    already_there: bool
    items: int = 0
    generations: int = 0
    scores: int = 0
    complaints: int = 0
    hostile_comments: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """How new customers liked the answers; `mean_feedback` is None when nobody rated them."""

    prompt_version: int
    answers: int
    ratings: int
    mean_feedback: float | None
    complaints: int


async def seed_history(
    application: SupportApplication, *, now: datetime, world: World | None = None, seed: int = 7, attackers: int = 2
) -> History:
    """Write the first prompt, six days of questions with feedback, and the regression dataset.

    Does nothing when it was done before. An interrupted seeding is completed by the next one: the last dataset item is
    written last.

    Args:
        attackers: accounts that comment with prompt injections, five comments at least; 0 for none.
    """
    world = world or World.support()
    project = application.project
    if await project.has_dataset_item(_item_id(ITEMS - 1)):
        return History(already_there=True)
    if await project.prompt(PROMPT_NAME) is None:
        await project.create_prompt(PROMPT_NAME, world.base_prompt, labels=["production"], note="First version")
    stream = Stream(name="history", seed=seed, start=now - _PAST, end=now - _QUIET, users=USERS)
    asked = questions(world, stream, QUESTIONS)
    answered = await application.answer([*asked, *(attacks(world, stream, attackers) if attackers else ())])
    said = feedback(world, stream, answered[:QUESTIONS])
    injected = hostile(stream, answered[QUESTIONS:])
    await project.score([*said, *injected])
    await _write_dataset(application, world, seed)
    return History(
        already_there=False,
        items=ITEMS,
        generations=len(answered),
        scores=len(said) + len(injected),
        complaints=sum(_is_complaint(score) for score in [*said, *injected]),
        hostile_comments=len(injected),
    )


async def serve_customers(
    application: SupportApplication,
    count: int,
    *,
    now: datetime,
    world: World | None = None,
    seed: int = 7,
    turn: int = 1,
) -> Served:
    """New customers ask and rate, in the twenty minutes before `now`. Each turn brings other customers."""
    world = world or World.support()
    stream = Stream(name=f"turn-{turn}", seed=seed, start=now - _QUIET, end=now - _QUIET / 2, users=USERS)
    answered = await application.answer(questions(world, stream, count))
    said = feedback(world, stream, answered)
    await application.project.score(said)
    ratings = [value for score in said if score["name"] == FEEDBACK and isinstance(value := score["value"], float)]
    return Served(
        prompt_version=max((one.prompt_version for one in answered), default=0),
        answers=len(answered),
        ratings=len(ratings),
        mean_feedback=sum(ratings) / len(ratings) if ratings else None,
        complaints=sum(map(_is_complaint, said)),
    )


def _is_complaint(score: dict[str, object]) -> bool:
    value = score["value"]
    return score["name"] == FEEDBACK and isinstance(value, float) and value < DISLIKED


async def _write_dataset(application: SupportApplication, world: World, seed: int) -> None:
    """The curated regression set; its questions are none of the history's. The last item tells that all is done."""
    project = application.project
    await project.create_dataset(
        DATASET, description="Questions with the phrase that a good answer contains (simulated)"
    )
    items = [
        {
            "id": _item_id(number),
            "datasetName": DATASET,
            "input": {
                "variables": {"shop_name": SHOPS[number % len(SHOPS)]},
                "messages": [{"role": "user", "content": case.question}],
            },
            "expectedOutput": case.expected,
        }
        for number, case in enumerate(world.cases(ITEMS, seed=seed, stream="dataset"))
    ]
    await asyncio.gather(*(project.put_dataset_item(item) for item in items[:-1]))
    await project.put_dataset_item(items[-1])


def _item_id(number: int) -> str:
    return f"support-regression-{number + 1:03d}"
