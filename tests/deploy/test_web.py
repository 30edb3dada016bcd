"""The web application over a store that a cycle has filled: what it shows, what it hides, what it refuses."""

import json
import re
from dataclasses import replace
from urllib.parse import quote

import httpx
import pytest
from conftest import SetClock
from house_samples import FIXED, World, critic_and_rewriter

from connectors.memory import ScriptedModel
from deploy.collecting import collect
from deploy.gating.stage import gate
from deploy.lifecycle import CycleState
from deploy.metrics import metrics_of
from deploy.optimizing import find_candidate
from deploy.store.facade import Store
from deploy.web.app import create_app
from optimizer.ports import ModelReply, ModelRequest
from optimizer.types import Missing

HOSTILE = "<script>alert('x')</script> \x1b[31mred\x1b[0m \u202egnp.exe \"><img src=x onerror=y> שלום"


@pytest.fixture
def world(owned: Store, clock: SetClock) -> World:
    return World(owned, clock)


async def cycle_of(world: World, *, comment: str = "It never asked for my number", trace: str = "t") -> str:
    for number in (1, 2):
        world.answer(number, trace_id=f"{trace}{number}")
        world.judge_it(number, trace_id=f"{trace}{number}", comment=f"{comment} {number}")
    run = world.cycle()
    state = await world.walk(run, collect, find_candidate, gate)
    reason = str(state["reason"]) if "ended" in state else await world.release(run, state)
    world.store.cycles.advance(run, CycleState.DONE, at=world.pass_time(minutes=5), reason=reason)
    return run.cycle_id


def browser(world: World, *, alive: bool = True) -> httpx.AsyncClient:
    house = world.house
    app = create_app(
        world.store,
        house.settings,
        world.clock,
        vitals=lambda: {"clock": True, "worker": alive},
        metrics=metrics_of(world.store, house.settings, world.clock),
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8321")


def text_of(answer: httpx.Response) -> str:
    """The page as a reader sees it, tags and line breaks gone."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


async def test_an_empty_store_says_what_to_do(world: World) -> None:
    async with browser(world) as visitor:
        answer = await visitor.get("/")
    assert answer.status_code == 200
    assert "support" in answer.text
    assert "No cycle has run yet. Start one with tracegrad once PROMPT" in text_of(answer)


async def test_the_status_page_shows_prompts_cycles_verdicts_and_spend(world: World) -> None:
    id_ = await cycle_of(world)
    async with browser(world) as visitor:
        answer = await visitor.get("/")
        said = text_of(answer)
        for expected in ("support", "0 3 * * *", "done", "pass", "version 2", "$0.0030"):
            assert expected in said
        assert "promoted: `production` points to version 2" in said
        link = re.search(r'href="(/cycles/[^"]+)"', answer.text)
        assert link
        assert link[1] == f"/cycles/{quote(id_)}"
        assert (await visitor.get(link[1])).status_code == 200


async def test_a_cycle_shows_its_diff_reasons_verdict_and_what_was_not_used(world: World) -> None:
    edits = [
        {"op": "add", "line": "2", "text": FIXED, "cause": "c1", "reason": "customers were not understood"},
        {"op": "replace", "line": "2", "text": "See www.example.com", "cause": "c1", "reason": "a link"},
    ]

    def script(request: ModelRequest) -> ModelReply | str:
        return critic_and_rewriter(request) if request.purpose == "backward" else json.dumps({"edits": edits})

    world.model = ScriptedModel(script)
    id_ = await cycle_of(world)
    async with browser(world) as visitor:
        answer = await visitor.get(f"/cycles/{id_}")
    said = text_of(answer)
    assert f"<ins>{FIXED}</ins>" in answer.text
    assert "<del>" not in answer.text, "a line that was added replaces nothing"
    assert "customers were not understood 2 complaints from 2 sources, such as: It never asked for my number" in said
    assert 'href="https://cloud.langfuse.com/project/p1/traces/t1"' in answer.text
    assert "Gate: pass" in said
    for told in (
        "Screen pass",
        "Difference +70.0 points",
        "Score before, of 100 20.0 (",
        "Score after, of 100 90.0 (",
        "Cases 100 judged",
    ):
        assert told in said
    assert re.search(r"Difference \+70\.0 points \(\+\d+\.\d to \+\d+\.\d\)", said)
    assert re.search(r"Not used edit .+ 1 History", said)
    assert "example.com" not in said
    assert "Meta-prompts: critic v3, repair v1, rewriter v3." in said
    assert re.search(
        r"idle .* collecting .* optimizing .* gating .* proposing .* done : promoted: `production` points to version 2",
        said,
    )


async def test_a_run_that_was_cut_short_shows_why(world: World) -> None:
    world.judge.note = "promptfoo failed with exit code 1"
    id_ = await cycle_of(world)
    async with browser(world) as visitor:
        said = text_of(await visitor.get(f"/cycles/{id_}"))
    assert (
        "Gate: undecided Undecided: the evaluation did not run to its end (promptfoo failed with exit code 1)." in said
    )


async def test_hostile_text_stays_text(world: World) -> None:
    id_ = await cycle_of(world, comment=HOSTILE, trace='../x" onload="')
    async with browser(world) as visitor:
        for address in ("/", f"/cycles/{id_}"):
            page = (await visitor.get(address)).text
            assert "<script" not in page.lower()
            assert "<img" not in page.lower()
            assert not re.search(r"\sonload=", page)
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", page)
    assert "&lt;script&gt;" in page
    assert "\\u001b[31mred" in page
    assert "\\u202egnp.exe" in page
    assert "שלום" in page, "people may write from right to left"
    assert "traces/..%2Fx%22%20onload%3D%221" in page


async def test_every_answer_forbids_scripts(world: World) -> None:
    async with browser(world) as visitor:
        for address in (
            "/",
            "/cycles/none",
            "/nowhere",
            "/healthz",
            "/metrics",
            "/static/tracegrad.css",
            "/static/report.css",
        ):
            headers = (await visitor.get(address)).headers
            assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self';")
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
        elsewhere = await visitor.get("/", headers={"host": "evil.example"})
        assert (elsewhere.status_code, elsewhere.text) == (400, "Invalid host header")
        for host in ("localhost:8321", "127.0.0.1", "[::1]:8321"):
            assert (await visitor.get("/", headers={"host": host})).status_code == 200


async def test_what_is_not_there_is_said_in_a_sentence(world: World) -> None:
    async with browser(world) as visitor:
        cycle, page = await visitor.get("/cycles/<b>x@y"), await visitor.get("/nowhere")
    assert (cycle.status_code, page.status_code) == (404, 404)
    assert "there is no cycle &#39;&lt;b&gt;x@y&#39;; list the cycles with `tracegrad status`." in cycle.text
    assert "There is no such page." in page.text
    assert '<a href="/">All prompts and cycles</a>' in page.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_it_can_only_be_read(world: World, method: str) -> None:
    async with browser(world) as visitor:
        for address in ("/", "/cycles/x", "/healthz", "/metrics", "/static/tracegrad.css", "/static/report.css"):
            assert (await visitor.request(method, address)).status_code == 405
        assert (await visitor.head("/")).status_code == 200


async def test_health_is_that_of_every_part(world: World) -> None:
    async with browser(world) as visitor:
        well = await visitor.get("/healthz")
    async with browser(world, alive=False) as visitor:
        ill = await visitor.get("/healthz")
    assert (well.status_code, well.json()) == (200, {"status": "ok", "clock": True, "worker": True})
    assert (ill.status_code, ill.json()) == (503, {"status": "failing", "clock": True, "worker": False})


async def test_spend_without_a_price_is_counted(world: World) -> None:
    def unpriced(request: ModelRequest) -> ModelReply:
        from_price_list = critic_and_rewriter(request)
        return replace(from_price_list, usage=replace(from_price_list.usage, cost_usd=Missing.NOT_PRICED))

    world.model = ScriptedModel(unpriced)
    await cycle_of(world)
    async with browser(world) as visitor:
        said = text_of(await visitor.get("/"))
        metrics = (await visitor.get("/metrics")).text
    assert "$0.0000 and 3 calls without a price" in said
    assert 'tracegrad_unpriced_calls_30d{prompt="support"} 3.0' in metrics
