"""One edge of a text graph, put to the critic: what came out was criticised, so what is wrong with what went in?

Every source is asked about by itself, all at once: what a stranger complained about must not lend its words to other
people's gradients. What one source says in several gradients is one question. A gradient that wants no change is passed
on as it is, and where nobody wants a change nobody is asked.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from optimizer.autodiff.context import worded
from optimizer.autodiff.node import Flow, Node
from optimizer.autodiff.summary import told
from optimizer.documents.document import Document
from optimizer.errors import BadInput, BadReply, Declined, TracegradError, Transient
from optimizer.fence import TEXT_CHARS, excerpt
from optimizer.identity import Json
from optimizer.images import Image
from optimizer.steps.backward import numbered
from optimizer.steps.critic import Critic, Criticism, Place, criticise
from optimizer.types import Gradient, LossKind

_INPUTS = 40
"""Inputs of one step that the critic is shown."""

EXAMPLES = 20
"""Examples that one step may have: all of them stand in every question about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A pair from the owner: this is what a step should make of such an input."""

    input: str
    output: str


def checked_examples(examples: Sequence[Example]) -> tuple[Example, ...]:
    """The examples. Raises BadInput when there are too many, or one is something else."""
    if not all(isinstance(example, Example) for example in examples):
        raise BadInput("an example is no Example", "give Example(input=..., output=...)")
    if len(examples) > EXAMPLES:
        raise BadInput(f"{len(examples)} examples are too many", f"choose the best {EXAMPLES}")
    return tuple(examples)


async def criticised(
    node: Node, about: Node, *, inputs: Sequence[Node], prompt: bool = False, examples: Sequence[Example] = ()
) -> Flow:
    """How `about` should change, given the node's gradients.

    Args:
        inputs: what else went into the node.
        prompt: `about` is an instruction to a model, not something that it works on.
        examples: shown to the critic.

    Raises:
        Permanent, OverBudget: the model's own.
    """
    step = () if prompt else (node.id,)
    wanted: dict[str, list[Gradient]] = {}
    for gradient in node.gradients:
        if gradient.warrants_change:
            wanted.setdefault(gradient.source_key, []).append(gradient)
    edge = _Edge.of(node, about, inputs, prompt, examples) if wanted else None
    answers = await _all_at_once(edge, list(wanted.values())) if edge else []
    said = dict(zip(wanted, answers, strict=True))
    flow: list[Gradient] = []
    for gradient in node.gradients:
        path = (*gradient.path, *step)
        answer = said[gradient.source_key] if gradient.warrants_change else ()
        if not gradient.warrants_change:
            flow.append(replace(gradient, path=path))
        elif not isinstance(answer, TracegradError):
            flow += [Gradient(loss=gradient.loss, warrants_change=c.change, text=c.text, path=path) for c in answer]
    return Flow(
        gradients=tuple(flow),
        asked=len(answers),
        failures=tuple(answer for answer in answers if isinstance(answer, TracegradError)),
    )


async def _all_at_once(
    edge: "_Edge", wanted: Sequence[Sequence[Gradient]]
) -> list[tuple[Criticism, ...] | TracegradError]:
    try:
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(edge.ask(gradients)) for gradients in wanted]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [call.result() for call in calls]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edge:
    """What is asked about, whoever complained."""

    node: Node
    shown: str
    fields: Mapping[str, Json]
    place: Place | None
    images: tuple[Image, ...]

    @classmethod
    def of(cls, node: Node, about: Node, inputs: Sequence[Node], prompt: bool, examples: Sequence[Example]) -> "_Edge":
        """The question about one parent of a node, but for the complaint."""
        assert node.function is not None, "a leaf has no edges"
        gallery = _Gallery()
        shown = numbered(Document.of(gallery.text(about)))
        fields: dict[str, Json] = {"input": _told(inputs, gallery, prompt=prompt), "output": gallery.text(node)}
        if examples:
            chars = TEXT_CHARS // (2 * len(examples))
            fields["good_examples"] = [
                {"input": excerpt(one.input, chars), "output": excerpt(one.output, chars)} for one in examples
            ]
        return cls(
            node=node,
            shown=shown,
            fields=fields,
            place=None if prompt else Place(role=about.role, purpose=node.function.purpose),
            images=tuple(gallery.images),
        )

    async def ask(self, gradients: Sequence[Gradient]) -> tuple[Criticism, ...] | TracegradError:
        """The critic's answers to what one source complained about, or why there are none."""
        engine = self.node.engine
        if engine is None:
            raise BadInput("there is no model to criticise with", "build the graph inside `with use(...)`")
        kinds = {_kind(gradient) for gradient in gradients}
        said: dict[str, Json] = {
            "kind": (kinds.pop() if len(kinds) == 1 else LossKind.FEEDBACK).value,
            "complaint": told(gradients, TEXT_CHARS),
        }
        critic = Critic(
            model=engine.critic_model,
            attempts=engine.attempts,
            max_tokens=engine.max_tokens,
            samples=engine.samples,
            instructions=worded(engine.critic_instructions),
        )
        try:
            return await criticise(
                self.shown,
                {**self.fields, **said},
                engine.model,
                critic=critic,
                fence=engine.fence,
                place=self.place,
                images=self.images,
            )
        except (BadReply, Transient, Declined) as error:
            return error


class _Gallery:
    """Images that are shown beside a text, and named in it."""

    def __init__(self) -> None:
        self.images: list[Image] = []

    def text(self, node: Node) -> str:
        """The node's text, or the name of its image."""
        value = node.value
        if not isinstance(value, Image):
            return value
        if value not in self.images:
            self.images.append(value)
        return f"(image {self.images.index(value) + 1})"


def _told(inputs: Sequence[Node], gallery: _Gallery, *, prompt: bool) -> Json:
    """The inputs beside the one in question; that of a prompt, when it is a single one, as it stands."""
    if prompt and len(inputs) == 1:
        return gallery.text(inputs[0])
    chars = TEXT_CHARS // max(1, min(len(inputs), _INPUTS))
    entries: list[Json] = [{"role": node.role, "text": excerpt(gallery.text(node), chars)} for node in inputs[:_INPUTS]]
    return [*entries, f"({len(inputs) - _INPUTS} more)"] if len(inputs) > _INPUTS else entries


def _kind(gradient: Gradient) -> LossKind:
    """Where the gradient's words come from: the loss itself, or a critic on the way."""
    return gradient.loss.kind if gradient.text == gradient.loss.text else LossKind.FEEDBACK
