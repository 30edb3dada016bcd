"""Values to store: plain ones by hand, and arbitrary ones by hypothesis."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from deploy.store.fence import Run
from optimizer.ports import ModelRequest
from optimizer.prompts import Message, Placeholder, PromptVersion
from optimizer.proof import (
    AttackReading,
    CaseCount,
    Claim,
    Comparison,
    Finding,
    Gate,
    GateReport,
    JudgeReading,
    Proof,
    Rerun,
    ResourceReading,
    SliceReading,
)
from optimizer.types import (
    Arm,
    Candidate,
    Case,
    CaseInput,
    CaseOrigin,
    Edit,
    EditOp,
    Evaluation,
    Evidence,
    Generation,
    Gradient,
    LossKind,
    Missing,
    Pair,
    Repeat,
    RootCause,
    Score,
    Scored,
    ScoreKind,
    Shown,
    Swap,
    TextLoss,
    Trace,
    Unscored,
    Usage,
    Verdict,
)

T0 = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
HOSTILE = "nul \x00, lone surrogate \ud800, {{braces}}, file://x.py, \U0001f600"

# every code point, lone surrogates and NUL among them
texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
names = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)
moments = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 -- hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001 -- the same
    timezones=st.just(timezone(timedelta(hours=2))),
)
values = st.one_of(st.floats(allow_nan=False), st.booleans(), texts)
scores = st.builds(
    Score,
    id=names,
    name=names,
    kind=st.sampled_from(ScoreKind),
    value=values,
    comment=texts,
    trace_id=names,
    observation_id=st.just("") | names,
    environment=names,
    at=moments,
    updated_at=moments,
)
generations = st.builds(
    Generation,
    id=names,
    trace_id=names,
    prompt_name=names,
    prompt_version=st.integers(0, 99),
    environment=names,
    at=moments,
    input=texts,
    output=texts,
    model=names,
    source_key=st.just("") | names,
    tags=st.lists(texts, max_size=3).map(tuple),
)


def generation(number: int = 1, *, said: str = "How do I reset it?", at: datetime = T0) -> Generation:
    """One recorded call."""
    return Generation(
        id=f"g{number}",
        trace_id=f"t{number}",
        prompt_name="support",
        prompt_version=3,
        environment="production",
        at=at,
        input=f"{said} {number}",
        output=f"Ask somebody else. {said} {number}",
        model="m",
        source_key=f"user{number % 3}",
        tags=("a", said),
    )


def score(number: int = 1, *, comment: str = "rude", at: datetime = T0, value: float | bool | str = 0.0) -> Score:
    """One complaint about `generation(number)`."""
    return Score(
        id=f"s{number}",
        name="helpful",
        kind=ScoreKind.NUMERIC,
        value=value,
        comment=comment,
        trace_id=f"t{number}",
        observation_id="",
        environment="production",
        at=T0,
        updated_at=at,
    )


def gradient(number: int = 1, *, said: str = "hello", change: bool = True) -> Gradient:
    """What a critic made of one complaint."""
    judged = score(number, comment=f"too curt about {said}")
    trace = Trace(generation=generation(number, said=said), scores=(judged,), n_prompts=2)
    loss = TextLoss(trace=trace, kind=LossKind.COMMENT, text=judged.comment, weight=0.5)
    return Gradient(loss=loss, warrants_change=change, text=f"Answer in full ({number})")


def candidate(*gradients: Gradient) -> Candidate:
    """A chat prompt with two edits, because of two causes."""
    parent = PromptVersion(
        name="folder/support",
        version=3,
        body=(Message(role="system", content="Be brief."), Placeholder(name="history")),
        config_json='{"temperature":0}',
        labels=("production", "latest"),
        commit_message="by hand",
    )
    half = len(gradients) // 2
    causes = [
        RootCause(label="c1", summary="too curt", gradients=gradients[:half]),
        RootCause(label="c2", summary="no steps", gradients=gradients[half:]),
    ]
    edits = (
        Edit(op=EditOp.REPLACE, line="m0.1", text="Be complete.", reason="curt", cause=causes[0]),
        Edit(op=EditOp.ADD, line="m0.1", text="Give steps.", reason="vague", cause=causes[1]),
    )
    body = (Message(role="system", content="Be complete.\nGive steps."), Placeholder(name="history"))
    return Candidate(parent=parent, edits=edits, body=body)


def report(*, said: str = "hello", cost: float | Missing = 0.25) -> GateReport:
    """A report in which every field is filled, with numbers that JSON does not have."""
    return GateReport(
        verdict=Verdict.UNDECIDED,
        proof=Proof.SCREENED,
        reasons=("Undecided: 1 scored pair of 50 that are needed",),
        findings=(
            Finding(gate=Gate.EVIDENCE, verdict=Verdict.UNDECIDED, sentence="1 of 2 pairs was scored"),
            Finding(gate=Gate.COST, verdict=Verdict.PASS, sentence="the prices are not known"),
        ),
        evidence=_evidence(said),
        numbers=_numbers(),
        claim=Claim(
            stake=0.02,
            threshold=50.0,
            e_value=float("inf"),
            numbers=_numbers(effect=0.5),
            budget=0.2,
            left=0.18,
            evidence=_evidence(f"{said}, sealed", prefix="sealed"),
            since=T0,
            until=T0 + timedelta(days=3),
        ),
        slices=(
            SliceReading(
                name="language:de",
                cases=21,
                effect=-0.25,
                better=1,
                worse=6,
                p_worse=0.0625,
                smallest_loss=0.125,
                verdict=Verdict.FAIL,
            ),
        ),
        reruns=(Rerun(case_id="case-2", why="anchor", tries=5, baseline_failed=1, candidate_failed=3, veto=True),),
        attacks=(AttackReading(category="extraction", attacks=9, baseline_succeeded=1, candidate_succeeded=2),),
        resources=(
            ResourceReading(
                gate=Gate.LATENCY,
                unit="s",
                baseline_mean=1.5,
                candidate_mean=Missing.NOT_RECORDED,
                ratio=float("inf"),
                interval=(0.5, float("inf")),
                margin=1.25,
                verdict=Verdict.UNDECIDED,
            ),
        ),
        judge=JudgeReading(name="rubric", noise=0.125, repeated=20, swapped=9, inconsistent=4, first_preferred=3),
        cases=CaseCount(replayable=0.75, curated=1, replayed=1, anchors=1, reused=1, sealed=40, complaints=2, fixed=1),
        fixed=("complaint-1",),
        usage=Usage(calls=4, input_tokens=10, output_tokens=5, cost_usd=cost),
    )


def _numbers(*, effect: float | Missing = Missing.NOT_RECORDED) -> Comparison:
    return Comparison(
        scored=1,
        unscored=1,
        baseline_mean=0.0,
        candidate_mean=1.0,
        effect=effect,
        interval=(-1.0, float("inf")),
        z=Missing.NOT_RECORDED,
        better=1,
        worse=0,
    )


def _evidence(said: str, *, prefix: str = "case") -> Evidence:
    """A scored pair and an unscored one."""
    first = Case(
        id=f"{prefix}-1",
        origin=CaseOrigin.REPLAY,
        input=CaseInput(
            variables=(("name", said),),
            placeholders=(("history", (Message(role="user", content=said),)),),
            history=(Message(role="user", content=f"again {said}"),),
            tools_json='[{"name":"t"}]',
        ),
        reference=Missing.NO_REFERENCE,
        source_key="user1",
        recorded_output=f"recorded {said}",
        complaint=f"complaint {said}",
        tags=("slice",),
        at=T0 - timedelta(days=1),
    )
    second = Case(
        id=f"{prefix}-2",
        origin=CaseOrigin.DATASET,
        input=CaseInput(),
        reference=f"expected {said}",
        source_key=f"{prefix}-2",
    )
    pairs = (
        Pair(
            case=first,
            baseline=_answer(first.id, Arm.BASELINE, Scored(value=0.0, reason=f"misses {said}"), said),
            candidate=_answer(first.id, Arm.CANDIDATE, Scored(value=1.0, reason=""), said),
        ),
        Pair(
            case=second,
            baseline=_answer(second.id, Arm.BASELINE, Unscored(reason=f"judge away on {said}"), said),
            candidate=_answer(
                second.id, Arm.CANDIDATE, Scored(value=0.5, reason="half"), said, latency_s=Missing.NOT_RECORDED
            ),
        ),
    )
    return Evidence(
        pairs=pairs,
        model="m",
        evaluator="promptfoo",
        complete=False,
        note="cut short",
        repeats=(Repeat(case_id=first.id, arm=Arm.BASELINE, first=0.0, second=0.25),),
        swaps=(Swap(case_id=first.id, forward=Shown.FIRST, backward=Shown.NEITHER),),
    )


def _answer(
    case_id: str, arm: Arm, result: Scored | Unscored, said: str, *, latency_s: float | Missing = 0.125
) -> Evaluation:
    return Evaluation(
        case_id=case_id,
        arm=arm,
        output=f"{arm} on {said}",
        result=result,
        usage=Usage(calls=1, input_tokens=3, output_tokens=2, cost_usd=Missing.NOT_PRICED),
        latency_s=latency_s,
    )


def request(text: str = "why?", *, attempt: int = 0) -> ModelRequest:
    """One model call."""
    message = Message(role="user", content=text)
    return ModelRequest(purpose="backward", model="critic", messages=(message,), attempt=attempt)


def run(cycle_id: str = "support@2026-11-21T02:30Z", token: str = "mine") -> Run:
    """An execution of a cycle that nobody else owns, unless the workflow's row says so."""
    return Run(cycle_id=cycle_id, prompt=cycle_id.split("@")[0], workflow_id=cycle_id, token=token)
