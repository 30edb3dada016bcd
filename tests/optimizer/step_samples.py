"""Steps of textual gradient descent, as the tests take them."""

from scripted import PROMPT, ScriptedModel, gradient

from optimizer.documents.document import Document
from optimizer.fence import Fence
from optimizer.prompts import PromptVersion
from optimizer.steps.tgd import NoCandidate, Rewriter, Step, step
from optimizer.types import RootCause

FENCE = Fence.of(b"secret", "texts")
REWRITER = Rewriter(model="rewriter", attempts=3, max_tokens=900, max_causes=10, causes_chars=4_000)


def cause(label: str, *texts: str) -> RootCause:
    gradients = tuple(gradient(f"{label}{n}", text, source=f"{label}{n}") for n, text in enumerate(texts))
    return RootCause(label=label, summary=texts[0], gradients=gradients)


CAUSES = (cause("c1", "No refund window.", "Refund window missing."), cause("c2", "Too cold.", "Too cold."))


async def take(
    model: ScriptedModel,
    *,
    causes: tuple[RootCause, ...] = CAUSES,
    rewriter: Rewriter = REWRITER,
    prompt: PromptVersion | Document = PROMPT,
    source_texts: tuple[str, ...] = (),
    sample: int = 0,
) -> Step:
    return await step(prompt, causes, model, rewriter=rewriter, fence=FENCE, source_texts=source_texts, sample=sample)


def no_candidate(result: Step) -> str:
    assert isinstance(result.candidate, NoCandidate)
    return result.candidate.reason
