"""Which cases a gate uses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gates.cases import REPLAYED_CHARS, choose, divided
from optimizer.prompts import Message
from optimizer.search.split import split
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
    chosen = choose(CURATED, [a_case("d1", "somebody")], gradient_sources=(), limit=9)
    assert sorted(chosen, key=lambda case: case.id) == CURATED


def test_a_limit_of_none_chooses_none() -> None:
    assert choose(CURATED, REPLAYED, gradient_sources=(), limit=0) == ()


SECRET = b"s3cret"
TRAFFIC = [a_case(f"t{n}", f"user{n // 3}") for n in range(300)]


def test_open_and_sealed_cases_share_no_source_and_leave_none_out() -> None:
    opened, sealed = divided(TRAFFIC, secret=SECRET, share=0.5)
    sources = [case.source_key for case in (*opened, *sealed)]
    assert sorted(sources) == sorted({case.source_key for case in TRAFFIC})
    assert 30 < len(sealed) < 70
    assert divided(TRAFFIC[::-1], secret=SECRET, share=0.5) == (opened, sealed)


def test_a_source_stays_on_its_side_when_others_come_and_the_secret_decides() -> None:
    def sealed(cases: list[Case], secret: bytes = SECRET) -> set[str]:
        return {case.source_key for case in divided(cases, secret=secret, share=0.5)[1]}

    assert sealed(TRAFFIC[:150]) == sealed(TRAFFIC) & {case.source_key for case in TRAFFIC[:150]}
    assert sealed(TRAFFIC) != sealed(TRAFFIC, b"another")


def test_what_the_search_trains_on_is_not_what_is_sealed() -> None:
    trained = {case.source_key for case in split(TRAFFIC, secret=SECRET, shares=(0.5, 0.25, 0.25)).train}
    both = [case for case in divided(TRAFFIC, secret=SECRET, share=0.5)[1] if case.source_key in trained]
    assert 12 < len(both) < 38  # a half of a half of 100 sources


def test_new_traffic_of_a_source_gives_a_new_case() -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    undated, old, new = (a_case(name, "somebody") for name in ("z", "b", "a"))
    dated = [replace(old, at=at), undated, replace(new, at=at + timedelta(days=1))]
    opened, sealed = divided(dated, secret=SECRET, share=1.0)
    assert (opened, sealed) == ((), (dated[2],))
    assert divided(dated[:2], secret=SECRET, share=0.0) == ((dated[0],), ())


def test_an_input_that_would_eat_up_the_budget_is_neither_open_nor_sealed() -> None:
    large = replace(a_case("b", "somebody"), input=CaseInput(variables=(("name", "x" * (REPLAYED_CHARS + 1)),)))
    assert divided([large], secret=SECRET, share=0.5) == ((), ())
    small = a_case("a", "somebody")
    assert divided([large, small], secret=SECRET, share=0.0)[0] == (small,)


def test_the_order_of_a_side_is_not_that_of_ids_or_of_another_secret() -> None:
    one, other = (divided(TRAFFIC, secret=secret, share=1.0)[1] for secret in (SECRET, b"another"))
    assert set(one) == set(other)
    assert one != other
    assert [case.id for case in one] != sorted(case.id for case in one)


def test_a_hundred_thousand_cases_are_chosen_from() -> None:
    many = [a_case(f"c{n}", f"user{n}") for n in range(50_000)]
    assert len(choose(many, many, gradient_sources=(), limit=100_000)) == 50_000
    assert sum(map(len, divided(many, secret=SECRET, share=0.5))) == 50_000
