"""One answer and one case -> a judgement in [0, 1].

By comparison with the case's reference where that is enough, else by a model that sees the texts fenced. Never raises
for an answer; a judge that cannot be used makes the case unscored, never bad.
"""

from connectors.model_judge import Grade, ModelJudge
from connectors.promptfoo.settings import EvaluatorSettings, Match
from optimizer.ports import LanguageModel
from optimizer.types import Case, CaseOrigin, Missing, Scored, Unscored


class Grader:
    """Judges answers by the owner's settings.

    Args:
        fence_secret: the cycle's secret, so that a resumed cycle sends the same bytes again.
    """

    def __init__(self, model: LanguageModel, settings: EvaluatorSettings, *, fence_secret: bytes) -> None:
        self._settings = settings
        self._judge = ModelJudge(model, settings.judge_model, settings.rubric, fence_secret=fence_secret)

    async def grade(self, case: Case, output: str) -> Grade:
        """Judge one answer. Raises Permanent and OverBudget: those end the whole run."""
        # the reference of a replayed case is one whole answer that a person gave, not what every answer must contain
        judged = self._settings.match is Match.JUDGE or case.origin is CaseOrigin.REPLAY
        # an empty reference would be met by every answer
        if not judged and not isinstance(case.reference, Missing) and case.reference.strip():
            compare = _exact if self._settings.match is Match.EXACT else _contains
            return Grade(result=compare(output, case.reference))
        if not self._settings.judge_model:
            return Grade(result=Unscored(reason="no reference, and no judge model is set"))
        return await self._judge.grade(case, output)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _contains(output: str, reference: str) -> Scored:
    """Every line of the reference must occur in the answer; case and spacing do not count."""
    missing = [line.strip() for line in reference.splitlines() if line.strip() and _plain(line) not in _plain(output)]
    if missing:
        return Scored(value=0.0, reason=f"does not contain “{missing[0]}”")
    return Scored(value=1.0, reason="contains what the reference asks for")


def _exact(output: str, reference: str) -> Scored:
    if output.strip() == reference.strip():
        return Scored(value=1.0, reason="equals the reference")
    return Scored(value=0.0, reason="differs from the reference")
