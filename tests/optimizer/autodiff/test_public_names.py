"""`from optimizer import …`: what it offers, and what importing it does: nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import optimizer

ROOT = Path(optimizer.__file__).parent


def test_every_public_name_is_there_and_typed() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text())
    typed = {
        (str(found.module), alias.name)
        for block in tree.body
        if isinstance(block, ast.If)
        for found in block.body
        if isinstance(found, ast.ImportFrom)
        for alias in found.names
    }
    assert {name for _, name in typed} == set(optimizer.__all__)
    for module, name in typed:
        value = getattr(optimizer, name)
        assert value is getattr(sys.modules[module], name)
        assert value.__doc__
    assert set(optimizer.__all__) <= set(dir(optimizer))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(optimizer, "nothing")


def test_importing_loads_nothing_writes_nothing_and_starts_nothing(tmp_path: Path) -> None:
    """No log folder, no download, no thread, no event loop, and no library but Python's own."""
    code = """
import sys, threading
before = set(sys.modules)
import optimizer
assert not [name for name in sys.modules if name.startswith("optimizer.")], "loaded at once"
from optimizer import *
foreign = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
assert foreign == {"optimizer"}, foreign
assert threading.active_count() == 1
assert "asyncio.runners" in sys.modules and Variable("x", role="y").value == "x"
"""
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", f"import sys; sys.path.insert(0, {str(ROOT.parent)!r})\n{code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
