"""What a good answer is, in production's own scores: as the owner says, or by the first of their rules that tells."""

from deploy.settings import PromptSettings
from optimizer.errors import BadSettings
from optimizer.rollouts import Metric
from optimizer.rules import BooleanRule, Direction, NumericRule, ScoreRule
from optimizer.types import ScoreKind


def metric_of(prompt: PromptSettings) -> Metric:
    """The metric of a prompt's canaries. Raises BadSettings when nothing says what it is."""
    if prompt.release.canary.metric is not None:
        return prompt.release.canary.metric.value()
    for rule in prompt.score_rules:
        if metric := _of_rule(rule):
            return metric
    raise BadSettings(
        f"nothing says what a good answer of {prompt.name} is worth", "set `release.canary.metric` to one of its scores"
    )


def _of_rule(rule: ScoreRule) -> Metric | None:
    """The metric that a rule for complaints implies: only where its threshold shows that the scale is from 0 to 1."""
    if isinstance(rule, BooleanRule):
        return Metric(score=rule.name, kind=ScoreKind.BOOLEAN, good=(str(not rule.bad).lower(),))
    if isinstance(rule, NumericRule) and 0 < rule.threshold < 1:
        low, high = (1.0, 0.0) if rule.direction is Direction.LOWER_IS_BETTER else (0.0, 1.0)
        return Metric(score=rule.name, kind=ScoreKind.NUMERIC, low=low, high=high)
    return None
