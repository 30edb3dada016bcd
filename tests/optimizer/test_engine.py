"""The engine as a whole: what reaches the models, what comes out, and that neither depends on chance."""

from scripted import PROMPT, Reply, ScriptedModel, criticism, loss, rewrite

from optimizer.engine import Plan, optimize
from optimizer.fence import Fence
from optimizer.ports import ModelRequest
from optimizer.types import Candidate

FENCE = Fence.of(b"secret", "texts")
PLAN = Plan(critic_model="critic", rewriter_model="rewriter")


def refunds(request: ModelRequest) -> Reply:
    """Every critic misses the refund window; the rewriter adds it."""
    if request.purpose == "backward":
        return criticism("The prompt never mentions the refund window.")
    return rewrite(("add", "3", "Name the refund window.", "c1"))


async def test_complaints_become_a_candidate() -> None:
    model = ScriptedModel(refunds)
    losses = [loss(key, f"no refund date {key}", source=key) for key in "abc"]
    outcome = await optimize(PROMPT, losses, model, plan=PLAN, fence=FENCE, source_texts=[])
    assert isinstance(outcome.candidate, Candidate)
    assert outcome.candidate.body == "You are the assistant of {{shop}}.\nBe kind.\nBe short.\nName the refund window."
    assert outcome.candidate.edits[0].cause == outcome.causes[0]
    assert [len(outcome.losses), len(outcome.gradients), len(outcome.dropped), outcome.no_change] == [3, 3, 0, 0]
    assert [request.purpose for request in model.requests] == ["backward"] * 3 + ["rewrite"]
