"""Gate reports with the pairs behind them. Numbers are JSON; every text of a case or an answer is in `source_text`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deploy.store.database import Records, insert_new, waiting_out
from deploy.store.encoding import decoded, encoded
from deploy.store.pairs import PairTexts, pair_of, pair_row, text_ids
from deploy.store.schema import case_result, gate_report
from deploy.store.texts import keep_links, keep_texts, load_texts
from optimizer.proof import Comparison, GateReport, Proof
from optimizer.types import Evidence, Missing, Pair, Scored, Usage, Verdict

SCREEN, CLAIM = "screen", "claim"
"""Which evidence of a report a pair belongs to."""


class Reports(Records):
    """One report per cycle."""

    @waiting_out
    def save(self, cycle_id: str, candidate_id: str, report: GateReport, *, at: datetime) -> None:
        """Keep a report; the first one of a cycle stays."""
        claimed = report.claim.evidence.pairs if report.claim else ()
        parts = [(SCREEN, pair) for pair in report.evidence.pairs] + [(CLAIM, pair) for pair in claimed]
        said = [PairTexts.of(pair) for _, pair in parts]
        row = {
            "cycle_id": cycle_id,
            "candidate_id": candidate_id,
            "verdict": report.verdict.value,
            "numbers": encoded(_with_pairs(report, screen=(), claim=())),
            "created_at": at,
        }
        rows = [
            {"cycle_id": cycle_id, "position": place, "part": part, **pair_row(pair, texts)}
            for place, ((part, pair), texts) in enumerate(zip(parts, said, strict=True))
        ]
        with self._write() as connection:
            if connection.execute(_report_row(cycle_id)).first():
                return
            keep_texts(connection, [text for texts in said for text in texts.all], at=at)
            made_of = [(f"{cycle_id}/{texts.case_id}", [text.id for text in texts.all]) for texts in said]
            keep_links(connection, "case_result", made_of)
            insert_new(connection, gate_report, [row])
            insert_new(connection, case_result, rows)

    @waiting_out
    def load(self, cycle_id: str) -> GateReport | None:
        """The report of a cycle, None when its gate has not spoken."""
        with self._read() as connection:
            row = connection.execute(_report_row(cycle_id)).one_or_none()
            if row is None:
                return None
            found = sa.select(case_result).where(case_result.c.cycle_id == cycle_id).order_by(case_result.c.position)
            results = connection.execute(found).all()
            texts = load_texts(connection, [id_ for result in results for id_ in text_ids(result)])
        pairs = {part: tuple(pair_of(r, texts) for r in results if r.part == part) for part in (SCREEN, CLAIM)}
        if "proof" not in row.numbers:
            return _first_format(row.verdict, row.numbers, pairs[SCREEN])
        return _with_pairs(decoded(GateReport, row.numbers), screen=pairs[SCREEN], claim=pairs[CLAIM])


def _report_row(cycle_id: str) -> sa.Select[Any]:
    return sa.select(gate_report).where(gate_report.c.cycle_id == cycle_id)


def _with_pairs(report: GateReport, *, screen: tuple[Pair, ...], claim: tuple[Pair, ...]) -> GateReport:
    """The same report with other pairs behind it: without any, it is numbers and our own sentences only."""
    claimed = report.claim and replace(report.claim, evidence=replace(report.claim.evidence, pairs=claim))
    return replace(report, evidence=replace(report.evidence, pairs=screen), claim=claimed)


def _first_format(verdict: str, said: Mapping[str, Any], pairs: Sequence[Pair]) -> GateReport:
    """A report from before claims had stakes.

    Its pass is "screened": the evidence was a bet as it is now, but on cases that earlier candidates may have seen.
    """
    evidence = Evidence(
        pairs=tuple(pairs),
        model=said["model"],
        evaluator=said["evaluator"],
        complete=said["complete"],
        note=said["note"],
    )
    differences = [
        pair.candidate.result.value - pair.baseline.result.value
        for pair in pairs
        if isinstance(pair.candidate.result, Scored) and isinstance(pair.baseline.result, Scored)
    ]
    names = ("baseline_mean", "candidate_mean", "effect", "interval")
    kept = {"scored": said["scored_pairs"], "unscored": said["unscored_pairs"], **{name: said[name] for name in names}}
    counted = {"better": sum(d > 0 for d in differences), "worse": sum(d < 0 for d in differences)}
    return GateReport(
        verdict=Verdict(verdict),
        proof=Proof.SCREENED if verdict == Verdict.PASS else Proof.NONE,
        reasons=tuple(said["reasons"]),
        findings=(),
        evidence=evidence,
        numbers=decoded(Comparison, {**kept, **counted, "z": encoded(Missing.NOT_RECORDED)}),
        usage=decoded(Usage, said["usage"]),
    )
