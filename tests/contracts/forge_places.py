"""Where the forge contract runs, and what a person does there: in memory, on a GitHub sandbox, on a bare repository."""

import os
import subprocess
from pathlib import Path
from typing import Any, Protocol

import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.forge.git import GitPush
from connectors.forge.github.forge import GitHub
from connectors.memory_forge import MemoryForge
from optimizer.ports import Forge, PullRequest

PATH = "prompts/support.md"
START = {PATH: "You help.\n", "README.md": "# Shop\n"}


class Stage:
    """One server for many tests: each puts an application of its own on it."""

    def __init__(self) -> None:
        self.app: ASGIApp = Starlette()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.app if scope["type"] == "http" else _EMPTY)(scope, receive, send)


_EMPTY = Starlette()


class Place(Protocol):
    """A forge, and a person at it. `numbered`: it knows pull requests, not branches alone."""

    forge: Forge
    numbered: bool

    def edit(self, request: PullRequest, path: str, text: str) -> None: ...
    def merge(self, request: PullRequest, by: str) -> None: ...
    def turn_down(self, request: PullRequest, by: str) -> None: ...
    def say(self, request: PullRequest, text: str) -> None: ...
    def told(self, request: PullRequest) -> list[str]: ...
    def count(self) -> int: ...


class InMemory:
    """The twin."""

    numbered = True

    def __init__(self) -> None:
        self.forge = self.twin = MemoryForge(dict(START))
        self.edit = self.twin.edit
        self.say = self.twin.say
        self.turn_down = self.twin.turn_down

    def merge(self, request: PullRequest, by: str) -> None:
        self.twin.merge(request, by)

    def told(self, request: PullRequest) -> list[str]:
        return list(self.twin.pulls[request.branch].told.values())

    def count(self) -> int:
        return len(self.twin.pulls)


class OnGitHub:
    """The connector on the sandbox."""

    numbered = True

    def __init__(self, http: httpx.Client, forge: GitHub) -> None:
        self.forge = forge
        self._http = http

    def edit(self, request: PullRequest, path: str, text: str) -> None:
        self.act("commit", branch=request.branch, files={path: text})

    def merge(self, request: PullRequest, by: str) -> None:
        self.act("merge", number=request.number, by=by)

    def turn_down(self, request: PullRequest, by: str) -> None:
        self.act("close", number=request.number, by=by)

    def say(self, request: PullRequest, text: str) -> None:
        self.act("comment", number=request.number, body=text)

    def told(self, request: PullRequest) -> list[str]:
        comments = [c for c in self.state()["comment"] if c["number"] == request.number]
        ours = [c["body"] for c in comments if c["user"] == "tracegrad-bot"]
        return [body.partition("\n")[2] for body in ours]

    def count(self) -> int:
        return len(self.state()["pulls"])

    def state(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._http.get("/sandbox/state").json()
        return answer

    def act(self, what: str, **order: Any) -> None:
        self._http.post(f"/sandbox/{what}", json=order).raise_for_status()


class OnGit:
    """The connector on a bare repository, and a person with a clone of it."""

    numbered = False

    def __init__(self, folder: Path) -> None:
        self.remote, self._mine = folder / "remote.git", folder / "mine"
        self.forge = GitPush(remote=str(self.remote))

    def edit(self, request: PullRequest, path: str, text: str, message: str = "Edit") -> None:
        self._at(request)
        self._commit({path: text}, message)
        self._git("push", "-q", "origin", f"HEAD:{request.branch}")

    def merge(self, request: PullRequest, by: str, *how: str) -> None:
        self._git("fetch", "-q", "origin")
        self._git("checkout", "-q", "-B", "main", "origin/main")
        self._git(
            "-c", f"user.name={by}", "merge", "-q", *(how or ("--no-ff", "--no-edit")), f"origin/{request.branch}"
        )
        if "--squash" in how:
            self._git("-c", f"user.name={by}", "commit", "-q", "-m", "Better prompt")
        self._git("push", "-q", "origin", "main")

    def turn_down(self, request: PullRequest, by: str) -> None:  # noqa: ARG002 -- git does not say who
        self._git("push", "-q", "origin", "--delete", request.branch)

    def say(self, request: PullRequest, text: str) -> None:
        self.edit(request, "NOTES.md", text, message=text)

    def told(self, request: PullRequest) -> list[str]:
        self._at(request)
        return [file.read_text() for file in self._mine.glob(".tracegrad/*/*.md") if file.name != "proposal.md"]

    def count(self) -> int:
        return run(self.remote, "for-each-ref", "refs/heads/tracegrad").count("\n")

    def _at(self, request: PullRequest) -> None:
        self._git("fetch", "-q", "origin")
        self._git("checkout", "-q", "--detach", f"origin/{request.branch}")

    def _commit(self, files: dict[str, str], message: str) -> None:
        commit(self._mine, files, message)

    def _git(self, *arguments: str) -> str:
        return run(self._mine, *arguments)


def new_repository(folder: Path) -> None:
    """A remote in a folder, and a person's clone of it; both can be copied elsewhere together."""
    run(folder, "init", "-q", "--bare", "-b", "main", "remote.git")
    run(folder, "init", "-q", "-b", "main", "mine")
    commit(folder / "mine", START, "First")
    run(folder / "mine", "remote", "add", "origin", "../remote.git")
    run(folder / "mine", "push", "-q", "origin", "main")


def commit(clone: Path, files: dict[str, str], message: str) -> None:
    """What a person changes in a clone."""
    for name, text in files.items():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(text)
    run(clone, "add", "-A")
    run(clone, "commit", "-q", "--allow-empty", "-m", message)


def run(folder: Path, *arguments: str) -> str:
    """Git, as a person would run it."""
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in PERSON.items()}
    who.pop("GIT_COMMITTER_NAME")
    settings = ("-c", "user.name=ada", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", *settings, *arguments],
        cwd=folder,
        env={**os.environ, **who},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


PERSON = {"NAME": "ada", "EMAIL": "ada@example.com"}
