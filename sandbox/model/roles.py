"""Which simulated role answers which kind of request."""

import json
from collections.abc import Callable

from sandbox.model.answers import answers
from sandbox.model.critic import gradient
from sandbox.model.free import free_reply
from sandbox.model.graded import graded
from sandbox.model.judge import judgement
from sandbox.model.pairwise import preference
from sandbox.model.reading import Brief, Lab, read_brief
from sandbox.model.rewriter import edits
from sandbox.model.shapes import task_in
from sandbox.model.task import answer
from sandbox.model.wire import Call

ROLES: dict[str, Callable[[Lab, Brief], dict[str, object]]] = {
    "gradient": gradient,
    "edits": edits,
    "judgement": judgement,
    "preference": preference,
    "answers": answers,
}


def perform(lab: Lab, call: Call, *, attempt: int = 1) -> str:
    """The text of the reply. A structured reply of an unknown name is an empty object.

    Args:
        attempt: how often this very request has come; free text of the critic's model is drawn anew each time.
    """
    role = ROLES.get(call.kind)
    if role is not None:
        brief = read_brief(call.user, system=call.system, sample=call.sample)
        return json.dumps(role(lab, brief), ensure_ascii=False)
    if call.kind == "free":
        return free_reply(lab, call, attempt=attempt)
    if call.kind == "graded":
        return graded(lab, call)
    if call.kind != "task":
        return "{}"
    prompt, question, header = task_in(call)
    text = answer(lab.world, seed=lab.seed, prompt=prompt, question=question, sample=call.sample)
    return f"[[ ## {header} ## ]]\n{text}\n\n[[ ## completed ## ]]" if header else text
