"""Credit of edits, merges by credit, steps that shrink, and what is remembered."""

from toy import FENCE, PLAN, SEED, ToyModel, added, cause, entrant, trials

from optimizer.documents.document import Document
from optimizer.guards.guard import Limits
from optimizer.search.appetite import Appetite
from optimizer.search.credit import cases_of, credited
from optimizer.search.entrant import Entrant, without
from optimizer.search.memory import Memory
from optimizer.search.merging import merged
from optimizer.search.proposing import Proposer
from optimizer.search.study import Studies
from optimizer.steps.tgd import RefusedEdit
from optimizer.types import Edit, EditOp, Gradient, Missing, Verdict

ONE, TWO = cause("one", "a", "b", "a"), cause("two", "c", "d")


def test_an_edit_is_credited_with_the_cases_of_its_cause() -> None:
    edits = [added("First.", ONE), added("Second.", TWO)]
    found = credited(edits, trials(a=1.0, b=0.0, c=0.0, d=0.2, other=1.0), passing=0.9)
    assert cases_of(ONE) == ("a", "b")
    assert [(credit.edit, credit.fixed, credit.tried, credit.useless) for credit in found] == [
        (edits[0], 1, 2, False),
        (edits[1], 0, 2, True),
    ]
    assert [credit.share for credit in found] == [0.5, 0.0]


def test_one_bad_answer_condemns_no_edit() -> None:
    [credit] = credited([added("First.", ONE)], trials(a=0.0), passing=0.9)
    assert (credit.tried, credit.useless) == (1, False)
    [untried] = credited([added("First.", ONE)], {}, passing=0.9)
    assert (untried.share, untried.useless) == (0.0, False)


def test_a_document_without_an_edit_is_as_if_it_had_never_been_made() -> None:
    first, second = added("First.", ONE), added("Second.", TWO)
    document = Document.of(SEED.body).apply([first]).apply([second])
    gone = [edit for edit in document.edits if edit.text == "First."]
    assert without(document, gone).body == Document.of(SEED.body).apply([second]).body
    assert without(document, []) is document


def test_of_two_rewrites_each_cause_keeps_the_edit_that_fixed_more() -> None:
    seed = entrant()
    ours = entrant(added("Ours on one.", ONE), added("Ours on two.", TWO), parent=seed)
    theirs = entrant(added("Theirs on one.", ONE), added("Theirs on two.", TWO), parent=seed)
    joined = merged(ours, theirs, {ONE.id: 0.5, TWO.id: 0.2}, {ONE.id: 0.5, TWO.id: 1.0}, limits=Limits())
    assert joined is not None
    assert sorted(edit.text for edit in joined.new_edits) == ["Ours on one.", "Theirs on two."]
    assert joined.parent is seed


def test_a_cause_that_one_side_edits_for_stays_with_it() -> None:
    seed = entrant()
    ours, theirs = entrant(added("One.", ONE), parent=seed), entrant(added("Two.", TWO), parent=seed)
    joined = merged(ours, theirs, {}, {TWO.id: 1.0}, limits=Limits())
    assert joined is not None
    assert sorted(edit.text for edit in joined.new_edits) == ["One.", "Two."]


def test_a_contradiction_falls_to_ours() -> None:
    def replaced(text: str, why: str) -> Edit:
        return Edit(op=EditOp.REPLACE, line="2", text=text, reason="because", cause=cause(why, "a", "b"))

    ours, theirs = entrant(replaced("Be warm.", "one")), entrant(replaced("Be cold.", "two"))
    joined = merged(ours, theirs, {}, {}, limits=Limits())
    assert joined is not None
    assert joined.body == "You help.\nBe warm."


def test_a_merge_that_grows_too_much_is_none() -> None:
    seed = entrant()
    ours = entrant(added("One is so long that it takes all that may grow.", ONE), parent=seed)
    theirs = entrant(added("Two is so long that it takes all that may grow.", TWO), parent=seed)
    narrow = Limits(max_growth=1.0, free_growth_chars=60)
    assert merged(ours, theirs, {}, {}, limits=narrow) is None


def test_steps_shrink_after_rejections_and_grow_after_success() -> None:
    appetite = Appetite.of(8)
    sizes = []
    for kept in (True, False, False, True, False, False, False, False):
        appetite = appetite.after(kept=kept, asked=8)
        sizes.append(appetite.size)
    assert sizes == [8, 4, 2, 4, 2, 1, 1, 1]
    assert Appetite.of(8).after(kept=False, asked=3).size == 1


def test_memory_tells_what_became_of_steps_and_keeps_every_rejected_edit_once() -> None:
    memory, base = Memory(), Document.of(SEED.body)
    good, bad, maybe = added("Good.", ONE), added("Bad.", TWO), added("Maybe.", ONE)
    memory.kept(base, [good], "+2")
    memory.failed(base, [bad], "it fixed nothing")
    memory.failed(base, [bad], "it fixed nothing, again")
    memory.undecided(base, [maybe], "-1")
    memory.undecided(base, [], "-1")
    memory.not_admitted([RefusedEdit(edit=bad, reason="the guard")])
    assert [(past.edits, past.verdict, past.reason) for past in memory.steps] == [
        ((good,), Verdict.PASS, "+2"),
        ((bad,), Verdict.FAIL, "it fixed nothing"),
        ((maybe,), Missing.NOT_RECORDED, "-1"),
    ]
    assert [(one.edit, one.reason) for one in memory.rejected] == [(bad, "it fixed nothing"), (maybe, "-1")]


class Said(Studies):
    """What the critic said, by prompt; nobody is asked."""

    def __init__(self, **said: tuple[Gradient, ...]) -> None:
        self.said = said

    def gradients(self, entrant: Entrant) -> tuple[Gradient, ...]:
        return self.said[str(entrant.round)]


def test_what_nobody_says_any_more_is_no_cause_and_what_was_said_before_counts_with_it() -> None:
    seed = entrant()
    child = Entrant.of(seed.document.apply([added("Apples.", ONE)]), parent=seed, round_=1)
    old, new = cause("apples", "a", "c").gradients, cause("bridges", "a").gradients
    early = cause("bridges", "c").gradients
    elsewhere = cause("candles", "x", "y").gradients
    said = Said(**{"0": (*old, *early, *elsewhere), "1": (*new, *cause("dolphins", "c").gradients)})
    proposer = Proposer(said, Memory(), ToyModel(), plan=PLAN, fence=FENCE)
    [found] = proposer.causes(child).causes
    assert {(g.text, g.source_key) for g in found.gradients} == {("bridges", "a"), ("bridges", "c")}
