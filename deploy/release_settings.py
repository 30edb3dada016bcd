"""The owner's settings for releases: who decides, where pull requests go, where flags live, who is told."""

from typing import Literal

from pydantic import Field, SecretStr, model_validator

from deploy.section import Section
from optimizer.rollouts import CanaryRules, Metric
from optimizer.types import ScoreKind


class MetricSettings(Section):
    """What an answer was worth, by one named score of production."""

    score: str
    kind: Literal["numeric", "boolean", "categorical"] = "numeric"
    low: float = 0.0
    high: float = 1.0
    good: tuple[str, ...] = ("true",)
    sampled: bool = False

    @model_validator(mode="after")
    def a_scale(self) -> "MetricSettings":
        """A scale without a length would divide by zero, and one without a good value finds every answer bad."""
        if self.kind == "numeric" and self.low == self.high:
            raise ValueError("`low` and `high` must differ")
        if self.kind != "numeric" and not self.good:
            raise ValueError("`good` must name at least one value")
        return self

    def value(self) -> Metric:
        """The metric as the core knows it."""
        kind = ScoreKind(self.kind.upper())
        return Metric(score=self.score, kind=kind, low=self.low, high=self.high, good=self.good, sampled=self.sampled)


class CanarySettings(Section):
    """How production decides. Shares are parts of all users or sessions."""

    metric: MetricSettings | None = None
    unit: Literal["user", "session"] = "user"
    maturity_days: float | None = Field(default=None, gt=0, le=30)
    settle_s: float = Field(default=120.0, ge=0)
    budget: float = Field(default=0.2, gt=0, le=1)
    margin: float = Field(default=0.0, ge=0, le=0.03)
    first_share: float = Field(default=0.1, gt=0, lt=1)
    full_share: float = Field(default=0.5, gt=0, lt=1)
    first_units: int = Field(default=50, ge=1)
    least_days: float = Field(default=7.0, ge=0)
    least_units: int = Field(default=100, ge=1)
    most_weeks: float = Field(default=6.0, gt=0)
    holdback_share: float = Field(default=0.1, ge=0, lt=1)
    holdback_weeks: float = Field(default=4.0, ge=0)
    unhealthy_drop: float = Field(default=0.1, gt=0, le=1)
    failed_margin: float = Field(default=0.0, ge=0, le=1)
    latency_margin: float = Field(default=0.1, ge=0, le=1)
    cost_margin: float = Field(default=0.1, ge=0, le=1)
    look_hours: float = Field(default=24.0, gt=0)

    @model_validator(mode="after")
    def shares_grow(self) -> "CanarySettings":
        """A smaller share later would take the candidate away from users who have it."""
        if self.full_share < self.first_share:
            raise ValueError("`full_share` must not be below `first_share`")
        if self.holdback_share > 1 - self.full_share:
            raise ValueError("`holdback_share` must leave the candidate to all who have it: at most 1 - `full_share`")
        return self

    @model_validator(mode="after")
    def time_to_prove_it(self) -> "CanarySettings":
        """A canary that ends before it may promote decides nothing."""
        if self.least_days >= 7 * self.most_weeks:
            raise ValueError("`least_days` must end before `most_weeks` do")
        return self

    def rules(self, stake: float) -> CanaryRules:
        """The rules of one canary, with the stake that was opened for it."""
        return CanaryRules(
            stake=stake,
            margin=self.margin,
            gain=0.02 if self.margin else 0.03,
            first_share=self.first_share,
            full_share=self.full_share,
            first_units=self.first_units,
            least_days=self.least_days,
            least_units=self.least_units,
            most_days=7 * self.most_weeks,
        )


class ReleaseSettings(Section):
    """Who decides about a candidate that passed its gate, and what follows.

    Attributes:
        policy: `observe` reports only; `propose` asks a person; `canary` lets production decide.
        then: what an approval starts: `promote` at once, or a `canary`.
        ask: where a person is asked: by a `pull-request`, or by `command` alone.
        resolver: where applications ask which version a user gets.
    """

    policy: Literal["observe", "propose", "canary"] = "propose"
    then: Literal["promote", "canary"] = "promote"
    ask: Literal["command", "pull-request"] = "command"
    path: str = ""
    expires_days: float = Field(default=14.0, gt=0)
    resolver: Literal["ofrep", "langfuse", "launchdarkly"] = "ofrep"
    flag: str = ""
    canary: CanarySettings = CanarySettings()

    @property
    def watched(self) -> bool:
        """Whether production decides before everybody is shown a new version."""
        return self.policy == "canary" or (self.policy == "propose" and self.then == "canary")

    @model_validator(mode="after")
    def a_file_for_pull_requests(self) -> "ReleaseSettings":
        """A pull request changes a file."""
        if self.ask == "pull-request" and not self.path:
            raise ValueError("`ask: pull-request` needs `path`, the prompt's file in the repository")
        return self


class ForgeSettings(Section):
    """Where pull requests are opened.

    Attributes:
        kind: `github` (github.com or an Enterprise server, by `base_url`), or `git`: a branch is pushed to `remote`.
    """

    kind: Literal["", "github", "git"] = ""
    base_url: str = "https://api.github.com"
    repository: str = ""
    remote: str = ""
    branch: str = "main"
    token: SecretStr = SecretStr("")
    webhook_secret: SecretStr = SecretStr("")
    labels: tuple[str, ...] = ("tracegrad",)
    author: str = "Tracegrad <tracegrad@localhost>"
    timeout_s: float = Field(default=20.0, gt=0)

    @model_validator(mode="after")
    def somewhere(self) -> "ForgeSettings":
        """Each kind needs its place."""
        if self.kind == "github" and self.repository.count("/") != 1:
            raise ValueError("`kind: github` needs `repository`, as in `owner/name`")
        if self.kind == "git" and not self.remote:
            raise ValueError("`kind: git` needs `remote`, what `git push` is given")
        return self


class LaunchDarklySettings(Section):
    """The flag service that the controller writes percentage rollouts to."""

    base_url: str = "https://app.launchdarkly.com"
    token: SecretStr = SecretStr("")
    project: str = "default"
    environment: str = "production"
    timeout_s: float = Field(default=20.0, gt=0)


class NotifySettings(Section):
    """One address that is told of proposals, promotions, rollbacks and halts."""

    url: SecretStr
    kind: Literal["slack", "signed"] = "slack"
    secret: SecretStr = SecretStr("")

    @model_validator(mode="after")
    def signed_with_something(self) -> "NotifySettings":
        """A signature without a secret says nothing."""
        if self.kind == "signed" and not self.secret.get_secret_value():
            raise ValueError("`kind: signed` needs `secret`")
        return self


class OfrepSettings(Section):
    """The endpoint at which applications ask, by OpenFeature's remote evaluation protocol."""

    host: str = "127.0.0.1"
    port: int = Field(default=8322, ge=0, le=65535)
    token: SecretStr = SecretStr("")

    @model_validator(mode="after")
    def closed_to_strangers(self) -> "OfrepSettings":
        """Whoever may ask can find out who is shown what."""
        if self.host not in ("127.0.0.1", "::1", "localhost") and not self.token.get_secret_value():
            raise ValueError("`host` can be reached from other machines, so set `token` as well")
        return self
