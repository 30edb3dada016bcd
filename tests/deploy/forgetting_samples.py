"""Somebody whose words are known everywhere by a mark, and a model and a judge that repeat whatever they read."""

import json
from typing import Any

from house_samples import BODY, FIXED, ScriptedEvaluator

from optimizer.ports import ModelReply, ModelRequest
from optimizer.types import Arm, Case, Evaluation, Scored, Usage

SECRET = b"of the tests"
"""Under which users and sessions are hashed."""

MARK = "zyxanna"
"""In every word of hers, and in nobody else's."""


class Echo(ScriptedEvaluator):
    """Answers with what it was asked, and judges with it as well."""

    def _answer(self, case: Case, arm: Arm) -> Evaluation:
        said = json.dumps([message.content for message in case.input.history])
        result = Scored(value=self.scores[arm], reason=f"judged {said}")
        return Evaluation(case_id=case.id, arm=arm, output=said, result=result, usage=Usage(calls=1), latency_s=0.0)


def echoing(request: ModelRequest) -> ModelReply:
    """A critic that quotes everybody, and a rewriter that gives the quotation as its reason."""
    told = " ".join(message.content for message in request.messages)
    if request.purpose == "backward":
        quoted = f"{MARK}quoted" if MARK in told else "nothing"
        said: dict[str, Any] = {"change": True, "gradient": f"Ask for the order number first, they said {quoted}."}
    else:
        again = " again" if f"{MARK}edited" in told else ""
        text = FIXED if FIXED not in told else f"Ask {MARK}edited{again}, too."
        edit = {"op": "add", "line": "2", "text": text, "cause": "c1", "reason": f"{MARK}reason was not understood"}
        said = {"edits": [edit]}
    return ModelReply(text=json.dumps(said), model=request.model, usage=Usage(calls=1, cost_usd=0.001))


def asked(question: str, version: int) -> str:
    body = BODY if version == 1 else f"{BODY}\n{FIXED}"
    return json.dumps([{"role": "system", "content": body}, {"role": "user", "content": question}])
