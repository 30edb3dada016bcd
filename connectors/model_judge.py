"""A judge that asks a language model: the port `Judge` by a rubric that the owner wrote.

The model sees the texts fenced. Must never raise for an answer: a judgement that cannot be had leaves the answer
unscored, never bad.
"""

from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimizer.errors import BadReply, Declined, Transient
from optimizer.fence import Fence, excerpt
from optimizer.identity import canonical
from optimizer.meta import judge as meta
from optimizer.ports import LanguageModel, ModelRequest
from optimizer.prompts import Message
from optimizer.types import Case, CaseInput, Missing, Scored, Unscored, Usage

ATTEMPTS = 3
REASON_CHARS = 400
"""One sentence was asked for; what is longer is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """A judgement and what it cost."""

    result: Scored | Unscored
    usage: Usage = field(default_factory=Usage)


class _Judgement(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    score: float = Field(ge=0, le=1, strict=True)
    reason: str = ""


class ModelJudge:
    """Judges answers by a rubric.

    Args:
        judge_model: name of the model that judges.
        rubric: what a good answer is, in the owner's words; trusted.
        fence_secret: the run's secret, so that the same run sends the same bytes again.
    """

    def __init__(self, model: LanguageModel, judge_model: str, rubric: str, *, fence_secret: bytes) -> None:
        self._model = model
        self._judge_model = judge_model
        self._rubric = rubric
        self._fence_secret = fence_secret

    @property
    def name(self) -> str:
        """The model and its meta-prompt, for reports."""
        return f"{self._judge_model} by a rubric (judge v{meta.VERSION})"

    async def judge(self, case: Case, output: str) -> Scored | Unscored:
        """Judge one answer; see the port."""
        return (await self.grade(case, output)).result

    async def grade(self, case: Case, output: str) -> Grade:
        """Judge one answer, with its cost. Raises Permanent and OverBudget: those end the whole run."""
        trouble = ""
        usage = Usage()
        for attempt in range(ATTEMPTS):
            try:
                reply = await self._model.complete(self._request(case, output, attempt))
                usage += reply.usage
                judgement = _Judgement.model_validate_json(_object(reply.text))
            except ValidationError:
                trouble = "not the JSON object that was asked for"
            except BadReply as error:
                usage += error.usage
                trouble = str(error)
            except (Transient, Declined) as error:  # the model has retried by itself, or never will answer this
                trouble = str(error)
                break
            else:
                return Grade(
                    result=Scored(value=judgement.score, reason=excerpt(judgement.reason, REASON_CHARS)), usage=usage
                )
        return Grade(result=Unscored(reason=f"the judge gave no judgement: {trouble}"), usage=usage)

    def _request(self, case: Case, output: str, attempt: int) -> ModelRequest:
        reference = None if isinstance(case.reference, Missing) else case.reference
        asked = input_text(case.input)
        fence = Fence.of(self._fence_secret, asked, output, reference or "", case.complaint)
        block = fence.wrap({"input": asked, "output": output, "reference": reference, "complaint": case.complaint})
        return ModelRequest(
            purpose="judge",
            model=self._judge_model,
            messages=(
                Message(role="system", content=meta.SYSTEM),
                Message(role="user", content=f"RUBRIC\n{self._rubric}\n{block}"),
            ),
            reply_schema=meta.SCHEMA,
            reply_name=meta.REPLY_NAME,
            max_tokens=512,
            attempt=attempt,
        )


def input_text(case_input: CaseInput) -> str:
    """A case's input as one text: the question alone, or variables and messages as JSON, which nobody can forge."""
    said = [*(message for _, slot in case_input.placeholders for message in slot), *case_input.history]
    if len(said) == 1 and not case_input.variables:
        return said[0].content
    messages = [{"role": message.role, "content": message.content} for message in said]
    return canonical({"variables": dict(case_input.variables), "messages": messages})


def _object(text: str) -> str:
    """The outermost JSON object in a reply: models without structured replies wrap it in prose or a code block."""
    return text[text.find("{") : text.rfind("}") + 1]
