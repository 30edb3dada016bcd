"""The installed promptfoo: the committed lock, and what is refused."""

import json
import re
import socket
import subprocess
from pathlib import Path

import pytest

from connectors.promptfoo.process import GUARD
from connectors.promptfoo.runtime import COMMITTED, Runtime, install, locate, verify
from optimizer.errors import BadAnswer, Unsupported

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return install(PROJECT / ".node")


def test_the_committed_lock_names_no_place_to_download_from() -> None:
    text = (COMMITTED / "package-lock.json").read_text()
    assert "resolved" not in text
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert packages["node_modules/promptfoo"]["version"] == "0.123.1"
    assert all(re.fullmatch(r"sha512-\S+", package["integrity"]) for name, package in packages.items() if name)


@pytest.mark.parametrize(
    "platform", ["linux-x64-gnu", "linux-x64-musl", "linux-arm64-gnu", "darwin-arm64", "darwin-x64"]
)
def test_the_lock_covers_every_supported_machine(platform: str) -> None:
    assert f"node_modules/@libsql/{platform}" in json.loads((COMMITTED / "package-lock.json").read_text())["packages"]


@pytest.mark.slow
def test_an_installed_prefix_is_found_and_left_alone(runtime: Runtime) -> None:
    said: list[str] = []
    assert install(PROJECT / ".node", said.append) == locate(PROJECT / ".node") == runtime
    assert said == []
    assert sorted(path.name for path in runtime.bin_dir.iterdir()) == ["node", "promptfoo"]
    version = subprocess.run([runtime.bin_dir / "node", "--version"], capture_output=True, text=True, check=True).stdout
    assert version.startswith("v24.")


def test_a_missing_prefix_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"is not installed in .*; run `tracegrad setup-node`\."):
        locate(tmp_path / "nowhere")


def test_another_version_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "stamp").write_text("made from another lock")
    with pytest.raises(Unsupported, match="not the version"):
        locate(tmp_path)


@pytest.mark.slow
def test_another_node_is_linked_again_without_a_download(tmp_path: Path, runtime: Runtime) -> None:
    installed = runtime.bin_dir.parent
    (tmp_path / "node_modules").symlink_to(installed / "node_modules")
    (tmp_path / "stamp").write_text((installed / "stamp").read_text())
    with pytest.raises(Unsupported, match="another Node"):
        locate(tmp_path)
    said: list[str] = []
    linked = install(tmp_path, said.append)
    assert said == []
    assert (linked.bin_dir / "node").readlink() == (runtime.bin_dir / "node").readlink()
    assert (linked.bin_dir / "promptfoo").resolve() == (runtime.bin_dir / "promptfoo").resolve()


@pytest.mark.parametrize(
    ("name", "integrity"),
    [
        ("node_modules/promptfoo", "sha512-another"),
        ("node_modules/stowaway", "sha512-x"),
        ("node_modules/promptfoo", None),
    ],
)
def test_packages_that_are_not_in_the_lock_are_removed(tmp_path: Path, name: str, integrity: str | None) -> None:
    modules = tmp_path / "node_modules"
    modules.mkdir()
    package = {} if integrity is None else {"integrity": integrity}
    (modules / ".package-lock.json").write_text(json.dumps({"packages": {name: package}}))
    with pytest.raises(BadAnswer, match=f"not in the lock \\({name}\\); check the npm registry"):
        verify(tmp_path)
    assert not modules.exists()


LOOKING_OUT = """
const net = require('node:net'), dns = require('node:dns');
const told = {};
const tell = (name) => (error) => { told[name] = error ? (error.cause || error).code : 'reached'; };
net.connect(9, '192.0.2.1').on('error', tell('address'));
net.connect({ host: 'example.invalid', port: 9 }).on('error', tell('name'));
dns.lookup('example.invalid', tell('lookup'));
dns.promises.resolveTxt('example.invalid').catch(tell('record'));
new dns.Resolver().resolve4('example.invalid', tell('resolver'));
fetch('http://example.invalid').catch(tell('fetch'));
net.connect(Number(process.argv[1]), '127.0.0.1').on('connect', function () { tell('loopback')(); this.destroy(); });
process.on('exit', () => console.log(JSON.stringify(told)));
"""


@pytest.mark.slow
def test_a_run_reaches_this_machine_only(runtime: Runtime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [runtime.bin_dir / "node", "--require", GUARD, "-e", LOOKING_OUT, str(server.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env={})
    blocked = dict.fromkeys(("address", "name", "lookup", "record", "resolver", "fetch"), "EACCES")
    assert json.loads(done.stdout) == {**blocked, "loopback": "reached"}
