"""promptfoo's output file, version 3: only what the verdict needs, checked where the bytes enter."""

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.promptfoo.configuration import OURS
from optimizer.errors import BadAnswer
from optimizer.types import Arm

UNJUDGED = "tracegrad-gave-no-judgement"
"""Stands in every error that a grader of ours answers, so that it is known in promptfoo's reasons."""

ROUNDING = 1e-9
"""How far a score may lie outside its scale: a cosine of a text with itself can come out a little above 1."""

# the pinned promptfoo takes these for failures of the answer, and they are failures of the grader
_GRADER_FAILED = re.compile(
    rf"{UNJUDGED}|^(?:API call error|API error|No output$|Request timed out"
    "|Model grader produced a malformed response|Invalid select-best verdict|Invalid category value"
    "|Factuality checker output did not match|Embedding not found|Unknown error fetching embeddings"
    "|Error parsing output)"
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Assertion(_Part):
    type: str
    metric: str | None = None


class _GraderNote(_Part):
    failed: bool = Field(default=False, alias="graderError")


class Component(_Part):
    """One assertion's judgement."""

    passed: bool = Field(alias="pass")
    score: float
    reason: str = ""
    assertion: _Assertion | None = None
    note: _GraderNote | None = Field(default=None, alias="metadata")

    @property
    def is_unjudged(self) -> bool:
        """True when the grader failed, which promptfoo counts against the answer."""
        return bool(self.note and self.note.failed) or (not self.passed and bool(_GRADER_FAILED.search(self.reason)))


class _Grading(_Part):
    components: tuple[Component, ...] = Field(default=(), alias="componentResults")


class _Metadata(_Part):
    case_id: str = Field(alias="tracegrad_case")  # configuration.CASE_KEY


class _Test(_Part):
    metadata: _Metadata


class _Response(_Part):
    output: object = None


class Row(_Part):
    """One arm on one case. `score` is the weighted mean of all assertions, `success` promptfoo's verdict."""

    prompt: int = Field(alias="promptIdx", ge=0)
    score: float
    success: bool = False
    failure: int = Field(alias="failureReason")
    grading: _Grading | None = Field(default=None, alias="gradingResult")
    response: _Response | None = None
    test: _Test = Field(alias="testCase")

    @property
    def value(self) -> float | None:
        """The score on the scale from 0 to 1, rounding forgiven; None when the owner uses another scale."""
        return min(1.0, max(0.0, self.score)) if -ROUNDING <= self.score <= 1.0 + ROUNDING else None

    @property
    def is_error(self) -> bool:
        """True when promptfoo could not judge: its failureReason 2."""
        return self.failure == 2

    @property
    def components(self) -> tuple[Component, ...]:
        """The judgements of all assertions."""
        return self.grading.components if self.grading else ()

    @property
    def is_unjudged(self) -> bool:
        """True when a grader failed: the score says nothing then."""
        return any(component.is_unjudged for component in self.components)

    @property
    def complaints(self) -> tuple[str, ...]:
        """The types of the owner's assertions that failed."""
        judged = ((c.assertion, c.passed) for c in self.components)
        return tuple(a.type for a, passed in judged if a and not passed and a.metric != OURS)


class _Prompt(_Part):
    label: Arm


class _Results(_Part):
    version: Literal[3]
    prompts: tuple[_Prompt, ...]
    results: tuple[Row, ...]


class _Output(_Part):
    results: _Results


def parse(path: Path) -> dict[tuple[Arm, str], list[Row]]:
    """Rows by arm and case id; the file has them in any order. Raises BadAnswer when it is not such a file."""
    fix = "install the pinned promptfoo with `tracegrad setup-node`"
    rows: dict[tuple[Arm, str], list[Row]] = {}
    try:
        results = _Output.model_validate_json(path.read_bytes()).results
        for row in results.results:
            rows.setdefault((results.prompts[row.prompt].label, row.test.metadata.case_id), []).append(row)
    except OSError as error:
        raise BadAnswer("promptfoo wrote no results", fix) from error
    except (ValidationError, IndexError) as error:
        raise BadAnswer("promptfoo's results are not in the form of version 3", fix) from error
    return rows
