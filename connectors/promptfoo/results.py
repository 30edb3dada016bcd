"""promptfoo's output file, version 3: only what the verdict needs, checked where the bytes enter."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimizer.errors import BadAnswer
from optimizer.types import Arm


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Assertion(_Part):
    type: str


class Component(_Part):
    """One assertion's judgement."""

    passed: bool = Field(alias="pass")
    score: float
    reason: str = ""
    assertion: _Assertion | None = None


class _Grading(_Part):
    components: tuple[Component, ...] = Field(default=(), alias="componentResults")


class _Metadata(_Part):
    case_id: str


class _Test(_Part):
    metadata: _Metadata


class Row(_Part):
    """One arm on one case. `score` is the weighted mean of all assertions."""

    prompt: int = Field(alias="promptIdx", ge=0)
    score: float
    failure: int = Field(alias="failureReason")
    grading: _Grading | None = Field(default=None, alias="gradingResult")
    test: _Test = Field(alias="testCase")

    @property
    def is_error(self) -> bool:
        """True when promptfoo could not judge: its failureReason 2."""
        return self.failure == 2

    @property
    def complaints(self) -> tuple[str, ...]:
        """The types of the owner's assertions that failed."""
        components = self.grading.components if self.grading else ()
        return tuple(c.assertion.type for c in components if c.assertion and not c.passed)


class _Prompt(_Part):
    label: Arm


class _Results(_Part):
    version: Literal[3]
    prompts: tuple[_Prompt, ...]
    results: tuple[Row, ...]


class _Output(_Part):
    results: _Results


def parse(path: Path) -> dict[tuple[Arm, str], Row]:
    """Rows by arm and case id; the file has them in any order. Raises BadAnswer when it is not such a file."""
    fix = "install the pinned promptfoo with `tracegrad setup-node`"
    try:
        results = _Output.model_validate_json(path.read_bytes()).results
        return {(results.prompts[row.prompt].label, row.test.metadata.case_id): row for row in results.results}
    except OSError as error:
        raise BadAnswer("promptfoo wrote no results", fix) from error
    except (ValidationError, IndexError) as error:
        raise BadAnswer("promptfoo's results are not in the form of version 3", fix) from error
