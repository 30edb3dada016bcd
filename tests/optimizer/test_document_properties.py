"""What holds for any prompt and any edits of it: applying, taking back, squashing, merging, blame, sections."""

from itertools import pairwise

from editing import brief, chains, edit, edits_of, texts, twins
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.documents.document import ChangeOp, Document, inverse
from optimizer.documents.merging import Conflict, merge
from optimizer.prompts import Message
from optimizer.types import Edit, EditOp

few = settings(max_examples=40)
"""Quick; raise it by hand after a change of the documents."""


@few
@given(chains(), st.data())
def test_applying_touches_nothing_else(chain: list[Document], data: st.DataObject) -> None:
    before = chain[-1]
    edits = data.draw(edits_of(before))
    after = before.apply(edits)
    changed = {one.line for one in edits if one.op is not EditOp.ADD}
    kept = [line for line in before.lines if line.id not in changed]
    known = {line.id for line in before.lines}
    assert [line for line in after.lines if line.id in known - changed] == kept
    assert isinstance(after.body, str) == isinstance(before.body, str)
    if not isinstance(after.body, str) and not isinstance(before.body, str):
        frozen = [part for part in before.body if not isinstance(part, Message) or part.role == "user"]
        assert [part for part in after.body if not isinstance(part, Message) or part.role == "user"] == frozen


@few
@given(texts.filter(lambda body: "\r" not in body.replace("\r\n", "")), st.data())
def test_the_body_is_the_lines_and_a_kept_line_keeps_its_ending(body: str, data: st.DataObject) -> None:
    # a line that ends in a lone CR is left out: it makes a CRLF with the newline behind it
    after = Document.of(body).apply(data.draw(edits_of(Document.of(body))))
    assert isinstance(after.body, str)
    assert [line.text for line in Document.of(after.body).lines] == [line.text for line in after.lines]
    written = _endings(body)
    for line, ending in zip(after.lines, _endings(after.body), strict=False):
        if after.blame[line.id] is None and int(line.id) <= len(written):
            assert ending == written[int(line.id) - 1]


def _endings(body: str) -> list[str]:
    return ["\r\n" if part.endswith("\r") else "\n" for part in body.split("\n")[:-1]]


@few
@given(chains())
def test_no_id_is_ever_used_for_two_lines(chain: list[Document]) -> None:
    gone: set[str] = set()
    for before, after in pairwise(chain):
        ids = [line.id for line in after.lines]
        assert len(ids) == len(set(ids))
        assert gone.isdisjoint(ids)
        gone |= {line.id for line in before.lines} - set(ids)


@few
@given(chains(), st.data())
def test_taking_edits_back_restores_the_body_the_ids_and_the_reasons(
    chain: list[Document], data: st.DataObject
) -> None:
    before = chain[-1]
    edits = data.draw(edits_of(before, reasons=lambda: "undone"))
    after = before.apply(edits)
    undo = inverse(before, edits)
    back = after.apply(undo)
    assert back.body == before.body
    assert back.lines == before.lines
    assert back.edits == before.edits
    again = back.apply(inverse(after, undo))
    assert (again.body, again.lines, again.edits) == (after.body, after.lines, after.edits)


@few
@given(chains())
def test_squashed_edits_make_the_same_of_the_first_base(chain: list[Document]) -> None:
    last = chain[-1]
    squashed = Document.of(last.base).apply(last.edits)
    assert last.base == chain[0].body
    assert squashed.body == last.body
    assert squashed.edits == last.edits
    assert [line.text for line in squashed.lines] == [line.text for line in last.lines]
    assert _reasons(squashed) == _reasons(last)


def _reasons(document: Document) -> list[str]:
    blame = document.blame
    return [made.reason if (made := blame[line.id]) else "" for line in document.lines]


@few
@given(chains())
def test_every_line_is_blamed_on_the_last_edit_that_made_it_or_on_none(chain: list[Document]) -> None:
    first = {line.id: line.text for line in chain[0].lines}
    assert list(chain[-1].blame) == [line.id for line in chain[-1].lines]
    for line in chain[-1].lines:
        made = chain[-1].blame[line.id]
        assert (made is None) == (first.get(line.id) == line.text)
        if made is not None:
            assert line.text in made.text
            # the step that made the line what it is, is the last one that changed what it says
            said = [{other.id: other.text for other in document.lines}.get(line.id) for document in chain]
            since = next(n for n in range(len(chain), 0, -1) if n == 1 or said[n - 2] != line.text) - 1
            assert chain[since].blame[line.id] == made
            assert all(made not in document.blame.values() for document in chain[:since])


@few
@given(chains())
def test_changes_tell_the_base_and_the_text_as_it_is(chain: list[Document]) -> None:
    changes = chain[-1].changes
    assert [c.old for c in changes if c.op is not ChangeOp.ADD] == [line.text for line in chain[0].lines]
    assert [c.line_id for c in changes if c.op is not ChangeOp.ADD] == [line.id for line in chain[0].lines]
    assert [c.new for c in changes if c.op is not ChangeOp.REMOVE] == [line.text for line in chain[-1].lines]
    assert all((c.edit is None) == (c.op is ChangeOp.KEEP) for c in changes)


@few
@given(chains())
def test_every_line_is_in_one_section(chain: list[Document]) -> None:
    document = chain[-1]
    order = [line.id for line in document.lines]
    sections = document.sections
    assert sorted((line for section in sections for line in section.lines), key=order.index) == order
    assert len({section.id for section in sections}) == len(sections)
    starts = {block.start for block in document.blocks}
    for section in sections:
        assert list(section.lines) == sorted(section.lines, key=order.index)
        assert section.id == section.lines[0] or section.id in starts
    assert [order.index(s.lines[0]) for s in sections] == sorted(order.index(s.lines[0]) for s in sections)


# ---- merging ---------------------------------------------------------------------------------------------------------


@few
@given(twins())
def test_merging_with_itself_or_the_base_changes_nothing(pair: tuple[Document, Document]) -> None:
    ours, base = pair[0], Document.of(pair[0].base)
    for merged in (merge(ours, ours), merge(ours, base), merge(base, ours)):
        assert isinstance(merged, Document)
        assert (merged.body, merged.edits) == (ours.body, ours.edits)


@few
@given(twins())
def test_without_a_conflict_it_does_not_matter_whose_edits_come_first(pair: tuple[Document, Document]) -> None:
    one, other = merge(*pair), merge(*reversed(pair))
    if isinstance(one, Document):
        assert isinstance(other, Document)
        assert one.body == other.body
        assert [line.id for line in one.lines] == [line.id for line in other.lines]
    else:
        assert isinstance(other, Conflict)
        assert one.sections == other.sections


@few
@given(twins())
def test_a_merge_has_the_edits_of_both(pair: tuple[Document, Document]) -> None:
    merged = merge(*pair)
    if isinstance(merged, Document):
        wanted = {*brief(pair[0].edits), *brief(pair[1].edits)}
        assert {*brief(merged.edits)} == wanted
        assert {*merged.edits} <= {*pair[0].edits, *pair[1].edits}
        for document in pair:  # each document's own lines keep their order
            lines = iter(merged.edits)
            added = [made for made in brief(document.edits) if made[0] != "add"]
            assert all(any((str(m.op), m.line, m.text) == made for m in lines) for made in added)


@few
@given(twins())
def test_a_section_in_conflict_is_ours_and_whole_and_the_rest_is_merged(pair: tuple[Document, Document]) -> None:
    ours, theirs = pair
    conflict = merge(ours, theirs)
    both = {one.line for one in ours.edits if one.op is not EditOp.ADD} & {
        other.line for other in theirs.edits if other.op is not EditOp.ADD
    }
    if isinstance(conflict, Document):
        assert all(_of(ours.edits, {line}) == _of(theirs.edits, {line}) for line in both)
        return
    contested = {line for section in conflict.sections for line in (section.id, *section.lines)}
    assert all(
        any(_of(ours.edits, {line}) != _of(theirs.edits, {line}) for line in both & set(section.lines))
        for section in conflict.sections
    )
    assert [made for made in conflict.document.edits if made.line in contested] == [
        made for made in ours.edits if made.line in contested
    ]
    base = Document.of(ours.base)
    rest = [base.apply([made for made in side.edits if made.line not in contested]) for side in pair]
    outside = merge(*rest)
    assert isinstance(outside, Document)
    assert [m for m in conflict.document.edits if m.line not in contested] == list(outside.edits)


def _of(edits: tuple[Edit, ...], lines: set[str]) -> list[tuple[str, str, str]]:
    return brief([made for made in edits if made.line in lines and made.op is not EditOp.ADD])


@few
@given(texts, st.data())
def test_edits_of_different_lines_merge_into_both(body: str, data: st.DataObject) -> None:
    base = Document.of(body)
    edits = data.draw(edits_of(base, most=8))
    mine = data.draw(st.sets(st.sampled_from([*dict.fromkeys(one.line for one in edits)]))) if edits else set()
    ours = [one for one in edits if one.line in mine]
    theirs = [one for one in edits if one.line not in mine]
    merged = merge(base.apply(ours), base.apply(theirs))
    assert isinstance(merged, Document)
    assert merged.body == base.apply(edits).body
    assert merged.edits == base.apply(edits).edits


@few
@given(texts)
def test_replacing_every_line_and_squashing_leaves_one_edit_a_line(body: str) -> None:
    base = Document.of(body)
    once = base.apply([edit("replace", line.id, f"{line.text}!") for line in base.lines])
    twice = once.apply([edit("replace", line.id, f"{line.text}!") for line in once.lines])
    assert brief(twice.edits) == [("replace", line.id, f"{line.text}!!") for line in base.lines]
