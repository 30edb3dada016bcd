"""Which cases a gate uses."""

from dataclasses import replace

from gates.cases import REPLAYED_CHARS, choose
from optimizer.prompts import Message
from optimizer.types import Case, CaseInput, CaseOrigin, Missing


def a_case(case_id: str, source: str, origin: CaseOrigin = CaseOrigin.REPLAY) -> Case:
    return Case(id=case_id, origin=origin, input=CaseInput(), reference=Missing.NO_REFERENCE, source_key=source)


CURATED = [a_case(f"d{n}", f"d{n}", CaseOrigin.DATASET) for n in range(5)]
REPLAYED = [a_case(f"r{n}", f"user{n // 2}") for n in range(20)]


def test_curated_cases_come_first_and_the_rest_is_one_per_source() -> None:
    chosen = choose(CURATED, REPLAYED, gradient_sources=frozenset({"user3"}), limit=100)
    assert {case.id for case in chosen[:5]} == {case.id for case in CURATED}
    sources = [case.source_key for case in chosen[5:]]
    assert sorted(sources) == sorted({f"user{n}" for n in range(10)} - {"user3"})


def test_the_choice_depends_on_the_cases_alone() -> None:
    forward = choose(CURATED, REPLAYED, gradient_sources=(), limit=8)
    backward = choose(CURATED[::-1], REPLAYED[::-1], gradient_sources=(), limit=8)
    assert forward == backward
    assert len(forward) == 8
    assert [case.id for case in forward[:5]] != [case.id for case in CURATED]


def test_cases_of_an_unknown_source_count_as_one_and_never_when_such_a_source_gave_a_gradient() -> None:
    unknown = [a_case(f"u{n}", "") for n in range(3)]
    assert len(choose([], unknown, gradient_sources=(), limit=9)) == 1
    assert choose([], unknown, gradient_sources={""}, limit=9) == ()


def test_an_input_that_would_eat_up_the_budget_is_not_replayed_unless_the_owner_chose_it() -> None:
    said = (Message(role="user", content="x" * REPLAYED_CHARS),)
    fitting = replace(a_case("r", "somebody"), input=CaseInput(history=said))
    larger = replace(fitting, input=CaseInput(history=said, variables=(("name", "y"),)))
    assert choose([], [fitting], gradient_sources=(), limit=9) == (fitting,)
    assert choose([], [larger], gradient_sources=(), limit=9) == ()
    assert choose([larger], [], gradient_sources=(), limit=9) == (larger,)


def test_a_case_is_chosen_once() -> None:
    assert len(choose(CURATED, [a_case("d1", "somebody")], gradient_sources=(), limit=9)) == 5


def test_a_limit_of_none_chooses_none() -> None:
    assert choose(CURATED, REPLAYED, gradient_sources=(), limit=0) == ()
