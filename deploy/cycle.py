"""A cycle: one scheduled pass over one prompt, as strictly sequential stages.

The plan is a list of stage names that travels with the cycle, so new code finishes old cycles by their own plan. A
stage gets the state that the stage before it returned: ids and small numbers, never text.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from deploy.collecting import collect
from deploy.gating.stage import gate
from deploy.optimizing import find_candidate
from deploy.releases.proposing import propose
from deploy.releases.regating import take
from deploy.store.fence import Run
from deploy.wiring import House
from optimizer.identity import Json

Stage = Callable[[Run, dict[str, Json]], Awaitable[dict[str, Json]]]

PLAN = ("collect", "optimize", "gate", "propose")
DRY_PLAN = ("collect", "optimize", "gate")
"""Everything but the proposal."""
MERGED_PLAN = ("take", "gate")
"""The gate of a text that a person made of a candidate in a pull request; its release waits for the verdict."""


def stages(house: House) -> Mapping[str, Stage]:
    """Stage functions by name, bound to the house they work in."""
    return {
        "collect": partial(collect, house),
        "optimize": partial(find_candidate, house),
        "gate": partial(gate, house),
        "propose": partial(propose, house),
        "take": partial(take, house),
    }
