"""What the judges' tests share: a judge by a rubric, and what it was asked."""

import json

from connectors.judges.rubric import ModelJudge
from optimizer.identity import Json
from optimizer.ports import LanguageModel, ModelRequest


def rubric(model: LanguageModel) -> ModelJudge:
    return ModelJudge(model, "sim-judge", "Be kind.", fence_secret=b"secret")


def judged_block(request: ModelRequest) -> dict[str, Json]:
    rubric, text, opening, block, closing = request.messages[1].content.split("\n")
    assert (rubric, text) == ("RUBRIC", "Be kind.")
    assert opening.startswith("<data-")
    assert closing == opening.replace("<", "</")
    told: dict[str, Json] = json.loads(block)
    return told
