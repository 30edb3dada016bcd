"""The owner's tests as he wrote them: inline, or in YAML, JSON, JSONL and CSV files of his project.

A test keeps its words: what it asserts is read by promptfoo alone. Here it gets an id and absolute references.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from connectors.promptfoo.owner.documents import read, text_of
from connectors.promptfoo.owner.project import Project, is_code
from optimizer.errors import BadInput
from optimizer.identity import Json, canonical, digest

Test: TypeAlias = dict[str, Json]

LISTS = frozenset({".yaml", ".yml", ".json", ".jsonl"})
_CELL = re.compile(r"((?:[\w-]+(?:\([\d.]+\))?:)?\s*)(file://.+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerTest:
    """One test.

    Attributes:
        name: how messages call it.
        said: the test with absolute references, for promptfoo; of a row of a CSV file the cells that it has.
        is_row: promptfoo reads it out of a CSV file, whose columns have meanings of their own.
    """

    case_id: str
    name: str
    said: Test = field(repr=False)
    is_row: bool = False

    @property
    def variables(self) -> Mapping[str, Json] | None:
        """Names and unrendered values; None when they stand in a file of their own."""
        if self.is_row:
            return {name: cell for name, cell in self.said.items() if not name.startswith("__")}
        found = self.said.get("vars", {})
        return found if isinstance(found, dict) else None


@dataclass(slots=True)
class Reading:
    """What was read so far.

    Attributes:
        names: of the tests, by case id.
        skipped: sources of tests that are not read, in words.
    """

    project: Project
    tests: list[OwnerTest] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def take(self, listed: Json) -> None:
        """Everything that `tests` names. Raises BadInput."""
        for entry in listed if isinstance(listed, list) else [listed]:
            if isinstance(entry, str):
                self._source(entry)
            elif isinstance(entry, dict) and "path" in entry:
                self.skipped.append(f"the tests that '{entry['path']}' makes")
            elif isinstance(entry, dict):
                self._test(entry, self.project.base)
            else:
                raise BadInput("an entry of `tests` is no test", "write a mapping or the name of a file")

    def _source(self, reference: str) -> None:
        if "://" in reference.removeprefix("file://"):
            self.skipped.append("tests from another machine")
        elif is_code(reference):
            self.skipped.append(f"the tests that '{reference}' makes")
        else:
            for path in self.project.files(reference):
                self._file(path)

    def _file(self, path: Path) -> None:
        if path.suffix == ".csv":
            for row in _rows(path):
                self._row(row)
        elif path.suffix in LISTS:
            whole = read(path)
            listed = self.project.resolved(whole, whole)
            for entry in listed if isinstance(listed, list) else [listed]:
                if not isinstance(entry, dict):
                    raise BadInput(f"an entry of {path.name} is no test", "write a mapping with `vars` and `assert`")
                self._test(entry, path.parent)
        else:
            self.skipped.append(f"the tests in {path.name}")

    def _test(self, written: Test, folder: Path) -> None:
        said = inside(self.project, written, folder)
        self._add(said, written, str(written.get("description") or ""))

    def _row(self, cells: dict[str, str]) -> None:
        said: Test = {}
        for name, cell in cells.items():
            found = _CELL.fullmatch(cell)
            said[name] = f"{found[1]}{self.project.absolute(found[2].strip())}" if found else cell
        self._add(said, {**cells}, cells.get("__description", ""), is_row=True)

    def _add(self, said: Test, written: Test, description: str, *, is_row: bool = False) -> None:
        slug = re.sub(r"[^A-Za-z0-9]+", "-", description).strip("-").lower()[:40].rstrip("-")
        case_id = f"config-{slug + '-' if slug else ''}{digest('promptfoo test', canonical(written))[:12]}"
        name = f"'{description}'" if description else f"test {len(self.tests) + 1}"
        if case_id in self.names:
            raise BadInput(f"test {len(self.tests) + 1} is the same as {self.names[case_id]}", "remove one of them")
        self.names[case_id] = name
        self.tests.append(OwnerTest(case_id=case_id, name=name, said=said, is_row=is_row))


def inside(project: Project, written: Test, folder: Path) -> Test:
    """A test with absolute references: files of variables start at the folder that names them, others at the base."""
    said = {name: project.absolute(value) for name, value in written.items() if name not in ("vars", "assert")}
    if "vars" in written:
        apart = isinstance(written["vars"], str | list)
        said["vars"] = project.absolute(_listed(written["vars"]), folder if apart else None)
    if "assert" in written:
        asserted = written["assert"]
        listed = read(project.files(asserted)[0]) if isinstance(asserted, str) else asserted
        if not isinstance(listed, list):
            raise BadInput("the `assert` of a test is no list", "write a list of assertions")
        said["assert"] = project.absolute(listed)
    return said


def _listed(value: Json) -> Json:
    """Names of files with variables, which need no `file://`, with it."""
    if isinstance(value, str):
        return value if value.startswith("file://") else f"file://{value}"
    return [_listed(item) for item in value] if isinstance(value, list) else value


def _rows(path: Path) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(text_of(path), newline=""))
    try:
        for number, row in enumerate(reader, 1):
            if None in row or None in row.values():
                raise BadInput(f"row {number} of {path.name} has not as many cells as the head", "correct the row")
            yield {name.strip(): cell for name, cell in row.items()}
    except csv.Error as error:
        raise BadInput(f"{path.name} is no CSV file", "mend it") from error
