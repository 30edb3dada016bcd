"""One throw-away clone: a bare repository in a temporary folder, and `git` run in it without a shell.

No hook runs, nothing is asked for at a terminal, nothing is signed, no push is forced, and every command ends in time.
It must never repeat an address with a password in it.
"""

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from connectors.forge.naming import Author
from optimizer.errors import (
    BadCredentials,
    BadInput,
    BadSettings,
    Declined,
    NotFound,
    TracegradError,
    Unreachable,
    Unsupported,
)

LARGEST = 4_000_000
"""Bytes of a file that is read; no prompt is so long."""

_PATIENCE = 6
"""What moves a whole history takes so many times as long as an answer may."""

_KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|TMPDIR|XDG_CONFIG_HOME|SSH_\w+|SSL_CERT_\w+|\w+_proxy"
    r"|GIT_SSH\w*|GIT_SSL_\w+|GIT_CONFIG_(GLOBAL|SYSTEM|NOSYSTEM)",
    re.I,
)
"""What git gets of our environment: how to log in and to connect, and none of our own keys."""

_CALM = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "core.askPass=",
    "gc.auto=0",
    "maintenance.auto=false",
    "push.gpgSign=false",
    "push.followTags=false",
    "push.recurseSubmodules=no",
    "fetch.recurseSubmodules=false",
    "advice.pushUpdateRejected=true",
)
_SETTINGS = tuple(part for setting in _CALM for part in ("-c", setting))
_FIXED = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GCM_INTERACTIVE": "never",
    "SSH_ASKPASS_REQUIRE": "never",
    "LC_ALL": "C",
}

_BEHIND = re.compile(r"non-fast-forward|fetch first|stale info|cannot lock ref|reference already exists", re.I)
_LOGIN = re.compile(
    r"authentication failed|permission denied|could not read (user|pass)|host key|access rights|403|401|publickey", re.I
)
_RULE = re.compile(r"hook declined|protected branch|remote rejected|prohibited", re.I)
_NO_ROUTE = re.compile(r"resolve host|connect|timed out|hung up|early EOF|unable to access|network", re.I)
_ABSENT = re.compile(r"not our ref|unadvertised|find remote ref|not a tree object|not a valid object|bad object", re.I)
_MISSING = re.compile(r"not appear to be a git repository|not found|does not exist", re.I)


class Clone:
    """A bare repository without a working tree, and the refs of the remote that were asked for."""

    def __init__(self, folder: Path, remote: str, author: Author, timeout_s: float) -> None:
        self._folder = folder
        self._remote = remote
        self._timeout_s = timeout_s
        self._environment = {
            **{name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)},
            **_FIXED,
            **{f"GIT_{role}_NAME": author.name for role in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{role}_EMAIL": author.email for role in ("AUTHOR", "COMMITTER")},
            "GIT_INDEX_FILE": str(folder / "index"),
        }

    async def fetch(self, *wanted: str, depth: int = 0) -> None:
        """Bring refs or commits here, without the files; with all of their history, unless a depth is given.

        Raises NotFound for one that the remote does not have, or gives to nobody.
        """
        shallow = (f"--depth={depth}",) if depth else ()
        await self.git("fetch", "-q", "--no-tags", "--filter=blob:none", *shallow, "origin", *wanted, slow=True)

    async def heads(self) -> Mapping[str, str]:
        """The commits of the branches that are here."""
        lines = (await self.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads")).splitlines()
        return {name.removeprefix("refs/heads/"): sha for sha, _, name in (line.partition(" ") for line in lines)}

    async def entries(self, revision: str, *paths: str) -> Mapping[str, tuple[str, str]]:
        """(mode, hash) of what stands at each of these paths, where something does."""
        found = await self.git("ls-tree", "-z", revision, "--", *paths)
        rows = [row.partition("\t") for row in found.split("\0") if row]
        return {path: (about.split()[0], about.split()[2]) for about, _, path in rows}

    async def text(self, revision: str, path: str) -> str | None:
        """A file's text at a commit, None where there is none. Raises BadInput for what is no text."""
        entry = (await self.entries(revision, path)).get(path)
        if entry is None:
            return None
        mode, sha = entry
        if mode not in ("100644", "100755"):
            raise BadInput(f"{path} is no file that can hold a prompt", "correct the `path` of the prompt's file")
        data = await self.output("cat-file", "blob", sha, slow=True)
        if len(data) > LARGEST:
            raise BadInput(f"{path} is too long for a prompt", "correct the `path` of the prompt's file")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadInput(f"{path} is not UTF-8 text", "save it as UTF-8") from error

    async def blobs(self, files: Mapping[str, str]) -> Mapping[str, str]:
        """Keep texts; their hashes by path."""
        return {path: await self.git("hash-object", "-w", "--stdin", given=text) for path, text in files.items()}

    async def commit(self, parent: str, blobs: Mapping[str, str], message: str) -> str:
        """One commit with these files on top of another; no branch points to it yet."""
        await self.git("read-tree", parent)
        put = [part for path, sha in blobs.items() for part in ("--cacheinfo", f"100644,{sha},{path}")]
        await self.git("update-index", "--add", *put)
        tree = await self.git("write-tree", "--missing-ok")
        return await self.git("commit-tree", tree, "-p", parent, "-F", "-", given=message)

    async def push(self, sha: str, branch: str) -> bool:
        """Push a commit; False when somebody else was there first, and nothing was changed."""
        try:
            await self.git("push", "-q", "--no-verify", "origin", f"{sha}:refs/heads/{branch}", slow=True)
        except _Behind:
            return False
        return True

    async def git(self, *arguments: str, given: str = "", slow: bool = False) -> str:
        """Run git; its output without the last line break."""
        return (await self.output(*arguments, given=given, slow=slow)).decode("utf-8", "replace").rstrip("\n")

    async def output(self, *arguments: str, given: str = "", slow: bool = False) -> bytes:
        """Run git; its output. Raises what its complaint means."""
        try:
            process = await asyncio.create_subprocess_exec(
                "git",
                f"--git-dir={self._folder}",
                *_SETTINGS,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise Unsupported("there is no `git` on this machine", "install it, or set `forge.kind: github`") from error
        try:
            async with asyncio.timeout(self._timeout_s * (_PATIENCE if slow else 1)):
                out, complaint = await process.communicate(given.encode("utf-8", "surrogatepass"))
        except TimeoutError as error:
            raise Unreachable(f"git took too long to {arguments[0]} ({self.shown})") from error
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):  # its helpers (ssh) with it
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode:
            raise self._error(arguments[0], complaint.decode("utf-8", "replace"))
        return out

    @property
    def shown(self) -> str:
        """The remote without what may be secret in it."""
        return without_password(self._remote)

    def _error(self, command: str, said: str) -> TracegradError:
        """What git's complaint means."""
        if _BEHIND.search(said):
            return _Behind(f"{self.shown} moved on meanwhile", "try again")
        if _RULE.search(said) and command == "push":
            return Declined(
                f"{self.shown} does not let us push: a rule or a hook refuses it",
                "let our account push to branches `tracegrad/*`",
            )
        if _ABSENT.search(said):
            return NotFound(f"{self.shown} has no such commit", "look whether it was thrown away")
        if _MISSING.search(said):
            return NotFound(f"git finds no repository at {self.shown}", "correct `forge.remote`")
        if _LOGIN.search(said):
            return BadCredentials(
                f"{self.shown} refused our account", "set up a key or a credential helper that git uses without asking"
            )
        if _NO_ROUTE.search(said):
            return Unreachable(f"git cannot reach {self.shown}")
        return BadSettings(f"`git {command}` failed for {self.shown}", "try the same by hand, with `git ls-remote`")


class _Behind(Declined):
    """The branch is not where we saw it."""


def without_password(remote: str) -> str:
    """A remote's address for people."""
    if "://" not in remote:
        return remote
    parts = urlsplit(remote)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


@asynccontextmanager
async def opened(remote: str, author: Author, timeout_s: float) -> AsyncIterator[Clone]:
    """An empty clone, gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="tracegrad-", ignore_cleanup_errors=True) as folder:
        clone = Clone(Path(folder), remote, author, timeout_s)
        await clone.git("init", "-q", "--bare", "--template=")
        # not as an argument: everybody on this machine may see those, and there may be a password in it
        quoted = remote.replace("\\", "\\\\").replace('"', '\\"')
        with (Path(folder) / "config").open("a", encoding="utf-8") as config:
            config.write(f'[remote "origin"]\n\turl = "{quoted}"\n')
        yield clone
