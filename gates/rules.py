"""What a candidate has to show, in numbers. Values only; the gates read them and never change them."""

from dataclasses import dataclass

from optimizer.errors import BadSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """The thresholds of every gate. Shares, scores and differences of scores are in [0, 1].

    Attributes:
        screen_z: standard errors above no difference that pass the screen; .84 is about one in five by chance.
        min_cases, max_cases: scored cases that a screen needs, and at which it stops.
        worthwhile_gain: a candidate fails when even this much can be ruled out.
        enough_against: the e-value that shows harm, or rules out a worthwhile gain.
        max_unscored: more cases than this share without a judgement, and the run says nothing.
        unscored_p: below this p-value the arms differ in what could not be judged, and the run says nothing.
        least_replayable: share of recorded inputs that must be rebuilt without doubt.
        slice_loss, slice_p: a slice blocks when it lost more than this, with a p-value below that.
        slice_cases: scored cases that a slice needs; `many_slices` is how many are tested without Holm's correction.
        tries, veto_at, forgiven: a failed case is tried this often in both arms; it counts against the candidate when
            the candidate fails at least `veto_at` and the baseline at most `forgiven`.
        second_tries, second_veto_at: what counts against the candidate vetoes when as many fresh tries confirm it,
            with the same `forgiven`; of `most_confirmed` cases at most.
        cost_margin, latency_margin, length_margin: ratios to the baseline that are still tolerated.
        judge_floor: least kappa with people's scores, when at least `judge_humans` of them are known.
        order_bias: share of pairs in which the order of two answers may decide, of at least `least_swaps`.
        claim_min_cases: scored sealed cases that a claim needs.
    """

    screen_z: float = 0.84
    min_cases: int = 50
    max_cases: int = 400
    worthwhile_gain: float = 0.05
    enough_against: float = 10.0
    max_unscored: float = 0.02
    unscored_p: float = 0.05
    least_replayable: float = 0.5
    slice_loss: float = 0.05
    slice_p: float = 0.10
    slice_cases: int = 20
    many_slices: int = 5
    tries: int = 5
    veto_at: int = 3
    forgiven: int = 1
    second_tries: int = 10
    second_veto_at: int = 7
    most_confirmed: int = 7
    cost_margin: float = 1.5
    latency_margin: float = 1.5
    length_margin: float = 1.5
    judge_floor: float = 0.2
    judge_humans: int = 30
    order_bias: float = 0.3
    least_swaps: int = 20
    claim_min_cases: int = 50

    def __post_init__(self) -> None:
        if not self.screen_z > 0.0 or not self.enough_against > 1.0:
            raise BadSettings(
                "a gate without a threshold decides nothing", "set `screen_z` above 0 and `enough_against` above 1"
            )
        if not 2 <= self.min_cases <= self.max_cases or self.claim_min_cases < 2:
            raise BadSettings(
                f"a screen of {self.min_cases} to {self.max_cases} cases cannot be made",
                "let `min_cases` be at least 2 and at most `max_cases`",
            )
        if not 0.0 < self.worthwhile_gain < 1.0:
            raise BadSettings("a worthwhile gain is a part of the score", "set `worthwhile_gain` between 0 and 1")
        if min(self.cost_margin, self.latency_margin, self.length_margin) < 1.0:
            raise BadSettings(
                "a margin below 1 demands that answers become cheaper, faster or shorter", "set margins of at least 1"
            )
        self._check_shares()
        self._check_tries()

    def _check_shares(self) -> None:
        shares = {
            "max_unscored": self.max_unscored,
            "unscored_p": self.unscored_p,
            "least_replayable": self.least_replayable,
            "slice_loss": self.slice_loss,
            "slice_p": self.slice_p,
            "judge_floor": self.judge_floor,
            "order_bias": self.order_bias,
        }
        for name, share in shares.items():
            if not 0.0 <= share <= 1.0:
                raise BadSettings(f"`{name}` is not a share", "set it between 0 and 1")

    def _check_tries(self) -> None:
        first = 0 <= self.forgiven < self.veto_at <= self.tries
        second = self.forgiven < self.second_veto_at <= self.second_tries and self.second_tries > self.tries
        if not (first and second and self.most_confirmed >= 1):
            raise BadSettings(
                "the rule for failed cases can never veto, or vetoes what both versions fail",
                "let `forgiven` be below `veto_at`, `veto_at` at most `tries`, and try oftener the second time",
            )
