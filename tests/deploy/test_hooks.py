"""A forge's call wakes the ticks when it is signed with the secret, and does nothing at all when it is not."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from connectors.forge.github.access import GitHubAccess
from connectors.forge.github.forge import GitHub
from deploy.web.hooks import EVENT, LARGEST, PATH, SIGNATURE, github_route
from optimizer.ports import Change
from sandbox.forge.app import TOKEN, create_app
from sandbox.serving import serve

SECRET = "it's a secret: ü"
BODY = json.dumps({"action": "closed", "pull_request": {"head": {"ref": "tracegrad/support-1"}}}).encode()


@dataclass
class Woken:
    """What was looked at, in order."""

    prompts: list[str] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=lambda: {"tracegrad/support-1": "support"})

    async def prompt_of(self, branch: str) -> str:
        return self.known.get(branch, "")

    async def nudge(self, prompt: str) -> None:
        self.prompts.append(prompt)


@pytest.fixture
def woken() -> Woken:
    return Woken()


@pytest.fixture
def forge(woken: Woken) -> Iterator[httpx.Client]:
    """Who calls."""
    app = Starlette(routes=[github_route(SECRET, prompt_of=woken.prompt_of, nudge=woken.nudge)])
    with serve(app) as url, httpx.Client(base_url=url, verify=False) as http:
        yield http


def signature(body: bytes, secret: str = SECRET) -> str:
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def call(forge: httpx.Client, body: bytes, signed: str | None, event: str = "pull_request") -> int:
    headers = {EVENT: event, **({SIGNATURE: signed} if signed is not None else {})}
    return forge.post(PATH, content=body, headers=headers).status_code


def test_a_signed_call_wakes_the_prompt(forge: httpx.Client, woken: Woken) -> None:
    assert call(forge, BODY, signature(BODY)) == 204
    assert woken.prompts == ["support"]


def test_a_call_about_another_branch_wakes_nobody(forge: httpx.Client, woken: Woken) -> None:
    other = BODY.replace(b"tracegrad/support-1", b"feature/x")
    assert call(forge, other, signature(other)) == 204
    assert woken.prompts == []


@pytest.mark.parametrize("body", [b'{"action": "created", "issue": {"number": 1}}', b"no JSON", b"[]", b"[" * 5000])
def test_a_signed_call_without_a_branch_wakes_all(forge: httpx.Client, woken: Woken, body: bytes) -> None:
    assert call(forge, body, signature(body), "issue_comment") == 204
    assert woken.prompts == [""]


def test_other_events_wake_nobody(forge: httpx.Client, woken: Woken) -> None:
    assert call(forge, BODY, signature(BODY), "ping") == 204
    assert woken.prompts == []


@pytest.mark.parametrize(
    "signed",
    [
        None,
        "",
        "sha256=",
        signature(BODY, "another"),
        signature(BODY + b" "),
        signature(BODY).removeprefix("sha256="),
        signature(BODY).upper(),
        signature(BODY).replace("sha256", "sha1"),
        "sha256=" + "é" * 64,
    ],
)
def test_a_wrong_signature_is_refused(forge: httpx.Client, woken: Woken, signed: str | None) -> None:
    encoded = signed.encode() if signed is not None else None
    headers = [(EVENT.encode(), b"pull_request"), *([(SIGNATURE.encode(), encoded)] if encoded is not None else [])]
    assert forge.post(PATH, content=BODY, headers=headers).status_code == 401
    assert woken.prompts == []


def test_a_call_that_is_too_large_is_refused_unread(forge: httpx.Client, woken: Woken) -> None:
    body = b"x" * (LARGEST + 1)
    assert call(forge, body, signature(body)) == 413
    assert call(forge, b"x" * LARGEST, signature(b"x" * LARGEST)) == 204
    assert woken.prompts == [""]


def test_it_only_takes_posts(forge: httpx.Client) -> None:
    assert forge.get(PATH).status_code == 405


def test_no_secret_no_route(woken: Woken) -> None:
    with pytest.raises(ValueError, match="secret"):
        github_route("", prompt_of=woken.prompt_of, nudge=woken.nudge)


async def test_the_sandbox_calls_as_github_does(forge: httpx.Client, woken: Woken, tmp_path: Path) -> None:
    change = Change(key="k", title="t", body="b", files=(("p.md", "x"),), report="r", passed=True)
    hook = str(forge.base_url.join(PATH))
    with serve(create_app(tmp_path)) as url:
        async with GitHub(GitHubAccess(repository="acme/shop", token=TOKEN, base_url=url)) as github:
            request = await github.propose(change)
        woken.known[request.branch] = "shop"
        async with httpx.AsyncClient(base_url=f"{url}/sandbox") as people:
            await people.post("webhook", json={"url": hook, "secret": SECRET})
            await people.post("comment", json={"number": request.number, "body": "Hm"})
            await people.post("merge", json={"number": request.number})
            await people.post("webhook", json={"url": hook, "secret": "another"})
            await people.post("comment", json={"number": request.number, "body": "Hm"})
            await people.post("webhook", json={})  # answered after the call before it was delivered
    assert woken.prompts == ["", "shop"]
