"""Losses: what is wrong with an output, in words. Each is a function of the graph, forward and backward together.

    loss_of = JudgedLoss("Correct, and in one sentence.")          a model judges by a rubric
    loss = loss_of(answer, question=question, reference=expected)  several fields, images among them
    loss = ExaminedLoss()(answer)                                  a model raises issues; nobody knows the solution
    loss = MetricLoss(exact_match)(answer)                         any function that returns a score and feedback
    loss = feedback(answer, "It is too long.")                     what a person said in production: no call
    loss = correction(answer, "Two working days.")                 what a person wrote instead: no call

The words of a loss are the gradient of what it is about, as they stand: that edge needs no model. An output that is
good enough gives a gradient that warrants no change. Nothing here may put a text of the graph into a template.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from optimizer.autodiff.context import Engine
from optimizer.autodiff.loops import Home, called
from optimizer.autodiff.node import Flow, Node, Value
from optimizer.autodiff.provenance import input_of, shown, trace_of
from optimizer.autodiff.variable import Variable, variable_in
from optimizer.errors import BadInput, Declined, Garbled, TracegradError
from optimizer.fence import excerpt
from optimizer.identity import Json
from optimizer.images import Image
from optimizer.meta import examiner
from optimizer.meta import judge as judge_meta
from optimizer.ports import ModelRequest
from optimizer.prompts import Message
from optimizer.replies import JsonObject, ask, text_in
from optimizer.types import Gradient, LossKind, Scored, TextLoss

PASSING = 0.9
"""The score from which nothing has to change."""

_ROUNDING = 1e-9
"""How far a sum of shares may miss 0 or 1."""
_LEAST_WEIGHT = 0.05
_REASON_CHARS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a loss says about an output."""

    kind: LossKind
    text: str
    change: bool = True
    weight: float = 1.0


Field: TypeAlias = Variable | str
Finding: TypeAlias = Callable[[Node], Awaitable[Said]]


class Loss:
    """The function behind one loss node: `find` says what is wrong with its first parent."""

    weight = 0.0

    def __init__(self, find: Finding, *, purpose: str, source: str = "") -> None:
        self.purpose = purpose
        self._find = find
        self._source = source
        self._said: Said | None = None

    async def forward(self, node: Node) -> Value:
        """The words of the loss."""
        self._said = await self._find(node)
        return self._said.text

    async def backward(self, node: Node, about: Node) -> Flow:  # noqa: ARG002  # the same for all
        """The words of the loss, once; they are about the output and about every field that can change."""
        if not node.share and not node.gradients:
            return Flow()
        said = self._said or Said(kind=LossKind.FEEDBACK, text=node.text)
        source = self._source or next((parent.source for parent in node.parents if parent.source), "")
        run = trace_of(node.parents[0], source=source)
        # words that are judged by others in their turn are no part of the objective, and count fully
        weight = min(1.0, said.weight * (node.share or 1.0))
        loss = TextLoss(trace=run, kind=said.kind, text=said.text, weight=weight)
        return Flow(gradients=(Gradient(loss=loss, warrants_change=said.change, text=said.text),))


class JudgedLoss:
    """A model judges an output by a rubric, with as many named fields beside it as the rubric speaks of.

    Args:
        rubric: what a good output is, in the owner's words; any text, braces included.
        judge_model: the engine's critic when empty.
        passing: the score from which nothing has to change, in (0, 1].
    """

    _system = judge_meta.SYSTEM

    def __init__(self, rubric: str, *, judge_model: str = "", passing: float = PASSING) -> None:
        if not isinstance(rubric, str) or not rubric.strip():
            raise BadInput("the rubric is empty or no text", "say what a good answer is")
        self._rubric = rubric
        self._judge_model = judge_model
        self._passing = passing

    def __call__(self, output: Variable, **fields: Field) -> Variable:
        """The loss of this output. `input` is what the output was computed from, unless a field of that name says
        otherwise; images among the fields are shown to the judge."""

        async def find(node: Node) -> Said:
            return await self._judge(node, tuple(fields))

        return _loss(Loss(find, purpose="judge an answer by a rubric"), output, fields)

    async def _judge(self, node: Node, names: Sequence[str]) -> Said:
        engine = _engine(node)
        output, *others = node.parents
        request = self._request(engine, output, dict(zip(names, others, strict=True)))
        return (await ask(engine.model, request, self._read, attempts=engine.attempts)).value

    def _request(self, engine: Engine, output: Node, fields: Mapping[str, Node]) -> ModelRequest:
        about: dict[str, Json] = {"input": input_of(output), "reference": None, "complaint": ""}
        about |= {name: shown(node) for name, node in fields.items()}
        about["output"] = shown(output)
        user = f"RUBRIC\n{self._rubric}\n{engine.fence.wrap(about)}"
        images = [node.value for node in (output, *fields.values()) if isinstance(node.value, Image)]
        return ModelRequest(
            purpose="judge",
            model=self._judge_model or engine.critic_model,
            messages=(
                Message(role="system", content=self._system),
                Message(role="user", content=user, parts=(user, *images) if images else ()),
            ),
            reply_schema=judge_meta.SCHEMA,
            reply_name=judge_meta.REPLY_NAME,
            max_tokens=engine.max_tokens,
        )

    def _read(self, fields: JsonObject) -> Said:
        score, text = fields.get("score"), excerpt(text_in(fields, "reason").strip(), _REASON_CHARS)
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
            raise Garbled('"score" must be a number from 0 to 1')
        if not text:
            raise Garbled('"reason" must say what is wrong')
        return _scored(float(score), text, self._passing)


class ExaminedLoss(JudgedLoss):
    """A model raises issues with an answer whose solution nobody knows, and never solves the question itself.

    Args:
        instruction: what to look at, in the owner's words.
        judge_model: the engine's critic when empty.
        passing: the score from which nothing has to change, in (0, 1].
    """

    _system = examiner.SYSTEM

    def __init__(
        self,
        instruction: str = "Is the reasoning sound, and does the conclusion follow?",
        *,
        judge_model: str = "",
        passing: float = PASSING,
    ) -> None:
        super().__init__(instruction, judge_model=judge_model, passing=passing)


Judgement: TypeAlias = Scored | tuple[float, str] | float
Metric: TypeAlias = Callable[..., Judgement | Awaitable[Judgement]]


class MetricLoss:
    """Any function of the owner's that says what an output is worth, and why: a test run, a simulator, a comparison.

    Args:
        metric: takes the output and the fields by name, as texts or `Image`s; returns a score in [0, 1] with feedback,
            or a score alone. A function that is no coroutine runs in a thread, so that it holds nobody up. What it
            raises fails its own loss and no other.
        purpose: what it measures, in words; made from the function's name when empty.
        passing: the score from which nothing has to change, in (0, 1].
    """

    def __init__(self, metric: Metric, *, purpose: str = "", passing: float = PASSING) -> None:
        if not callable(metric):
            raise BadInput(f"the metric is of type {type(metric).__name__}", "give a function of the output")
        self._metric = metric
        self._purpose = purpose or getattr(metric, "__name__", "a metric").replace("_", " ").strip()
        self._passing = passing

    def __call__(self, output: Variable, **fields: Field) -> Variable:
        """The loss of this output; the fields reach the metric by their names."""

        async def find(node: Node) -> Said:
            value, *others = (parent.value for parent in node.parents)
            home = node.engine.home if node.engine else None
            return await self._measure(home, value, dict(zip(fields, others, strict=True)))

        return _loss(Loss(find, purpose=self._purpose), output, fields)

    async def _measure(self, home: Home | None, output: Value, fields: Mapping[str, Value]) -> Said:
        try:
            found = await called(home, self._metric, output, **fields)
        except TracegradError:
            raise
        except Exception as error:
            raise Declined(
                f"the metric '{self._purpose}' raised {type(error).__name__}", "look at the metric and its input"
            ) from error
        score, text = _judgement(found, self._purpose)
        return _scored(score, text or f"It scored {score:.2f} of 1 for {self._purpose}.", self._passing)


def feedback(output: Variable, comment: str, *, source: str = "") -> Variable:
    """What a person or a judge has said about the output already: a loss as it stands.

    Args:
        source: who said it; who is behind the input when empty.

    Raises:
        BadInput: the comment is empty, or the output is no variable.
    """
    return _given(output, LossKind.COMMENT, comment, source)


def correction(output: Variable, better: str, *, source: str = "") -> Variable:
    """What a person wrote in place of the output: the best loss. The same text confirms the output.

    Args:
        better: the whole text that should have come out.
        source: who wrote it; who is behind the input when empty.

    Raises:
        BadInput: the text is empty, or the output is no variable.
    """
    return _given(output, LossKind.CORRECTION, better, source)


def _given(output: Variable, kind: LossKind, words: str, source: str) -> Variable:
    about = variable_in(output, what="what the words are about")
    if not isinstance(words, str):
        raise BadInput(
            f"the words of the loss are of type {type(words).__name__}", "give the variable first, then a text"
        )
    if not (text := words.strip()):
        raise BadInput("the loss has no words", "leave it out, or say what was wrong")

    async def find(node: Node) -> Said:
        return Said(kind=kind, text=text, change=shown(node.parents[0]).strip() != text)

    function = Loss(find, purpose="hold what a person said", source=source)
    return Variable.computed(function, [about], role=f"what was said about {about.role}")


def _loss(function: Loss, output: Variable, fields: Mapping[str, Field]) -> Variable:
    about = variable_in(output, what="what is to be judged")
    others = [_variable(name, field) for name, field in fields.items()]
    return Variable.computed(function, [about, *others], role=f"what is wrong with {about.role}")


def _scored(score: float, text: str, passing: float) -> Said:
    return Said(
        kind=LossKind.FEEDBACK, text=text, change=score < passing, weight=min(1.0, max(_LEAST_WEIGHT, 1 - score))
    )


def _judgement(found: object, purpose: str) -> tuple[float, str]:
    if isinstance(found, Scored):
        found = (found.value, found.reason)
    score, text = found if isinstance(found, tuple) and len(found) == 2 else (found, "")
    if not isinstance(score, int | float) or not -_ROUNDING <= score <= 1 + _ROUNDING or not isinstance(text, str):
        raise BadInput(
            f"the metric '{purpose}' returned something that is no score",
            "return a number from 0 to 1, or it and a text",
        )
    return min(1.0, max(0.0, float(score))), text.strip()


def _variable(name: str, field: Field) -> Variable:
    return field if isinstance(field, Variable) else Variable(field, role=name)


def _engine(node: Node) -> Engine:
    if node.engine is None:
        raise BadInput("no language model is in use", "build the graph inside `with use(...)`")
    return node.engine
