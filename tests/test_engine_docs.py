"""The tables of docs/engine.md: every row names a test, and every named test exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "engine.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def rows() -> list[list[str]]:
    """The cells of every row whose last column is called `test`."""
    found, wanted = [], False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            wanted = False
        elif cells[-1] == "test":
            wanted = True
        elif wanted and not set(line) <= set("|-: "):
            found.append(cells)
    return found


def defined(file: str) -> frozenset[str]:
    """The tests that a file under tests/ defines; none when there is no such file."""
    path = ROOT / "tests" / file
    if not path.is_file():
        return frozenset()
    functions = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return frozenset(
        node.name
        for node in functions
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def test_every_row_names_a_test() -> None:
    assert len(rows()) > 50
    assert [row[0] for row in rows() if not NAMED.search(row[-1])] == []


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED.findall(PAGE))))
def test_every_named_test_exists(file: str, name: str) -> None:
    assert name in defined(file)


def test_every_test_is_named_in_the_form_that_is_checked() -> None:
    assert re.findall(r"\btest_\w+\b", NAMED.sub("", PAGE)) == []
