"""A change to propose, and a repository on the sandbox forge with the people who work in it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.forge.github.access import GitHubAccess
from connectors.forge.github.forge import GitHub
from optimizer.ports import Change
from sandbox.forge.app import TOKEN

PATH = "prompts/support.md"
CHANGE = Change(
    key="support@2026-11-21T02:30",
    title="Prompt support: 2 edits",
    body="Why, and what follows.",
    files=((PATH, "New\n"), (f"{PATH}.tracegrad.json", "{}\n")),
    report="### Gate: pass",
    passed=True,
    labels=("prompt",),
)


class Stage:
    """One server for many tests: each puts an application of its own on it."""

    def __init__(self) -> None:
        self.app: ASGIApp = Starlette()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.app if scope["type"] == "http" else _EMPTY)(scope, receive, send)


_EMPTY = Starlette()


class Repository:
    """What people do, and what stands."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def act(self, what: str, **order: Any) -> None:
        """Do something as a person, or set a switch."""
        self._http.post(f"/sandbox/{what}", content=json.dumps(order)).raise_for_status()

    @property
    def state(self) -> dict[str, Any]:
        """All of it."""
        answer: dict[str, Any] = self._http.get("/sandbox/state").json()
        return answer

    def reopen(self, branch: str) -> int:
        """Open another pull request of a branch."""
        order = {"title": "Again", "head": branch, "base": "main"}
        answer = self._http.post("/repos/acme/shop/pulls", json=order, headers={"Authorization": f"Bearer {TOKEN}"})
        return int(answer.raise_for_status().json()["number"])

    def commits(self, number: int) -> list[dict[str, Any]]:
        """The commits of a pull request."""
        path = f"/repos/acme/shop/pulls/{number}/commits"
        answer: list[dict[str, Any]] = self._http.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).json()
        return answer


def access(url: str, **changed: Any) -> GitHubAccess:
    """The sandbox's one repository."""
    return GitHubAccess(
        **{"repository": "acme/shop", "token": TOKEN, "base_url": url, "labels": ("tracegrad",)} | changed
    )


@asynccontextmanager
async def repository_at(url: str, **changed: Any) -> AsyncIterator[tuple[GitHub, Repository]]:
    """The connector, and the people."""
    with httpx.Client(base_url=url, verify=False) as http:
        async with GitHub(access(url, **changed)) as forge:
            yield forge, Repository(http)
