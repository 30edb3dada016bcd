"""What the promptfoo tests share: a model that follows a script, and small cases."""

from collections.abc import Callable

from optimizer.ports import ModelReply, ModelRequest
from optimizer.prompts import Message, PromptVersion
from optimizer.types import Arm, Case, CaseInput, CaseOrigin, Missing, Usage

SECRET = "the-content-of-a-file-that-nobody-may-read"


class ScriptedModel:
    """Answers by a function of the request, and remembers what it was asked."""

    def __init__(self, script: Callable[[ModelRequest], str]) -> None:
        self._script = script
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request)
        usage = Usage(calls=1, input_tokens=10, output_tokens=5, cost_usd=0.001)
        return ModelReply(text=self._script(request), model=request.model, usage=usage)


def echo(request: ModelRequest) -> str:
    """The question, unchanged: what a hostile user wants to see come out."""
    return request.messages[-1].content


def a_case(number: int, question: str, reference: str | Missing = Missing.NO_REFERENCE, complaint: str = "") -> Case:
    return Case(
        id=f"case-{number:03}",
        origin=CaseOrigin.DATASET,
        input=CaseInput(history=(Message(role="user", content=question),)),
        reference=reference,
        source_key=f"source-{number}",
        complaint=complaint,
    )


def arms(baseline: str = "Answer.", candidate: str = "Answer well.") -> dict[Arm, PromptVersion]:
    return {
        Arm.BASELINE: PromptVersion(name="p", version=1, body=baseline),
        Arm.CANDIDATE: PromptVersion(name="p", version=2, body=candidate),
    }
