"""Documents written out: ids along a chain, squashed edits, edits taken back, sections, and merges of two."""

import pytest
from editing import brief, edit, shown

from optimizer.documents.document import Document, inverse
from optimizer.documents.merging import Conflict, merge
from optimizer.errors import BadInput, Garbled
from optimizer.images import Image
from optimizer.prompts import Body, Message, Placeholder
from optimizer.types import Edit

PNG = Image(b"\x89PNG\r\n\x1a\n")

Steps = list[list[Edit]]


def grown(body: Body, steps: Steps) -> Document:
    document = Document.of(body)
    for step in steps:
        document = document.apply(step)
    return document


CHAINS: list[tuple[str, Steps, list[str], list[tuple[str, str, str]]]] = [
    # body, steps, the lines with their ids, the squashed edits
    ("a\nb", [], ["1:a", "2:b"], []),
    ("a\nb", [[edit("add", "1", "x")]], ["1:a", "1.1:x", "2:b"], [("add", "1", "x")]),
    ("a\nb", [[edit("add", "0", "x")]], ["0.1:x", "1:a", "2:b"], [("add", "0", "x")]),
    # a later line goes right behind the one that it names, and gets the next number there
    (
        "a",
        [[edit("add", "1", "x")], [edit("add", "1", "y")], [edit("add", "1.1", "z")]],
        ["1:a", "1.2:y", "1.1:x", "1.3:z"],
        [("add", "1", "y"), ("add", "1", "x"), ("add", "1", "z")],
    ),
    # added, then replaced: one add that says what was said last
    ("a", [[edit("add", "1", "x")], [edit("replace", "1.1", "y")]], ["1:a", "1.1:y"], [("add", "1", "y")]),
    # added, then removed: nothing, and the id is not used again
    ("a", [[edit("add", "1", "x")], [edit("remove", "1.1")]], ["1:a"], []),
    (
        "a",
        [[edit("add", "1", "x")], [edit("remove", "1.1")], [edit("add", "1", "x")]],
        ["1:a", "1.2:x"],
        [("add", "1", "x")],
    ),
    # replaced twice; replaced until it is as it was
    ("a", [[edit("replace", "1", "b")], [edit("replace", "1", "c")]], ["1:c"], [("replace", "1", "c")]),
    ("a", [[edit("replace", "1", "b")], [edit("replace", "1", "a")]], ["1:a"], []),
    # replaced, then removed; removed, then put back
    ("a\nb", [[edit("replace", "1", "x")], [edit("remove", "1")]], ["2:b"], [("remove", "1", "")]),
    ("a\nb", [[edit("remove", "1")], [edit("replace", "1", "c")]], ["1:c", "2:b"], [("replace", "1", "c")]),
    ("a\nb", [[edit("remove", "1")], [edit("replace", "1", "a")]], ["1:a", "2:b"], []),
    # behind a line that is gone
    (
        "a\nb",
        [[edit("remove", "1"), edit("add", "1", "x")], [edit("add", "1.1", "y")]],
        ["1.1:x", "1.2:y", "2:b"],
        [("remove", "1", ""), ("add", "1", "x"), ("add", "1", "y")],
    ),
    # longer texts: one edit a line
    (
        "a\nb",
        [[edit("replace", "1", "x\n\ny")]],
        ["1:x", "1.1:", "1.2:y", "2:b"],
        [("replace", "1", "x"), ("add", "1", "\n"), ("add", "1", "y")],
    ),
    ("a", [[edit("replace", "1", "a\nb")]], ["1:a", "1.1:b"], [("add", "1", "b")]),
    ("a\nb", [[edit("add", "1", "\n")]], ["1:a", "1.1:", "2:b"], [("add", "1", "\n")]),
    ("", [[edit("add", "0", "x\ny")], [edit("remove", "0.1")]], ["0.2:y"], [("add", "0", "y")]),
    # what is no end of a line
    (
        "a\u2028b\x85c\x0c\r",
        [[edit("add", "1", "ש\u200b{")]],
        ["1:a\u2028b\x85c\x0c\r", "1.1:ש\u200b{"],
        [("add", "1", "ש\u200b{")],
    ),
]


@pytest.mark.parametrize(("body", "steps", "lines", "edits"), CHAINS)
def test_steps_make_these_lines_and_squash_to_these_edits(
    body: str, steps: Steps, lines: list[str], edits: list[tuple[str, str, str]]
) -> None:
    document = grown(body, steps)
    assert shown(document) == lines
    assert brief(document.edits) == edits
    assert Document.of(body).apply(document.edits).body == document.body


def test_endings_survive_any_detour() -> None:
    body = "a\r\nb\nc"
    gone = grown(body, [[edit("remove", "3")]])
    assert gone.body == "a\r\nb"
    assert gone.apply([edit("replace", "3", "c")]).body == body
    assert grown(body, [[edit("remove", "1"), edit("remove", "2")], [edit("replace", "2", "b")]]).body == "b\nc"


def test_squashed_edits_carry_the_reason_of_the_last_step() -> None:
    steps = [
        [edit("add", "1", "x", "first"), edit("replace", "2", "B", "second")],
        [edit("replace", "1.1", "y", "third"), edit("remove", "2", reason="fourth")],
    ]
    document = grown("a\nb", steps)
    assert [made.reason for made in document.edits] == ["third", "fourth"]
    assert document.blame == {"1": None, "1.1": steps[1][0]}


def test_a_chat_prompts_lines_keep_their_messages() -> None:
    body: Body = (Message(role="system", content="a\nb"), Placeholder(name="p"), Message(role="developer", content=""))
    document = grown(body, [[edit("add", "m2.0", "x"), edit("remove", "m0.1")], [edit("add", "m2.0.1", "y")]])
    assert shown(document) == ["m0.2:b", "m2.0.1:x", "m2.0.2:y"]
    assert document.body == (
        Message(role="system", content="b"),
        Placeholder(name="p"),
        Message(role="developer", content="x\ny"),
    )
    assert brief(document.edits) == [("remove", "m0.1", ""), ("add", "m2.0", "x"), ("add", "m2.0", "y")]


def test_a_message_with_images_has_no_lines() -> None:
    body: Body = (Message(role="system", content="a", parts=("a", PNG)), Message(role="system", content="b"))
    document = Document.of(body)
    assert shown(document) == ["m1.1:b"]
    assert document.apply([edit("replace", "m1.1", "c")]).body == (body[0], Message(role="system", content="c"))


@pytest.mark.parametrize("op", ["add", "remove"])
def test_a_line_that_is_gone_can_only_be_put_back(op: str) -> None:
    document = grown("a\nb", [[edit("remove", "1")]])
    with pytest.raises(Garbled, match="names a line that does not exist"):
        document.apply([edit(op, "1", "x")])


@pytest.mark.parametrize(
    ("steps", "edits", "undo"),
    [
        ([], [edit("add", "1", "x\ny")], [("remove", "1.1", ""), ("remove", "1.2", "")]),
        ([], [edit("replace", "1", "x\ny")], [("replace", "1", "a"), ("remove", "1.1", "")]),
        ([], [edit("remove", "2")], [("replace", "2", "\n")]),
        ([[edit("remove", "1")]], [edit("replace", "1", "x")], [("remove", "1", "")]),
        ([[edit("add", "1", "x")]], [edit("remove", "1.1")], [("replace", "1.1", "x")]),
        ([], [], []),
    ],
)
def test_edits_are_taken_back_by_these(steps: Steps, edits: list[Edit], undo: list[tuple[str, str, str]]) -> None:
    document = grown("a\n\nb", steps)
    taken_back = inverse(document, edits)
    assert brief(taken_back) == undo
    assert shown(document.apply(edits).apply(taken_back)) == shown(document)


def test_taking_back_gives_a_line_the_reason_that_it_had() -> None:
    document = grown("a", [[edit("replace", "1", "b", "first")]])
    second = [edit("replace", "1", "c", "second")]
    assert [made.reason for made in inverse(document, second)] == ["first"]
    assert document.apply(second).apply(inverse(document, second)).edits == document.edits


# ---- sections --------------------------------------------------------------------------------------------------------

SECTIONS: list[tuple[str, list[tuple[str, str, str]]]] = [
    # body, then each section's id, title and lines
    ("", []),
    ("a\n\nb", [("0", "", "1 2 3")]),
    ("a\n# One\nb\n## Two ##\nc\n", [("0", "", "1"), ("2", "One", "2 3"), ("4", "Two", "4 5")]),
    ("# One\na", [("1", "One", "1 2")]),
    ("#hash\n#\n####### 7\n    # code", [("0", "", "1 2 3 4")]),
    ("# C#\n#\tTab", [("1", "C#", "1"), ("2", "Tab", "2")]),
    ("a\n<rules>\nb\n</rules>\nc", [("0", "", "1 5"), ("2", "rules", "2 3 4")]),
    ('  <doc id="1" >\r\na\r\n</doc >\r\n', [("1", "doc", "1 2 3")]),
    ("# A\n<r>\nx\n# B\ny\n</r>\nz", [("1", "A", "1 7"), ("2", "r", "2 3 6"), ("4", "B", "4 5")]),
    ("<a>\n<b>\nx\n</b>\ny\n</a>", [("1", "a", "1 5 6"), ("2", "b", "2 3 4")]),
    ("<a>\n<a>\nx\n</a>\ny\n</a>", [("1", "a", "1 5 6"), ("2", "a", "2 3 4")]),
    # not closed, closed twice, crossed, closed at once, within a line
    ("<name>\na", [("0", "", "1 2")]),
    ("</r>\na\n<r>\n</r>\n</r>", [("0", "", "1 2 5"), ("3", "r", "3 4")]),
    ("<a>\n<b>\n</a>\n</b>", [("1", "a", "1 2 3"), ("0", "", "4")]),
    ("<br/>\n<a>x</a>\n{{<a>}}", [("0", "", "1 2 3")]),
    # a code fence
    ("```\n# no\n<r>\n```\n# yes\n</r>", [("0", "", "1 2 3 4"), ("5", "yes", "5 6")]),
    ("~~~~ md\n# no\n~~~\n# no\n~~~~~\n# yes", [("0", "", "1 2 3 4 5"), ("6", "yes", "6")]),
    ("```\n``` x\n# no", [("0", "", "1 2 3")]),
    # other scripts
    ("# כללים\nא\n<règles>\nb\n</règles>", [("1", "כללים", "1 2"), ("3", "règles", "3 4 5")]),
]


@pytest.mark.parametrize(("body", "sections"), SECTIONS)
def test_a_text_has_these_sections(body: str, sections: list[tuple[str, str, str]]) -> None:
    found = [(section.id, section.title, " ".join(section.lines)) for section in Document.of(body).sections]
    assert found == sections


def test_long_lines_cost_no_more_than_many_short_ones() -> None:
    """Looked through again from each of their characters, these would keep the processor busy for an hour."""
    title = f"a{' ' * 300_000}b"
    sections = Document.of(f"{'~' * 300_000}`\n# {title} ##").sections
    assert [(section.id, section.title) for section in sections] == [("0", ""), ("2", title)]


def test_every_message_begins_a_section() -> None:
    chat = (
        Message(role="system", content="a\n# T\nb"),
        Message(role="user", content="# U"),
        Message(role="developer", content="<r>"),
    )
    assert [(s.id, s.title, s.lines) for s in Document.of(chat).sections] == [
        ("m0.0", "system", ("m0.1",)),
        ("m0.2", "T", ("m0.2", "m0.3")),
        ("m2.0", "developer", ("m2.1",)),
    ]


def test_a_section_keeps_its_id_while_its_heading_changes() -> None:
    document = grown("a\n# Old\nb", [[edit("add", "1", "x"), edit("replace", "2", "# New"), edit("add", "3", "y")]])
    assert [(s.id, s.title, s.lines) for s in document.sections] == [
        ("0", "", ("1", "1.1")),
        ("2", "New", ("2", "3", "3.1")),
    ]


# ---- merging ---------------------------------------------------------------------------------------------------------

BASE = "a\n# S\nb\nc\n# T\nd"

MERGED: list[tuple[Steps, Steps, str]] = [
    ([], [], BASE),
    ([[edit("replace", "1", "A")]], [[edit("remove", "6")]], "A\n# S\nb\nc\n# T"),
    # different lines of one section
    ([[edit("replace", "3", "B")]], [[edit("replace", "4", "C")]], "a\n# S\nB\nC\n# T\nd"),
    # the same done twice is done once
    ([[edit("replace", "3", "B")]], [[edit("replace", "3", "B")]], "a\n# S\nB\nc\n# T\nd"),
    ([[edit("remove", "3")]], [[edit("remove", "3")]], "a\n# S\nc\n# T\nd"),
    ([[edit("add", "6", "x")]], [[edit("add", "6", "x")]], f"{BASE}\nx"),
    # two lines at one place both get in, in the same order whoever comes first
    ([[edit("add", "6", "y")]], [[edit("add", "6", "x")]], f"{BASE}\nx\ny"),
    ([[edit("add", "6", "x")]], [[edit("add", "6", "y")]], f"{BASE}\nx\ny"),
    ([[edit("add", "6", "x\nz")]], [[edit("add", "6", "y\nz")]], f"{BASE}\nx\nz\ny"),
    # behind a line that the other one removed
    ([[edit("remove", "3")]], [[edit("add", "3", "x")]], "a\n# S\nx\nc\n# T\nd"),
    # after some steps
    ([[edit("add", "3", "x")], [edit("replace", "3.1", "y")]], [[edit("remove", "1")]], "# S\nb\ny\nc\n# T\nd"),
]


@pytest.mark.parametrize(("ours", "theirs", "body"), MERGED)
def test_two_documents_merge_into_this(ours: Steps, theirs: Steps, body: str) -> None:
    merged = merge(grown(BASE, ours), grown(BASE, theirs))
    assert isinstance(merged, Document)
    assert merged.body == body


@pytest.mark.parametrize(
    ("ours", "theirs", "contested", "body"),
    [
        # what they add to the section in conflict stays out, what they do elsewhere gets in
        (
            [edit("replace", "3", "B")],
            [edit("replace", "3", "X"), edit("add", "4", "y"), edit("replace", "6", "D")],
            ["S"],
            "a\n# S\nB\nc\n# T\nD",
        ),
        ([edit("remove", "3")], [edit("replace", "3", "X"), edit("replace", "4", "C")], ["S"], "a\n# S\nc\n# T\nd"),
        ([edit("replace", "1", "A")], [edit("remove", "1"), edit("add", "0", "y")], [""], "A\n# S\nb\nc\n# T\nd"),
        (
            [edit("replace", "3", "B"), edit("replace", "6", "D")],
            [edit("replace", "3", "X"), edit("replace", "6", "Y"), edit("remove", "1")],
            ["S", "T"],
            "# S\nB\nc\n# T\nD",
        ),
    ],
)
def test_a_conflict_names_the_sections_and_takes_ours(
    ours: list[Edit], theirs: list[Edit], contested: list[str], body: str
) -> None:
    conflict = merge(Document.of(BASE).apply(ours), Document.of(BASE).apply(theirs))
    assert isinstance(conflict, Conflict)
    assert [section.title for section in conflict.sections] == contested
    assert conflict.document.body == body


def test_only_documents_of_the_same_base_merge() -> None:
    with pytest.raises(BadInput, match="merge documents that were made of the same prompt"):
        merge(Document.of("a"), Document.of("b"))
    grown_up = grown("a", [[edit("replace", "1", "b")]])
    with pytest.raises(BadInput):
        merge(grown_up, Document.of("b"))


def test_a_long_prompt_is_edited_line_by_line() -> None:
    body = "".join(f"Line {n} says {'something ' * 5}{{{{v{n}}}}}.\r\n" for n in range(1, 801))
    assert len(body) > 50_000
    edits = [edit("replace", str(n), f"New {n}") for n in range(20, 801, 20)]
    document = Document.of(body).apply(edits)
    assert brief(document.edits) == brief(edits)
    assert document.apply(inverse(Document.of(body), edits)).body == body
