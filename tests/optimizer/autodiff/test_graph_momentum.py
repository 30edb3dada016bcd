"""The memory of textual gradient descent: verdicts, what they take back, and what is not tried again."""

from collections.abc import Iterator

import pytest
from descent_samples import VALUE, WARM, Rewrites, criticise, edits, variable

from optimizer.autodiff.context import use
from optimizer.autodiff.descent import TGD
from optimizer.errors import BadInput
from optimizer.types import Edit, Verdict


@pytest.fixture
def rewrites() -> Iterator[Rewrites]:
    scripted = Rewrites()
    with use(scripted.model, task_model="task", critic_model="critic", secret=b"secret", attempts=2):
        yield scripted


async def test_a_failed_step_is_taken_back_and_not_made_again(rewrites: Rewrites) -> None:
    about = variable()
    rewrites("Answer the question.", WARM, WARM, edits(("add", "2", "Greet people.")))
    optimizer = TGD([about])
    await criticise(about)
    await optimizer.step()
    optimizer.verdict(Verdict.FAIL, "no better on 50 cases")
    assert about.text == VALUE
    assert (await optimizer.step()).changed
    assert about.text == f"{VALUE}\nGreet people."
    assert rewrites.block(rewrites.model.requests[1])["history"] == [
        {
            "edits": [
                {
                    "op": "replace",
                    "old": "Be brief.",
                    "new": "Be brief and warm.",
                    "cause": "The answers are too cold.",
                }
            ],
            "verdict": "fail",
            "reason": "no better on 50 cases",
        }
    ]
    assert "was tried and failed" in rewrites.model.requests[2].messages[-1].content


@pytest.mark.parametrize(("verdict", "kept"), [(Verdict.PASS, True), (Verdict.FAIL, False), (Verdict.UNDECIDED, False)])
async def test_a_verdict_is_about_every_step_since_the_last_one(
    rewrites: Rewrites, verdict: Verdict, kept: bool
) -> None:
    about = variable()
    rewrites(
        "Answer the question.", WARM, edits(("add", "2", "Greet people.")), edits(("add", "2", "Say goodbye.")), edits()
    )
    optimizer = TGD([about])
    await criticise(about)
    await optimizer.step()
    optimizer.verdict(Verdict.PASS, "better")
    confirmed = about.text
    await optimizer.step()
    await optimizer.step()
    latest = about.text
    assert len({VALUE, confirmed, latest}) == 3
    optimizer.verdict(verdict, "so it is")
    assert about.text == (latest if kept else confirmed)
    await optimizer.step()
    history = rewrites.block(rewrites.model.requests[-1])["history"]
    assert [past["verdict"] for past in history] == ["pass", verdict.value, verdict.value]


@pytest.mark.parametrize(("momentum", "told"), [(0, 0), (1, 1), (9, 2)])
async def test_the_window_of_memory_may_be_empty(rewrites: Rewrites, momentum: int, told: int) -> None:
    about = variable()
    rewrites("Answer the question.", WARM, edits(("add", "2", "Greet people.")), edits())
    optimizer = TGD([about], momentum=momentum)
    await criticise(about)
    for _ in range(3):
        await optimizer.step()
    assert len(rewrites.block(rewrites.model.requests[-1]).get("history", [])) == told


async def test_after_failures_a_step_may_change_less(rewrites: Rewrites) -> None:
    about = variable()
    rewrites("Answer the question.", WARM, edits(("add", "2", "Greet people.")), edits())
    optimizer = TGD([about])
    await criticise(about)
    for _ in range(2):
        await optimizer.step()
        optimizer.verdict(Verdict.FAIL, "worse")
    await optimizer.step()
    sizes = [request.messages[0].content.split("Make at most ")[1][0] for request in rewrites.model.requests]
    assert sizes == ["6", "3", "1"]


async def test_a_verdict_needs_a_step(rewrites: Rewrites) -> None:
    about = variable()
    optimizer = TGD([about])
    with pytest.raises(BadInput, match="no step to judge"):
        optimizer.verdict(Verdict.FAIL, "worse")
    rewrites("Answer the question.", WARM)
    await criticise(about)
    await optimizer.step()
    optimizer.verdict(Verdict.PASS, "better")
    with pytest.raises(BadInput, match="no step to judge"):
        optimizer.verdict(Verdict.FAIL, "worse")


async def test_a_pass_leaves_what_somebody_wrote_since(rewrites: Rewrites) -> None:
    about = variable()
    rewrites("Answer the question.", WARM)
    rewrites("Mine.", edits(("add", "1", "Be warm.")))
    optimizer = TGD([about])
    await criticise(about)
    await optimizer.step()
    about.value = "Mine."
    optimizer.verdict(Verdict.PASS, "better")
    assert about.text == "Mine."
    await optimizer.step()
    assert about.text == "Mine.\nBe warm."
    optimizer.verdict(Verdict.FAIL, "worse")
    assert about.text == "Mine."


async def test_every_line_knows_the_edit_behind_it(rewrites: Rewrites) -> None:
    about = variable()
    rewrites("Answer the question.", WARM)
    optimizer = TGD([about])
    await criticise(about)
    await optimizer.step()
    document = optimizer.document(about)
    first, second = (document.blame[line.id] for line in document.lines)
    assert first is None
    assert isinstance(second, Edit)
    assert [gradient.source_key for gradient in second.cause.gradients] == ["user-instruction"]
