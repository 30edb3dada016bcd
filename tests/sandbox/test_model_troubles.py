"""The simulated model in trouble: switches over HTTP, each with the effect that it names and no other."""

import json
from typing import Any

import httpx
import pytest

from sandbox.model.app import create_app
from sandbox.model.troubles import Trouble, Troubles
from sandbox.serving import serve

KEY = {"authorization": "Bearer sk-sandbox"}


def chat(client: httpx.Client, model: str, system: str = "Be nice.", reply: str = "") -> httpx.Response:
    data = json.dumps({"input": "?", "output": "a", "first": "a", "second": "b", "reference": "b"})
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": f"<data-ab>\n{data}\n</data-ab>"},
        ],
    }
    if reply:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": reply, "schema": {}}}
    return client.post("/v1/chat/completions", json=body, headers=KEY)


def said(answer: httpx.Response) -> str:
    answer.raise_for_status()
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def test_the_switches_are_shown_and_set_together_or_not_at_all() -> None:
    with serve(create_app()) as url, httpx.Client(base_url=url) as client:
        before = client.get("/sandbox/troubles").json()
        assert before == {
            "first_place": False,
            "dead": [],
            "babbling": [],
            "crash_phrase": "",
            "crash_empty": False,
            "outage_after": None,
        }
        for wrong in (
            {"dead": ["sim-task"], "unknown": 1},
            {"dead": "sim-task"},
            {"babbling": [1]},
            {"first_place": 1},
            {"crash_phrase": None},
            {"outage_after": True},
            [],
        ):
            refused = client.post("/sandbox/troubles", json=wrong)
            assert (refused.status_code, bool(refused.json()["message"])) == (400, True)
        assert client.post("/sandbox/troubles", content=b"{").status_code == 400
        assert client.get("/sandbox/troubles").json() == before
        assert client.post("/sandbox/troubles", json={"outage_after": 3}).json() == {**before, "outage_after": 3}


def test_a_dead_model_is_dead_and_the_others_live() -> None:
    troubles = Troubles(dead=["sim-judge", "sim-embed"])
    with serve(create_app(troubles=troubles)) as url, httpx.Client(base_url=url) as client:
        assert chat(client, "sim-judge", reply="judgement").status_code == 500
        assert client.post("/v1/embeddings", json={"model": "sim-embed", "input": "x"}, headers=KEY).status_code == 500
        assert chat(client, "sim-task").status_code == 200
        troubles.update({"dead": []})
        assert chat(client, "sim-judge", reply="judgement").status_code == 200


def test_a_babbling_model_gives_no_structured_reply() -> None:
    troubles = Troubles(babbling=["sim-judge", "sim-task"])
    with serve(create_app(troubles=troubles)) as url, httpx.Client(base_url=url) as client:
        assert "{" not in said(chat(client, "sim-judge", reply="judgement"))
        assert "{" not in said(chat(client, "sim-judge", reply="preference"))
        assert "We will take care of it." in said(chat(client, "sim-task"))


@pytest.mark.parametrize("empty", [True, False])
def test_a_prompt_with_the_phrase_crashes_and_no_other(empty: bool) -> None:
    troubles = Troubles(crash_phrase="speak in riddles", crash_empty=empty)
    with serve(create_app(troubles=troubles)) as url, httpx.Client(base_url=url) as client:
        crashed = chat(client, "sim-task", system="Be nice and speak in riddles.")
        assert (crashed.status_code, said(crashed) if empty else "") == (200 if empty else 500, "")
        assert said(chat(client, "sim-task"))
        assert said(chat(client, "sim-judge", system="speak in riddles", reply="judgement"))


def test_an_outage_begins_when_it_was_said_and_ends_when_it_is_called_off() -> None:
    with serve(create_app(troubles=Troubles(outage_after=2))) as url, httpx.Client(base_url=url) as client:
        assert [chat(client, "sim-task").status_code for _ in range(4)] == [200, 200, 500, 500]
        client.post("/sandbox/troubles", json={"outage_after": None})
        assert chat(client, "sim-task").status_code == 200


def test_a_judge_that_looks_at_the_place_alone() -> None:
    with serve(create_app(troubles=Troubles(first_place=True))) as url, httpx.Client(base_url=url) as client:
        assert json.loads(said(chat(client, "sim-judge", reply="preference")))["better"] == "first"
        assert json.loads(said(chat(client, "sim-judge", reply="judgement"))).keys() == {"score", "reason"}


def test_calls_that_are_answered_bring_the_outage_nearer_one_by_one() -> None:
    troubles = Troubles(outage_after=1)
    strikes = [troubles.strikes(model="sim-task", kind="task", system="") for _ in range(3)]
    assert strikes == [Trouble.NONE, Trouble.ERROR, Trouble.ERROR]
