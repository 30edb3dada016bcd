"""The walk back through versions: exhaustive over small texts, and by hand where edits and people meet."""

from collections.abc import Sequence
from itertools import product

import pytest

from deploy.lineage.attributing import Line, Made, Walk, lines_of, made_by, matched
from optimizer.prompts import Body, Message, Placeholder
from optimizer.types import Edit, EditOp, RootCause

CAUSE = RootCause(label="c1", summary="s", gradients=())
TEXTS = ["\n".join(lines) for size in range(4) for lines in product("ab", repeat=size)]


def said(lines: Sequence[Line]) -> list[str]:
    return [line.text for line in lines]


def edit(op: str, line: str, text: str = "") -> Edit:
    return Edit(op=EditOp(op), line=line, text=text, reason=f"{op} {line}", cause=CAUSE)


def origins(*bodies: Body) -> list[int]:
    """The version (from 1) that every line of the last body came in with, all of them people's."""
    walk, found = Walk.of(lines_of(bodies[-1])), dict[int, int]()
    for number in range(len(bodies), 0, -1):
        older = matched(lines_of(bodies[number - 1]), lines_of(bodies[number - 2])) if number > 1 else {}
        walk, came = walk.back(older)
        found |= dict.fromkeys(came, number)
    assert not walk.open
    return [found[place] for place in range(len(found))]


def test_lines_of_text_chat_and_placeholders() -> None:
    assert said(lines_of("a\r\nb\n\nc")) == ["a", "b", "", "c"]
    assert lines_of("") == ()
    body = (Message(role="system", content="x\ny"), Placeholder(name="history"), Message(role="user", content="{{q}}"))
    assert [(line.role, line.message, line.number, line.text) for line in lines_of(body)] == [
        ("system", 0, 1, "x"),
        ("system", 0, 2, "y"),
        ("placeholder", 1, 0, "history"),
        ("user", 2, 1, "{{q}}"),
    ]


@pytest.mark.parametrize("old", TEXTS)
def test_matches_are_equal_lines_in_order_and_nothing_that_both_have_alone_is_missed(old: str) -> None:
    for new in TEXTS:
        a, b = said(lines_of(old)), said(lines_of(new))
        match = matched(lines_of(new), lines_of(old))
        pairs = sorted(match.items())
        assert pairs == sorted(pairs, key=lambda pair: pair[1])
        assert all(b[here] == a[there] for here, there in match.items())
        assert len(set(match.values())) == len(match)
        if a == b:
            assert match == {place: place for place in range(len(a))}
        if set(a) & set(b):
            assert match


@pytest.mark.parametrize("first", TEXTS)
def test_every_line_has_one_origin_which_holds_it(first: str) -> None:
    for second, third in product(TEXTS, TEXTS):
        bodies = (first, second, third)
        for line, version in zip(said(lines_of(third)), origins(*bodies), strict=True):
            assert line in said(lines_of(bodies[version - 1]))
            if line not in said(lines_of(second)):
                assert version == 3


def test_a_line_that_came_back_came_in_with_the_version_that_brought_it_back() -> None:
    assert origins("a\nb\nc", "a\nc", "a\nb\nc") == [1, 3, 1]


def test_two_equal_lines_have_an_origin_each() -> None:
    assert origins("be brief\nx", "be brief\nx\nbe brief") == [1, 1, 2]
    assert origins("a\na", "a\na\na", "z\na\na\na") == [3, 1, 1, 2]


def test_a_text_that_became_a_chat_keeps_its_lines_but_not_those_of_another_role() -> None:
    chat = (Message(role="system", content="a\nb"), Message(role="user", content="a"))
    assert origins("a\nb", chat) == [1, 1, 2]
    assert origins(chat, (Message(role="user", content="a\nb"),)) == [1, 2]


def test_ten_thousand_lines_of_which_half_are_blank_are_no_matter() -> None:
    old = "\n".join(f"line {n}\n" for n in range(5_000))
    assert origins(old, old.replace("line 2500", "other"))[5_000:5_002] == [2, 1]


# ---- what edits did --------------------------------------------------------------------------------------------------


def reasons(made: Made) -> dict[int, str]:
    return {place: edit.reason for place, edit in made.edits.items()}


def test_edits_know_their_lines_and_the_others_know_the_base() -> None:
    edits = [
        edit("replace", "1", "A\nA2"),
        edit("remove", "2"),
        edit("add", "3", "new\nnewer"),
        edit("add", "0", "top"),
    ]
    made = made_by("top\nA\nA2\nc\nnew\nnewer", base="a\nb\nc", edits=edits)
    assert made.match == {3: 2}
    assert reasons(made) == {0: "add 0", 1: "replace 1", 2: "replace 1", 4: "add 3", 5: "add 3"}
    assert not made.by_hand


def test_of_two_equal_lines_the_edit_has_its_own_where_a_comparison_would_take_the_other() -> None:
    made = made_by("same\nsame", base="same", edits=[edit("add", "0", "same")])
    assert (made.match, reasons(made)) == ({1: 0}, {0: "add 0"})
    assert matched(lines_of("same\nsame"), lines_of("same")) == {0: 0}


def test_a_chat_with_images_of_messages_that_no_edit_reaches() -> None:
    base = (
        Message(role="user", content="before\nit"),
        Message(role="system", content="s1\ns2"),
        Placeholder(name="h"),
        Message(role="developer", content="d1"),
        Message(role="user", content="{{q}}"),
    )
    edits = [edit("remove", "m1.1"), edit("add", "m1.2", "s3"), edit("replace", "m3.1", "D1\nD2")]
    body = (
        base[0],
        Message(role="system", content="s2\ns3"),
        base[2],
        Message(role="developer", content="D1\nD2"),
        base[4],
    )
    made = made_by(body, base=base, edits=edits)
    assert made.match == {0: 0, 1: 1, 2: 3, 4: 4, 7: 6}
    assert reasons(made) == {3: "add m1.2", 5: "replace m3.1", 6: "replace m3.1"}
    assert not made.by_hand


def test_what_a_person_wrote_over_the_edits_is_the_persons() -> None:
    made = made_by("a\nb by hand\nnew\nmore by hand", base="a\nb", edits=[edit("add", "2", "new")])
    assert (made.match, reasons(made), made.by_hand) == ({0: 0}, {2: "add 2"}, {1, 3})


def test_a_person_who_threw_the_edits_away() -> None:
    made = made_by("a\nb", base="a\nb", edits=[edit("add", "2", "new")])
    assert (made.match, made.edits, made.by_hand) == ({0: 0, 1: 1}, {}, frozenset())
