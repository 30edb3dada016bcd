"""After a release: every complaint that it fixed becomes a case that no later version may fail again.

Anchors live in a Langfuse dataset of their own, where people can read, mend and archive them. Their ids follow from
the complaints, so that writing them again changes nothing. Must never touch a prompt.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from deploy.collecting import losses_about
from deploy.gating.stage import complained
from deploy.gating.suite import anchors_of, replayed
from deploy.wiring import House
from optimizer.identity import digest
from optimizer.types import Candidate, Case, CaseOrigin


async def keep_fixed(house: House, prompt: str, candidate: Candidate, fixed: Iterable[str]) -> int:
    """Write the complaints that a release fixed into the prompt's anchors; returns how many there were.

    Args:
        fixed: ids of the complaints' cases, as the gate report names them.

    Raises:
        Transient, Permanent: Langfuse's own; what was written by then is written again by the next try.
    """
    about = complained(candidate)
    losses = await asyncio.to_thread(losses_about, house.store, house.settings.prompt(prompt), about)
    cases = await replayed(house.registry, about, losses, origin=CaseOrigin.COMPLAINT)
    wanted = frozenset(fixed)
    anchors = sorted((anchor(prompt, case) for case in cases if case.id in wanted), key=lambda case: case.id)
    if anchors:
        await house.cases.keep(anchors_of(prompt), anchors)
    return len(anchors)


def anchor(prompt: str, case: Case) -> Case:
    """The complaint's case as an anchor. Its id is made of the prompt's name, too: item ids are a project's."""
    return replace(case, id=anchor_id(prompt, case.id), origin=CaseOrigin.ANCHOR)


def anchor_id(prompt: str, case_id: str) -> str:
    """The id of the anchor that a complaint's case becomes."""
    return f"anchor-{digest(prompt, case_id)[:24]}"
