"""Which simulated role answers which kind of request."""

import json
from collections.abc import Callable

from sandbox.model.critic import gradient
from sandbox.model.judge import judgement
from sandbox.model.reading import Brief, Lab, read_brief
from sandbox.model.rewriter import edits
from sandbox.model.task import answer
from sandbox.model.wire import Call

ROLES: dict[str, Callable[[Lab, Brief], dict[str, object]]] = {
    "gradient": gradient,
    "edits": edits,
    "judgement": judgement,
}


def perform(lab: Lab, call: Call) -> str:
    """The text of the reply. A structured reply of an unknown name is an empty object."""
    role = ROLES.get(call.kind)
    if role is not None:
        brief = read_brief(call.user, system=call.system, sample=call.sample)
        return json.dumps(role(lab, brief), ensure_ascii=False)
    if call.kind != "task":
        return "{}"
    question = call.user[-1] if call.user else ""
    return answer(lab.world, seed=lab.seed, prompt=call.system, question=question, sample=call.sample)
