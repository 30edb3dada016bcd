"""The model call as a function of a text graph, forward and backward together.

m = ModelCall(system)                       m(question)
m = ModelCall(system_with_fields)           m(question, shop=name)         {{shop}} is filled; values are no templates
m = ModelCall(system, message=template)     m(question=q, context=c)
m = ModelCall(system)                       m("What is wrong here?", photo, "Name the part.")
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from optimizer.autodiff.criticism import Example, checked_examples, criticised
from optimizer.autodiff.node import Flow, Node, Value
from optimizer.autodiff.variable import Variable
from optimizer.errors import BadInput
from optimizer.images import Image
from optimizer.ports import ModelRequest
from optimizer.prompts import Message
from optimizer.template import render, variables

Part = Variable | str | bytes | Image
"""What a call takes as an input: what is no variable never changes."""


class ModelCall:
    """Asks the task model. Calling it adds a node to the graph and computes nothing.

    Args:
        system: the system prompt; none when it is an empty text.
        message: the template of the user message, with a place `{{name}}` for every named field; without it, what the
            call is given is the user message, texts and images in their order. A place that no field fills stays as it
            is written.
        role: what the answers are for.
        examples: pairs that are shown to the critic, never to the task model.
        temperature: of the task model.
        max_tokens: of one answer; the engine's when 0.

    Raises:
        BadInput: a prompt is neither a text nor a variable, or there are too many examples.
    """

    def __init__(
        self,
        system: Variable | str = "",
        *,
        message: Variable | str = "",
        role: str = "answer of a language model",
        examples: Sequence[Example] = (),
        temperature: float = 0.0,
        max_tokens: int = 0,
    ) -> None:
        self.system = _instruction(system, "system prompt")
        self.message = _instruction(message, "message to the model")
        self.role = role
        self.examples = checked_examples(examples)
        self.temperature = temperature
        self.max_tokens = max_tokens

    def __call__(self, *parts: Part, **fields: Part) -> Variable:
        """The answer to these texts and images, and to the fields of the prompt.

        A plain text becomes an input of its own at every call: give several calls that work on the same text one
        `Variable`, with a `source` where you know who is behind it.

        Raises:
            BadInput: there is nothing to answer to. When it is computed: the prompt has no place for a field.
        """
        if not parts and self.message is None and not (fields and self.system):
            raise BadInput("a model call was given nothing to answer to", "give it a text, an image or a field")
        prompts = [one for one in (self.system, self.message) if one is not None]
        given = [_given(part, "question") for part in parts]
        named = [_given(value, name) for name, value in fields.items()]
        call = _Call(call=self, prompts=len(prompts), parts=len(given), names=tuple(fields))
        return Variable.computed(call, [*prompts, *given, *named], role=self.role, instructions=prompts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call: what the parents of its node are, in their order: prompts, parts of the message, fields."""

    call: ModelCall
    prompts: int
    parts: int
    names: tuple[str, ...]
    purpose = "a language model answers"
    weight = 0.0

    async def forward(self, node: Node) -> Value:
        """The model's answer."""
        engine = node.engine
        if engine is None:
            raise BadInput("there is no model to call", "build the graph inside `with use(...)`")
        request = ModelRequest(
            purpose="task",
            model=engine.task_model,
            messages=self._messages(node),
            temperature=self.call.temperature,
            max_tokens=self.call.max_tokens or engine.max_tokens,
        )
        return (await engine.model.complete(request)).text

    async def backward(self, node: Node, about: Node) -> Flow:
        """What the critic says about the prompt, or about what the model worked on."""
        prompt = about in node.parents[: self.prompts]
        others = [parent for parent in node.parents if parent is not about]
        inputs = [one for one in others if one not in node.parents[: self.prompts]] if prompt else others
        return await criticised(node, about, inputs=inputs, prompt=prompt, examples=self.call.examples)

    def _messages(self, node: Node) -> tuple[Message, ...]:
        texts = iter(node.parents[: self.prompts])
        system = self._filled(next(texts), node) if self.call.system is not None else ""
        message = [self._filled(next(texts), node)] if self.call.message is not None else []
        self._all_used(node)
        given = [parent.value for parent in node.parents[self.prompts : self.prompts + self.parts]]
        said = [Message(role="system", content=system)] if system else []
        return (*said, _user([*message, *given])) if message or given else tuple(said)

    def _filled(self, template: Node, node: Node) -> str:
        return render(template.text, self._values(node)) if self.names else template.text

    def _values(self, node: Node) -> dict[str, str]:
        fields = node.parents[self.prompts + self.parts :]
        return {name: field.text for name, field in zip(self.names, fields, strict=True)}

    def _all_used(self, node: Node) -> None:
        used = frozenset[str]().union(*(variables(template.text) for template in node.parents[: self.prompts]))
        if unused := sorted(set(self.names) - used):
            raise BadInput(
                f"the prompt has no place for {', '.join(unused)}", "write {{name}} where the field should stand"
            )


def _user(parts: Sequence[Value]) -> Message:
    texts = [part for part in parts if isinstance(part, str)]
    message = Message(role="user", content="\n".join(texts))
    return message if len(texts) == len(parts) else replace(message, parts=tuple(parts))


def _instruction(text: Variable | str, role: str) -> Variable | None:
    if isinstance(text, Variable):
        return text
    if not isinstance(text, str):
        raise BadInput(f"the {role} is of type {type(text).__name__}", "give a text or a Variable")
    return Variable(text, role=role) if text else None


def _given(part: Part, role: str) -> Variable:
    return part if isinstance(part, Variable) else Variable(part, role=role)
