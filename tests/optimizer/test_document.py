"""Edits by line: what they change, what they leave alone, and who is blamed for what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.documents.document import ChangeOp, Document, render
from optimizer.errors import Garbled
from optimizer.prompts import Body, Message, Placeholder
from optimizer.types import Edit, EditOp, RootCause

CAUSE = RootCause(label="c1", summary="too long", gradients=())


def edit(op: str, line: str, text: str = "", reason: str = "because") -> Edit:
    return Edit(op=EditOp(op), line=line, text=text, reason=reason, cause=CAUSE)


def test_a_text_prompt_has_numbered_lines() -> None:
    document = Document.of("one\r\n\nthree\n")
    assert [(line.id, line.text) for line in document.lines] == [("1", "one"), ("2", ""), ("3", "three")]


CHAT: Body = (
    Message(role="system", content="a\nb"),
    Placeholder(name="past"),
    Message(role="user", content="{{q}}"),
    Message(role="developer", content="c"),
)


def test_only_system_and_developer_messages_of_a_chat_prompt_have_lines() -> None:
    assert [line.id for line in Document.of(CHAT).lines] == ["m0.1", "m0.2", "m3.1"]


def test_edits_of_a_chat_prompt_leave_the_rest_alone() -> None:
    edits = [edit("add", "m0.0", "first"), edit("replace", "m3.1", "C"), edit("remove", "m0.2")]
    assert Document.of(CHAT).apply(edits).body == (
        Message(role="system", content="first\na"),
        Placeholder(name="past"),
        Message(role="user", content="{{q}}"),
        Message(role="developer", content="C"),
    )


@pytest.mark.parametrize(
    ("body", "edits", "expected"),
    [
        ("a\nb", [], "a\nb"),
        ("a\nb", [edit("add", "0", "x")], "x\na\nb"),
        ("a\nb", [edit("add", "2", "x")], "a\nb\nx"),
        ("a\nb\n", [edit("add", "2", "x")], "a\nb\nx\n"),
        ("a\nb\n\n", [edit("remove", "2")], "a\n\n"),
        ("a\nb", [edit("remove", "2")], "a"),
        ("a\nb\n", [edit("remove", "2")], "a\n"),
        ("a", [edit("remove", "1")], ""),
        ("a\n\nb", [edit("remove", "3")], "a\n\n"),
        ("", [edit("add", "0", "x")], "x"),
        ("\n", [edit("add", "0", "x")], "x\n\n"),
        ("a\r\nb\r\n", [edit("add", "1", "x\ny")], "a\r\nx\r\ny\r\nb\r\n"),
        ("a\r\nb", [edit("replace", "2", "x\r\ny\n")], "a\r\nx\r\ny"),
        ("a\r\nb\nc", [edit("replace", "2", "x")], "a\r\nx\nc"),
        ("a\rb\u2028c\n", [edit("add", "1", "x")], "a\rb\u2028c\nx\n"),
        ("  a \t\nb", [edit("replace", "2", " x ")], "  a \t\n x "),
        ("a\nb\nc", [edit("add", "2", "x"), edit("remove", "2"), edit("add", "2", "y")], "a\nx\ny\nc"),
        ("a\nb\nc", [edit("remove", "3"), edit("add", "0", "x"), edit("replace", "1", "y")], "x\ny\nb"),
        ("a\nb", [edit("replace", "2", "x\n\ny")], "a\nx\n\ny"),
    ],
)
def test_edits_make_the_body(body: str, edits: list[Edit], expected: str) -> None:
    assert Document.of(body).apply(edits).body == expected


@pytest.mark.parametrize(
    ("edits", "fault"),
    [
        ([edit("replace", "3", "x")], 'edit 1 (replace at line "3") names a line that does not exist'),
        ([edit("replace", "0", "x")], 'edit 1 (replace at line "0") names a line that does not exist'),
        ([edit("remove", "0")], 'edit 1 (remove at line "0") names a line that does not exist'),
        ([edit("add", "m0.1", "x")], 'edit 1 (add at line "m0.1") names a line that does not exist'),
        ([edit("add", "1", "")], 'edit 1 (add at line "1") has no text'),
        ([edit("replace", "1", "")], 'edit 1 (replace at line "1") has no text'),
        ([edit("replace", "1", "a")], 'edit 1 (replace at line "1") changes nothing'),
        (
            [edit("replace", "1", "x"), edit("replace", "1", "y")],
            'edit 2 (replace at line "1") contradicts an earlier edit (replace) of the same line',
        ),
        (
            [edit("remove", "1"), edit("add", "2", "z"), edit("replace", "1", "y")],
            'edit 3 (replace at line "1") contradicts an earlier edit (remove) of the same line',
        ),
        (
            [edit("remove", "1"), edit("remove", "1")],
            'edit 2 (remove at line "1") contradicts an earlier edit (remove) of the same line',
        ),
    ],
)
def test_a_bad_edit_is_refused_by_name(edits: list[Edit], fault: str) -> None:
    document = Document.of("a\nb")
    with pytest.raises(Garbled) as error:
        document.apply(edits)
    assert str(error.value) == fault
    assert document.body == "a\nb"


def test_every_line_knows_the_edit_that_made_it() -> None:
    first, second = edit("add", "0", "x\ny"), edit("replace", "2", "B")
    document = Document.of("a\nb\nc").apply([second, first])
    assert [document.blame[line.id] for line in document.lines] == [first, first, None, second, None]
    again = edit("remove", "0.1")
    later = document.apply([again])
    assert [later.blame[line.id] for line in later.lines] == [first, None, second, None]


def test_changes_tell_what_became_of_every_line() -> None:
    replaced, removed, added = edit("replace", "1", "A1\nA2"), edit("remove", "2"), edit("add", "2", "x")
    changes = Document.of("a\nb\nc").apply([added, removed, replaced]).changes
    assert [(c.op, c.line_id, c.old, c.new, c.edit) for c in changes] == [
        (ChangeOp.REPLACE, "1", "a", "A1", replaced),
        (ChangeOp.ADD, "1", "", "A2", replaced),
        (ChangeOp.REMOVE, "2", "b", "", removed),
        (ChangeOp.ADD, "2", "", "x", added),
        (ChangeOp.KEEP, "3", "c", "c", None),
    ]


def test_the_view_shows_reasons_and_little_else() -> None:
    body = "\n".join(str(n) for n in range(1, 11))
    edits = [edit("replace", "5", "five", "words\n read better"), edit("remove", "6", reason="odd")]
    assert render(Document.of(body).apply(edits).changes, context=1).splitlines() == [
        "  ...",
        "  4",
        "- 5",
        "+ five  # words read better",
        "- 6  # odd",
        "  7",
        "  ...",
    ]


texts = st.lists(st.sampled_from(["a", "", " b", "\n", "\r\n", "\r", "{{x}}"])).map("".join)


@given(texts)
def test_a_document_without_edits_is_its_body_byte_for_byte(body: str) -> None:
    assert Document.of(body).body == body
    assert Document.of(body).apply([]).body == body


@given(texts.filter(bool), st.data())
def test_untouched_lines_keep_text_order_and_endings(body: str, data: st.DataObject) -> None:
    lines = Document.of(body).lines
    ids = data.draw(st.lists(st.sampled_from([line.id for line in lines]), unique=True))
    ops = [data.draw(st.sampled_from(["add", "replace", "remove"])) for _ in ids]
    edits = [edit(op, line, "" if op == "remove" else f"new {line}") for op, line in zip(ops, ids, strict=True)]
    after = Document.of(body).apply(edits)
    gone = {line for op, line in zip(ops, ids, strict=True) if op != "add"}
    kept = [line.text for line in lines if line.id not in gone]
    assert [line.text for line in after.lines if after.blame[line.id] is None] == kept
    assert isinstance(after.body, str)
    if "\r" not in body.replace("\r\n", ""):  # a line that ends in a lone CR makes a CRLF with the newline behind it
        assert [line.text for line in Document.of(after.body).lines] == [line.text for line in after.lines]
    if after.lines and after.lines[-1].text:
        assert body.endswith("\n") == after.body.endswith("\n")
    # the order of edits about different lines does not matter
    assert Document.of(body).apply(edits[::-1]).body == after.body
