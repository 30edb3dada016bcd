"""A run over files, below the command line: what is repeatable, what counts as proven, and what is no result."""

import shutil
from pathlib import Path

import pytest
from optimize_samples import EVALUATORS, ROW

from connectors.memory import ScriptedJudge, ScriptedModel
from deploy.offline.compared import Compared
from deploy.offline.ledger import Jury, Ledger
from deploy.offline.outputs import Outputs
from deploy.offline.report import Result, result_of
from deploy.offline.run import Order, fence_secret, files, found_by
from deploy.settings import Settings
from optimizer.documents.document import Document
from optimizer.errors import BadInput, ServerFault
from optimizer.ports import ModelRequest
from optimizer.prompts import PromptVersion
from optimizer.search.found import Found
from optimizer.steps.tgd import NoCandidate
from optimizer.types import Candidate, Unscored, Usage

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "optimize"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example's prompt and rows, and evaluators of our own."""
    for name in ("prompt.txt", "train.jsonl", "val.jsonl"):
        shutil.copy(EXAMPLES / name, tmp_path)
    (tmp_path / "offline_evaluators.py").write_text(EVALUATORS, encoding="utf-8")
    return tmp_path


def order_in(folder: Path, seed: int) -> Order:
    return Order(
        prompt=folder / "prompt.txt",
        train=folder / "train.jsonl",
        validation=folder / "val.jsonl",
        evaluator="python:offline_evaluators:phrase",
        settings=Settings(),
        max_task_calls=300,
        quorum=1,
        seed=seed,
        folder=folder,
    )


def test_the_fence_is_the_seeds_and_the_rows(folder: Path) -> None:
    def secret(seed: int) -> bytes:
        order = order_in(folder, seed)
        return fence_secret(order, files(order))

    first = secret(0)
    assert secret(0) == first != secret(1)
    lines = (folder / "train.jsonl").read_text().splitlines(keepends=True)
    (folder / "train.jsonl").write_text("".join(reversed(lines)))
    assert secret(0) == first
    with (folder / "train.jsonl").open("a") as file:
        file.write(ROW)
    assert secret(0) != first


@pytest.mark.parametrize("order", [("late", "early"), ("early", "late")])
async def test_the_commonest_refusal_is_no_matter_of_arrival(folder: Path, order: tuple[str, ...]) -> None:
    cases = files(order_in(folder, 0)).validation.cases
    said = iter(order)
    jury = Jury(ScriptedJudge(lambda _case, _output: Unscored(reason=next(said))))
    for case, _ in zip(cases, order, strict=False):
        await jury.judge(case, "answer")
    assert jury.commonest == ("early", 1)


async def test_a_model_that_dies_is_not_taken_for_a_prompt_without_faults(folder: Path) -> None:
    def dying(request: ModelRequest) -> str | Exception:
        return ServerFault("down") if request.purpose == "task" else "OK"

    order = order_in(folder, 0)
    told: list[int] = []
    with pytest.raises(ServerFault, match=r"the task model answered no row of .*train\.jsonl"):
        await found_by(order, files(order), Ledger(ScriptedModel(dying), on_task=told.append))
    assert told == list(range(1, len(told) + 1))


@pytest.mark.parametrize(("rows", "result"), [(6, Result.UNPROVEN), (60, Result.IMPROVED)])
def test_a_gain_on_few_rows_is_not_called_proven(rows: int, result: Result) -> None:
    seed = PromptVersion(name="p", version=1, body="Be kind.")
    found = Found(
        best=Candidate(parent=seed, edits=(), body="Be kind and brief."),
        document=Document.of("Be kind and brief."),
        seed_score=0.0,
        best_score=0.5,
        task_calls=10,
        rounds=1,
        rejected=(),
        usage=Usage(),
        stopped_because="1 round was made",
    )
    compared = Compared(before=(0.0,) * rows, after=(0.0, 1.0) * (rows // 2))
    assert result_of(found, compared) is result


@pytest.mark.parametrize(
    ("why", "result"),
    [
        ("the budget of 500 task calls is used up", Result.SPENT),
        ("the model's own budget is used up: 3 USD", Result.SPENT),
        ('5 steps in a row made no new prompt, the last because edit 1 (add at line "budget") names no line', None),
    ],
)
def test_only_the_searchs_own_words_say_that_the_budget_ended(why: str, result: Result | None) -> None:
    found = Found(
        best=NoCandidate(reason=why),
        document=Document.of("Be kind."),
        seed_score=0.0,
        best_score=0.0,
        task_calls=10,
        rounds=1,
        rejected=(),
        usage=Usage(),
        stopped_because=why,
    )
    assert result_of(found, Compared(before=(0.0,), after=(0.0,))) is (result or Result.NO_CHANGE)


def test_both_files_are_written_or_none(tmp_path: Path) -> None:
    outputs = Outputs(prompt=tmp_path / "better.txt")
    outputs.lineage.mkdir()  # nobody can put a file in its place
    with pytest.raises(BadInput, match=r"better\.txt cannot be written"):
        outputs.write("a prompt", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["better.txt.lineage.json"]
