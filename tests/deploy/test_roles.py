"""Separation of duties: each role starts only when it holds no more than it may, proved over HTTP."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.roles import PROBE, check, only_reads
from deploy.settings import Settings
from deploy.web.reading_gateway import ONLY_READS, ReadingGateway, serving
from optimizer.errors import BadSettings, Unreachable
from sandbox.langfuse.app import create_app
from sandbox.serving import serve

LANGFUSE = {"public_key": "pk-lf-sandbox", "secret_key": "sk-lf-sandbox"}
FORGE = {"kind": "github", "repository": "o/r"}


async def refused(_settings: Settings) -> bool:
    return True


async def written(_settings: Settings) -> bool:
    return False


def settings(role: str, **given: Any) -> Settings:
    return Settings(role=role, **given)


@pytest.mark.parametrize(
    ("role", "given", "environ", "said"),
    [
        ("proposer", {"forge": {**FORGE, "token": "t"}}, {}, "a forge's token; remove `forge.token`"),
        ("proposer", {"forge": {**FORGE, "webhook_secret": "t"}}, {}, "remove `forge.webhook_secret`"),
        ("proposer", {"forge": {"kind": "git", "remote": "https://u:p@host/r.git"}}, {}, "it from `forge.remote`"),
        ("proposer", {"launchdarkly": {"token": "t"}}, {}, "a flag service's token; remove `launchdarkly.token`"),
        ("proposer", {"gateway": {"public_key": "a", "secret_key": "b"}}, {}, "remove `gateway`"),
        ("proposer", {}, {"GITHUB_TOKEN": "t"}, "remove GITHUB_TOKEN from its environment"),
        ("publisher", {"model": {"api_key": "k"}}, {}, "a model's key; remove `model.api_key` and OPENAI_API_KEY"),
        ("publisher", {}, {"OPENAI_API_KEY": "k"}, "remove OPENAI_API_KEY from its environment"),
    ],
)
async def test_a_role_that_holds_too_much_does_not_start(
    role: str, given: dict[str, Any], environ: Mapping[str, str], said: str
) -> None:
    with pytest.raises(BadSettings) as refusal:
        await check(settings(role, **given), prober=refused, environ=environ)
    assert str(refusal.value).startswith(f"the role `{role}` must not hold ")
    assert str(refusal.value).endswith(", or set `role: all`.")
    assert said in str(refusal.value)
    await check(settings("all", **given), prober=written, environ=environ)


async def test_each_role_may_hold_what_it_works_with() -> None:
    model, forge = {"api_key": "k"}, {"kind": "git", "remote": "git@host:r.git"}
    await check(settings("proposer", model=model, forge=forge), prober=refused, environ={"OPENAI_API_KEY": "k"})
    held = {"launchdarkly": {"token": "t"}, "forge": {**FORGE, "token": "t"}, "langfuse": LANGFUSE}
    await check(settings("publisher", **held), prober=written, environ={"GITHUB_TOKEN": "t", "OPENAI_API_KEY": ""})


async def test_a_proposer_that_can_write_does_not_start() -> None:
    with pytest.raises(BadSettings, match="a write was not refused; start `tracegrad reading-gateway`"):
        await check(settings("proposer"), prober=written, environ={})


# ---- the proof, over HTTP --------------------------------------------------------------------------------------------


def proposer(url: str, **keys: str) -> Settings:
    return settings("proposer", langfuse={"host": url, **LANGFUSE, **keys})


async def test_behind_the_gateway_a_proposer_starts_and_beside_it_not(tmp_path: Path) -> None:
    with serve(create_app(tmp_path / "langfuse.db")) as url, socket.create_server(("127.0.0.1", 0)) as listener:
        beside = proposer(url)
        assert not await only_reads(beside), "Langfuse's own keys can write"
        owner = Settings(langfuse=beside.langfuse.model_dump(), gateway={"public_key": "r", "secret_key": "s"})
        async with ReadingGateway(owner.langfuse, owner.gateway) as gateway, serving(gateway, listener) as address:
            await check(proposer(address, public_key="r", secret_key="s"), environ={})
            assert not await only_reads(proposer(address, public_key="r", secret_key="wrong"))
        async with httpx.AsyncClient(auth=("pk-lf-sandbox", "sk-lf-sandbox")) as person:
            prompts = (await person.get(f"{url}/api/public/v2/prompts")).json()
    assert prompts["data"] == [], "the proof writes nothing"


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({"error": "ForbiddenError"}, 403),
        JSONResponse([ONLY_READS], 403),
        Response("<html>", 403),
        JSONResponse({"error": ONLY_READS}, 200),
        JSONResponse({"error": ONLY_READS}, 404),
        Response(status_code=302, headers={"location": "/refused"}),
    ],
)
async def test_nothing_but_the_gateways_own_refusal_is_a_proof(answer: Response) -> None:
    asked: list[bytes] = []

    async def patched(request: Request) -> Response:
        asked.append(await request.body())
        return answer

    with serve(Starlette(routes=[Route(PROBE, patched, methods=["PATCH"])])) as url:
        assert not await only_reads(proposer(url))
    assert asked == [b'{"newLabels":[]}']


async def test_without_an_answer_nothing_is_proved() -> None:
    with pytest.raises(Unreachable, match=r"reading gateway at http://127\.0\.0\.1:9 cannot be reached"):
        await check(proposer("http://127.0.0.1:9"), environ={})
