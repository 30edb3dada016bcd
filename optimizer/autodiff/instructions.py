"""The engine's own instructions as variables: how the critic criticises and how the rewriter edits, optimized by steps.

    editor, critic = rewriter_variable(), critic_variable()
    with use(model, task_model="...", secret=b"...", critic_instructions=critic):
        ...                                                  gradients for `system`, by these instructions
        better = edited(system, system.gradients, editor=editor, critic=critic)
        feedback(better, "The gate failed this edit: no better on 50 cases, and longer.").backward()
        TGD([editor, critic]).step()
        TGD([system], instructions=editor).step()            edits as the new instructions say

An edited text is a variable like any other: a model call may take it as its system prompt, and what is wrong with the
answers then leads back to the instructions. Only the instructions are ever a variable. What says that data is no
instruction, the rules of safety and the form of the reply are `optimizer.meta`'s, and no step may reach them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from optimizer.autodiff.criticism import criticised
from optimizer.autodiff.descent import source_texts
from optimizer.autodiff.node import Flow, Node, Value
from optimizer.autodiff.variable import Variable
from optimizer.causes.grouping import group
from optimizer.documents.document import Document
from optimizer.errors import BadInput
from optimizer.identity import canonical
from optimizer.meta import critic as critic_meta
from optimizer.meta import rewriter as rewriter_meta
from optimizer.steps.rewriting import Rewriter, fitting
from optimizer.steps.tgd import step
from optimizer.types import Gradient, RootCause

_REWRITER = Rewriter(model="", attempts=1, max_tokens=4_096, max_causes=8, causes_chars=12_000)


def critic_variable(text: str = "") -> Variable:
    """How the critic criticises prompts, to be optimized; from our own words on when the text is empty."""
    return Variable(
        text or critic_meta.PROMPT.instructions,
        role="instructions to a critic: how to say what is wrong with a system prompt",
        requires_grad=True,
    )


def rewriter_variable(text: str = "") -> Variable:
    """How the rewriter edits, to be optimized; from our own words on when the text is empty."""
    return Variable(
        text or rewriter_meta.PROMPT.instructions,
        role="instructions to an editor: how to edit a system prompt because of root causes",
        requires_grad=True,
    )


def edited(
    prompt: Variable | str,
    gradients: Sequence[Gradient],
    *,
    editor: Variable,
    critic: Variable | None = None,
    quorum: int = 1,
    rewriter: Rewriter = _REWRITER,
) -> Variable:
    """The text that one step makes of a prompt, as a function of the instructions; the prompt itself stays.

    What is wrong with it leads back to the instructions. A step without edits leaves the text as it is.

    Args:
        gradients: what is wrong with the prompt.
        editor: instructions of the rewriter.
        critic: instructions that the gradients were made by, where they are to be optimized too.
        quorum: independent sources that a root cause needs.
        rewriter: how it is asked; model, attempts and instructions are the engine's and the variable's.

    Raises:
        BadInput: no root cause stands; there would be nothing to ask for.
    """
    text = prompt.text if isinstance(prompt, Variable) else prompt
    causes = group(gradients, quorum=quorum, per_source=3, quarantine=rewriter.guard).causes
    if not causes:
        raise BadInput("no gradient calls for an edit of the prompt", "give gradients that want a change")
    told = canonical(list(fitting(causes, rewriter)))
    given = [Variable(text, role="prompt before the edit"), Variable(told, role="what is wrong with the prompt")]
    function = _Edited(rewriter=rewriter, causes=causes, source_texts=source_texts(gradients))
    critics = [critic] if critic else []
    return Variable.computed(
        function, [editor, *given, *critics], role="edited system prompt", instructions=[editor, *critics]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edited:
    """One step. The parents of its node: the rewriter's instructions, the prompt, the causes, the critic's."""

    rewriter: Rewriter
    causes: tuple[RootCause, ...]
    source_texts: tuple[str, ...]
    purpose = "a critic says what is wrong with a system prompt, and an editor edits the prompt because of that"
    weight = 0.0

    async def forward(self, node: Node) -> Value:
        """The text after the step."""
        engine = node.engine
        if engine is None:
            raise BadInput("there is no model to edit with", "build the graph inside `with use(...)`")
        editor, prompt, *_ = node.parents
        rewriter = replace(
            self.rewriter,
            model=self.rewriter.model or engine.critic_model,
            attempts=engine.attempts,
            instructions=editor.text,
        )
        document = Document.of(prompt.text)
        made = await step(
            document, self.causes, engine.model, rewriter=rewriter, fence=engine.fence, source_texts=self.source_texts
        )
        after = (made.document or document).body
        assert isinstance(after, str), "a variable is one text"
        return after

    async def backward(self, node: Node, about: Node) -> Flow:
        """What the critic says about the instructions of one of the two."""
        return await criticised(node, about, inputs=[parent for parent in node.parents if parent is not about])
