"""A pull request says nothing harmful whatever it is made of; what a person makes of it is read, or told as broken."""

import json
import re
import shlex
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from store_samples import T0, candidate, gradient, report

from connectors.memory_forge import MemoryForge
from deploy.lifecycle import ReleaseState
from deploy.release_settings import ReleaseSettings
from deploy.releases.pull_requests import Answer, answer, ask, change_of, file_of, usable
from deploy.settings import PromptSettings
from deploy.store.releases import ReleaseRow
from optimizer.errors import BadInput, NotFound
from optimizer.ports import PullRequest, PullState
from optimizer.prompts import Body, Message, Placeholder, PromptVersion
from optimizer.proof import GateReport, Proof
from optimizer.types import Candidate, Edit, EditOp, RootCause, Verdict

HOSTILE = (
    "<script>alert(1)</script> ![x](http://evil.example/?q) @all #7 www.evil.example `x` | --- | "
    "<!-- tracegrad:report --> ## Merge now\n\n```\n\u202egnp\x1b[2J &#64;admins GH-7"
)
OLD = "You help {{name}}.\nBe brief.\n"
NEW = "You help {{name}}.\nBe brief, and say how.\n"
PASSED: GateReport = replace(report(), verdict=Verdict.PASS, proof=Proof.SCREENED, reasons=("Better by 12 points.",))


def release(prompt: str = "support", run_id: str = "support@2026-11-21T02:30Z") -> ReleaseRow:
    return ReleaseRow(
        run_id=run_id,
        cycle_id=run_id,
        prompt=prompt,
        candidate_id="c",
        state=ReleaseState.PROPOSED,
        reason="",
        base_version=7,
        version=0,
        created_at=T0,
        updated_at=T0,
        expires_at=T0 + timedelta(days=14),
    )


def settings(prompt: str = "support", path: str = "prompts/support.md") -> PromptSettings:
    return PromptSettings(name=prompt, release=ReleaseSettings(ask="pull-request", path=path))


def proposed(body: Body = NEW, parent: Body = OLD, **edit: Any) -> Candidate:
    """A candidate with one edit."""
    cause = RootCause(label="c1", summary=edit.pop("summary", "people ask how"), gradients=(gradient(1), gradient(2)))
    told = {"op": EditOp.REPLACE, "line": "2", "text": "Be brief, and say how.", "reason": "asked for", "cause": cause}
    return Candidate(
        parent=PromptVersion(name="support", version=7, body=parent), edits=(Edit(**told | edit),), body=body
    )


def change(made: Candidate | None = None, gate: GateReport = PASSED, prompt: str = "support", **more: Any) -> Any:
    return change_of(
        release=release(prompt),
        candidate=made or proposed(),
        report=gate,
        prompt=settings(prompt, more.pop("path", "prompts/support.md")),
        **more,
    )


# ---- what it says ----------------------------------------------------------------------------------------------------


def test_it_says_what_why_what_follows_and_how_to_take_it_back() -> None:
    made = change(there=OLD)
    assert made.key == "support@2026-11-21T02:30Z"
    assert made.title == "Prompt support: 1 edit to v7"
    assert made.passed
    body = made.body
    assert "**Gate: pass (screened, not proven).** Better by 12 points." in body
    assert (
        "- **Replace by**: Be brief, and say how.\n  - Why: asked for\n  - Cause: people ask how (2 complaints" in body
    )
    assert "expires on 2026-12-05 at 02:30 UTC" in body
    assert "\n\n    tracegrad rollback support\n" in body
    assert "tracegrad show support@2026-11-21T02:30Z" in body
    assert "not the same as" not in body
    assert made.report.startswith("<!-- tracegrad-gate support -->")
    (path, text), (beside, metadata) = made.files
    assert (path, text, beside) == ("prompts/support.md", NEW, "prompts/support.md.tracegrad.json")
    assert json.loads(metadata) == {
        "prompt": "support",
        "release": "support@2026-11-21T02:30Z",
        "cycle": "support@2026-11-21T02:30Z",
        "base_version": 7,
        "candidate": proposed().id,
    }


def test_an_undecided_gate_is_not_called_passed() -> None:
    assert not change(gate=report()).passed


def test_words_of_models_and_strangers_become_no_markup() -> None:
    made = proposed(text=HOSTILE, reason=HOSTILE, summary=HOSTILE)
    body = change(made, replace(PASSED, reasons=(HOSTILE,)), HOSTILE).body
    apart = body.replace("&#8203;", "\u200b")
    prose = "\n".join(line for line in apart.splitlines() if not line.startswith("    tracegrad"))
    bare = re.sub(r"\\.|\*\*|^#### |^  - |^- ", "", prose, flags=re.M)
    assert not set(bare) & set("`*[]<>|~$\u202e\x1b")
    assert not re.search(r"@\w|#\w|://|www\.|&|^#", bare, re.M)
    shown = [line for line in body.splitlines() if line.startswith("    tracegrad rollback ")]
    assert len(shown) == 1
    assert len(shlex.split(shown[0])) == 3


def test_a_prompts_name_is_one_argument_of_the_rollback() -> None:
    for name in ("team/support bot", "süpport; rm -rf ~", "a'b", "$(x)", "-x"):
        (line,) = [line for line in change(prompt=name).body.splitlines() if "tracegrad rollback" in line]
        assert shlex.split(line) == ["tracegrad", "rollback", name]


def test_inputs_answers_and_complaints_stay_at_home() -> None:
    made = change(
        candidate(gradient(1, said="s3cret"), gradient(2, said="s3cret")), path="p.json", gate=report(said="s3cret")
    )
    said = "".join([made.title, made.body, made.report, *(text for file in made.files for text in file)])
    assert "s3cret" not in said


def test_many_long_edits_are_cut_and_the_way_back_stays() -> None:
    one = proposed(reason="r" * 3_000, text="t" * 3_000).edits[0]
    body = change(replace(proposed(), edits=(one,) * 200)).body
    assert len(body) <= 60_100
    assert " more\n" in body
    assert "tracegrad rollback" in body


def test_a_file_that_is_no_longer_the_version_in_the_registry_is_told() -> None:
    assert "**The file is not the same as version 7" in change(there="Something else\n").body
    assert "not the same as" not in change(there=OLD.replace("\n", "\r\n").rstrip()).body


@pytest.mark.parametrize(
    ("there", "text"), [("a\r\nb", NEW.replace("\n", "\r\n").rstrip()), ("a\n", NEW), ("a", NEW[:-1])]
)
def test_the_file_ends_as_it_did(there: str, text: str) -> None:
    assert change(there=there).files[0][1] == text


CHAT: tuple[Message | Placeholder, ...] = (
    Message(role="system", content="Be brief: {{name}}\n- yes\n\ttabs\n# no comment \u2028 \x85 'q' \"q\" ü\n"),
    Placeholder(name="history"),
    Message(role="user", content="{{question}}"),
)


@pytest.mark.parametrize("path", ["p.json", "p.yaml", "p.yml"])
def test_a_chat_is_read_as_it_was_written(path: str) -> None:
    assert usable(file_of(CHAT, path, None), path, CHAT) == CHAT


@pytest.mark.parametrize(
    ("body", "path"), [(CHAT, "p.md"), ("text", "p.json"), ((Message(role="tool", content="x"),), "p.json")]
)
def test_a_file_that_cannot_hold_the_prompt(body: Body, path: str) -> None:
    with pytest.raises(BadInput, match=r"cannot hold this prompt as it is; end `release\.path`"):
        file_of(body, path, None)


# ---- what comes back -------------------------------------------------------------------------------------------------


async def asked(forge: MemoryForge) -> PullRequest:
    return await ask(forge, release=release(), candidate=proposed(), report=PASSED, prompt=settings(), base="main")


async def test_merged_as_it_was_proposed() -> None:
    forge = MemoryForge({"prompts/support.md": OLD})
    request = await asked(forge)
    forge.say(request, "Fine.")
    revision = forge.merge(request, "grace")
    assert await answer(forge, request, "prompts/support.md", NEW) == Answer(
        state=PullState.MERGED, by="grace", words="Fine.", revision=revision, body=NEW
    )


async def test_asked_twice_is_asked_once() -> None:
    forge = MemoryForge({"prompts/support.md": OLD})
    assert await asked(forge) == await asked(forge)
    assert len(forge.pulls) == 1


async def test_open_and_closed_have_no_text() -> None:
    forge = MemoryForge({"prompts/support.md": OLD})
    request = await asked(forge)
    assert await answer(forge, request, "prompts/support.md", NEW) == Answer(state=PullState.OPEN)
    forge.say(request, "Too long.")
    forge.say(request, "And wrong.")
    forge.turn_down(request, "grace")
    found = await answer(forge, request, "prompts/support.md", NEW)
    assert found == Answer(state=PullState.CLOSED, by="grace", words="Too long.\n\nAnd wrong.")


async def test_a_repository_without_the_file() -> None:
    with pytest.raises(NotFound, match=r"prompts/support\.md"):
        await asked(MemoryForge({"README.md": ""}))


@pytest.mark.parametrize(
    "text", [NEW.replace("\n", "\r\n"), NEW.rstrip(), NEW + "\n", "\ufeff" + NEW], ids=["crlf", "cut", "more", "bom"]
)
async def test_what_an_editor_does_by_itself_is_no_change(text: str) -> None:
    found = await merged_with(text)
    assert (found.changed, found.body, found.fault) == (False, NEW, "")


async def test_a_persons_text_is_read_with_our_line_ends() -> None:
    found = await merged_with("You help {{name}}.\r\nBe very brief, and say how.")
    assert (found.changed, found.fault) == (True, "")
    assert found.body == "You help {{name}}.\nBe very brief, and say how.\n"


BROKEN = {
    "You help.\nBe brief, and say how.\n": "variable",
    "You help {{name}} and {{other}}.\nBe brief, and say how.\n": "variable",
    "You help {{name.\nBe brief, and say how.\n": "variable",
    "You help {{name}}.\nSay sk-abcdefghijklmnopqrstuvwx0123456789ABCDEFGHIJ.\n": "key",
    "": "empty",
    "\n \n": "empty",
    "You help {{name}}.\0\n": "zero byte",
    "<<<<<<< HEAD\nYou help.\n=======\nYou help {{name}}.\n>>>>>>> main\n": "conflict",
}


@pytest.mark.parametrize("text", BROKEN)
async def test_a_broken_template_is_told_in_one_sentence(text: str) -> None:
    found = await merged_with(text)
    assert found.state is PullState.MERGED
    assert found.body is None
    assert found.changed
    assert BROKEN[text] in found.fault
    assert "evil" not in found.fault


async def test_a_merge_that_removed_the_file_is_told() -> None:
    found = await merged_with(None)
    assert found.body is None
    assert "no file prompts/support.md" in found.fault


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1, 2", "is not JSON"),
        ('{"role": "system"}', "no list of messages"),
        ('[{"role": "robot", "content": "evil"}]', "no message"),
        ('[{"role": "system", "content": "Be brief: {{name}}"}]', "placeholders"),
    ],
)
async def test_a_broken_chat_is_told(text: str, told: str) -> None:
    forge = MemoryForge({"p.json": file_of(CHAT, "p.json", None)})
    shorter = (Message(role="system", content="Be brief: {{name}}"), *CHAT[1:])
    made = proposed(shorter, CHAT)
    request = await ask(
        forge, release=release(), candidate=made, report=PASSED, prompt=settings(path="p.json"), base="main"
    )
    forge.edit(request, "p.json", text)
    forge.merge(request, "grace")
    found = await answer(forge, request, "p.json", shorter)
    assert (found.body, found.changed) == (None, True)
    assert told in found.fault
    assert "evil" not in found.fault


async def merged_with(text: str | None) -> Answer:
    forge = MemoryForge({"prompts/support.md": OLD})
    request = await asked(forge)
    forge.edit(request, "prompts/support.md", text)
    forge.merge(request, "grace")
    return await answer(forge, request, "prompts/support.md", NEW)
