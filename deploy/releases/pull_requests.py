"""A person is asked by a pull request: what it says, and how the answer is read.

Nothing is decided here, and nothing is stored. What a pull request shows may be read outside the company: our own
words, numbers and the prompt's text, never an input, an answer or a complaint; whatever a model or a person wrote is
escaped. What comes back may have been changed by a person, or broken.
"""

import json
import re
import shlex
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path

from deploy.offline.promptfile import parsed, written
from deploy.settings import PromptSettings
from deploy.store.releases import ReleaseRow
from gates.rendering.markdown import as_markdown, escaped
from gates.rendering.unseen import on_one_line
from gates.safety.guarding import guarded
from gates.words import counted
from optimizer.errors import BadInput, NotFound
from optimizer.ports import Change, Forge, PullRequest, PullState
from optimizer.prompts import Body
from optimizer.proof import GateReport
from optimizer.template import contents
from optimizer.types import Candidate, Edit, EditOp, Verdict

LONGEST_BODY = 60_000
"""Characters; a forge takes 65,536."""

METADATA = ".tracegrad.json"
"""What the name of the file beside the prompt's ends in."""

_CONFLICT = re.compile(r"^<{7} .*^={7}$.*^>{7} ", re.M | re.S)
_DONE = {EditOp.ADD: "Add", EditOp.REPLACE: "Replace by", EditOp.REMOVE: "Remove a line"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a pull request.

    Attributes:
        words: what people wrote, oldest first; hostile text as any.
        revision: the commit in which it was merged.
        body: the text that was merged, as it is to be published; None unless it was merged and can be used.
        changed: a person made another text of ours.
        fault: why a merged text cannot be used, in a sentence that says what to do.
    """

    state: PullState
    by: str = ""
    words: str = ""
    revision: str = ""
    body: Body | None = None
    changed: bool = False
    fault: str = ""


async def ask(
    forge: Forge, *, release: ReleaseRow, candidate: Candidate, report: GateReport, prompt: PromptSettings, base: str
) -> PullRequest:
    """Open the pull request of a release, or find it and bring it up to date; safe to repeat.

    Args:
        base: the branch that it is to be merged into.

    Raises:
        NotFound: the repository has no such file on the base branch.
        BadInput: the file cannot hold this prompt, or its path leads out of the repository.
    """
    there = await forge.text_at(prompt.release.path, base)
    change = change_of(release=release, candidate=candidate, report=report, prompt=prompt, there=there)
    return await forge.propose(change)


async def answer(forge: Forge, request: PullRequest, path: str, proposed: Body) -> Answer:
    """What became of a pull request, with the text that was merged.

    Args:
        path: of the prompt's file.
        proposed: the text that we asked about.
    """
    reading = await forge.read(request)
    words = "\n\n".join(reading.words)
    said = Answer(state=reading.state, by=reading.by, words=words, revision=reading.revision)
    if reading.state is not PullState.MERGED:
        return said
    try:
        body = usable(await forge.text_at(path, reading.revision), path, proposed)
    except (NotFound, BadInput) as error:
        return replace(said, changed=True, fault=str(error))
    if body == proposed:
        return replace(said, body=body)
    finding = guarded(proposed, body, by_person=True)
    if finding.verdict is Verdict.FAIL:
        return replace(said, changed=True, fault=finding.sentence)
    return replace(said, body=body, changed=True)


def usable(text: str, path: str, proposed: Body) -> Body:
    """The prompt in a file's text; line ends and the last line breaks are those of what we proposed.

    Editors and git change both without being asked, and nobody meant it. Raises BadInput.
    """
    if "\0" in text:
        raise BadInput(f"{path} holds a zero byte, so it is no text", "take it out")
    if _CONFLICT.search(text) and not any(map(_CONFLICT.search, contents(proposed))):
        raise BadInput(f"{path} holds the marks of a merge conflict", "settle it, and keep one text")
    body = parsed(text.removeprefix("\ufeff"), Path(path))
    if not isinstance(body, str) or not isinstance(proposed, str):
        return body
    return proposed if _plain(body) == _plain(proposed) else like(body, proposed)


def like(text: str, model: str) -> str:
    """A text with the line ends and the last line breaks of another."""
    ending = model[len(model.rstrip("\r\n")) :].replace("\r\n", "\n")
    whole = _plain(text) + ending
    return whole.replace("\n", "\r\n") if "\r\n" in model else whole


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").rstrip("\n")


def change_of(
    *,
    release: ReleaseRow,
    candidate: Candidate,
    report: GateReport,
    prompt: PromptSettings,
    there: str | None = None,
) -> Change:
    """The pull request of a release.

    Args:
        there: the text of the prompt's file on the base branch; None when it is not known.

    Raises:
        BadInput: a file of that name cannot hold this prompt.
    """
    path = prompt.release.path
    return Change(
        key=release.run_id,
        title=title_of(prompt.name, candidate),
        body=body_of(release, candidate, report, prompt, there),
        files=((path, file_of(candidate.body, path, there)), (f"{path}{METADATA}", metadata_of(release, candidate))),
        report=as_markdown(report, prompt=prompt.name),
        passed=report.verdict is Verdict.PASS,
    )


def file_of(body: Body, path: str, there: str | None) -> str:
    """The prompt as its file will hold it, ending as the file does now. Raises BadInput."""
    text = written(body, Path(path))
    try:
        same = parsed(text, Path(path)) == body
    except BadInput:
        same = False
    if not same:
        raise BadInput(
            f"{path} cannot hold this prompt as it is",
            "end `release.path` in .json or .yaml for a chat, and in .md or .txt for a text, or set "
            "`release.ask: command`",
        )
    return like(text, there) if isinstance(body, str) and there is not None else text


def title_of(prompt: str, candidate: Candidate) -> str:
    """One line: which prompt, how much of it."""
    return f"Prompt {on_one_line(prompt)[:120]}: {counted(len(candidate.edits), 'edit')} to v{candidate.parent.version}"


def metadata_of(release: ReleaseRow, candidate: Candidate) -> str:
    """What a machine wants to know of the file beside it."""
    told = {
        "prompt": release.prompt,
        "release": release.run_id,
        "cycle": release.cycle_id,
        "base_version": candidate.parent.version,
        "candidate": candidate.id,
    }
    return json.dumps(told, indent=2) + "\n"


def body_of(
    release: ReleaseRow, candidate: Candidate, report: GateReport, prompt: PromptSettings, there: str | None
) -> str:
    """What the pull request says, in Markdown."""
    headline = escaped(report.reasons[0]) if report.reasons else ""
    head = [
        f"Tracegrad proposes {counted(len(candidate.edits), 'edit')} to the prompt **{escaped(prompt.name)}**, "
        f"version {candidate.parent.version}.",
        "",
        f"**Gate: {report.verdict} ({report.proof}).** {headline} The whole report is in a comment.",
        "",
        *_differs(candidate, prompt.release.path, there),
        "#### What changes, and why",
        "",
    ]
    tail = _tail(release, prompt)
    room = LONGEST_BODY - sum(len(line) + 1 for line in [*head, *tail])
    return "\n".join([*head, *_within(room, [_edit(edit) for edit in candidate.edits]), *tail])


def _tail(release: ReleaseRow, prompt: PromptSettings) -> list[str]:
    """What the reader can do; commands are blocks, which no mark in a name can end."""
    expires = release.expires_at.astimezone(UTC)
    return [
        "",
        "#### What happens next",
        "",
        "- Merge: the text in the merge commit is published. Change it on this branch as you like; a text that you "
        "changed goes through the gate first.",
        "- Close: it is rejected, its edits are not proposed again, and what you wrote here is remembered.",
        f"- Neither: it expires on {expires:%Y-%m-%d at %H:%M} UTC, when its evidence is too old.",
        "",
        "To take it back once it is live:",
        "",
        f"    tracegrad rollback {shlex.quote(on_one_line(prompt.name))}",
        "",
        "What was found, and where every line comes from:",
        "",
        f"    tracegrad show {shlex.quote(on_one_line(release.cycle_id))}",
        f"    tracegrad blame {shlex.quote(on_one_line(prompt.name))}",
        "",
    ]


def _differs(candidate: Candidate, path: str, there: str | None) -> list[str]:
    """A warning when the file is not what the release starts from: merging would undo somebody's work on it."""
    if there is None:
        return []
    try:
        same = usable(there, path, candidate.parent.body) == candidate.parent.body
    except BadInput:
        same = False
    if same:
        return []
    return [
        f"**The file is not the same as version {candidate.parent.version} in the registry.** Look at the whole diff: "
        "merging replaces what the file says.",
        "",
    ]


def _edit(edit: Edit) -> str:
    complaints, sources = len(edit.cause.gradients), len(edit.cause.sources)
    said = f": {escaped(edit.text)}" if edit.text else ""
    behind = f"{counted(complaints, 'complaint')} from {counted(sources, 'source')}"
    why = f"  - Why: {escaped(edit.reason)}\n  - Cause: {escaped(edit.cause.summary)} ({behind})"
    return f"- **{_DONE[edit.op]}**{said}\n{why}"


def _within(room: int, lines: list[str]) -> list[str]:
    """As many as there is room for."""
    kept: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            return [*kept, f"- and {len(lines) - len(kept)} more"]
        kept.append(line)
    return kept
