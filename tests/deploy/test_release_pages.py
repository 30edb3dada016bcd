"""The pages about releases: what they show, what they hide, and that they only read."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from conftest import SetClock
from house_samples import World
from release_samples import PATHS, R, look, released

from deploy.lifecycle import ReleaseState
from deploy.metrics import metrics_of
from deploy.store.facade import Store
from deploy.store.freezes import Freeze
from deploy.store.orders import Order, OrderKind
from deploy.store.pull_requests import Asked
from deploy.web.app import create_app
from optimizer.ports import PullRequest, PullState

HOSTILE = "<script>alert('x')</script> \x1b[31mred\x1b[0m \u202egnp.exe \"><img src=x onerror=y>"
ID = "support@s1"


@pytest.fixture
async def browser(owned: Store, clock: SetClock) -> AsyncIterator[httpx.AsyncClient]:
    house = World(owned, clock).house
    metrics = metrics_of(owned, house.settings, clock)
    app = create_app(owned, house.settings, clock, vitals=dict, metrics=metrics)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8321") as made:
        yield made


def text_of(answer: httpx.Response) -> str:
    """The page as a reader sees it, tags and line breaks gone."""
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def asked(run_id: str, url: str, clock: SetClock) -> Asked:
    request = PullRequest(number=7, url=url, branch="tracegrad/x")
    return Asked(run_id=run_id, request=request, state=PullState.OPEN, checked_at=clock.now())


async def test_an_empty_store_says_how_there_will_be_releases(browser: httpx.AsyncClient) -> None:
    assert "No release yet. A cycle whose candidate passes makes one" in text_of(await browser.get("/releases"))
    assert 'href="/releases"' in (await browser.get("/")).text


@pytest.mark.parametrize("state", PATHS)
async def test_every_state_has_its_line_and_its_page(
    browser: httpx.AsyncClient, owned: Store, clock: SetClock, state: ReleaseState
) -> None:
    released(owned, state, at=clock.now())
    page = await browser.get("/releases")
    assert state.replace("_", " ") in text_of(page)
    link = re.search(r'href="(/releases/[^"]+)"', page.text)
    assert link
    said = text_of(await browser.get(link[1]))
    assert "Changes to version 3 - Be brief." not in said, "the sign is drawn by the stylesheet"
    assert "Be brief. Be complete. curt 1 complaint from 1 source Give steps." in said
    assert f"{state.replace('_', ' ')} by tracegrad" in said


async def test_a_release_in_production_shows_its_share_evidence_looks_and_orders(
    browser: httpx.AsyncClient, owned: Store, clock: SetClock
) -> None:
    released(owned, R.PROGRESSING, at=clock.now(), actor="ada")
    owned.looks.keep(ID, look(clock.now(), scored=False))
    owned.looks.keep(ID, look(clock.now() + timedelta(days=1)))
    order = Order(
        id="o",
        prompt="support",
        run_id=ID,
        kind=OrderKind.ROLLBACK,
        argument=None,
        actor="bob",
        why="odd",
        at=clock.now(),
    )
    owned.orders.give(order)
    owned.freezes.freeze(Freeze(prompt="", actor="eve", why="a bad day", at=clock.now()))
    said = text_of(await browser.get(f"/releases/{ID}"))
    for expected in (
        "Everything is frozen by eve: a bad day",
        "Shown to 10% of the users",
        "Waits for production: promotes at evidence 50, now 12; 70 of at least 100 users have had their time",
        "2026-11-22 02:30 82.0 70 of 130 76.0 650 of 1200 +6.0 -1.0 to +13.0 12 of 50 0.2 of 10 wait",
        "2026-11-21 02:30 no score 70 of 130 no score 650 of 1200 – 12 of 50",
        "progressing by ada : because progressing share 10%",
        "rollback by bob : odd not handled yet",
    ):
        assert expected in said
    assert "All prompts are frozen by eve: a bad day" in text_of(await browser.get("/releases"))


async def test_a_pull_request_is_a_link_only_when_it_has_an_address(
    browser: httpx.AsyncClient, owned: Store, clock: SetClock
) -> None:
    released(owned, R.PROPOSED, at=clock.now())
    for url, shown in (("https://forge.example/7", True), ("javascript:alert(1)", False), ("git@host:r.git", False)):
        owned.pull_requests.keep(asked(ID, url, clock))
        for address in ("/releases", f"/releases/{ID}"):
            page = (await browser.get(address)).text
            assert (f'href="{url}"' in page) == shown
            assert "merge or close its pull request" in page


async def test_hostile_text_stays_text_and_no_script_is_allowed(
    browser: httpx.AsyncClient, owned: Store, clock: SetClock
) -> None:
    released(owned, R.REJECTED, at=clock.now(), reason=HOSTILE, said=HOSTILE)
    owned.freezes.freeze(Freeze(prompt="support", actor="ada", why=HOSTILE, at=clock.now()))
    order = Order(
        id="o",
        prompt="support",
        run_id=ID,
        kind=OrderKind.REJECT,
        argument=None,
        actor="bob",
        why=HOSTILE,
        at=clock.now(),
    )
    owned.orders.give(order)
    for address in ("/releases", f"/releases/{ID}"):
        answer = await browser.get(address)
        assert "<script" not in answer.text.lower()
        assert "<img" not in answer.text.lower()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", answer.text)
        assert "&lt;script&gt;" in answer.text
        assert "\\u202egnp.exe" in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_what_is_not_there_is_said_and_nothing_can_be_written(browser: httpx.AsyncClient) -> None:
    missing = await browser.get("/releases/<b>x@y")
    assert missing.status_code == 404
    assert "there is no release &#39;&lt;b&gt;x@y&#39;" in missing.text
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for address in ("/releases", f"/releases/{ID}"):
            assert (await browser.request(method, address)).status_code == 405
