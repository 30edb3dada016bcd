"""The engine: losses in, at most one candidate out. Trace-first: the forward pass already happened in production.

    losses -> backward -> gradients -> group -> root causes -> step -> candidate

Everything is decided by the arguments: the same arguments and the same replies make the same requests and the same
outcome, whatever the latencies. "No change" is the default. Nothing here may publish, store or log anything.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from optimizer.causes.grouping import RefusedCause, group
from optimizer.documents.document import Document
from optimizer.fence import Fence
from optimizer.guards.guard import Limits
from optimizer.meta import critic as critic_meta
from optimizer.meta import repair as repair_meta
from optimizer.meta import rewriter as rewriter_meta
from optimizer.ports import LanguageModel
from optimizer.prompts import PromptVersion
from optimizer.steps.backward import Critic, DroppedLoss, backward
from optimizer.steps.history import PastStep
from optimizer.steps.tgd import NoCandidate, RefusedEdit, Rewriter, Step, step
from optimizer.types import Candidate, Gradient, RootCause, TextLoss

__all__ = ["META_VERSIONS", "NoCandidate", "Outcome", "Plan", "in_turns", "optimize"]

META_VERSIONS: tuple[tuple[str, int | str], ...] = (
    ("critic", critic_meta.VERSION),
    ("rewriter", rewriter_meta.VERSION),
    ("repair", repair_meta.VERSION),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one step is made.

    Attributes:
        max_losses: critic calls at most; sources take turns, so that one cannot use them up.
        quorum: independent sources that a root cause needs.
        per_source: gradients of one source that count in one cause.
        min_share: share of the critic's calls that must give a gradient, (0, 1].
        attempts: calls for one usable reply.
        max_causes: root causes in one step, best founded first; the others wait for the next cycle.
        causes_chars: budget of all criticisms in the rewrite request.
        limits: how much the rewrite may change.
        guard: checks against injection: the quarantine of gradients, and the guard over the result. False only in
            tests that show what they are for.
        critic_instructions, rewriter_instructions: how to criticise and how to edit, in the owner's words; ours when
            empty.
    """

    critic_model: str
    rewriter_model: str
    max_losses: int = 48
    quorum: int = 2
    per_source: int = 3
    min_share: float = 0.5
    attempts: int = 3
    critic_max_tokens: int = 1_024
    rewriter_max_tokens: int = 4_096
    max_causes: int = 4
    causes_chars: int = 12_000
    limits: Limits = field(default_factory=Limits)
    guard: bool = True
    critic_instructions: str = ""
    rewriter_instructions: str = ""

    @property
    def meta_versions(self) -> tuple[tuple[str, int | str], ...]:
        """What lineage calls the meta-prompts of this plan."""
        own = {
            "critic": critic_meta.PROMPT.named(self.critic_instructions),
            "rewriter": rewriter_meta.PROMPT.named(self.rewriter_instructions),
        }
        return tuple((name, own.get(name, version)) for name, version in META_VERSIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one pass of the engine came to, with everything that lineage and report need.

    Attributes:
        losses: those that the critic was asked about.
        left_out: losses beyond `max_losses`, or all when nothing may change.
        gradients: one per loss in the order of the losses, "no change" among them; failed calls are in `dropped`.
        causes: those that the rewriter was asked about.
        meta_versions: of the meta-prompts.
    """

    candidate: Candidate | NoCandidate
    losses: tuple[TextLoss, ...] = ()
    left_out: tuple[TextLoss, ...] = ()
    gradients: tuple[Gradient, ...] = ()
    dropped: tuple[DroppedLoss, ...] = ()
    causes: tuple[RootCause, ...] = ()
    refused_causes: tuple[RefusedCause, ...] = ()
    refused_edits: tuple[RefusedEdit, ...] = ()
    meta_versions: tuple[tuple[str, int | str], ...] = META_VERSIONS


async def optimize(
    prompt: PromptVersion,
    losses: Sequence[TextLoss],
    model: LanguageModel,
    *,
    plan: Plan,
    fence: Fence,
    source_texts: Sequence[str],
    history: Sequence[PastStep] = (),
) -> Outcome:
    """One step of textual gradient descent on one prompt.

    Args:
        losses: best first.
        source_texts: every text of a stranger that must not get into the prompt.
        history: earlier steps and what became of them, oldest first; what failed is not tried again.

    Raises:
        Permanent, OverBudget: the model's own. Transient: the rewriter could not be reached; the critic's failures
            are counted in the outcome instead.
    """
    if not Document.of(prompt.body).lines:
        return Outcome(
            candidate=NoCandidate(reason="the prompt has no line that may change"),
            left_out=tuple(losses),
            meta_versions=plan.meta_versions,
        )
    used, left_out = in_turns(losses, plan.max_losses)
    critic = Critic(
        model=plan.critic_model,
        attempts=plan.attempts,
        max_tokens=plan.critic_max_tokens,
        instructions=plan.critic_instructions,
    )
    results = await backward(prompt, used, model, critic=critic, fence=fence)
    gradients = tuple(r for r in results if isinstance(r, Gradient))
    dropped = tuple(r for r in results if isinstance(r, DroppedLoss))

    grouped = group(gradients, quorum=plan.quorum, per_source=plan.per_source, quarantine=plan.guard)
    if len(gradients) < plan.min_share * len(used):
        reason = f"{len(dropped)} of {len(used)} calls of the critic failed, the first with {dropped[0].reason}"
        stepped = Step(candidate=NoCandidate(reason=reason))
    elif not grouped.causes:
        stepped = Step(candidate=NoCandidate(reason=_nothing_to_do(used, gradients, grouped.refused)))
    else:
        stepped = await step(
            prompt,
            grouped.causes,
            model,
            rewriter=_rewriter(plan),
            fence=fence,
            source_texts=source_texts,
            history=history,
        )
    return Outcome(
        candidate=stepped.candidate,
        losses=used,
        left_out=left_out,
        gradients=gradients,
        dropped=dropped,
        causes=stepped.causes,
        refused_causes=(*grouped.refused, *stepped.left_out),
        refused_edits=stepped.refused,
        meta_versions=plan.meta_versions,
    )


def in_turns(losses: Sequence[TextLoss], limit: int) -> tuple[tuple[TextLoss, ...], tuple[TextLoss, ...]]:
    """The losses that are used, and the rest: every source's first, then every source's second, and so on."""
    turns: dict[str, int] = defaultdict(int)
    turn_of = {}
    for position, loss in enumerate(losses):
        source = loss.trace.generation.source_key
        turn_of[position] = turns[source]
        turns[source] += 1
    order = [losses[position] for position in sorted(turn_of, key=lambda position: (turn_of[position], position))]
    return tuple(order[:limit]), tuple(order[limit:])


def _rewriter(plan: Plan) -> Rewriter:
    return Rewriter(
        model=plan.rewriter_model,
        attempts=plan.attempts,
        max_tokens=plan.rewriter_max_tokens,
        max_causes=plan.max_causes,
        causes_chars=plan.causes_chars,
        limits=plan.limits,
        guard=plan.guard,
        instructions=plan.rewriter_instructions,
    )


def _nothing_to_do(losses: Sequence[TextLoss], gradients: Sequence[Gradient], refused: Sequence[RefusedCause]) -> str:
    if not losses:
        return "nobody complained"
    wanted = sum(g.warrants_change for g in gradients)
    if not wanted:
        return f"none of {len(gradients)} criticisms calls for a change of the prompt"
    reasons = ", ".join(sorted({refusal.reason for refusal in refused}))
    return f"{wanted} of {len(gradients)} criticisms call for a change, but no root cause stands: {reasons}"
