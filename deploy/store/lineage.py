"""Why every line is what it is: what an engine made of the complaints, kept so that it can be walked back whole.

Losses and traces have no tables of their own: a gradient's row says of which generation and scores they were made, and
the words of the complaint are a source text. What is loaded equals what was saved, except that a score which was edited
since comes back as it is now; ids do not change by that.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deploy.store.database import Records, insert_new, waiting_out
from deploy.store.schema import candidate, cause, cycle, edit, generation, gradient, prompt_name, release, score
from deploy.store.texts import SourceText, keep_links, keep_texts, load_texts
from deploy.store.traces import keep_traces, load_generations, load_scores
from optimizer.errors import NotFound
from optimizer.prompts import PromptVersion, body_from_json, body_json
from optimizer.types import Candidate, Edit, EditOp, Gradient, LossKind, RootCause, TextLoss, Trace, Verdict


class Lineage(Records):
    """Gradients, causes and candidates, per cycle."""

    @waiting_out
    def save(
        self,
        cycle_id: str,
        *,
        gradients: Sequence[Gradient],
        causes: Sequence[RootCause],
        candidate: Candidate | None,
        at: datetime,
    ) -> None:
        """Keep the outcome of one optimization; the first one that was saved for a cycle stays."""
        edits = candidate.edits if candidate else ()
        all_causes = {found.id: found for found in (*causes, *(e.cause for e in edits))}
        used = [g for found in all_causes.values() for g in found.gradients]
        all_gradients = {found.id: found for found in (*gradients, *used)}
        with self._write() as connection:
            _keep_gradients(connection, cycle_id, list(all_gradients.values()), at)
            _keep_causes(connection, cycle_id, list(all_causes.values()))
            if candidate:
                _keep_candidate(connection, cycle_id, candidate, at)

    @waiting_out
    def gradients(self, cycle_id: str) -> tuple[Gradient, ...]:
        """Every gradient of a cycle, in the order in which they were saved."""
        with self._read() as connection:
            return tuple(_gradients(connection, cycle_id).values())

    @waiting_out
    def causes(self, cycle_id: str) -> tuple[RootCause, ...]:
        """Every root cause of a cycle, in the order in which they were saved."""
        with self._read() as connection:
            return tuple(_causes(connection, cycle_id).values())

    @waiting_out
    def losses_used(self, prompt: str, version: int) -> frozenset[str]:
        """Ids of the losses that earlier cycles asked a critic about, for this version of the prompt.

        A dry run that passed uses nothing up: what it found is still to be published.
        """
        made = sa.select(gradient.c.cycle_id).join(cycle, cycle.c.id == gradient.c.cycle_id)
        released = sa.exists().where(release.c.cycle_id == cycle.c.id)
        counted = sa.or_(cycle.c.verdict != Verdict.PASS.value, released)
        found = made.where(cycle.c.prompt == prompt, cycle.c.parent_version == version, counted).distinct()
        with self._read() as connection:
            ids = connection.execute(found).scalars().all()
            return frozenset(g.loss.id for id_ in ids for g in _gradients(connection, id_).values())

    @waiting_out
    def sources(self, prompt: str) -> frozenset[str]:
        """Source keys behind every gradient that any cycle of this prompt was given, under any of its names."""
        id_ = sa.select(prompt_name.c.prompt_id).where(prompt_name.c.name == prompt).scalar_subquery()
        names = sa.select(prompt_name.c.name).where(prompt_name.c.prompt_id == id_)
        found = (
            sa.select(generation.c.source_key)
            .join(gradient, gradient.c.generation_id == generation.c.id)
            .join(cycle, cycle.c.id == gradient.c.cycle_id)
            .where(sa.or_(cycle.c.prompt == prompt, cycle.c.prompt.in_(names)), generation.c.source_key != "")
            .distinct()
        )
        with self._read() as connection:
            return frozenset(connection.execute(found).scalars())

    @waiting_out
    def judged(self, prompt: str, *, before: str, limit: int) -> tuple[tuple[Candidate, Verdict], ...]:
        """The candidates of this prompt's last cycles that a gate has judged, oldest first.

        Args:
            before: a cycle; it and later ones are left out, so that a cycle that is resumed finds the same.
        """
        started = sa.select(cycle.c.started_at).where(cycle.c.id == before).scalar_subquery()
        found = (
            sa.select(candidate, cycle.c.verdict)
            .join(cycle, (cycle.c.id == candidate.c.cycle_id) & (cycle.c.candidate_id == candidate.c.id))
            .where(cycle.c.prompt == prompt, cycle.c.id != before, cycle.c.verdict != "", cycle.c.started_at <= started)
            .order_by(cycle.c.started_at.desc(), cycle.c.id.desc())
            .limit(limit)
        )
        with self._read() as connection:
            rows = connection.execute(found).all()
            return tuple((_candidate(connection, row), Verdict(row.verdict)) for row in reversed(rows))

    @waiting_out
    def load_candidate(self, candidate_id: str, cycle_id: str = "") -> Candidate:
        """A candidate with its edits, causes, gradients, losses and traces.

        Args:
            cycle_id: which cycle's, when several made the same one; empty for the newest.

        Raises:
            NotFound: there is no such candidate.
        """
        found = sa.select(candidate).where(candidate.c.id == candidate_id).order_by(candidate.c.created_at.desc())
        with self._read() as connection:
            row = connection.execute(found.where(candidate.c.cycle_id == cycle_id) if cycle_id else found).first()
            if row is None:
                raise NotFound(f"there is no candidate '{candidate_id}'", "list the cycles with `tracegrad status`")
            return _candidate(connection, row)


def _keep_gradients(connection: sa.Connection, cycle_id: str, gradients: Sequence[Gradient], at: datetime) -> None:
    traces = [g.loss.trace for g in gradients]
    keep_traces(connection, [t.generation for t in traces], [s for t in traces for s in t.scores], at=at)
    words = [_words(g) for g in gradients]
    keep_texts(connection, words, at=at)
    keep_links(connection, "gradient", [(g.id, _sources(g)) for g in gradients])
    rows = [
        {
            "cycle_id": cycle_id,
            "id": g.id,
            "position": position,
            "generation_id": g.loss.trace.generation.id,
            "score_ids": [s.id for s in g.loss.trace.scores],
            "n_prompts": g.loss.trace.n_prompts,
            "loss_kind": g.loss.kind.value,
            "loss_id": text.id,
            "weight": g.loss.weight,
            "warrants_change": g.warrants_change,
            "text": g.text,
        }
        for position, (g, text) in enumerate(zip(gradients, words, strict=True))
    ]
    insert_new(connection, gradient, rows)


def _words(g: Gradient) -> SourceText:
    return SourceText(kind=f"loss:{g.loss.kind}", text=g.loss.text, source_key=g.source_key)


def _sources(g: Gradient) -> tuple[str, ...]:
    """Ids of the texts that a critic saw."""
    found = g.loss.trace.generation
    said = [
        SourceText(kind=kind, text=text, source_key=found.source_key)
        for kind, text in (("input", found.input), ("output", found.output))
    ]
    return tuple(text.id for text in (*said, _words(g)))


def _keep_causes(connection: sa.Connection, cycle_id: str, causes: Sequence[RootCause]) -> None:
    keep_links(connection, "cause", [(c.id, _all_sources(c.gradients)) for c in causes])
    rows = [
        {
            "cycle_id": cycle_id,
            "id": c.id,
            "position": position,
            "label": c.label,
            "summary": c.summary,
            "gradient_ids": [g.id for g in c.gradients],
        }
        for position, c in enumerate(causes)
    ]
    insert_new(connection, cause, rows)


def _keep_candidate(connection: sa.Connection, cycle_id: str, made: Candidate, at: datetime) -> None:
    gradients = [g for e in made.edits for g in e.cause.gradients]
    keep_links(connection, "candidate", [(made.id, _all_sources(gradients))])
    keep_links(connection, "edit", [(e.id, _all_sources(e.cause.gradients)) for e in made.edits])
    parent = made.parent
    row = {
        "cycle_id": cycle_id,
        "id": made.id,
        "prompt": parent.name,
        "parent_version": parent.version,
        "parent_body": body_json(parent.body),
        "parent_config": parent.config_json,
        "parent_labels": list(parent.labels),
        "parent_commit_message": parent.commit_message,
        "body": body_json(made.body),
        "created_at": at,
    }
    edits = [
        {
            "cycle_id": cycle_id,
            "candidate_id": made.id,
            "position": position,
            "id": e.id,
            "op": e.op.value,
            "line": e.line,
            "text": e.text,
            "reason": e.reason,
            "cause_id": e.cause.id,
        }
        for position, e in enumerate(made.edits)
    ]
    insert_new(connection, candidate, [row])
    insert_new(connection, edit, edits)


def _all_sources(gradients: Iterable[Gradient]) -> tuple[str, ...]:
    return tuple(text_id for g in gradients for text_id in _sources(g))


def _gradients(connection: sa.Connection, cycle_id: str) -> dict[str, Gradient]:
    found = sa.select(gradient).where(gradient.c.cycle_id == cycle_id).order_by(gradient.c.position)
    rows = connection.execute(found).all()
    generations = {g.id: g for g in load_generations(connection, generation.c.id, [r.generation_id for r in rows])}
    scores = {s.id: s for s in load_scores(connection, score.c.id, [id_ for row in rows for id_ in row.score_ids])}
    texts = load_texts(connection, [row.loss_id for row in rows])
    return {
        row.id: Gradient(
            loss=TextLoss(
                trace=Trace(
                    generation=generations[row.generation_id],
                    scores=tuple(scores[id_] for id_ in row.score_ids if id_ in scores),
                    n_prompts=row.n_prompts,
                ),
                kind=LossKind(row.loss_kind),
                text=texts.get(row.loss_id, ""),
                weight=row.weight,
            ),
            warrants_change=row.warrants_change,
            text=row.text,
        )
        for row in rows
    }


def _causes(connection: sa.Connection, cycle_id: str) -> dict[str, RootCause]:
    gradients = _gradients(connection, cycle_id)
    found = sa.select(cause).where(cause.c.cycle_id == cycle_id).order_by(cause.c.position)
    return {
        row.id: RootCause(
            label=row.label, summary=row.summary, gradients=tuple(gradients[id_] for id_ in row.gradient_ids)
        )
        for row in connection.execute(found)
    }


def _candidate(connection: sa.Connection, row: sa.Row[Any]) -> Candidate:
    causes = _causes(connection, row.cycle_id)
    found = sa.select(edit).where(edit.c.cycle_id == row.cycle_id, edit.c.candidate_id == row.id)
    return Candidate(
        parent=PromptVersion(
            name=row.prompt,
            version=row.parent_version,
            body=body_from_json(row.parent_body),
            config_json=row.parent_config,
            labels=tuple(row.parent_labels),
            commit_message=row.parent_commit_message,
        ),
        edits=tuple(
            Edit(op=EditOp(e.op), line=e.line, text=e.text, reason=e.reason, cause=causes[e.cause_id])
            for e in connection.execute(found.order_by(edit.c.position))
        ),
        body=body_from_json(row.body),
    )
