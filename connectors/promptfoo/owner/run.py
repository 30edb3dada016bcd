"""The files of one run of the owner's tests: a configuration with our gateway in it, and his rows as CSV.

His words stay as they are; prompts and providers are ours. Everything lies in the run's private folder.
"""

import csv
import json
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from connectors.promptfoo.configuration import CASE_KEY, provider
from connectors.promptfoo.owner.config import OwnerTests
from connectors.promptfoo.owner.graders import standard
from connectors.promptfoo.owner.tests import OwnerTest
from optimizer.identity import Json
from optimizer.types import Arm, Case

FILTER = Path(str(files("connectors.promptfoo"))) / "prompt.cjs"


def written(folder: Path, url: str, owner: OwnerTests, cases: Sequence[Case], *, sample: int) -> Path:
    """Write the files into the folder. Gives the configuration's path.

    Every other sample has the candidate first: `select-best` and `max-score` let one of two equal answers win by its
    place, and an identical prompt must not lose by that every time.
    """
    order = list(Arm) if sample % 2 == 0 else list(reversed(Arm))
    tests = [owner.tests[case.id] for case in cases]
    listed: list[Json] = [_inline(test) for test in tests if not test.is_row]
    rows = [test for test in tests if test.is_row]
    # rows of one shape share a file: a cell that a row does not have is another thing than an empty one
    for number, columns in enumerate(dict.fromkeys(tuple(row.said) for row in rows)):
        path = folder / f"rows-{number}.csv"
        _write_rows(path, columns, [row for row in rows if tuple(row.said) == columns])
        listed.append(f"file://{path}")
    answering = provider(f"{url}/answer")
    if owner.transform is not None:
        answering["transform"] = owner.transform
    config: Json = {
        "prompts": [{"raw": f'{{{{ "{arm.value}" | tracegrad_prompt }}}}', "label": arm.value} for arm in order],
        "providers": [answering],
        "defaultTest": _common(owner),
        "tests": listed,
        "nunjucksFilters": _filters(owner, folder),
        "sharing": False,
    }
    path = folder / "promptfooconfig.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def _inline(test: OwnerTest) -> Json:
    metadata = test.said.get("metadata")
    return {**test.said, "metadata": {**(metadata if isinstance(metadata, dict) else {}), CASE_KEY: test.case_id}}


def _common(owner: OwnerTests) -> Json:
    options = owner.common.get("options")
    given = options if isinstance(options, dict) else {}
    graders = standard(owner.judge_model, owner.embedding_model)
    return {**owner.common, "options": {**({"provider": graders} if graders else {}), **given}}


def _filters(owner: OwnerTests, folder: Path) -> Json:
    """promptfoo puts its own folder before every filter's path."""
    named = {**owner.filters, "tracegrad_prompt": FILTER}
    return {name: os.path.relpath(path, folder.resolve()) for name, path in named.items()}


def _write_rows(path: Path, columns: Sequence[str], rows: Sequence[OwnerTest]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow([*columns, f"__metadata:{CASE_KEY}"])
        writer.writerows([*(str(cell) for cell in row.said.values()), row.case_id] for row in rows)
