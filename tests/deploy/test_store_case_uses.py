"""Cases are drawn once for a prompt, what people said is kept beside what a judge said, sources are remembered."""

from datetime import timedelta

from store_samples import T0, gradient

from deploy.store.agreements import AgreementRow
from deploy.store.facade import Store


def test_a_draw_takes_the_first_cases_that_nobody_used_and_gets_them_again(store: Store) -> None:
    uses = store.case_uses
    uses.use("p", "screen-1", ["b", "x"], at=T0)
    assert uses.draw("p", "g1", ["c", "b", "a", "c", "d"], limit=2, at=T0) == ("c", "a")
    assert uses.draw("p", "g1", ["a", "d", "e"], limit=9, at=T0) == ("c", "a"), "never more than were drawn"
    assert uses.draw("p", "g2", ["c", "b", "a", "d"], limit=9, at=T0) == ("d",)
    assert uses.draw("p", "g3", ["c", "b", "a", "d"], limit=9, at=T0) == ()
    assert uses.draw("p", "g3", ["e"], limit=9, at=T0) == ("e",), "a gate that got nothing has looked at nothing"


def test_what_a_gate_only_looked_at_cannot_be_drawn_by_it_either(store: Store) -> None:
    store.case_uses.use("p", "g1", ["a"], at=T0)
    assert store.case_uses.draw("p", "g1", ["a", "b"], limit=9, at=T0) == ("b",)
    store.case_uses.use("p", "g1", ["a", "b"], at=T0)
    assert store.case_uses.draw("p", "g1", ["c"], limit=9, at=T0) == ("b",)


def test_uses_are_counted_by_gate_and_prompts_are_apart(store: Store) -> None:
    for gate in ("g1", "g1", "g2"):
        store.case_uses.use("p", gate, ["a", "b"], at=T0)
    store.case_uses.draw("p", "g3", ["c"], limit=1, at=T0)
    assert store.case_uses.counts("p") == {"a": 2, "b": 2, "c": 1}
    assert store.case_uses.counts("p", but="g1") == {"a": 1, "b": 1, "c": 1}
    assert store.case_uses.counts("p", but="g") == store.case_uses.counts("q") == {}
    assert store.case_uses.counts("p", but="_1") == store.case_uses.counts("p"), "no pattern, a beginning"
    assert store.case_uses.draw("q", "g3", ["a"], limit=1, at=T0) == ("a",)


def test_a_draw_of_a_hundred_thousand_cases_is_one_draw(store: Store) -> None:
    cases = [f"case-{n}" for n in range(100_000)]
    first = store.case_uses.draw("p", "g1", cases, limit=800, at=T0)
    assert first == tuple(cases[:800])
    assert store.case_uses.draw("p", "g2", cases, limit=800, at=T0) == tuple(cases[800:1600])


def test_a_judge_is_laid_beside_people_newest_first(store: Store) -> None:
    rows = [AgreementRow(score_id=f"s{n}", human=n / 4, judged=1 - n / 4, at=T0 + timedelta(days=n)) for n in (1, 3, 2)]
    store.agreements.save("p", "rubric", rows)
    assert store.agreements.pairs("p", "rubric", limit=2) == ((0.75, 0.25), (0.5, 0.5))
    store.agreements.save("p", "rubric", [AgreementRow(score_id="s3", human=0.0, judged=0.25, at=T0)])
    assert store.agreements.pairs("p", "rubric", limit=9) == ((0.5, 0.5), (0.25, 0.75), (0.0, 0.25))
    assert store.agreements.known("p", "rubric") == {"s1", "s2", "s3"}
    assert store.agreements.known("p", "another") == store.agreements.known("q", "rubric") == frozenset()
    assert store.agreements.pairs("p", "another", limit=9) == ()


def test_every_source_that_gave_a_gradient_is_known_by_all_names_of_the_prompt(store: Store) -> None:
    for prompt, numbers in (("support", (1, 2)), ("help", (3, 4)), ("billing", (5,))):
        store.cycles.open(prompt, "2026-11-21T02:30Z", at=T0)
        gradients = [gradient(n, change=n % 2 == 0) for n in numbers]
        store.lineage.save(f"{prompt}@2026-11-21T02:30Z", gradients=gradients, causes=(), candidate=None, at=T0)
    assert store.lineage.sources("support") == {"user1", "user2"}
    assert store.lineage.sources("nothing") == frozenset()
    store.ledgers.prompt_id("help", formerly=["support"])
    assert store.lineage.sources("support") == store.lineage.sources("help") == {"user0", "user1", "user2"}
    assert store.lineage.sources("billing") == {"user2"}
