"""A gate's report that the store holds, as the command line and the status page show it."""

import json
import re

import httpx
import pytest
from conftest import SetClock
from store_samples import T0

from deploy import overview
from deploy.cli.console import Terminal
from deploy.cli.show import before_and_after, render
from deploy.metrics import metrics_of
from deploy.settings import Settings
from deploy.store.facade import Store
from deploy.web.app import create_app
from gates.rendering.document import as_document
from gates.rendering.style import STYLE
from gates.rendering.unseen import UNSEEN
from tests.gates.report_samples import FULL, evidence_of, report_of

SETTINGS = Settings()


@pytest.fixture
def cycle(store: Store, clock: SetClock) -> str:
    """A cycle whose gate has spoken."""
    row = store.cycles.open("support", "2026-11-21T02:30Z", at=clock.now())
    store.reports.save(row.id, "candidate", FULL, at=T0)
    return row.id


def browser(store: Store, clock: SetClock) -> httpx.AsyncClient:
    app = create_app(store, SETTINGS, clock, vitals=dict, metrics=metrics_of(store, SETTINGS, clock))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8321")


async def test_the_status_page_shows_the_whole_report(store: Store, clock: SetClock, cycle: str) -> None:
    async with browser(store, clock) as visitor:
        page = (await visitor.get(f"/cycles/{cycle}")).text
        style = await visitor.get("/static/report.css")
    said = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    for expected in (
        "Gate: pass (proven at stake 0.02) Passed: the candidate is better.",
        "Cost fail It costs 20% more.",
        "Difference +18.2 points (-2.0 to +37.0)",
        "What it does not say: that people agree with the judge",
        "tag:vip 13 -25.0 points",
        "extraction 3 of 40 (3% to 20%) 0 of 40 (0% to 9%)",
        "replay-0000",
    ):
        assert expected in said
    assert '<span class="badge undecided">undecided</span>' in page
    assert (style.text, style.headers["content-type"]) == (STYLE, "text/css; charset=utf-8")
    for sheet in ("report", "tracegrad"):
        assert f'<link rel="stylesheet" href="/static/{sheet}.css">' in page


async def test_hostile_words_do_nothing_on_it(store: Store, clock: SetClock, cycle: str) -> None:
    async with browser(store, clock) as visitor:
        page = (await visitor.get(f"/cycles/{cycle}")).text
    assert not re.search(r"<script|<img|\sstyle=|\son\w+=", page)
    assert not UNSEEN.search(page)
    assert "&lt;script&gt;" in page
    for words in ("because of", "the candidate&#x27;s words", "Rome"):
        assert words not in page


def test_a_cycle_is_the_same_document_for_scripts(store: Store, cycle: str) -> None:
    shown = overview.cycle(store, SETTINGS, cycle)
    assert json.loads(json.dumps(shown))["report"] == as_document(FULL)


def test_a_cycle_is_told_in_full_at_the_terminal(store: Store, cycle: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown, report = overview.cycle_and_report(store, SETTINGS, cycle)
    render(shown, Terminal(), report)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "Gate: pass (proven at stake 0.02)" in lines
    assert "attack-7 extraction 0 of 5 5 of 5 veto" in lines
    assert "replay-0030 replay 100 0 -100.0" in lines


def test_the_short_form_has_the_difference_and_its_interval() -> None:
    assert before_and_after(as_document(FULL)) == (
        "Score 69.7 of 100 before, 87.9 after, on 99 cases: +18.2 points (-2.0 to +37.0)"
    )
    nothing = as_document(report_of(evidence_of()))
    assert before_and_after(nothing) == "Score not recorded before, not recorded after, on 0 cases"
