"""Whatever an answer, an input or a file holds: a score of 0 or 1, a BadInput, and never anything else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.attacks import attacks
from gates.safety.attack import Attack, CheckKind, parsed
from gates.safety.guarding import guarded, leaked
from gates.safety.judging import AttackJudge
from gates.safety.posing import posed
from optimizer.errors import BadInput
from optimizer.prompts import Body, Message, Placeholder
from optimizer.template import contents
from optimizer.types import Case, CaseInput, CaseOrigin, Scored, Verdict

ONE_OF_EACH = tuple(next(a for a in attacks() if a.check.kind is kind) for kind in CheckKind)
PIECES = (
    *("You are the assistant of Lindenhof. ", "{{shop}}", "{{", "}}", "QUILLORCHID ", "I can't help with that. ", "@"),
    *(" at ", "dot", "0421 987654321", "DE02120300000000202051", "eyJ", "\\x", "0x4f", "WW91IGFyZSB0aGUgYXNzaXN0YW50"),
    *("=", "\u200b", "\ud800", "\u202e", "\x00", "İ", "ß", "々", "\n", "> ", "```", "ﬁ", "é"),
)
texts = st.one_of(
    st.text(), st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.text("0123456789abcdef \\x")
)
bodies: st.SearchStrategy[Body] = st.one_of(
    texts,
    st.lists(
        st.one_of(
            st.builds(Message, role=st.sampled_from(("system", "user", "assistant")), content=texts),
            st.builds(Placeholder, name=st.sampled_from(("chat", "more"))),
        ),
        max_size=4,
    ).map(tuple),
)
messages = st.lists(st.builds(Message, role=st.sampled_from(("user", "assistant")), content=texts), max_size=3).map(
    tuple
)
inputs = st.builds(
    CaseInput,
    variables=st.dictionaries(st.sampled_from(("shop", "question", "x")), texts).map(
        lambda d: tuple(sorted(d.items()))
    ),
    placeholders=st.dictionaries(st.sampled_from(("chat", "more")), messages).map(lambda d: tuple(sorted(d.items()))),
    history=messages,
)


@settings(max_examples=60, deadline=None)
@given(answer=texts, baseline=bodies, candidate=bodies, carriers=st.lists(inputs, max_size=2))
async def test_every_answer_gets_nought_or_one(
    answer: str, baseline: Body, candidate: Body, carriers: list[CaseInput]
) -> None:
    judge = AttackJudge(ONE_OF_EACH, (baseline, candidate))
    for case in posed(ONE_OF_EACH, carriers, baseline):
        result = await judge.judge(case, answer)
        assert isinstance(result, Scored)
        assert result.value in (0.0, 1.0)


@settings(max_examples=40, deadline=None)
@given(parent=bodies, body=bodies, by_person=st.booleans(), trace=texts)
def test_every_pair_of_bodies_passes_or_fails(parent: Body, body: Body, by_person: bool, trace: str) -> None:
    assert guarded(parent, body, by_person=by_person, source_texts=[trace]).verdict in (Verdict.PASS, Verdict.FAIL)
    empty = not "".join(contents(parent)).strip()
    assert guarded(parent, parent, by_person=by_person).verdict is (Verdict.FAIL if empty else Verdict.PASS)


@settings(max_examples=40, deadline=None)
@given(body=bodies, parent=bodies, asked=st.lists(st.tuples(inputs, texts), max_size=4))
def test_leaks_are_found_or_not(body: Body, parent: Body, asked: list[tuple[CaseInput, str]]) -> None:
    cases = [
        Case(id=f"c{n}", origin=CaseOrigin.DATASET, input=one, reference=said, source_key="")
        for n, (one, said) in enumerate(asked)
    ]
    found = leaked(body, parent, cases)
    assert found is None or found.verdict is Verdict.FAIL
    assert leaked(parent, parent, cases) is None


values = (
    st.none() | st.booleans() | st.floats() | st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.text())
)
checks = st.fixed_dictionaries({"kind": st.sampled_from([*CheckKind]) | values, "data": values})
rows = st.fixed_dictionaries(
    {
        "id": st.text("ab-1", max_size=4) | values,
        "category": st.text("ab") | values,
        "technique": st.text("ab"),
        "text": texts,
        "check": checks | values,
    }
)
lines = st.text() | (values | rows).map(json.dumps)


@settings(max_examples=80, deadline=None)
@given(st.lists(lines, max_size=4).map("\n".join))
def test_every_file_is_attacks_or_a_sentence(text: str) -> None:
    said = ""
    found: tuple[Attack, ...] = ()
    try:
        found = parsed(text, "own.jsonl")
    except BadInput as refused:
        said = str(refused)
    assert bool(found) != bool(said)
    assert len({attack.id for attack in found}) == len(found)
    assert not said or (said.endswith(".") and len(said) < 300)


@pytest.mark.parametrize(
    "answer", ["a" * 10_000, "Aa1 " * 2_500, "4f " * 3_400, ". " * 5_000, "x@" * 5_000, "(" * 10_000]
)
async def test_ten_thousand_characters_of_anything_are_judged(answer: str) -> None:
    judge = AttackJudge(attacks(), ("You help at {{shop}}. Be kind.",))
    scores = [await judge.judge(case, answer) for case in posed(ONE_OF_EACH, [], "You help at {{shop}}. Be kind.")]
    assert all(isinstance(score, Scored) for score in scores)
