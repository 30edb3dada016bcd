"""What strangers wrote is in one table, and one index leads from it to everything that was made of it."""

import sqlalchemy as sa
from store_samples import T0, candidate, generation, gradient, report, request, run, score

from deploy.store.facade import Store
from deploy.store.schema_releases import metadata
from deploy.store.texts import SourceText
from optimizer.errors import Refused
from optimizer.ports import ModelReply

MARKER = "MARKER-7f3a"


def cells(store: Store) -> dict[str, list[str]]:
    """Everything in every column of every table, as text."""
    found: dict[str, list[str]] = {}
    with store.engine.begin() as connection:
        for name in sa.inspect(connection).get_table_names():
            rows = connection.execute(sa.text(f'select * from "{name}"')).all()
            found[name] = [c.decode("utf-8", "replace") if isinstance(c, bytes) else str(c) for r in rows for c in r]
    return found


def fill(store: Store) -> None:
    """Something in every table, with the marker wherever a stranger's words can be."""
    here = run()
    gradients = [gradient(n, said=f"{MARKER} {n}") for n in (1, 2, 3)]
    made = candidate(*gradients)
    store.cycles.open("support", "2026-11-21T02:30Z", at=T0)
    store.traces.save([generation(9, said=f"{MARKER}")], [score(9, comment=MARKER, value=MARKER)], at=T0)
    store.lineage.save(here.cycle_id, gradients=gradients, causes=(), candidate=made, at=T0)
    store.reports.save(here.cycle_id, made.id, report(said=MARKER), at=T0)
    for number, answer in enumerate((ModelReply(text=MARKER, model="m"), Refused(f"said {MARKER}"))):
        asked = request(f"call {number} {MARKER}")
        assert store.journal.reserve(here, asked, budget_usd=None) is None
        store.journal.settle(here, asked, answer)


def test_source_text_is_in_one_table(owned: Store) -> None:
    fill(owned)
    found = cells(owned)
    holders = {name for name, values in found.items() if any(MARKER in value for value in values)}
    # tags are the application's words about a trace, not what its users said
    tagged = [v for v in found["generation"] if MARKER in v and not v.startswith('["a"')]
    assert tagged == []
    assert holders - {"generation"} == {"source_text"}
    assert all(found[name] for name in ("gradient", "cause", "edit", "candidate", "case_result", "journal", "score"))


def test_everything_made_of_a_text_can_be_found(owned: Store) -> None:
    fill(owned)
    made = candidate(*[gradient(n, said=f"{MARKER} {n}") for n in (1, 2, 3)])
    output = SourceText(kind="output", text=generation(1, said=f"{MARKER} 1").output, source_key="user1")
    kinds = owned.texts.derived_from(output.id)
    assert {kind for kind, _ in kinds} == {"generation", "gradient", "cause", "edit", "candidate"}
    assert ("candidate", made.id) in kinds
    with owned.engine.begin() as connection:
        ids = connection.execute(sa.select(metadata.tables["source_text"].c.id)).scalars().all()
    assert [id_ for id_ in ids if not owned.texts.derived_from(id_)] == []


def test_the_same_words_of_two_people_are_two_rows_and_no_words_are_none(store: Store) -> None:
    one, other = (SourceText(kind="input", text="hi", source_key=who) for who in ("a", "b"))
    assert one.id != other.id
    assert SourceText(kind="input", text="").id == ""
    assert store.texts.load(["", "gone"]) == {"": ""}
