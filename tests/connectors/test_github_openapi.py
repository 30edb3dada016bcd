"""What we send to GitHub, and what the sandbox answers, is what GitHub's own description says."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from github_contract import OPERATIONS, Held
from github_samples import CHANGE, PATH, Repository, repository_at

from connectors.forge.github.forge import GitHub
from sandbox.forge.app import create_app
from sandbox.serving import serve


@pytest.fixture
async def held(tmp_path: Path) -> AsyncIterator[tuple[Held, GitHub, Repository]]:
    app = Held(create_app(tmp_path, files={PATH: "Old\n", "big.md": "x" * (1024 * 1024 + 1)}))
    with serve(app) as url:
        async with repository_at(url) as (forge, repository):
            yield app, forge, repository


async def test_every_request_and_every_answer_is_as_github_describes_it(held: tuple[Held, GitHub, Repository]) -> None:
    app, forge, repository = held
    request = await forge.propose(CHANGE)
    await forge.propose(replace(CHANGE, files=((PATH, "Newer\n"),), title="Other", report="### Other", passed=False))
    repository.act("comment", number=request.number, body="Hm")
    repository.act("review", number=request.number, body="Yes", state="APPROVED")
    await forge.tell(request, "progress", "10%")
    await forge.read(request)
    await forge.close(request, "Superseded")
    await forge.read(request)
    assert len(await forge.text_at("big.md", "main")) == 1024 * 1024 + 1
    merged = await forge.propose(replace(CHANGE, key="other"))
    repository.act("merge", number=merged.number)
    await forge.read(merged)
    assert app.wrong == []
    assert app.seen == set(OPERATIONS)


async def test_the_check_finds_what_breaks_the_description(held: tuple[Held, GitHub, Repository]) -> None:
    app = held[0]
    repo = "/repos/{owner}/{repo}"
    app.check(f"post {repo}/pulls", b"", b'{"title": 7, "head": "a", "base": "b"}', 422, b"{}")
    app.check(f"get {repo}/pulls", b"status=all", b"", 200, b'[{"number": "one"}]')
    app.check(f"get {repo}/git/ref/{{ref}}", b"", b"", 200, b'{"ref": "a", "node_id": "b", "url": "c"}')
    app.check("delete /user", b"", b"", 204, b"")
    assert len(app.wrong) >= 5
    assert [line for line in app.wrong if "delete /user" in line]
