"""From scores to text losses: which generation a complaint is about, and the complaint in words.

Production has already judged, so no model is called: a comment is a loss as it stands, a correction is the best one,
and a bare score is put into words. Nothing here may change, shorten or interpret what a person wrote.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from optimizer.rules import BooleanRule, CategoryRule, CorrectionRule, Direction, EveryScore, NumericRule, ScoreRule
from optimizer.types import Generation, LossKind, Score, ScoreKind, TextLoss, Trace

_BEST_FIRST = list(LossKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Complaints laid beside what they are about.

    Attributes:
        traces: newest first.
        waiting: ids of complaints whose trace shows no linked generation (yet), sorted: ask again later.
    """

    traces: tuple[Trace, ...]
    waiting: tuple[str, ...]


def join(scores: Iterable[Score], generations: Iterable[Generation], rules: Sequence[ScoreRule]) -> Joined:
    """Join complaints with the generations they are about.

    A score about an observation is about that generation, when it is one with a linked prompt; otherwise, and when it
    is about a whole trace, it is about every linked generation of the trace. Of several rows of one score the one that
    was edited last counts, and it alone decides whether there is a complaint.
    """
    latest = {score.id: score for score in sorted(scores, key=lambda s: (s.updated_at, repr(s.value), s.comment))}
    linked = {g.id: g for g in generations if g.prompt_name}
    by_trace: dict[str, list[Generation]] = defaultdict(list)
    for generation in linked.values():
        by_trace[generation.trace_id].append(generation)

    about: dict[str, list[Score]] = defaultdict(list)
    waiting = []
    for score in sorted(latest.values(), key=attrgetter("id")):
        if not is_complaint(score, rules):
            continue
        exact = linked.get(score.observation_id)
        blamed = [exact] if exact and exact.trace_id == score.trace_id else by_trace.get(score.trace_id, [])
        for generation in blamed:
            about[generation.id].append(score)
        if not blamed:
            waiting.append(score.id)

    newest_first = sorted(about, key=lambda key: (-linked[key].at.timestamp(), linked[key].trace_id, key))
    traces = tuple(_trace(linked[key], about[key], by_trace) for key in newest_first)
    return Joined(traces=traces, waiting=tuple(waiting))


def is_complaint(score: Score, rules: Iterable[ScoreRule]) -> bool:
    """True when the score is on the bad side of one of the rules."""
    return any(_in_words(score, rule) for rule in rules)


def is_asked_for(score: Score, rules: Sequence[ScoreRule]) -> bool:
    """True when a trace source returns the score for these rules: complaints, and all that `EveryScore` names."""
    return any(isinstance(rule, EveryScore) and score.name == rule.name for rule in rules) or is_complaint(score, rules)


def text_losses(traces: Iterable[Trace], rules: Sequence[ScoreRule]) -> tuple[TextLoss, ...]:
    """Every complaint in words: corrections first, then comments, then bare scores; newest first within each.

    The same words about the same trace are one loss, and a bare score says nothing where somebody used words. A
    complaint about a whole trace is shared: by the registered prompts in it, and among one prompt's generations.
    """
    given = tuple(traces)
    shares: dict[tuple[str, str], int] = defaultdict(int)
    for trace in given:
        for score in trace.scores:
            shares[score.id, trace.generation.prompt_name] += 1

    losses: dict[str, TextLoss] = {}
    for trace in given:
        for loss in _of_trace(trace, rules, shares):
            known = losses.get(loss.id)
            if known is None or known.weight < loss.weight:
                losses[loss.id] = loss
    return tuple(sorted(losses.values(), key=_order))


def _trace(generation: Generation, scores: Sequence[Score], by_trace: dict[str, list[Generation]]) -> Trace:
    prompts = {g.prompt_name for g in by_trace[generation.trace_id]}
    return Trace(generation=generation, scores=tuple(scores), n_prompts=len(prompts))


def _of_trace(trace: Trace, rules: Sequence[ScoreRule], shares: dict[tuple[str, str], int]) -> Iterable[TextLoss]:
    said = [
        (score, kind, text)
        for score in trace.scores
        if is_complaint(score, rules)
        for kind, text in _sayings(score, trace.generation.output, rules)
        if text
    ]
    worded = [saying for saying in said if saying[1] is not LossKind.SCORE]
    for score, kind, text in worded or said:
        alone = score.observation_id == trace.generation.id
        shared_by = 1 if alone else trace.n_prompts * shares[score.id, trace.generation.prompt_name]
        yield TextLoss(trace=trace, kind=kind, text=text, weight=1 / shared_by)


def _sayings(score: Score, output: str, rules: Sequence[ScoreRule]) -> Iterable[tuple[LossKind, str]]:
    yield LossKind.COMMENT, score.comment.strip()
    if score.kind is not ScoreKind.CORRECTION:
        yield LossKind.SCORE, next(filter(None, (_in_words(score, rule) for rule in rules)))
    elif str(score.value).strip() != output.strip():  # a person who "corrects" to the same text confirms it
        yield LossKind.CORRECTION, str(score.value).strip()


def _in_words(score: Score, rule: ScoreRule) -> str:
    """What the score says, when it is a complaint by this rule; empty otherwise."""
    match rule:
        case CorrectionRule():
            return "corrected by a person" if score.kind is ScoreKind.CORRECTION else ""
        case _ if score.name != rule.name:
            return ""
        case NumericRule() if score.kind is ScoreKind.NUMERIC:
            return _numeric(float(score.value), rule)
        case BooleanRule() if score.kind is ScoreKind.BOOLEAN and bool(score.value) is rule.bad:
            return f"marked {str(rule.bad).lower()} for {rule.name}"
        case CategoryRule() if score.kind is ScoreKind.CATEGORICAL and score.value in rule.bad:
            return f'marked "{score.value}" for {rule.name}'
        case _:
            return ""


def _numeric(value: float, rule: NumericRule) -> str:
    higher = rule.direction is Direction.HIGHER_IS_BETTER
    if value < rule.threshold if higher else value > rule.threshold:
        return f"scored {value:g} for {rule.name}, {'below' if higher else 'above'} {rule.threshold:g}"
    return ""


def _order(loss: TextLoss) -> tuple[int, float, str]:
    return _BEST_FIRST.index(loss.kind), -loss.trace.generation.at.timestamp(), loss.id
