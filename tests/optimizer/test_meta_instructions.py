"""Instructions of an owner's in the whole engine: where they stand, and what lineage calls them."""

import json

from scripted import PROMPT, ScriptedModel, criticism, loss, rewrite

from optimizer.engine import META_VERSIONS, Outcome, Plan, optimize
from optimizer.fence import Fence
from optimizer.meta import critic, rewriter
from optimizer.ports import ModelRequest


async def outcome(plan: Plan) -> tuple[Outcome, dict[str, str]]:
    """What a step came to, and the system messages by purpose."""

    def script(request: ModelRequest) -> str:
        return criticism("No refund window.") if request.purpose == "backward" else rewrite(("add", "3", "Say.", "c1"))

    model = ScriptedModel(script)
    losses = [loss(f"g{n}", source=f"source {n}") for n in range(2)]
    made = await optimize(PROMPT, losses, model, plan=plan, fence=Fence.of(b"s"), source_texts=())
    return made, {request.purpose: request.messages[0].content for request in model.requests}


async def test_an_owners_instructions_stand_between_what_always_stands() -> None:
    plan = Plan(
        critic_model="critic", rewriter_model="rewriter", critic_instructions="Be {mild}.", rewriter_instructions="Cut."
    )
    made, said = await outcome(plan)
    assert said["backward"] == f"{critic.PROMPT.given}Be {{mild}}.\n{critic.PROMPT.contract}"
    assert said["rewrite"].startswith(f"{rewriter.PROMPT.given}Cut.\n{rewriter.PROMPT.contract}\nMake at most 6 edits,")
    assert dict(made.meta_versions) == {
        "critic": critic.PROMPT.named("Be {mild}."),
        "rewriter": rewriter.PROMPT.named("Cut."),
        "repair": 1,
    }
    assert json.loads(json.dumps(made.meta_versions)) == [list(pair) for pair in made.meta_versions]


async def test_without_them_nothing_is_said_differently() -> None:
    made, said = await outcome(Plan(critic_model="critic", rewriter_model="rewriter"))
    assert said["backward"] == critic.SYSTEM
    assert said["rewrite"].startswith(rewriter.SYSTEM)
    assert made.meta_versions == META_VERSIONS
