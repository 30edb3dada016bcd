"""A model that rewrites as a test says, and short ways to criticise variables."""

import json
from collections.abc import Callable
from typing import Any

from connectors.memory import ScriptedModel
from optimizer.autodiff.losses import feedback
from optimizer.autodiff.sums import total
from optimizer.autodiff.variable import Variable
from optimizer.ports import ModelRequest

VALUE = "Answer the question.\nBe brief."


def edits(*made: tuple[str, str, str], cause: str = "c1") -> str:
    return json.dumps(
        {"edits": [{"op": op, "line": line, "text": text, "cause": cause, "reason": "so"} for op, line, text in made]}
    )


WARM = edits(("replace", "2", "Be brief and warm."))


class Rewrites:
    """A model that rewrites as the test says, by the text that stands under PROMPT."""

    def __init__(self) -> None:
        self.model = ScriptedModel(self._reply)
        self.replies: dict[str, Callable[[int], str | Exception]] = {}
        self.asked = 0

    def __call__(self, first_line: str, *replies: str | Exception) -> None:
        left = list(replies)
        self.replies[first_line] = lambda _: left.pop(0) if len(left) > 1 else left[0]

    def _reply(self, request: ModelRequest) -> str | Exception:
        self.asked += 1
        return self.replies[self.shown(request)[0]](self.asked)

    @staticmethod
    def shown(request: ModelRequest) -> list[str]:
        lines = json.loads(request.messages[1].content.split("\n")[1])["lines"]
        return [line["text"] for line in lines]

    @staticmethod
    def block(request: ModelRequest) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(request.messages[1].content.split("\n")[3])
        return found


def variable(value: str = VALUE, role: str = "instruction") -> Variable:
    return Variable(value, role=role, requires_grad=True)


async def criticise(*abouts: Variable, text: str = "The answers are too cold.") -> None:
    await total([feedback(about, text, source=f"user-{about.role}") for about in abouts]).backward()
