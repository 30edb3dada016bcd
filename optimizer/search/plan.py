"""How a search is made: the models, the budget, and how much evidence a decision needs."""

from dataclasses import dataclass, field

from optimizer.guards.guard import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """How a search is made.

    Attributes:
        max_task_calls: runs of a prompt on a case, at most; calls of critic and rewriter are not counted.
        seed: decides every draw; the same seed and the same replies give the same prompt.
        parents, edits_per_parent: how many prompts a round edits, and in how many ways each; both only as far as the
            budget leaves room for further rounds.
        max_rounds: rounds at most. `patience` is how many may go by without a better prompt.
        passing: the score from which an answer is not criticised, (0, 1].
        quorum: independent sources that a root cause needs; `per_source` is how many criticisms of one source count.
        least_quorum: sources that are enough when no better founded cause is left. One is enough where the owner wrote
            the cases, for every edit is evaluated; never where strangers did.
        max_losses: answers that the critic is asked about in one round; `critic_samples` is how often about each.
        verify: ask whether a rewrite answers its causes before it is run.
        max_causes: root causes in one step, best founded first; `causes_chars` is the budget of their words.
        margin: how many cases' worth of advantage are taken for noise when prompts are compared case by case.
        length_penalty: what a prompt loses in score when it is twice as long as the seed.
        attempts: calls for one usable reply.
        limits: how much a step may change; more than in production, for here every step is evaluated.
    """

    task_model: str
    critic_model: str
    rewriter_model: str
    max_task_calls: int
    seed: int = 0
    parents: int = 2
    edits_per_parent: int = 2
    max_rounds: int = 12
    patience: int = 3
    passing: float = 0.9
    quorum: int = 2
    least_quorum: int = 2
    per_source: int = 3
    max_losses: int = 96
    critic_samples: int = 1
    verify: bool = True
    max_causes: int = 16
    causes_chars: int = 12_000
    margin: float = 1.0
    length_penalty: float = 0.01
    attempts: int = 3
    temperature: float = 0.0
    task_max_tokens: int = 2_048
    critic_max_tokens: int = 1_024
    rewriter_max_tokens: int = 4_096
    limits: Limits = field(default_factory=lambda: Limits(max_edits=20, free_growth_chars=1_500))
