"""Textual gradient descent on variables: the optimizer of the four lines.

    optimizer = TGD([system], constraints=["Never name a competitor."])
    optimizer.zero_grad()
    ...
    loss.backward()
    optimizer.step()
    optimizer.verdict(Verdict.FAIL, "no better on 50 cases")    the old values are back, and what failed is remembered

A variable without a gradient is not asked about and does not change. Several variables change together or not at all.
Every changed line leads back to its edit and its root cause. Nothing here may decide whether a step was good.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from optimizer.autodiff.context import Engine, Instructions, engine_in_use, settled, worded
from optimizer.autodiff.loops import Work
from optimizer.autodiff.variable import Variable, variables_in
from optimizer.causes.grouping import RefusedCause, group
from optimizer.documents.document import Document
from optimizer.errors import BadInput
from optimizer.guards.guard import Limits
from optimizer.images import Image
from optimizer.prompts import Body
from optimizer.steps.history import PastStep
from optimizer.steps.rewriting import Revision, Rewriter
from optimizer.steps.tgd import NoCandidate, Step, step
from optimizer.types import Gradient, Missing, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """What one step came to.

    Attributes:
        changed: whether any variable has a new value.
        reason: why none has; empty otherwise.
        steps: one for each variable, in their order.
    """

    changed: bool
    reason: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What is known of one variable.

    Attributes:
        document: its text, as lines that keep their ids from step to step.
        kept: the text that the last verdict left.
        history: every step, oldest first; the last `open` of them wait for a verdict.
    """

    document: Document
    kept: Document
    history: tuple[PastStep, ...] = ()
    open: int = 0

    @classmethod
    def of(cls, text: str) -> "_State":
        document = Document.of(text)
        return cls(document=document, kept=document)

    def at(self, text: str) -> "_State":
        """As the variable stands now; a value that somebody set by hand is where everything starts from again."""
        if text == self.document.body:
            return self
        document = Document.of(text)
        return _State(document=document, kept=document, history=self.history)

    def stepped(self, made: Step) -> "_State":
        """After a step."""
        if made.document is None:
            return self
        past = PastStep.of(self.document, made.edits, verdict=Missing.NOT_RECORDED, reason="nobody has judged it")
        return replace(self, document=made.document, history=(*self.history, past), open=self.open + 1)

    def judged(self, verdict: Verdict, reason: str) -> "_State":
        """After a verdict on the open steps."""
        done = len(self.history) - self.open
        judged = (replace(past, verdict=verdict, reason=reason) for past in self.history[done:])
        history = (*self.history[:done], *judged)
        document = self.document if verdict is Verdict.PASS else self.kept
        return _State(document=document, kept=document, history=history)


class TGD:
    """Textual gradient descent: edits variables because of their gradients, each edit with its root cause.

    Args:
        parameters: variables that hold text and require a gradient.
        constraints: the owner's rules in plain words.
        checks: the owner's rules as functions of a new value: empty, or what is wrong with it.
        examples: values before and after good edits, from the owner.
        momentum: how many earlier steps the rewriter is told: values, criticisms and verdicts. What failed is refused
            whatever the window; 0 tells nothing.
        quorum: independent sources that a root cause needs.
        per_source: gradients of one source that count in one cause.
        model: name of the rewriting model; the engine's critic when empty.
        max_causes: root causes in one step; `causes_chars` is the budget of their words.
        limits: how much one step may change. After steps that failed it may change less.
        guard: False for variables that no model obeys, such as code or a solution: then texts of the run, addresses
            and other things that no prompt may hold can get in.
        instructions: how the rewriter edits, as a text or as a variable (`rewriter_variable`) that every step reads
            anew; our own words when empty. The rules of safety stay.
    """

    def __init__(
        self,
        parameters: Sequence[Variable],
        *,
        constraints: Sequence[str] = (),
        checks: Sequence[Callable[[str], str]] = (),
        examples: Sequence[Revision] = (),
        momentum: int = 5,
        quorum: int = 1,
        per_source: int = 3,
        model: str = "",
        max_causes: int = 8,
        causes_chars: int = 12_000,
        max_tokens: int = 4_096,
        limits: Limits | None = None,
        guard: bool = True,
        instructions: Instructions = "",
    ) -> None:
        self._parameters = variables_in(parameters, what="what is to be optimized")
        _sound(self._parameters)
        if not all(isinstance(example, Revision) for example in examples):
            raise BadInput("an example is no Revision", "give Revision(before=..., after=...)")
        self._states = [_State.of(parameter.text) for parameter in self._parameters]
        self._quorum = quorum
        self._per_source = per_source
        self._instructions = instructions
        self._rewriter = Rewriter(
            model=model,
            attempts=1,
            max_tokens=max_tokens,
            max_causes=max_causes,
            causes_chars=causes_chars,
            momentum=momentum,
            adaptive=True,
            constraints=tuple(constraints),
            checks=tuple(_of_body(rule) for rule in checks),
            examples=tuple(examples),
            limits=limits or Limits(),
            guard=guard,
        )

    def zero_grad(self) -> None:
        """Forget the gradients of every parameter."""
        for parameter in self._parameters:
            parameter.zero_grad()

    def step(self) -> Work[Descent]:
        """Rewrite every parameter because of its gradients, all at once. When one of them fails, none changes.

        Await it inside an event loop, where nothing happens without; elsewhere it is over when it returns, and `result`
        is what it came to: whether something changed, and if not, why.

        Raises:
            BadInput: no language model is in use. Transient, Permanent, OverBudget: the model's own; nothing changed.
        """
        engine = engine_in_use() or self._parameters[0].engine
        if engine is None:
            raise BadInput("no language model is in use", "step inside `with use(...)`")
        return settled(self._step(engine), engine)

    def verdict(self, verdict: Verdict | str, reason: str) -> None:
        """Say what became of the steps since the last verdict. Only a pass stays; otherwise the old values are back.

        Args:
            verdict: a `Verdict` or its value ("pass"), from evidence of your own: the step does not judge itself.
            reason: in a few words; the rewriter is told.

        Raises:
            BadInput: there was no step since, or this is no verdict.
        """
        try:
            found = Verdict(verdict)
        except ValueError as error:
            raise BadInput("this is no verdict", f"give one of {', '.join(map(str, Verdict))}") from error
        if not any(state.open for state in self._states):
            raise BadInput("there is no step to judge", "call step() first")
        self._states = [state.judged(found, reason) for state in self._states]
        if found is not Verdict.PASS:
            self._write()

    def document(self, parameter: Variable) -> Document:
        """The variable's text as lines, with the edit behind each in `blame`."""
        return self._states[self._parameters.index(parameter)].document

    async def _step(self, engine: Engine) -> Descent:
        pairs = zip(self._parameters, self._states, strict=True)
        states = [state.at(parameter.text) for parameter, state in pairs]
        try:
            async with asyncio.TaskGroup() as tasks:
                calls = [
                    tasks.create_task(self._rewritten(parameter, state, engine))
                    for parameter, state in zip(self._parameters, states, strict=True)
                ]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        steps = tuple(call.result() for call in calls)
        if reason := _against(self._parameters, states, steps):
            return Descent(changed=False, reason=reason, steps=steps)
        self._states = [state.stepped(made) for state, made in zip(states, steps, strict=True)]
        self._write()
        return Descent(changed=True, reason="", steps=steps)

    async def _rewritten(self, parameter: Variable, state: _State, engine: Engine) -> Step:
        """The variable's step; without a gradient that calls for a change, no call."""
        grouped = group(
            parameter.gradients,
            quorum=self._quorum,
            per_source=self._per_source,
            quarantine=self._rewriter.guard,
        )
        if not grouped.causes:
            reason = _nothing_to_do(parameter.gradients, grouped.refused)
            return Step(candidate=NoCandidate(reason=reason), left_out=grouped.refused)
        rewriter = replace(
            self._rewriter,
            model=self._rewriter.model or engine.critic_model,
            attempts=engine.attempts,
            role=parameter.role,
            instructions=worded(self._instructions),
        )
        made = await step(
            state.document,
            grouped.causes,
            engine.model,
            rewriter=rewriter,
            fence=engine.fence,
            source_texts=source_texts(parameter.gradients),
            history=state.history,
        )
        return replace(made, left_out=(*grouped.refused, *made.left_out))

    def _write(self) -> None:
        for parameter, state in zip(self._parameters, self._states, strict=True):
            parameter.value = _text(state.document.body)


def _nothing_to_do(gradients: Sequence[Gradient], refused: Sequence[RefusedCause]) -> str:
    if not gradients:
        return "it has no gradient"
    if not refused:
        return f"none of {len(gradients)} gradients calls for a change"
    return f"no root cause stands: {', '.join(sorted({refusal.reason for refusal in refused}))}"


def _against(parameters: Sequence[Variable], states: Sequence[_State], steps: Sequence[Step]) -> str:
    """Why nothing may be committed; empty when everything may."""
    kept = [
        (parameter.role, made.candidate)
        for parameter, made in zip(parameters, steps, strict=True)
        if isinstance(made.candidate, NoCandidate)
    ]
    told = kept if len(kept) == len(steps) else [(role, why) for role, why in kept if why.failed]
    moved = [p.role for p, state in zip(parameters, states, strict=True) if p.text != state.document.body]
    return "; ".join(
        [*(f"{role}: {why.reason}" for role, why in told), *(f"{role}: it changed meanwhile" for role in moved)]
    )


def _sound(parameters: Sequence[Variable]) -> None:
    """Raises BadInput for anything that cannot be optimized."""
    if not parameters:
        raise BadInput("there is nothing to optimize", "give TGD at least one variable")
    if len(set(parameters)) < len(parameters):
        raise BadInput("a variable is given twice", "give every variable once")
    for parameter in parameters:
        if not parameter.requires_grad or parameter.function is not None:
            raise BadInput(
                f"'{parameter.role}' is no variable that can change", "make it a Variable with requires_grad=True"
            )
        if isinstance(parameter.value, Image):
            raise BadInput(f"'{parameter.role}' is an image", "optimize a text")


def source_texts(gradients: Sequence[Gradient]) -> tuple[str, ...]:
    """What people and models wrote in the runs behind the gradients."""
    runs = [(g.loss.text, g.loss.trace.generation) for g in gradients]
    return tuple(dict.fromkeys(text for said, run in runs for text in (said, run.input, run.output)))


def _of_body(rule: Callable[[str], str]) -> Callable[[Body], str]:
    return lambda body: rule(_text(body))


def _text(body: Body) -> str:
    assert isinstance(body, str), "a variable is one text"
    return body
