"""How many rows each part of a search gets, and whether the budget reaches for anything at all."""

from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.documents.document import Document
from optimizer.errors import BadInput
from optimizer.prompts import PromptVersion
from optimizer.search.plan import SearchPlan
from optimizer.types import Case

_LEAST_TRAIN = 16
"""Training rows that a study has at least, if there are so many: fewer make no causes with a quorum."""
_ENOUGH_TRAIN = 40
"""Training rows that are worth more than a further round."""
_ROUNDS = 3
"""Rounds that the budget is laid out for; good rounds cost less than planned, and more follow."""
_REGRESSION_SHARE = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Rows of one study, and those among them that the parent already answers well."""

    train: int
    regression: int


def checked(prompt: PromptVersion, train: Sequence[Case], validation: Sequence[Case], plan: SearchPlan) -> Sizes:
    """The sizes for these rows and this budget. Raises BadInput when nothing could be found with them."""
    if not Document.of(prompt.body).lines:
        raise BadInput("the prompt has no line that may change", "give it a text, or a system message")
    for name, rows in (("training", train), ("validation", validation)):
        if not rows:
            raise BadInput(f"there are no {name} rows", f"give some {name} rows")
        if len({case.id for case in rows}) < len(rows):
            raise BadInput(f"two {name} rows have the same id", "give every row an id of its own")
    common = {case.source_key or case.id for case in train} & {case.source_key or case.id for case in validation}
    if common:
        raise BadInput(
            f"{len(common)} sources are in both training and validation rows", "keep all rows of a source on one side"
        )
    least = min(len(train), _LEAST_TRAIN)
    needed = 2 * len(validation) + least
    if plan.max_task_calls < needed:
        raise BadInput(
            f"a budget of {plan.max_task_calls} task calls cannot even compare one rewrite with the prompt on"
            f" {len(validation)} validation rows",
            f"allow at least {needed} task calls, or give fewer validation rows",
        )
    size = min(len(train), _share(plan.max_task_calls, len(validation), min(len(train), _ENOUGH_TRAIN)))
    return Sizes(train=size, regression=max(4, round(size * _REGRESSION_SHARE)))


def _share(budget: int, validation: int, enough: int) -> int:
    """Rows of one study, when the budget is laid out for as many rounds as leave enough rows, `_ROUNDS` at most.

    A rewrite is studied on the rows that its parent fails, so about half of the seed's; the last one on none.
    """
    for rounds in range(_ROUNDS, 1, -1):
        share = 2 * (budget - (rounds + 1) * validation) // (rounds + 2)
        if share >= enough:
            return share
    return budget - 2 * validation


def breadth(plan: SearchPlan, left: int, cost: int) -> tuple[int, int]:
    """How many parents a round takes, and how many rewrites of each.

    One of one, unless the budget would be enough for a few more rounds of as many rewrites.

    Args:
        left: task calls. `cost` is what one rewrite costs that is measured in full.
    """
    rewrites = max(1, left // (max(1, cost) * _ROUNDS))
    edits = min(plan.edits_per_parent, rewrites)
    return max(1, min(plan.parents, rewrites // edits)), edits
