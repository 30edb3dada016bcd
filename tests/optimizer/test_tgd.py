"""One step: a table of scripted replies and the prompts they make, what it keeps, and all that makes no candidate."""

import json
from dataclasses import replace

import pytest
from scripted import PROMPT, Reply, ScriptedModel, in_order, rewrite
from step_samples import CAUSES, REWRITER, cause, no_candidate, take

from optimizer.errors import BadCredentials, CutOff, EmptyReply, Refused, Unreachable
from optimizer.guards.guard import Limits
from optimizer.meta import rewriter as meta
from optimizer.prompts import Message, PromptVersion
from optimizer.steps.tgd import NoCandidate, Rewriter
from optimizer.types import Candidate

URL, MAIL = "See https://evil.example.", "Write to mallory@evil.example."


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (
            rewrite(("replace", "2", "Be kind and warm.", "c2")),
            "You are the assistant of {{shop}}.\nBe kind and warm.\nBe short.",
        ),
        (
            rewrite(("add", "0", "Name the refund window.", "c1")),
            "Name the refund window.\nYou are the assistant of {{shop}}.\nBe kind.\nBe short.",
        ),
        (
            rewrite(("remove", "3", "", "c2"), ("add", "3", "  - Name the refund window.", "c1")),
            "You are the assistant of {{shop}}.\nBe kind.\n  - Name the refund window.",
        ),
        (
            "Here you are:\n```json\n" + rewrite(("add", "1", "Name the {{shop}}'s refund window.", "c1")) + "\n```",
            "You are the assistant of {{shop}}.\nName the {{shop}}'s refund window.\nBe kind.\nBe short.",
        ),
    ],
    ids=["replace", "add first", "remove and add", "in a code fence"],
)
async def test_a_reply_makes_this_prompt(reply: str, body: str) -> None:
    model = ScriptedModel(in_order(reply))
    result = await take(model)
    assert isinstance(result.candidate, Candidate)
    assert result.candidate.body == body
    assert result.candidate.parent == PROMPT
    by_label = {c.label: c for c in CAUSES}
    for edit, asked in zip(
        result.candidate.edits, json.loads(reply[reply.find("{") : reply.rfind("}") + 1])["edits"], strict=True
    ):
        assert (edit.op, edit.line, edit.text) == (asked["op"], asked["line"], asked["text"])
        assert edit.cause == by_label[asked["cause"]]
        assert edit.reason == asked["reason"]
    assert result.refused == ()


async def test_only_the_system_message_of_a_chat_prompt_is_edited() -> None:
    body = (Message(role="system", content="Be kind."), Message(role="user", content="{{question}}"))
    model = ScriptedModel(in_order(rewrite(("add", "m0.1", "Name the refund window.", "c1"))))
    result = await take(model, prompt=PromptVersion(name="chat", version=1, body=body))
    assert isinstance(result.candidate, Candidate)
    assert result.candidate.body == (Message(role="system", content="Be kind.\nName the refund window."), body[1])


async def test_one_request_holds_the_whole_prompt_and_the_counted_criticisms() -> None:
    model = ScriptedModel(in_order(rewrite()))
    await take(model)
    [request] = model.requests
    assert (request.purpose, request.model, request.reply_name) == ("rewrite", "rewriter", "edits")
    assert request.messages[0].content.startswith(meta.SYSTEM)
    assert "at most 6 edits" in request.messages[0].content
    title, lines, _, block, _ = request.messages[1].content.split("\n")
    assert title == "PROMPT"
    assert [line["text"] for line in json.loads(lines)["lines"]] == str(PROMPT.body).split("\n")
    assert json.loads(block) == {
        "causes": [
            {
                "label": "c1",
                "count": 2,
                "sources": 2,
                "summary": "No refund window.",
                "examples": ["Refund window missing."],
            },
            {"label": "c2", "count": 2, "sources": 2, "summary": "Too cold.", "examples": []},
        ]
    }


async def test_the_request_is_bounded_however_many_criticisms_there_are() -> None:
    causes = tuple(cause(f"c{n}", *(f"{n} {m} " + "words " * 150 for m in range(40))) for n in range(1, 30))
    model = ScriptedModel(in_order(rewrite()))
    result = await take(model, causes=causes)
    assert 0 < len(result.causes) < len(causes)
    assert len(json.dumps(model.requests[0].messages[1].content)) < REWRITER.causes_chars + 1_000
    assert [refused.reason for refused in result.left_out] == ["no room in the rewrite request"] * (
        len(causes) - len(result.causes)
    )


async def test_a_step_is_about_the_best_founded_causes() -> None:
    few = replace(REWRITER, max_causes=1)
    result = await take(ScriptedModel(in_order(rewrite(("add", "3", "Name the refund window.", "c1")))), rewriter=few)
    assert isinstance(result.candidate, Candidate)
    assert result.causes == CAUSES[:1]
    assert [refused.gradients for refused in result.left_out] == [CAUSES[1].gradients]


async def test_no_cause_means_no_call() -> None:
    result = await take(ScriptedModel(in_order()), causes=())
    assert no_candidate(result) == "no root cause calls for a change"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("garbage", "no complete JSON object"),
        ('{"edits": "none"}', '"edits" must be a list of objects'),
        (rewrite(("rename", "1", "x", "c1")), 'edit 1: "op" must be one of add, replace, remove'),
        (rewrite(("add", "1", "x", "c9")), 'edit 1: "cause" must be one of c1, c2'),
        (rewrite(("add", "48", "x", "c1")), 'edit 1 (add at line "48") names a line that does not exist'),
        (rewrite(("add", "1", "a\nb", "c1")), 'edit 1: "text" must be one line'),
        (rewrite(("add", "1", " ", "c1")), "has no text"),
        (rewrite(("remove", "2", "", "c1"), ("replace", "2", "x", "c1")), "contradicts an earlier edit"),
        (rewrite(("replace", "2", "Be kind.", "c1")), "changes nothing"),
        ('{"edits": [{"op": "add", "line": "1", "text": "x", "cause": "c1", "reason": " "}]}', '"reason" must say'),
        (rewrite(("replace", "3", "the new line", "c1")), 'edit 1: "text" repeats the instructions'),
        (rewrite(("add", "3", "Name it.", "c1"))[:-20], "no complete JSON object"),
        (CutOff("it was cut off at 900 tokens"), "it was cut off at 900 tokens"),
        (EmptyReply("it is empty"), "it is empty"),
        (Refused("the model declined"), "the model declined"),
        ('{"edits": [{"op": "add", "line": 1, "text": "x", "cause": "c1", "reason": "y"}]}', '"line" must be a string'),
    ],
)
async def test_an_unusable_reply_is_repaired_with_its_reason(bad: Reply, reason: str) -> None:
    model = ScriptedModel(in_order(bad, rewrite(("add", "3", "Name the refund window.", "c1"))))
    result = await take(model)
    assert isinstance(result.candidate, Candidate)
    assert reason in model.requests[1].messages[-1].content
    assert [request.attempt for request in model.requests] == [0, 1]


async def test_a_model_that_only_answers_garbage_changes_nothing() -> None:
    model = ScriptedModel(lambda _: "garbage {{")
    result = await take(model)
    reason = "the rewriter gave no usable reply in 3 attempts: there is no complete JSON object in it"
    assert result.candidate == NoCandidate(reason=reason, failed=True)
    assert (result.edits, result.document) == ((), None)
    assert len(model.requests) == 3
    assert result.causes == CAUSES


@pytest.mark.parametrize("error", [Unreachable("no answer"), BadCredentials("the key was refused", "set another")])
async def test_a_model_that_cannot_be_asked_is_not_a_verdict(error: Unreachable | BadCredentials) -> None:
    with pytest.raises(type(error)):
        await take(ScriptedModel(lambda _: error))


async def test_no_edits_is_an_answer() -> None:
    assert no_candidate(await take(ScriptedModel(in_order(rewrite())))) == "the rewriter found nothing to change"


async def test_edits_that_cancel_each_other_make_no_candidate() -> None:
    prompt = PromptVersion(name="p", version=1, body="same\nsame")
    model = ScriptedModel(in_order(rewrite(("remove", "1", "", "c1"), ("add", "2", "same", "c1"))))
    assert no_candidate(await take(model, prompt=prompt)) == "the edits leave the prompt as it was"


async def test_the_guard_asks_once_more_with_its_reasons() -> None:
    bad = rewrite(("add", "3", "Name the refund window.", "c1"), ("add", "3", URL, "c2"))
    good = rewrite(("add", "3", "Name the refund window.", "c1"))
    model = ScriptedModel(in_order(bad, good))
    result = await take(model)
    assert isinstance(result.candidate, Candidate)
    assert result.refused == ()
    note = model.requests[1].messages[-1].content
    assert "edit 2: The text holds an address" in note
    assert "evil" not in note
    assert model.requests[1].attempt == 1


@pytest.mark.parametrize(
    "second", [rewrite(("add", "3", "Name it.", "c1"), ("add", "1", URL, "c2"), ("add", "2", MAIL, "c2")), "garbage"]
)
async def test_edits_that_still_break_the_guard_are_dropped_one_by_one(second: str) -> None:
    first = rewrite(("add", "3", "Name it.", "c1"), ("add", "1", URL, "c2"), ("add", "2", MAIL, "c2"))
    model = ScriptedModel(in_order(first, second))
    result = await take(model)
    assert isinstance(result.candidate, Candidate)
    assert result.candidate.body == f"{PROMPT.body}\nName it."
    assert [edit.text for edit in result.candidate.edits] == ["Name it."]
    assert {refused.edit.text for refused in result.refused} == {URL, MAIL}
    assert len(model.requests) == 2


async def test_no_edit_left_is_no_candidate() -> None:
    result = await take(ScriptedModel(lambda _: rewrite(("add", "1", URL, "c2"))))
    assert no_candidate(result).startswith("the guard refused every edit: The text holds an address")
    assert len(result.refused) == 1


MANY = "There are {} edits; make at most {}, those for the best founded causes."


async def test_more_edits_than_a_step_may_make_are_asked_for_again_and_then_the_best_founded_causes_stay() -> None:
    warm, cold = ("add", "2", "Warm.", "c2"), ("remove", "2", "", "c2")
    refund = ("add", "1", "Name the refund window.", "c1")
    model = ScriptedModel(lambda _: rewrite(warm, refund, cold))
    result = await take(model, rewriter=replace(REWRITER, limits=Limits(max_edits=2)))
    assert isinstance(result.candidate, Candidate)
    assert [edit.text for edit in result.edits] == ["Name the refund window."]
    assert result.candidate.body == "You are the assistant of {{shop}}.\nName the refund window.\nBe kind.\nBe short."
    assert [(r.edit.op, r.edit.text, r.reason) for r in result.refused] == [
        ("add", "Warm.", MANY.format(3, 2)),
        ("remove", "", MANY.format(3, 2)),
    ]
    assert len(model.requests) == 2
    assert f"edit 1, 3: {MANY.format(3, 2)}" in model.requests[1].messages[-1].content


async def test_what_breaks_a_rule_takes_no_place_from_what_may_stand() -> None:
    edits = [("add", "1", URL, "c1"), ("add", "1", "Name the refund window.", "c1"), ("add", "2", "Warm.", "c2")]
    model = ScriptedModel(in_order(rewrite(*edits), "garbage"))
    result = await take(model, rewriter=replace(REWRITER, limits=Limits(max_edits=2)))
    assert [edit.text for edit in result.edits] == ["Name the refund window.", "Warm."]
    assert [refused.edit.text for refused in result.refused] == [URL]
    note = model.requests[1].messages[-1].content
    assert "edit 1: The text holds an address" in note
    assert f"edit 3: {MANY.format(3, 2)}" in note


async def test_a_smaller_cause_fits_where_a_larger_one_does_not() -> None:
    edits = [("add", "1", "One.", "c1"), ("add", "1", "Two.", "c1"), ("add", "2", "Warm.", "c2")]
    result = await take(
        ScriptedModel(lambda _: rewrite(*edits)), rewriter=replace(REWRITER, limits=Limits(max_edits=1))
    )
    assert [edit.text for edit in result.edits] == ["Warm."]
    assert [refused.edit.text for refused in result.refused] == ["One.", "Two."]


async def test_no_cause_is_answered_by_half() -> None:
    model = ScriptedModel(lambda _: rewrite(("remove", "2", "", "c1"), ("add", "3", "Be kind.", "c1")))
    result = await take(model, rewriter=replace(REWRITER, limits=Limits(max_edits=1)))
    assert no_candidate(result) == f"the rewrite breaks the guard: {MANY.format(2, 1)}"
    assert len(model.requests) == 2


async def test_a_violation_that_no_edit_is_blamed_for_is_no_candidate() -> None:
    model = ScriptedModel(lambda _: rewrite(("add", "1", "Name the refund window.", "c1"), ("add", "2", "Warm.", "c2")))
    result = await take(model, rewriter=replace(REWRITER, limits=Limits(max_chars=1, free_growth_chars=0)))
    assert no_candidate(result).startswith("the rewrite breaks the guard: ")
    assert len(model.requests) == 2


async def test_a_variable_that_got_lost_makes_no_candidate() -> None:
    result = await take(ScriptedModel(lambda _: rewrite(("replace", "1", "You are an assistant.", "c1"))))
    assert "The prompt lost a use of {{shop}}" in no_candidate(result)


async def test_words_of_a_trace_do_not_get_in() -> None:
    said = "please always send the parcel to my neighbour on the third floor"
    model = ScriptedModel(lambda _: rewrite(("add", "3", f"Now {said}.", "c1")))
    result = await take(model, source_texts=(f"Hello, {said}, thanks",))
    assert "words of a trace" in no_candidate(result)
    recorded = json.dumps([{"role": "user", "content": said.replace(" to ", "\nto\n").replace("third", "th\u200bird")}])
    assert "words of a trace" in no_candidate(await take(model, source_texts=(recorded,)))


async def test_megabytes_of_what_people_wrote_are_compared_as_far_as_a_model_read_them() -> None:
    said = "please always send the parcel to my neighbour on the third floor"
    model = ScriptedModel(lambda _: rewrite(("add", "3", f"Now {said}.", "c1")))
    filler = "x " * 500_000
    assert isinstance((await take(model, source_texts=(filler + said + filler,))).candidate, Candidate)
    assert "words of a trace" in no_candidate(await take(model, source_texts=(filler + said,)))


async def test_a_flood_of_edits_is_not_read() -> None:
    flood = rewrite(*[("add", "3", f"Line {n}.", "c1") for n in range(41)])
    result = await take(ScriptedModel(lambda _: flood))
    assert "41 entries; make at most" in no_candidate(result)


async def test_with_the_guard_off_everything_gets_in() -> None:
    rewriter = Rewriter(
        model="r", attempts=1, max_tokens=9, max_causes=9, causes_chars=4_000, limits=Limits(max_edits=0), guard=False
    )
    replies: list[Reply] = [rewrite(("add", "3", URL, "c1"))]
    result = await take(ScriptedModel(in_order(*replies)), rewriter=rewriter)
    assert isinstance(result.candidate, Candidate)
    assert str(result.candidate.body).endswith(URL)
