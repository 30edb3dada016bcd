"""The erasure of a person from our own tables, inside one transaction of the caller's.

What they said is deleted. What was made of it and may repeat it says that it was erased; numbers, ids and counts stay,
and so does the text of a prompt that was published, or that somebody is still deciding about. To do it again changes
nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deploy.forgetting.person import Key, Person
from deploy.forgetting.slices import erase_slices
from deploy.releases.regating import SLOT
from deploy.store.cycles import cycle_id
from deploy.store.database import chunks, insert_new
from deploy.store.forgotten import drop_scores, drop_texts
from deploy.store.releases import OURS
from deploy.store.schema import (
    agreement,
    candidate,
    case_result,
    cause,
    cycle,
    derivation,
    edit,
    generation,
    gradient,
    journal,
    release,
    release_event,
    score,
    source_text,
)
from deploy.store.schema_releases import exposure, refused_edit, release_order, release_text
from optimizer.errors import EmptyReply
from optimizer.identity import Json
from optimizer.prompts import body_json

ERASED = "(erased)"
"""What stands where words were that somebody may still look for."""

ERASED_ID = "erased"
"""The id of the one source text that says so."""

NOTHING_ID = "erased-input"
"""The id of no text at all, for what is read as JSON: a case without its input."""

ERASED_BODY = body_json(ERASED)


def erase(connection: sa.Connection, person: Person, *, began: datetime) -> Mapping[str, int]:
    """Erase everything that `person` holds, but what runs or waits; returns how much there was, by kind.

    Args:
        began: when they asked; what ended cycles were told before may repeat them.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("pragma secure_delete = on")
    said = {"id": ERASED_ID, "kind": "erased", "text": ERASED, "source_key": "", "created_at": began}
    if person.gradients or person.cases:
        insert_new(connection, source_text, [said])
    counted: Counter[str] = Counter()
    counted["model replies"] = _replies(connection, person, began)
    counted |= Counter(_derived(connection, person))
    counted["names of slices"] = erase_slices(connection, person, ERASED)
    counted["case results"] = _results(connection, person)
    counted["reviewers' words"] = _reviews(connection, person)
    counted["texts of people's own"] = _release_texts(connection, person)
    counted["agreements"] = _agreements(connection, person)
    scores, comments = drop_scores(connection, person.traces)
    counted["scores"], counted["texts"] = scores, comments + _texts(connection, person)
    counted["recorded calls"] = _calls(connection, person)
    counted["exposures"] = _exposures(connection, person)
    return counted


# ---- what they said --------------------------------------------------------------------------------------------------


def _texts(connection: sa.Connection, person: Person) -> int:
    ids = _ids(connection, sa.select(source_text.c.id), source_text.c.source_key, person.sources)
    quoted = [id_ for id_, alias in person.calls.items() if not alias]
    ids += _ids(connection, sa.select(generation.c.output_id), generation.c.id, quoted)
    return drop_texts(connection, ids)


def _calls(connection: sa.Connection, person: Person) -> int:
    """Calls that a gradient is about stay as rows without words; the others go."""
    held = set(_ids(connection, sa.select(gradient.c.generation_id), gradient.c.generation_id, person.calls))
    blank = {"input_id": "", "output_id": "", "tags": []}
    changed = 0
    for id_, alias in person.calls.items():
        if alias and id_ not in held:
            changed += connection.execute(sa.delete(generation).where(generation.c.id == id_)).rowcount
            made = (derivation.c.derived_kind == "generation") & (derivation.c.derived_id == id_)
            connection.execute(sa.delete(derivation).where(made))
        else:
            values: dict[str, Any] = {**blank, "source_key": alias} if alias else {"output_id": ""}
            same = sa.and_(*(generation.c[name] == value for name, value in values.items()))
            here = sa.update(generation).where(generation.c.id == id_, ~same)
            changed += connection.execute(here.values(values)).rowcount
    return changed


def _agreements(connection: sa.Connection, person: Person) -> int:
    ids = _ids(connection, sa.select(score.c.id), score.c.trace_id, person.traces)
    return sum(
        connection.execute(sa.delete(agreement).where(agreement.c.score_id.in_(some))).rowcount for some in chunks(ids)
    )


def _exposures(connection: sa.Connection, person: Person) -> int:
    """They stay in the counts, under a name that is not theirs."""
    return sum(
        _erase(connection, exposure, exposure.c.unit == key, {"unit": person.sources[key]}) for key in person.keys
    )


# ---- what was made of it ---------------------------------------------------------------------------------------------


def _derived(connection: sa.Connection, person: Person) -> Mapping[str, int]:
    """Gradients and causes lose their words, edits their reasons; an edit and a candidate that never got out, all."""
    gone = person.candidates - person.released
    mute = {"text": ERASED, "loss_id": ERASED_ID, "score_ids": []}
    _drop_losses(connection, person)
    return {
        "gradients": sum(_erase(connection, gradient, _at(gradient, key), mute) for key in person.gradients),
        "causes": sum(_erase(connection, cause, _at(cause, key), {"summary": ERASED}) for key in person.causes),
        "edits": sum(_erase(connection, edit, _made_of(key), {"reason": ERASED}) for key in person.causes)
        + sum(_erase(connection, edit, _unpublished(key, gone), {"text": ERASED}) for key in person.causes),
        "candidates": sum(_erase(connection, candidate, _at(candidate, key), {"body": ERASED_BODY}) for key in gone),
    }


def _drop_losses(connection: sa.Connection, person: Person) -> None:
    """A reviewer's complaint about an edit is stored as the reviewer's."""
    quoted = [id_ for id_, alias in person.calls.items() if not alias]
    ids = _ids(connection, sa.select(gradient.c.loss_id), gradient.c.generation_id, quoted)
    drop_texts(connection, [id_ for id_ in ids if id_ != ERASED_ID])


def _made_of(cause_key: Key) -> sa.ColumnElement[bool]:
    return (edit.c.cycle_id == cause_key[0]) & (edit.c.cause_id == cause_key[1])


def _unpublished(cause_key: Key, gone: Collection[Key]) -> sa.ColumnElement[bool]:
    """Edits because of a cause, in candidates that never got out; a line that an edit takes away has no text."""
    candidates = [candidate_id for cycle_id, candidate_id in gone if cycle_id == cause_key[0]]
    return _made_of(cause_key) & edit.c.candidate_id.in_(candidates) & (edit.c.text != "")


def _results(connection: sa.Connection, person: Person) -> int:
    """Cases and answers lose their words; what they were worth stays."""
    changed = 0
    for some in chunks(person.sources):
        for row in connection.execute(sa.select(case_result).where(case_result.c.source_key.in_(some))).all():
            values = {
                "source_key": person.sources[row.source_key],
                "tags": [],
                "text_ids": {name: _gone(name, said) for name, said in row.text_ids.items()},
                "baseline": _answer(row.baseline),
                "candidate": _answer(row.candidate),
            }
            here = (case_result.c.cycle_id == row.cycle_id) & (case_result.c.position == row.position)
            changed += _erase(connection, case_result, here, values)
            made = (derivation.c.derived_kind == "case_result") & (
                derivation.c.derived_id == f"{row.cycle_id}/{row.case_id}"
            )
            connection.execute(sa.delete(derivation).where(made))
    return changed


def _gone(name: str, said: Json) -> Json:
    """What stands for a text of a case; a reason why there is none, and no text, stay what they are."""
    if not isinstance(said, str) or not said:
        return said
    return NOTHING_ID if name == "input" else ERASED_ID


def _answer(said: Mapping[str, Json]) -> dict[str, Json]:
    return {**said, **{name: _gone(name, said[name]) for name in ("output_id", "reason_id")}}


def _replies(connection: sa.Connection, person: Person, began: datetime) -> int:
    """What models replied in cycles that have ended: nobody knows which reply repeats whom, and nobody needs them.

    A cycle that is taken up again all the same finds an empty reply there, which it may not use.
    """
    ended = sa.select(cycle.c.id).where(cycle.c.ended_at.is_not(None), cycle.c.started_at <= began)
    cycles = _ids(connection, ended, cycle.c.prompt, person.prompts)
    theirs = journal.c.reply_id != ""
    ids = _ids(connection, sa.select(journal.c.reply_id).where(theirs), journal.c.cycle_id, cycles)
    values = {"reply_id": "", "outcome": EmptyReply.__name__}
    changed = sum(
        connection.execute(sa.update(journal).where(journal.c.cycle_id.in_(some), theirs).values(values)).rowcount
        for some in chunks(cycles)
    )
    kept = set(_ids(connection, sa.select(journal.c.reply_id), journal.c.reply_id, ids))
    drop_texts(connection, [id_ for id_ in ids if id_ not in kept])
    return changed


# ---- what people said of it ------------------------------------------------------------------------------------------


def _reviews(connection: sa.Connection, person: Person) -> int:
    """Why people decided about a release: they may have quoted. An order may name the prompt alone."""
    changed = 0
    for run in person.runs.values():
        changed += _erase(connection, refused_edit, refused_edit.c.run_id == run.run_id, {"words": ""})
        by_person = (release_event.c.run_id == run.run_id) & (release_event.c.actor != OURS)
        found = sa.select(release_event.c.reason).where(by_person, release_event.c.reason.not_in(["", ERASED]))
        for words in connection.execute(found).scalars().all():
            same = release.c.reason == words
            changed += _erase(connection, release, (release.c.run_id == run.run_id) & same, {"reason": ERASED})
            ordered = (release_order.c.prompt == run.prompt) & (release_order.c.why == words)
            changed += _erase(connection, release_order, ordered, {"why": ERASED, "outcome": ERASED})
        changed += _erase(connection, release_event, by_person & (release_event.c.reason != ""), {"reason": ERASED})
        ordered = (release_order.c.run_id == run.run_id) & (release_order.c.why != "")
        changed += _erase(connection, release_order, ordered, {"why": ERASED, "outcome": ERASED})
    return changed


def _release_texts(connection: sa.Connection, person: Person) -> int:
    """What people made of a candidate before it was refused, and the candidate that it was judged as."""
    changed = 0
    for run in person.runs.values():
        if run.candidate in person.released:
            continue
        found = sa.select(release_text.c.revision).where(release_text.c.run_id == run.run_id)
        for revision in connection.execute(found).scalars().all():
            mine = (release_text.c.run_id == run.run_id) & (release_text.c.revision == revision)
            changed += _erase(connection, release_text, mine, {"body": ERASED_BODY})
            judged = candidate.c.cycle_id == cycle_id(run.prompt, f"{SLOT}{revision}")
            _erase(connection, candidate, judged, {"body": ERASED_BODY})
    return changed


# ---- statements ------------------------------------------------------------------------------------------------------


def _erase(connection: sa.Connection, table: sa.Table, here: sa.ColumnElement[bool], values: Mapping[str, Any]) -> int:
    """Set columns of rows that do not say so already; how many did not."""
    same = sa.and_(*(table.c[name] == value for name, value in values.items()))
    return connection.execute(sa.update(table).where(here, ~same).values(dict(values))).rowcount


def _at(table: sa.Table, key: Key) -> sa.ColumnElement[bool]:
    return (table.c.cycle_id == key[0]) & (table.c.id == key[1])


def _ids(
    connection: sa.Connection, found: sa.Select[Any], column: sa.ColumnElement[str], among: Iterable[str]
) -> list[str]:
    return [id_ for some in chunks(among) for id_ in connection.execute(found.where(column.in_(some))).scalars()]
