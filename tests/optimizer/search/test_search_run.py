"""The whole search on a task whose truth is plain: what it finds, what it spends, and that chance plays no part."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from toy import FENCE, PLAN, SEED, WORDS, Reply, ToyJudge, ToyModel, data, rows

from optimizer.documents.document import Document
from optimizer.errors import BadCredentials, OverBudget, Unreachable
from optimizer.ports import ModelRequest
from optimizer.prompts import Message, Placeholder, PromptVersion
from optimizer.search.events import Event, Judged, Measured, Proposed, Stopped
from optimizer.search.found import Found
from optimizer.search.plan import SearchPlan
from optimizer.search.search import search
from optimizer.steps.tgd import NoCandidate
from optimizer.types import Candidate, Case, Scored

TRAIN, VALIDATION = rows("t", 20), rows("v", 12)
BEST = {SEED.body, *(f"Speak of {word}." for word in WORDS)}


async def run(
    model: ToyModel,
    *,
    plan: SearchPlan = PLAN,
    judge: ToyJudge | None = None,
    train: Sequence[Case] = TRAIN,
    validation: Sequence[Case] = VALIDATION,
    prompt: PromptVersion = SEED,
    told: list[Event] | None = None,
) -> Found:
    return await search(
        prompt,
        train=train,
        validation=validation,
        model=model,
        judge=judge or ToyJudge(),
        plan=plan,
        fence=FENCE,
        watch=(told if told is not None else []).append,
    )


def lines(found: Found) -> set[str]:
    """The lines that the search added."""
    assert isinstance(found.document.body, str)
    return set(found.document.body.splitlines()) - set(str(SEED.body).splitlines())


def speaks_of(*words: str) -> set[str]:
    return {f"Speak of {word}." for word in words}


def reason(found: Found) -> str:
    assert isinstance(found.best, NoCandidate)
    assert found.document.body == SEED.body
    assert found.best_score == found.seed_score
    return found.best.reason


async def test_every_missing_line_is_found_in_one_round_and_leads_back_to_its_rows() -> None:
    model, told = ToyModel(), list[Event]()
    found = await run(model, told=told)
    assert lines(found) == speaks_of(*WORDS)
    assert (found.seed_score, found.best_score, found.rounds) == (0.0, 1.0, 2)
    assert found.stopped_because == "no criticism calls for a change of the prompt any more"
    assert isinstance(found.best, Candidate)
    assert found.best.body == found.document.body
    assert Document.of(SEED.body).apply(found.best.edits).body == found.best.body
    for edit in found.best.edits:
        asked = {g.loss.trace.generation.id for g in edit.cause.gradients}
        assert asked == {case.id for case in TRAIN if edit.text == f"Speak of {case.reference}."}
    assert [type(event) for event in told] == [Measured, Proposed, Judged, Stopped]


async def test_calls_are_counted_and_none_is_made_twice() -> None:
    model = ToyModel()
    found = await run(model)
    task = [request.key for request in model.requests if request.purpose == "task"]
    assert len(task) == len(set(task)) == found.task_calls
    assert found.usage.calls == len(model.requests)
    assert found.usage.cost_usd == pytest.approx(0.1 * len(model.requests))
    assert model.calls["backward"] == 20


async def test_gradients_are_made_of_training_rows_alone() -> None:
    model = ToyModel()
    await run(model)
    asked = [data(request)["input"] for request in model.requests if request.purpose == "backward"]
    assert all("t-" in said and "v-" not in said for said in asked)


async def test_the_rows_of_a_prompt_with_variables_and_messages_are_filled_in() -> None:
    body = (Message(role="system", content="You are {{who}}.\nBe kind."), Placeholder(name="past"))
    prompt = PromptVersion(name="chat", version=1, body=body)
    given = {"variables": (("who", "Ada"),), "placeholders": (("past", (Message(role="user", content="Hi."),)),)}
    train, validation = (
        [replace(case, input=replace(case.input, **given)) for case in side] for side in (TRAIN, VALIDATION)
    )
    model = ToyModel()
    found = await run(model, prompt=prompt, train=train, validation=validation)
    assert found.best_score == 1.0
    first = model.requests[0].messages
    assert [(m.role, m.content.partition("\n")[0]) for m in first[:2]] == [("system", "You are Ada."), ("user", "Hi.")]
    [asked] = {json.dumps(json.loads(data(r)["input"])["variables"]) for r in model.requests if r.purpose == "backward"}
    assert asked == '{"who": "Ada"}'


# ---- no change is the default ----------------------------------------------------------------------------------------


async def test_a_seed_without_a_bad_answer_is_left_alone() -> None:
    prompt = replace(SEED, body="\n".join(f"Speak of {word}." for word in WORDS))
    model = ToyModel()
    found = await run(model, prompt=prompt)
    assert isinstance(found.best, NoCandidate)
    assert found.stopped_because == "nothing is to be won: the seed answers all 20 training rows well"
    assert model.calls == {"task": 32}


async def test_critics_that_see_no_fault_end_the_search() -> None:
    def faults(request: ModelRequest) -> Reply | None:
        content = json.dumps({"change": False, "gradient": "Not the prompt's doing."})
        return content if request.purpose == "backward" else None

    found = await run(ToyModel(faults=faults))
    assert reason(found) == "no criticism calls for a change of the prompt any more"
    assert found.task_calls == 32


async def test_what_one_row_alone_misses_changes_nothing() -> None:
    train = [*rows("t", 4, ["apples"]), *rows("u", 1, ["bridges"])]
    model = ToyModel()
    found = await run(model, train=train, validation=rows("v", 12))
    assert lines(found) == speaks_of("apples")
    assert found.stopped_because == "no root cause stands any more: 1 of 2 independent sources"


async def test_what_one_row_alone_misses_is_mended_last_where_that_is_enough() -> None:
    train = [*rows("t", 4, ["apples"]), *rows("u", 1, ["bridges"])]
    found = await run(ToyModel(), plan=replace(PLAN, least_quorum=1), train=train, validation=rows("v", 12))
    assert lines(found) == speaks_of("apples", "bridges")
    assert found.rounds > 1
    assert [len(edit.cause.sources) for edit in found.document.edits] == [4, 1]


async def test_lines_that_help_nobody_leave_the_seed() -> None:
    found = await run(ToyModel(line="Think of {}.".format), plan=replace(PLAN, max_task_calls=300))
    assert reason(found).startswith(
        "5 steps in a row made no new prompt, the last because the guard refused every edit"
    )
    assert {one.edit.text for one in found.rejected} == {f"Think of {word}." for word in WORDS}
    assert {one.reason for one in found.rejected} == {"it fixed none of the cases that it was made for"}


async def test_lines_that_harm_are_rejected() -> None:
    """They make every answer worse, also those that were good."""

    def faults(request: ModelRequest) -> Reply | None:
        harmed = request.purpose == "task" and "Harm" in request.messages[0].content
        return "Nothing." if harmed else None

    prompt = replace(SEED, body=f"{SEED.body}\nSpeak of apples.")
    found = await run(ToyModel(faults=faults, line="Harm with {}.".format), prompt=prompt)
    assert isinstance(found.best, NoCandidate)
    assert found.document.body == prompt.body
    assert found.best_score == found.seed_score == 0.25


async def test_a_gain_that_may_be_luck_leaves_the_seed() -> None:
    train, validation = rows("t", 8), [*rows("v", 1, ["apples"]), *rows("w", 11, ["elms"])]
    found = await run(ToyModel(), train=train, validation=validation)
    assert reason(found) == "the best rewrite gains 1.00 on 12 validation cases, which may be chance"


async def test_a_rewriter_that_never_gives_a_usable_reply_leaves_the_seed_and_is_asked_for_less_each_time() -> None:
    model = ToyModel(faults=lambda request: "garbage" if request.purpose == "rewrite" else None)
    found = await run(model)
    assert reason(found).startswith("5 steps in a row made no new prompt, the last because the rewriter gave no usable")
    sizes = [len(data(request)["causes"]) for request in model.requests if request.purpose == "rewrite"]
    assert sizes == [4] * 3 + [2] * 3 + [1] * 9
    assert found.task_calls == 32


async def test_a_rewriter_that_cannot_be_reached_leaves_the_seed() -> None:
    model = ToyModel(faults=lambda request: Unreachable("gone") if request.purpose == "rewrite" else None)
    assert "the rewriter could not be asked (Unreachable)" in reason(await run(model))


async def test_answers_that_nobody_can_score_leave_the_seed() -> None:
    judge = ToyJudge(faults=lambda *_: Unreachable("gone"))
    assert reason(await run(ToyModel(), judge=judge)) == "no answer of the seed prompt could be scored"


# ---- bad lines, doubts, repairs --------------------------------------------------------------------------------------


def once(text: str, word: str, request: ModelRequest) -> Reply | None:
    """The rewriter's first line for a word is this text."""
    if request.purpose != "rewrite" or text in request.messages[1].content:
        return None
    causes = data(request)["causes"]
    if not any(word in cause["summary"] for cause in causes):
        return None
    last = json.loads(request.messages[1].content.splitlines()[1])["lines"][-1]["id"]
    said = [(cause["label"], cause["summary"].split()[-1].rstrip(".")) for cause in causes]
    edits = [
        {"op": "add", "line": last, "text": text if w == word else f"Speak of {w}.", "cause": label, "reason": "So."}
        for label, w in said
    ]
    return json.dumps({"edits": edits})


async def test_a_line_that_nobody_recognises_is_replaced_not_kept() -> None:
    plan = replace(PLAN, verify=False)
    model, told = ToyModel(faults=lambda request: once("Praise fruit.", "apples", request)), list[Event]()
    found = await run(model, plan=plan, told=told)
    bodies = [str(event.body) for event in told if isinstance(event, Proposed)]
    assert ["Praise fruit." in body for body in bodies] == [True, False]
    assert lines(found) == speaks_of(*WORDS)
    assert [(one.edit.text, one.reason) for one in found.rejected] == [
        ("Praise fruit.", "it fixed none of the cases that it was made for")
    ]
    second = [request for request in model.requests if request.purpose == "rewrite"][1]
    assert [past["verdict"] for past in data(second)["history"]] == ["pass", "fail"]


async def test_an_edit_that_misses_its_cause_is_made_anew_before_anybody_pays() -> None:
    model = ToyModel(faults=lambda request: once("Praise fruit.", "apples", request))
    found = await run(model)
    assert lines(found) == speaks_of(*WORDS)
    assert found.rounds == 2
    assert [(one.edit.text, one.reason) for one in found.rejected] == [
        ("Praise fruit.", "before it was run, it was found not to answer its cause")
    ]
    assert all("Praise" not in request.messages[0].content for request in model.requests if request.purpose == "task")


async def test_doubts_delay_an_edit_and_never_veto_it() -> None:
    """A verifier that denies everything costs a repair; the first edits are run all the same."""

    def faults(request: ModelRequest) -> Reply | None:
        if request.purpose != "verify":
            return None
        causes = data(request)["causes"]
        return json.dumps({"answers": [{"cause": c["label"], "answered": False, "why": "No."} for c in causes]})

    found = await run(ToyModel(faults=faults))
    assert lines(found) == speaks_of(*WORDS)


async def test_an_edit_that_is_called_needless_by_mistake_comes_back() -> None:
    """A verifier that grants everything finds every edit needless, the first time."""

    def faults(request: ModelRequest) -> Reply | None:
        if request.purpose != "verify":
            return None
        causes = data(request)["causes"]
        return json.dumps({"answers": [{"cause": c["label"], "answered": True, "why": "Yes."} for c in causes]})

    found = await run(ToyModel(faults=faults))
    assert lines(found) == speaks_of(*WORDS)


async def test_of_two_lines_that_do_the_same_one_is_taken_out_at_the_end() -> None:
    """The rewriter adds a line that changes nothing beside each that does; nobody verifies."""

    def faults(request: ModelRequest) -> Reply | None:
        if request.purpose != "rewrite":
            return None
        last = json.loads(request.messages[1].content.splitlines()[1])["lines"][-1]["id"]
        texts = [
            (c["label"], text)
            for c in data(request)["causes"]
            for w in [c["summary"].split()[-1].rstrip(".")]
            for text in (f"Speak of {w}.", f"Always think about {w} first.")
        ]
        edits = [{"op": "add", "line": last, "text": t, "cause": label, "reason": "So."} for label, t in texts]
        return json.dumps({"edits": edits})

    found = await run(ToyModel(faults=faults), plan=replace(PLAN, verify=False))
    assert lines(found) == speaks_of(*WORDS)
    assert found.best_score == 1.0


async def test_of_two_lines_that_both_work_one_stays() -> None:
    def faults(request: ModelRequest) -> Reply | None:
        if request.purpose != "rewrite":
            return None
        last = json.loads(request.messages[1].content.splitlines()[1])["lines"][-1]["id"]
        said = [(c["label"], c["summary"].split()[-1].rstrip(".")) for c in data(request)["causes"]]
        texts = [(label, text) for label, w in said for text in (f"Speak of {w}.", f"Always: Speak of {w}.")]
        edits = [{"op": "add", "line": last, "text": t, "cause": label, "reason": "So."} for label, t in texts]
        return json.dumps({"edits": edits})

    found = await run(ToyModel(faults=faults), plan=replace(PLAN, verify=False))
    assert len(lines(found)) == 4
    assert found.best_score == 1.0


async def test_rounds_that_bring_nothing_end_the_search() -> None:
    tries = iter(range(1000))
    found = await run(
        ToyModel(line=lambda word: f"Think of {word} and {next(tries)}."),
        plan=replace(PLAN, max_task_calls=400, verify=False),
    )
    assert reason(found) == "3 rounds in a row brought nothing better"
    assert found.rounds == 3


# ---- budget ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [40, 44, 60, 75, 90])
async def test_the_budget_is_never_exceeded(budget: int) -> None:
    def faults(request: ModelRequest) -> Reply | None:
        shaky = request.purpose == "task" and int(request.key[:4], 16) % 3 == 0
        return Unreachable("gone") if shaky else None

    model = ToyModel(faults=faults)
    found = await run(model, plan=replace(PLAN, max_task_calls=budget))
    assert model.calls["task"] == found.task_calls <= budget


async def test_a_budget_for_one_rewrite_buys_one() -> None:
    told = list[Event]()
    found = await run(ToyModel(), plan=replace(PLAN, max_task_calls=40), told=told)
    assert found.stopped_because == "the budget of 40 task calls is used up"
    assert (found.best_score, found.task_calls) == (1.0, 40)
    [judged] = [event for event in told if isinstance(event, Judged)]
    assert (judged.accepted, judged.validation, judged.task_calls) == (True, 1.0, 40)


async def test_the_models_own_budget_ends_the_search_with_what_it_has() -> None:
    asked: list[str] = []

    def faults(request: ModelRequest) -> Reply | None:
        asked.append(request.purpose)
        return OverBudget("no more than 1 USD") if len(asked) > 100 else None

    found = await run(ToyModel(faults=faults), train=rows("t", 40), plan=replace(PLAN, max_causes=1))
    assert found.stopped_because == "the model's own budget is used up: no more than 1 USD"


async def test_what_would_fail_for_every_call_is_raised() -> None:
    with pytest.raises(BadCredentials):
        await run(ToyModel(faults=lambda _: BadCredentials("the key was refused", "set another")))


async def test_the_critic_is_asked_about_so_many_answers_and_no_more() -> None:
    model = ToyModel()
    found = await run(model, plan=replace(PLAN, max_losses=8))
    assert model.calls["backward"] <= 8 * found.rounds
    assert lines(found) == speaks_of(*WORDS)


# ---- breadth ---------------------------------------------------------------------------------------------------------


async def test_with_room_several_rewrites_are_screened_merged_and_raced() -> None:
    """One rewrite knows two of the words and the other the rest: the merge knows all."""

    def faults(request: ModelRequest) -> Reply | None:
        if request.purpose != "rewrite":
            return None
        known = WORDS[:2] if request.attempt == 0 else WORDS[2:]
        last = json.loads(request.messages[1].content.splitlines()[1])["lines"][-1]["id"]
        said = [(c["label"], c["summary"].split()[-1].rstrip(".")) for c in data(request)["causes"]]
        texts = [(label, f"Speak of {w}." if w in known else f"Think of {w}.") for label, w in said]
        return json.dumps(
            {"edits": [{"op": "add", "line": last, "text": t, "cause": c, "reason": "So."} for c, t in texts]}
        )

    told, model = list[Event](), ToyModel(faults=faults)
    found = await run(model, plan=replace(PLAN, max_task_calls=800, verify=False), told=told)
    assert lines(found) == speaks_of(*WORDS)
    first = [event for event in told if isinstance(event, Proposed) and event.round == 1]
    assert len(first) == 3
    [judged] = [event for event in told if isinstance(event, Judged) and event.round == 1]
    assert judged.body == first[2].body == found.document.body


# ---- chance ----------------------------------------------------------------------------------------------------------


async def test_the_result_does_not_depend_on_latency() -> None:
    def faults(request: ModelRequest) -> Reply | None:
        luck = int(request.key[4:8], 16) % 16
        if request.purpose in ("task", "backward") and luck == 0:
            return Unreachable("gone")
        if request.purpose == "backward" and luck == 1:
            return "garbage"
        return once("Praise fruit.", "apples", request) if request.purpose == "rewrite" else None

    seen, arrivals = set(), set()
    for pace in (0, 1, 3, 7):
        model = ToyModel(faults=faults, pace=lambda request, pace=pace: int(request.key[:4], 16) * pace % 13)
        told = list[Event]()
        found = await run(model, plan=replace(PLAN, max_task_calls=110), told=told)
        arrivals.add(tuple(model.answered))
        seen.add((found, tuple(told), tuple(sorted(model.answered))))
    assert len(arrivals) == 4
    [(found, _, _)] = seen
    assert lines(found) == speaks_of(*WORDS)


async def test_the_seed_of_the_plan_decides_which_rows_are_studied() -> None:
    train = rows("t", 200)

    async def studied(seed: int) -> set[str]:
        model = ToyModel()
        await run(model, train=train, plan=replace(PLAN, max_task_calls=110, seed=seed))
        return {
            r.messages[-1].content for r in model.requests if r.purpose == "task" and "t-" in r.messages[-1].content
        }

    assert await studied(1) == await studied(1)
    assert await studied(1) != await studied(2)


async def test_a_judge_without_words_gives_the_expected_answer_as_a_correction() -> None:
    judge = ToyJudge(faults=lambda case, output: Scored(value=float(str(case.reference) in output), reason=""))
    model = ToyModel()
    await run(model, judge=judge)
    told = [data(request) for request in model.requests if request.purpose == "backward"]
    assert {one["kind"] for one in told} == {"correction"}
    assert {one["complaint"] for one in told} == set(WORDS)
