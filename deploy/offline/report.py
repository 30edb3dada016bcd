"""What an offline run came to, as one JSON document: the lineage file, and what `--json` prints.

Holds no time, so that the same run gives the same bytes. Must never claim more than was measured.
"""

import json
from enum import StrEnum
from importlib.metadata import version
from math import fsum
from typing import Any

from deploy.offline.compared import Compared, compare
from deploy.offline.ledger import Jury, Ledger
from deploy.offline.rows import repeated
from deploy.offline.run import Files, Order
from gates.statistics import interval
from optimizer.documents.document import Change, ChangeOp, Document
from optimizer.engine import META_VERSIONS
from optimizer.meta import judge as judge_meta
from optimizer.meta import verifier as verifier_meta
from optimizer.prompts import body_json
from optimizer.search.found import Found
from optimizer.types import Candidate, Edit, Gradient, Usage


class Result(StrEnum):
    """How a run ended, in words for people and scripts."""

    IMPROVED = "improved"
    UNPROVEN = "improved, but it may be chance"
    NO_CHANGE = "no change"
    SPENT = "budget spent without a result"


def result_of(found: Found, compared: Compared) -> Result:
    """Better, perhaps better, the same on purpose, or the same for want of budget."""
    if isinstance(found.best, Candidate):
        return Result.IMPROVED if interval(compared.differences)[0] > 0 else Result.UNPROVEN
    # its beginning, for what follows may be words of a model
    spent = found.stopped_because.startswith(("the budget ", "the model's own budget "))
    return Result.SPENT if spent else Result.NO_CHANGE


def document(order: Order, given: Files, found: Found, ledger: Ledger, jury: Jury) -> dict[str, Any]:
    """The whole run."""
    body, base = found.document.body, given.prompt.body
    compared = compare(base, body, given.validation.cases, ledger, jury)
    result = result_of(found, compared)
    return {
        "result": result,
        "why": "" if isinstance(found.best, Candidate) else found.best.reason,
        "stopped_because": found.stopped_because,
        "score": _score(compared, len(given.validation.cases)),
        "does_not_show": _limits(result, compared, given, jury),
        "changes": [_change(change) for change in found.document.changes if change.op is not ChangeOp.KEEP],
        "lines": _lines(found.document),
        "edits": [_edit(edit) for edit in _distinct(found.document)],
        "rejected": [{"reason": refused.reason, **_edit(refused.edit)} for refused in found.rejected],
        "spent": {purpose: _usage(usage) for purpose, usage in ledger.spent.items()},
        "total": _usage(sum(ledger.spent.values(), Usage())),
        "task_calls": found.task_calls,
        "max_task_calls": order.max_task_calls,
        "rounds": found.rounds,
        "seed": order.seed,
        "models": {"task": order.settings.model.task, "critic": order.settings.model.critic},
        "evaluator": jury.name,
        "not_judged": dict(sorted(jury.refusals.items())),
        "rows": {"train": len(given.train.cases), "validation": len(given.validation.cases)},
        "meta_prompts": {**dict(META_VERSIONS), "verifier": verifier_meta.VERSION, "judge": judge_meta.VERSION},
        "tracegrad": version("tracegrad"),
        "base": json.loads(body_json(base)),
        "prompt": json.loads(body_json(body)),
    }


def _score(compared: Compared, rows: int) -> dict[str, Any]:
    count = len(compared.before)
    if not count:
        return {"before": None, "after": None, "rows": 0, "of_rows": rows}
    low, high = interval(compared.differences)
    return {
        "before": fsum(compared.before) / count,
        "after": fsum(compared.after) / count,
        "difference": fsum(compared.differences) / count,
        "interval_95": [low, high],
        "better": sum(difference > 0 for difference in compared.differences),
        "worse": sum(difference < 0 for difference in compared.differences),
        "rows": count,
        "of_rows": rows,
    }


def _limits(result: Result, compared: Compared, given: Files, jury: Jury) -> list[str]:
    """What the numbers do not say, in sentences."""
    count, rows = len(compared.before), len(given.validation.cases)
    said = []
    if result in (Result.IMPROVED, Result.UNPROVEN):
        said.append(
            f"The prompt was chosen by its score on these {count} rows, so the score after is on the flattering side: "
            "rows that neither file holds would tell."
        )
    if result is Result.UNPROVEN:
        said.append("The interval holds 0: the gain may be chance, and more validation rows would tell.")
    if count < rows:
        said.append(f"{rows - count} of {rows} validation rows were not scored with both prompts and do not count.")
    if refused := jury.refusals.total():
        reason, times = jury.commonest
        where = ', all on rows without an "expected"' if jury.refused_without_reference == refused else ""
        share = "" if times == refused else f"{times} of them "
        said.append(f"{refused} answers could not be judged{where}, {share}because {reason}.")
    said += [
        f"Rows with the input of another one, which count again: {twice} in {file.path.name}."
        for file in (given.train, given.validation)
        if (twice := repeated(file))
    ]
    said.append("A score is what the evaluator says: what it does not look at was not measured.")
    return said


def _change(change: Change) -> dict[str, Any]:
    return {
        "op": change.op,
        "line": change.line_id,
        "old": change.old,
        "new": change.new,
        "edit": None if change.edit is None else change.edit.id,
    }


def _lines(found: Document) -> list[dict[str, Any]]:
    blame = found.blame
    return [
        {"line": line.id, "text": line.text, "edit": edit.id if (edit := blame[line.id]) else None}
        for line in found.lines
    ]


def _distinct(found: Document) -> list[Edit]:
    """Every edit that a line or a change goes back to, in the order of the prompt."""
    edits = [*(change.edit for change in found.changes), *found.blame.values()]
    return list({edit.id: edit for edit in edits if edit is not None}.values())


def _edit(edit: Edit) -> dict[str, Any]:
    return {
        "id": edit.id,
        "op": edit.op,
        "line": edit.line,
        "text": edit.text,
        "why": edit.reason,
        "cause": {"id": edit.cause.id, "summary": edit.cause.summary},
        "gradients": [_gradient(gradient) for gradient in edit.cause.gradients],
    }


def _gradient(gradient: Gradient) -> dict[str, Any]:
    return {
        "id": gradient.id,
        "row": gradient.loss.trace.generation.id,
        "feedback": gradient.loss.text,
        "criticism": gradient.text,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "calls": usage.calls,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": usage.cost_usd,
    }
