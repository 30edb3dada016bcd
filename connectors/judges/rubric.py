"""A judge that asks a language model: the port `Judge` by a rubric that the owner wrote.

The model sees the texts fenced. Must never raise for an answer: a judgement that cannot be had leaves the answer
unscored, never bad.
"""

from connectors.judges.asking import ATTEMPTS, MAX_TOKENS, asked, input_text, reason_in, score_in
from optimizer.fence import Fence
from optimizer.meta import judge as meta
from optimizer.ports import LanguageModel, ModelRequest
from optimizer.prompts import Message
from optimizer.replies import JsonObject
from optimizer.types import Case, Missing, Scored, Unscored


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
        """Judge one answer; see the port. Raises Permanent and OverBudget: those end the whole run."""
        return await asked(self._model, self._request(case, output, sample=0), _read)

    async def judge_again(self, case: Case, output: str) -> Scored | Unscored:
        """Judge the same answer by a fresh sample of the model; see `Varying`.

        The fence is another one, so that no cache on the way can give the first judgement again.
        """
        return await asked(self._model, self._request(case, output, sample=1), _read)

    def _request(self, case: Case, output: str, *, sample: int) -> ModelRequest:
        reference = None if isinstance(case.reference, Missing) else case.reference
        question = input_text(case.input)
        fence = Fence.of(self._fence_secret, question, output, reference or "", case.complaint, *["again"] * sample)
        block = fence.wrap({"input": question, "output": output, "reference": reference, "complaint": case.complaint})
        return ModelRequest(
            purpose="judge",
            model=self._judge_model,
            messages=(
                Message(role="system", content=meta.SYSTEM),
                Message(role="user", content=f"RUBRIC\n{self._rubric}\n{block}"),
            ),
            reply_schema=meta.SCHEMA,
            reply_name=meta.REPLY_NAME,
            max_tokens=MAX_TOKENS,
            attempt=sample * ATTEMPTS,
        )


def _read(fields: JsonObject) -> Scored:
    return Scored(value=score_in(fields), reason=reason_in(fields))
