"""What may be compared at all: both arms, and cases whose ids everybody may see. Asked before anything is paid for."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from optimizer.errors import BadInput, BadSettings, Unsupported
from optimizer.prompts import PromptVersion
from optimizer.template import composition_tags
from optimizer.types import Arm, Case

SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def admitted(arms: Mapping[Arm, PromptVersion], cases: Sequence[Case]) -> tuple[Case, ...]:
    """The cases in id order.

    Raises:
        BadSettings: an arm is missing.
        BadInput: two cases have the same id, or an id could be taken for something else.
        Unsupported: a prompt pulls in other prompts.
    """
    if set(arms) != set(Arm):
        raise BadSettings("a comparison needs both arms", "give a baseline and a candidate")
    composed = next((arm.name for arm in arms.values() if composition_tags(arm.body)), None)
    if composed is not None:
        raise Unsupported(f"the prompt '{composed}' pulls in other prompts", "write their texts into it to evaluate it")
    for place, case in enumerate(cases, 1):
        if not SAFE_ID.fullmatch(case.id):
            raise BadInput(
                f"the id of case number {place} holds other characters than letters, digits, dash and underscore",
                "rename the case",
            )
    case_id, times = Counter(case.id for case in cases).most_common(1)[0] if cases else ("", 0)
    if times > 1:
        raise BadInput(f"{times} cases have the same id '{case_id}'", "give every case its own")
    return tuple(sorted(cases, key=lambda case: case.id))
