"""The simulated judge of pairs, the one that promptfoo's graders ask, and the vectors."""

import base64
import json
import struct
from collections import Counter
from collections.abc import Callable

import httpx
import pytest
from openai import OpenAI

from sandbox.model.app import create_app
from sandbox.model.embedding import DIMENSIONS, embedding
from sandbox.model.graded import graded
from sandbox.model.pairwise import preference
from sandbox.model.reading import Lab, read_brief
from sandbox.model.roles import perform
from sandbox.model.task import answer
from sandbox.model.wire import Call, read_call
from sandbox.model.world import World
from sandbox.serving import serve

WORLD = World.support()
LAB = Lab(world=WORLD, seed=7, fenced_obedience=0.3)
CASES = WORLD.cases(300, seed=5, stream="grading")


# ---- pairs ---------------------------------------------------------------------------------------------------------


def preferred(question: str, first: str, second: str, reference: str | None) -> str:
    data = {"input": question, "first": first, "second": second, "reference": reference, "complaint": ""}
    said = preference(LAB, read_brief([f"<data-ab>\n{json.dumps(data)}\n</data-ab>"]))
    assert said["reason"]
    return str(said["better"])


def test_the_better_answer_is_preferred_in_either_place_with_few_mistakes() -> None:
    seen: Counter[str] = Counter()
    for case in CASES:
        good, bad = f"Of course: {case.expected}.", "We will take care of it."
        seen["right"] += preferred(case.question, good, bad, case.expected) == "first"
        seen["right"] += preferred(case.question, bad, good, case.expected) == "second"
        seen["all"] += 2
    assert 0.90 <= seen["right"] / seen["all"] <= 0.99


def test_equal_answers_are_mostly_a_tie_and_now_and_then_the_place_decides() -> None:
    seen = Counter(preferred(case.question, "Soon.", "Later.", case.expected) for case in CASES)
    assert set(seen) == {"first", "neither"}
    assert 0.08 <= seen["first"] / seen.total() <= 0.25


# ---- as promptfoo asks ---------------------------------------------------------------------------------------------


def rubric(output: str, wanted: str) -> str:
    return f"<Output>\n{output}\n</Output>\n<Rubric>\n{wanted}\n</Rubric>"


def closed(output: str, wanted: str) -> str:
    return f"Here is the data:\n[Task]: ?\n***\n[Submission]: {output}\n***\n[Criterion]: {wanted}\n***\n[END DATA]"


def facts(output: str, wanted: str) -> str:
    expert = f"<expert_answer>\n {wanted}\n </expert_answer>"
    return f"<question>\n?\n</question>\n\n{expert}\n\n<submitted_answer>\n {output}\n </submitted_answer>\nCompare."


def holds(said: str) -> bool:
    if said.endswith(("Y", "N")):
        return said.endswith("Y")
    reply = json.loads(said)
    assert reply["reason"]
    return bool(reply["score"] == 1 and reply["pass"]) if "pass" in reply else reply["category"] in "ABCE"


def asked(text: str) -> Call:
    body = {"model": "sim-judge", "messages": [{"role": "user", "content": text}]}
    return read_call(body, structured=True)


@pytest.mark.parametrize("shape", [rubric, closed, facts])
def test_promptfoos_graders_are_answered_in_their_own_forms(shape: Callable[[str, str], str]) -> None:
    right = 0
    for number, case in enumerate(CASES[:120]):
        good = asked(shape(f"Yes, {case.expected} (order {number}).", case.expected))
        bad = asked(shape(f"Well, order {number}.", case.expected))
        assert good.kind == "graded"
        right += holds(graded(LAB, good)) + (not holds(graded(LAB, bad)))
    assert 0.88 <= right / 240 <= 0.99


def test_other_words_than_the_worlds_are_looked_for_and_a_denial_is_understood() -> None:
    labs = [Lab(world=WORLD, seed=seed, fenced_obedience=0) for seed in range(21)]

    def mostly(output: str, wanted: str) -> bool:
        return sum(holds(graded(lab, asked(rubric(output, wanted)))) for lab in labs) > 10

    assert mostly("The moon is made of cheese.", "The output mentions cheese")
    assert not mostly("The moon is far away.", "The output mentions cheese")
    assert not mostly("The moon is made of cheese.", "The output does not mention cheese")
    assert graded(LAB, asked("<expert_answer> nothing that can be read")) == "{}"


def test_a_judge_that_is_asked_about_nothing_known_stays_a_task_model() -> None:
    call = asked("Hello")
    assert call.kind == "task"
    assert perform(LAB, call) == answer(WORLD, seed=7, prompt="", question="Hello")


# ---- vectors -------------------------------------------------------------------------------------------------------


def likeness(one: str, other: str) -> float:
    return sum(a * b for a, b in zip(embedding(one), embedding(other), strict=True))


def test_texts_with_the_same_words_lie_close_together() -> None:
    assert likeness("Send it back within 30 days", "within 30 days send it BACK!") == pytest.approx(1.0)
    near = likeness("Send the lamp back within 30 days", "You can send a lamp back within 30 days")
    far = likeness("Send the lamp back within 30 days", "Our shop opens at nine on Mondays")
    assert near > 0.6 > 0.4 > far
    assert embedding("") == [0.0] * DIMENSIONS


def test_vectors_over_http_in_both_encodings() -> None:
    with serve(create_app()) as url:
        with OpenAI(base_url=f"{url}/v1", api_key="sk-sandbox") as client:
            made = client.embeddings.create(model="sim-embed", input=["a lamp", "a desk"])
        headers = {"authorization": "Bearer sk-sandbox"}
        with httpx.Client(base_url=url, headers=headers) as http:
            plain = http.post("/v1/embeddings", json={"model": "sim-embed", "input": "a lamp"}).json()
            packed = http.post(
                "/v1/embeddings", json={"model": "sim-embed", "input": "a lamp", "encoding_format": "base64"}
            ).json()
            assert http.post("/v1/embeddings", json={"model": "sim-task", "input": "x"}).status_code == 404
            for wrong in ([], [1], 7, None):
                assert http.post("/v1/embeddings", json={"model": "sim-embed", "input": wrong}).status_code == 400
            assert http.post("/v1/embeddings", json=[]).status_code == 404
            calls = http.get("/sandbox/calls").json()["calls"]
        assert httpx.post(f"{url}/v1/embeddings", json={"model": "sim-embed", "input": "x"}).status_code == 401
    assert [one.index for one in made.data] == [0, 1]
    assert made.data[0].embedding == pytest.approx(embedding("a lamp"), abs=1e-6)
    assert plain["data"][0]["embedding"] == embedding("a lamp")
    assert plain["usage"]["prompt_tokens"] == 2
    unpacked = struct.unpack(f"<{DIMENSIONS}f", base64.b64decode(packed["data"][0]["embedding"]))
    assert list(unpacked) == pytest.approx(embedding("a lamp"), abs=1e-6)
    assert calls == {"embedding": 3}
