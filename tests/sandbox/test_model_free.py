"""The simulated model answers other optimizers' requests sensibly, with the competence that it has for ours."""

import json
from collections import Counter
from collections.abc import Sequence

from sandbox.model.families import Kind, family
from sandbox.model.free import criticism, rewritten
from sandbox.model.grader import grade
from sandbox.model.ideas import Idea, contradicts, sentences, speaks_of, states
from sandbox.model.reading import Lab, Shuffle
from sandbox.model.roles import perform
from sandbox.model.shapes import Example, task_in
from sandbox.model.task import answer
from sandbox.model.wire import Call, read_call
from sandbox.model.world import Case, World

WORLD = family(Kind.PLAIN, 7)
LAB = Lab(world=WORLD, seed=1, fenced_obedience=0.3)
CASES = WORLD.cases(60, seed=1, stream="train")
FENCE = "```"


def call(system: str, user: str, model: str = "sim-critic") -> Call:
    messages = [{"role": "system", "content": system}] if system else []
    body = {"model": model, "messages": [*messages, {"role": "user", "content": user}]}
    return read_call(body, structured=True)


def failed(world: World = WORLD, cases: Sequence[Case] = CASES) -> list[tuple[Case, str, str]]:
    """Rows that the first prompt answers badly, with answer and feedback."""
    said = [(case, answer(world, seed=1, prompt=world.base_prompt, question=case.question)) for case in cases]
    return [(case, text, graded.feedback) for case, text in said if not (graded := grade(world, case, text)).score]


def stated(prompt: str, world: World = WORLD) -> set[str]:
    return {idea.key for idea in world.ideas if any(states(idea, part) for part in sentences(prompt))}


def named(text: str) -> set[str]:
    return {idea.key for idea in WORLD.known if any(speaks_of(idea, part) for part in sentences(text))}


def reflection(prompt: str, rows: Sequence[tuple[Case, str, str]]) -> Call:
    shown = "\n\n".join(
        f"# Example {n}\n## Inputs\n{case.question}\n\n## Generated Outputs\n{text}\n\n## Feedback\n{said}\n\n"
        for n, (case, text, said) in enumerate(rows, 1)
    )
    return call("", f"Now:\n{FENCE}\n{prompt}\n{FENCE}\n\nRuns:\n{FENCE}\n{shown}\n{FENCE}\n\nWrite a new one.")


def test_a_reflection_gets_a_whole_prompt_with_what_the_examples_miss() -> None:
    rows = failed()
    gained: Counter[bool] = Counter()
    for start in range(0, len(rows) - 3, 3):
        batch = rows[start : start + 3]
        reply = perform(LAB, reflection(WORLD.base_prompt, batch))
        assert reply.startswith(f"{FENCE}\n")
        assert reply.endswith(f"\n{FENCE}")
        new = reply[4:-4]
        kept = [line for line in WORLD.base_prompt.split("\n") if line in new.split("\n")]
        assert len(kept) >= len(WORLD.base_prompt.split("\n")) - 1
        for case, _, _ in batch:
            gained[case.ideas[0] in stated(new)] += 1
    assert gained[True] / gained.total() >= 0.75
    assert gained[False] > 0


def test_the_free_critic_errs_as_often_as_ours() -> None:
    outcome: Counter[str] = Counter()
    for case, text, feedback in failed(cases=WORLD.cases(400, seed=5, stream="errors")):
        example = Example(question=case.question, output=text, feedback=feedback)
        found = named(criticism(LAB, WORLD.base_prompt, example, case.question))
        outcome["vague" if not found else "right" if case.ideas[0] in found else "wrong"] += 1
    assert 0.02 <= outcome["vague"] / outcome.total() <= 0.12
    assert 0.02 <= outcome["wrong"] / outcome.total() <= 0.15


def test_a_rewrite_states_nothing_twice_and_slips_now_and_then() -> None:
    said = [f"Add guidance about {idea.names[0]}." for idea in WORLD.ideas]
    prompts = [rewritten(LAB, WORLD.base_prompt, said, f"key {n}") for n in range(60)]
    for prompt in prompts:
        parts = sentences(prompt)
        assert max(sum(states(idea, part) for part in parts) for idea in WORLD.ideas) == 1
    lines = len(WORLD.base_prompt.split("\n")) + len(WORLD.ideas) - len(stated(WORLD.base_prompt))
    assert {len(prompt.split("\n")) for prompt in prompts} <= {lines, lines - 1}
    missing = sum(len(WORLD.ideas) - len(stated(prompt)) for prompt in prompts) / (60 * len(WORLD.ideas))
    assert 0.01 <= missing <= 0.12


def test_a_reflection_over_right_answers_changes_nothing() -> None:
    right = [(case, WORLD.idea(case.ideas[0]).answer, "Correct: it is there.") for case in CASES[:3]]
    assert perform(LAB, reflection(WORLD.base_prompt, right)) == f"{FENCE}\n{WORLD.base_prompt}\n{FENCE}"


def conversation(system: str, asked: str, said: str) -> str:
    parts = {"LM_SYSTEM_PROMPT": system, "LM_INPUT": asked, "LM_OUTPUT": said}
    return "\n".join(f"<{tag}> {text} </{tag}>" for tag, text in parts.items())


def test_text_gradients_pass_from_the_evaluation_to_the_prompt() -> None:
    right, rows = 0, failed()
    for case, text, feedback in rows:
        evaluation = f"Evaluate the answer to: {case.question}\n<GRADE>{feedback}</GRADE>"
        judged = perform(LAB, call(evaluation, text))
        assert judged == feedback
        base = f"{conversation(evaluation, text, judged)}<OBJECTIVE_FUNCTION>Improve the metric.</OBJECTIVE_FUNCTION>"
        short = " ".join([*text.split()[:10], "(...)", *text.split()[-10:]])
        relayed = perform(LAB, call("Give feedback.", f"{base}<VARIABLE> {short} </VARIABLE>"))
        assert relayed == feedback
        prompt = WORLD.base_prompt
        objective = f"<OBJECTIVE_FUNCTION>Address this feedback: {relayed} </OBJECTIVE_FUNCTION>"
        short = " ".join([*prompt.split(" ")[:10], "(...)", *prompt.split(" ")[-10:]])
        chain = f"{conversation(prompt, case.question, text)}{objective}<VARIABLE> {short} </VARIABLE>"
        right += case.ideas[0] in named(perform(LAB, call("Give feedback.", chain)))
    assert 0.8 <= right / len(rows) < 1


def test_an_update_reads_the_whole_prompt_and_adds_what_the_feedback_asks_for() -> None:
    wanted = [idea for idea in WORLD.ideas if idea.key not in stated(WORLD.base_prompt)]
    prompt = WORLD.base_prompt
    short = " ".join([*prompt.split(" ")[:10], "(...)", *prompt.split(" ")[-10:]])
    context = "".join(
        f"{conversation(prompt, 'A question?', 'An answer.')}<FEEDBACK>Add guidance about {idea.names[0]}.</FEEDBACK>"
        for idea in wanted
    )
    system = "Reply between <IMPROVED_VARIABLE> and </IMPROVED_VARIABLE>."
    reply = perform(LAB, call(system, f"<VARIABLE> {short} </VARIABLE><CONTEXT>{context}</CONTEXT>"))
    new = reply.removeprefix("<IMPROVED_VARIABLE>").removesuffix("</IMPROVED_VARIABLE>")
    assert len(stated(new)) >= len(WORLD.ideas) - 1
    assert all(line in new for line in prompt.split("\n")[:2])


def fields(wanted: str, **given: str) -> str:
    shown = "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in given.items())
    return f"{shown}\n\nAnswer with the field `[[ ## {wanted} ## ]]`, and then `[[ ## completed ## ]]`."


def value(reply: str, name: str) -> str:
    head, _, rest = reply.partition(f"[[ ## {name} ## ]]\n")
    assert head == ""
    text, end, tail = rest.partition("\n\n[[ ## completed ## ]]")
    assert end
    assert tail == ""
    return text


def test_named_fields_lead_from_rows_to_an_instruction() -> None:
    rows = [f"Example({{'question': {case.question!r}, 'answer': {case.expected!r}}})" for case in CASES]
    observed = " ".join(
        value(
            perform(LAB, call("s", fields("observations", examples=f"[{', '.join(rows[n : n + 10])}]"))), "observations"
        )
        for n in range(0, 60, 10)
    )
    assert named(observed) >= {idea.key for idea in WORLD.ideas}
    summary = value(perform(LAB, call("s", fields("summary", observations=observed))), "summary")
    assert 1 <= len(named(summary)) <= 6
    asked = fields(
        "proposed_instruction", dataset_description=summary, basic_instruction=WORLD.base_prompt, tip="Be brief."
    )
    new = value(perform(LAB, call("s", asked)), "proposed_instruction")
    assert len(stated(new)) >= len(stated(WORLD.base_prompt)) + 3
    assert value(perform(LAB, call("s", fields("program_description", program_code="x"))), "program_description")


def test_a_reflection_with_named_fields_is_answered_as_a_json_object() -> None:
    rows = failed()[:8]
    examples = [
        {"Inputs": {"question": case.question}, "Generated Outputs": {"answer": text}, "Feedback": said}
        for case, text, said in rows
    ]
    user = (
        f"[[ ## current_instruction ## ]]\n{WORLD.base_prompt}\n\n[[ ## examples_with_feedback ## ]]\n"
        f"{json.dumps(examples)}\n\nReply with a JSON object of these fields: `new_instruction`."
    )
    new = json.loads(perform(LAB, call("s", user)))["new_instruction"]
    assert len(stated(new) & {case.ideas[0] for case, _, _ in rows}) >= len({case.ideas[0] for case, _, _ in rows}) - 2
    assert all(line in new for line in WORLD.base_prompt.split("\n")[:2])


def test_a_task_call_with_named_fields_is_answered_as_one_without() -> None:
    lines = WORLD.oracle_prompt.split("\n")
    system = "Fields: question.\nIn this structure, your objective is: \n        " + "\n        ".join(lines)
    for case in CASES[:10]:
        asked = call(system, fields("answer", question=case.question), model="sim-task")
        assert task_in(asked) == (WORLD.oracle_prompt, case.question, "answer")
        bare = perform(LAB, call(WORLD.oracle_prompt, case.question, model="sim-task"))
        assert value(perform(LAB, asked), "answer") == bare


def test_the_same_free_request_is_drawn_anew_and_repeats_elsewhere() -> None:
    asked = reflection(WORLD.base_prompt, failed()[:3])
    replies = [perform(LAB, asked, attempt=n) for n in range(6)]
    assert len(set(replies)) > 1
    assert replies == [perform(LAB, asked, attempt=n) for n in range(6)]


def ours(data: dict[str, object], prompt: str, kind: str) -> Call:
    lines = [{"id": str(n), "text": text} for n, text in enumerate(prompt.split("\n"), 1)]
    block = f"<data-ab12>\n{json.dumps(data)}\n</data-ab12>"
    shape = {"type": "json_schema", "json_schema": {"name": kind}}
    user = f"PROMPT\n{json.dumps({'lines': lines})}\n{block}"
    return read_call(
        {"model": "sim-critic", "messages": [{"role": "user", "content": user}], "response_format": shape},
        structured=True,
    )


def test_our_critic_is_as_often_right_as_the_free_one() -> None:
    rates: Counter[str] = Counter()
    rows = failed(cases=WORLD.cases(400, seed=3, stream="more"))
    for case, text, feedback in rows:
        data: dict[str, object] = {"input": case.question, "output": text, "kind": "feedback", "complaint": feedback}
        said = json.loads(perform(LAB, ours(data, WORLD.base_prompt, "gradient")))
        rates["ours"] += bool(named(said["gradient"]) & set(case.ideas))
        free = perform(LAB, reflection("Be nice.", [(case, text, feedback)]))
        rates["free"] += bool(stated(free) & set(case.ideas))
    assert abs(rates["ours"] - rates["free"]) / len(rows) < 0.10
    right = {"input": "What?", "output": "That.", "kind": "feedback", "complaint": "Correct: it is there."}
    assert json.loads(perform(LAB, ours(right, WORLD.base_prompt, "gradient")))["change"] is False


def test_shuffled_replies_are_about_other_traces_or_other_tasks() -> None:
    about: dict[Shuffle, Counter[str]] = {}
    for shuffle in Shuffle:
        lab = Lab(world=WORLD, seed=1, fenced_obedience=0, shuffle=shuffle)
        about[shuffle] = Counter()
        for case, text, feedback in failed():
            data: dict[str, object] = {
                "input": case.question,
                "output": text,
                "kind": "feedback",
                "complaint": feedback,
            }
            found = named(json.loads(perform(lab, ours(data, "Be nice.", "gradient")))["gradient"])
            about[shuffle]["own" if found & set(case.ideas) else "task" if found & _keys(WORLD.ideas) else "none"] += 1
    total = about[Shuffle.NONE].total()
    assert about[Shuffle.NONE]["own"] / total > 0.75
    assert about[Shuffle.TRACES]["own"] / total < 0.5
    assert about[Shuffle.TRACES]["task"] / total > 0.4
    assert about[Shuffle.TASKS] == {"none": total}


def _keys(ideas: Sequence[Idea]) -> set[str]:
    return {idea.key for idea in ideas}


def test_self_verification_says_per_cause_whether_the_prompt_states_it() -> None:
    right = total = 0
    for seed in range(60):
        lab = Lab(world=WORLD, seed=seed, fenced_obedience=0)
        causes = [{"label": f"c{n}", "summary": f"Add guidance about {i.names[0]}."} for n, i in enumerate(WORLD.ideas)]
        reply = json.loads(perform(lab, ours({"causes": causes}, WORLD.base_prompt, "answers")))["answers"]
        assert [one["cause"] for one in reply] == [cause["label"] for cause in causes]
        known = stated(WORLD.base_prompt)
        right += sum(one["answered"] == (i.key in known) for one, i in zip(reply, WORLD.ideas, strict=True))
        total += len(reply)
    assert 0.90 <= right / total <= 0.98


def test_the_rewriter_avoids_wordings_that_failed_before() -> None:
    idea = next(idea for idea in WORLD.ideas if idea.key not in stated(WORLD.base_prompt))
    causes = [{"label": "c1", "summary": f"Add guidance about {idea.names[0]}."}]

    def texts(verdict: str, lines: Sequence[str]) -> set[str]:
        history = [{"verdict": verdict, "edits": [{"op": "add", "line": "1", "text": text} for text in lines]}]
        data: dict[str, object] = {"causes": causes, "history": history}
        labs = [Lab(world=WORLD, seed=seed, fenced_obedience=0) for seed in range(40)]
        replies = [json.loads(perform(lab, ours(data, "Be nice.", "edits"))) for lab in labs]
        return {edit["text"] for reply in replies for edit in reply["edits"]}

    assert not texts("fail", idea.lines[:2]) & set(idea.lines[:2])
    assert idea.lines[2] in texts("fail", idea.lines[:2])
    assert texts("undecided", idea.lines[:2]) & set(idea.lines[:2])
    assert texts("fail", idea.lines) & set(idea.lines)


def test_an_attentive_rewriter_says_a_thing_once_and_takes_back_what_contradicts_it() -> None:
    world = family(Kind.CLASHING, 2)
    lab = Lab(world=world, seed=3, fenced_obedience=0)
    broken = next(i for i in world.ideas if any(contradicts(i, part) for part in sentences(world.base_prompt)))
    causes = [{"label": f"c{n}", "summary": f"Add guidance about {name}."} for n, name in enumerate(broken.names)]
    made = [
        json.loads(
            perform(Lab(world=world, seed=s, fenced_obedience=0), ours({"causes": causes}, world.base_prompt, "edits"))
        )
        for s in range(20)
    ]
    assert {len(reply["edits"]) for reply in made} == {1}
    assert Counter(reply["edits"][0]["op"] for reply in made)["replace"] >= 15
    assert json.loads(perform(lab, ours({"causes": causes}, world.oracle_prompt, "edits"))) == {"edits": []}
