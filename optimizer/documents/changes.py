"""What edits did to a text, line by line, and how to show it.

Must never leave a line out: the old text and the new one can both be read off the changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from optimizer.documents.rows import Block, Row
from optimizer.types import Edit


class ChangeOp(StrEnum):
    KEEP = "keep"
    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one line of the base, or a line that was added.

    Attributes:
        line_id: the line's id in the base; for an added line, the id of the base's line that it follows.
        old: text in the base, empty for an added line.
        new: text now, empty for a removed line.
        edit: the edit that did it, None for a line that was kept.
    """

    op: ChangeOp
    line_id: str
    old: str
    new: str
    edit: Edit | None


def changes_of(blocks: Sequence[Block]) -> tuple[Change, ...]:
    """Every line of the first text and every line that was added and is still there, in order."""
    return tuple(
        Change(op=_op(row), line_id=row.anchor, old=row.old, new="" if row.gone else row.text, edit=row.edit)
        for block in blocks
        for row in block.rows
        if not (row.added and row.gone)
    )


def _op(row: Row) -> ChangeOp:
    if row.edit is None:
        return ChangeOp.KEEP
    if row.added:
        return ChangeOp.ADD
    return ChangeOp.REMOVE if row.gone else ChangeOp.REPLACE


def render(changes: Sequence[Change], *, context: int = 3) -> str:
    """A unified view for showing: kept lines near a change, "-" and "+" lines, and the reason behind each change."""
    near = _near([change.op is not ChangeOp.KEEP for change in changes], context)
    shown: list[str] = []
    gap = False
    for change, is_near in zip(changes, near, strict=True):
        if change.op is ChangeOp.KEEP:
            if is_near:
                shown.append(f"  {change.old}")
            elif not gap:
                shown.append("  ...")
            gap = not is_near
            continue
        gap = False
        reason = f"  # {' '.join(change.edit.reason.split())}" if change.edit else ""
        if change.op in (ChangeOp.REPLACE, ChangeOp.REMOVE):
            shown.append(f"- {change.old}" + (reason if change.op is ChangeOp.REMOVE else ""))
        if change.op in (ChangeOp.REPLACE, ChangeOp.ADD):
            shown.append(f"+ {change.new}{reason}")
    return "\n".join(shown)


def _near(touched: Sequence[bool], context: int) -> list[bool]:
    """Which places are at most `context` places away from a touched one."""
    last = -context - 1
    near: list[bool] = []
    for i, is_touched in enumerate(touched):
        last = i if is_touched else last
        near.append(i - last <= context)
    ahead = len(touched) + context
    for i in range(len(touched) - 1, -1, -1):
        ahead = i if touched[i] else ahead
        near[i] = near[i] or ahead - i <= context
    return near
