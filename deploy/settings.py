"""The owner's settings: `tracegrad.yaml`, the environment, and a directory of secrets. Read once, at start.

Precedence: environment (`TRACEGRAD_LANGFUSE__HOST`) over secret files over the vendors' own variables
(`LANGFUSE_PUBLIC_KEY`, `OPENAI_API_KEY`, ...) over the YAML file over the defaults. An unknown key is an error.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from apscheduler.triggers.cron import CronTrigger
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from deploy.gateway_settings import GatewaySettings
from deploy.release_settings import (
    ForgeSettings,
    LaunchDarklySettings,
    NotifySettings,
    OfrepSettings,
    ReleaseSettings,
)
from deploy.section import Section
from optimizer.errors import BadSettings
from optimizer.rollouts import CANARY_LABEL, HOLDBACK_LABEL
from optimizer.rules import BooleanRule, CategoryRule, CorrectionRule, Direction, NumericRule, ScoreRule

OWN_ENVIRONMENT = "tracegrad"
"""The Langfuse environment of our own traces: written there, and never read back."""

EVALUATORS = ("rubric", "pairwise", "contains", "exact", "regex", "json-schema")
"""Judges that need no code of the owner's."""

VENDOR_VARIABLES = {
    "LANGFUSE_HOST": ("langfuse", "host"),
    "LANGFUSE_BASE_URL": ("langfuse", "host"),
    "LANGFUSE_PUBLIC_KEY": ("langfuse", "public_key"),
    "LANGFUSE_SECRET_KEY": ("langfuse", "secret_key"),
    "OPENAI_BASE_URL": ("model", "base_url"),
    "OPENAI_API_KEY": ("model", "api_key"),
}


PLAIN = {
    "extra_forbidden": "unknown key",
    "missing": "is missing",
    "tuple_type": "must be a list",
    "model_type": "must be a group of keys",
    "dict_type": "must be a group of keys",
    "union_tag_not_found": "needs a `kind`: numeric, boolean, categorical or correction",
}
"""What pydantic finds, by its name, in words of YAML."""


class LangfuseSettings(Section):
    """Where traces, scores and prompts live."""

    host: str = "https://cloud.langfuse.com"
    public_key: str = ""
    secret_key: SecretStr = SecretStr("")
    environments: tuple[str, ...] = ("production", "default")
    requests_per_minute: float = Field(default=20.0, ge=0)
    timeout_s: float = Field(default=60.0, gt=0)

    @field_validator("environments")
    @classmethod
    def never_our_own(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Reading our own traces back would make the optimizer learn from itself."""
        if not value:
            raise ValueError("must name at least one environment")
        if OWN_ENVIRONMENT in value:
            raise ValueError(f"must not hold '{OWN_ENVIRONMENT}', the environment of our own traces")
        return value


class Price(Section):
    """What a model costs, where the public price list does not know it."""

    input_usd_per_mtok: float = Field(ge=0)
    output_usd_per_mtok: float = Field(ge=0)


class ModelSettings(Section):
    """The OpenAI-compatible endpoint, and which model does what."""

    base_url: str = "https://api.openai.com/v1"
    api_key: SecretStr = SecretStr("")
    task: str = ""
    critic: str = ""
    judge: str = ""
    embedding: str = ""
    temperature: float = Field(default=0.0, ge=0, le=2)
    concurrency: int = Field(default=16, ge=1, le=512)
    timeout_s: float = Field(default=120.0, gt=0)
    prices: dict[str, Price] = Field(default_factory=dict)


class NumericRuleSettings(Section):
    """A numeric score below (or above) a threshold is a complaint."""

    kind: Literal["numeric"]
    score: str
    below: float | None = None
    above: float | None = None

    @model_validator(mode="after")
    def one_side(self) -> "NumericRuleSettings":
        """Which end is bad is said by the one bound that is given."""
        if (self.below is None) == (self.above is None):
            raise ValueError("needs either `below` (higher is better) or `above` (lower is better)")
        return self

    def value(self) -> ScoreRule:
        """The rule as the core knows it."""
        if self.below is not None:
            return NumericRule(name=self.score, threshold=self.below)
        assert self.above is not None
        return NumericRule(name=self.score, threshold=self.above, direction=Direction.LOWER_IS_BETTER)


class BooleanRuleSettings(Section):
    """A boolean score with the bad value is a complaint."""

    kind: Literal["boolean"]
    score: str
    bad: bool = False

    def value(self) -> ScoreRule:
        """The rule as the core knows it."""
        return BooleanRule(name=self.score, bad=self.bad)


class CategoryRuleSettings(Section):
    """A categorical score in the bad set is a complaint."""

    kind: Literal["categorical"]
    score: str
    bad: tuple[str, ...]

    def value(self) -> ScoreRule:
        """The rule as the core knows it."""
        return CategoryRule(name=self.score, bad=self.bad)


class CorrectionRuleSettings(Section):
    """Every human correction is a complaint."""

    kind: Literal["correction"]

    def value(self) -> ScoreRule:
        """The rule as the core knows it."""
        return CorrectionRule()


RuleSettings = Annotated[
    NumericRuleSettings | BooleanRuleSettings | CategoryRuleSettings | CorrectionRuleSettings,
    Field(discriminator="kind"),
]


class GateSettings(Section):
    """What a candidate has to show, on which cases, and by whose judgement."""

    datasets: tuple[str, ...] = ()
    sealed_datasets: tuple[str, ...] = ()
    replayed: int = Field(default=200, ge=0, le=2000)
    sealed: int = Field(default=400, ge=0, le=2000)
    evaluator: str = "rubric"
    rubric: str = "The answer solves the user's problem, is correct, and follows the reference where there is one."
    assertions: tuple[dict[str, Any], ...] = ()
    promptfoo: Path | None = None
    attacks: bool = True
    attack_files: tuple[Path, ...] = ()
    human_score: str = ""
    repeats: int = Field(default=20, ge=0, le=200)
    least_replayable: float = Field(default=0.5, ge=0, le=1)
    min_cases: int = Field(default=50, ge=1)
    max_cases: int = Field(default=400, ge=1, le=100_000)
    claim: bool = True
    claim_budget: float = Field(default=0.5, gt=0, le=1)
    cost_margin: float = Field(default=1.5, ge=1)
    latency_margin: float = Field(default=1.5, ge=1)
    length_margin: float = Field(default=1.5, ge=1)
    export: bool = True
    timeout_s: float = Field(default=900.0, gt=0)

    @field_validator("evaluator")
    @classmethod
    def a_known_kind(cls, value: str) -> str:
        """A name, or where the owner's own evaluator is."""
        if value not in EVALUATORS and not value.startswith(("python:", "http://", "https://")):
            raise ValueError(f"must be one of {', '.join(EVALUATORS)}, python:module:function or http://host/path")
        return value

    @model_validator(mode="after")
    def enough_may_come(self) -> "GateSettings":
        """A minimum above the maximum would leave every gate undecided."""
        if self.min_cases > self.max_cases:
            raise ValueError("`min_cases` must not be above `max_cases`")
        return self


class PromptSettings(Section):
    """One registered prompt: the owner allows us to change it."""

    name: str = Field(min_length=1)
    formerly: tuple[str, ...] = ()
    schedule: str = "0 3 * * *"
    label: str = "production"
    rules: tuple[RuleSettings, ...] = ()
    lookback_days: float = Field(default=30.0, gt=0)
    max_complaints: int = Field(default=60, ge=1, le=1000)
    quorum: int = Field(default=2, ge=1)
    budget_usd: float = Field(default=5.0, gt=0)
    gate: GateSettings = GateSettings()
    release: ReleaseSettings = ReleaseSettings()

    @field_validator("label")
    @classmethod
    def not_one_of_ours(cls, value: str) -> str:
        """Labels that are moved by releases, or by Langfuse itself, cannot be what the owner decides with."""
        if value in (CANARY_LABEL, HOLDBACK_LABEL, "latest"):
            raise ValueError(f"`{value}` is moved by releases or by Langfuse; choose another label")
        return value

    @field_validator("schedule")
    @classmethod
    def a_cron_line(cls, value: str) -> str:
        """Five fields, UTC."""
        CronTrigger.from_crontab(value)
        return value

    @model_validator(mode="after")
    def proven_where_it_is_served(self) -> "PromptSettings":
        """Nothing that is only screened may become what production reads, unless production itself decides."""
        if self.release.policy == "propose" and not self.release.watched and not self.gate.claim:
            raise ValueError(
                "`gate.claim: false` would release unproven versions to everybody; "
                "leave `claim` on, or set `release.then: canary`"
            )
        return self

    @property
    def claims(self) -> bool:
        """Whether a candidate has to be proven before its release: not where production proves it."""
        return self.gate.claim and not self.release.watched

    @property
    def score_rules(self) -> tuple[ScoreRule, ...]:
        """The rules as the core knows them."""
        return tuple(rule.value() for rule in self.rules)


class WebSettings(Section):
    """The status page: read-only, on this machine only. `hosts`: other names by which a proxy may ask for it."""

    host: str = "127.0.0.1"
    port: int = Field(default=8321, ge=0, le=65535)
    hosts: tuple[str, ...] = ()


class Settings(BaseSettings):
    """Everything the owner decided."""

    model_config = SettingsConfigDict(
        env_prefix="TRACEGRAD_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    langfuse: LangfuseSettings = LangfuseSettings()
    model: ModelSettings = ModelSettings()
    prompts: tuple[PromptSettings, ...] = ()
    state_dir: Path = Path(".tracegrad")
    node_dir: Path = Path(".node")
    web: WebSettings = WebSettings()
    role: Literal["all", "proposer", "publisher"] = "all"
    forge: ForgeSettings = ForgeSettings()
    launchdarkly: LaunchDarklySettings = LaunchDarklySettings()
    notify: tuple[NotifySettings, ...] = ()
    ofrep: OfrepSettings = OfrepSettings()
    gateway: GatewaySettings = GatewaySettings()
    tend_minutes: float = Field(default=5.0, gt=0)

    @model_validator(mode="after")
    def names_once(self) -> "Settings":
        """Two entries for one prompt would run two cycles on it."""
        names = [p.name for p in self.prompts]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"prompts: {', '.join(twice)} is listed twice")
        return self

    @property
    def database_url(self) -> str:
        """The SQLite file that holds our state and the journal."""
        return f"sqlite:///{(self.state_dir / 'tracegrad.db').absolute()}"

    @property
    def uses_promptfoo(self) -> bool:
        """Whether any gate starts promptfoo; without it, neither Node nor npm is needed."""
        return any(prompt.gate.assertions or prompt.gate.promptfoo for prompt in self.prompts)

    def prompt(self, name: str) -> PromptSettings:
        """Settings of one registered prompt; raises BadSettings for a prompt nobody registered."""
        for prompt in self.prompts:
            if prompt.name == name:
                return prompt
        known = ", ".join(p.name for p in self.prompts) or "none yet"
        raise BadSettings(
            f"prompt '{name}' is not registered (registered: {known})", "add it under `prompts` in tracegrad.yaml"
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the base class's signature
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The order of precedence that the module's docstring promises; the YAML file arrives as `init`."""
        assert isinstance(init_settings, InitSettingsSource)
        secrets = NestedSecretsSettingsSource(
            file_secret_settings,
            secrets_dir=os.environ.get("TRACEGRAD_SECRETS_DIR", "secrets"),
            secrets_nested_delimiter="__",
            secrets_prefix="TRACEGRAD_",
            secrets_dir_missing="ok",
        )
        return env_settings, secrets, VendorVariables(settings_cls), init_settings


class VendorVariables(PydanticBaseSettingsSource):
    """Variables that Langfuse's and OpenAI's own clients read, so that nobody has to set them twice."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002  # as above
        """Part of the base class's interface; everything is given at once by `__call__`."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The nested values of the variables that are set and not empty."""
        found: dict[str, dict[str, str]] = {}
        for variable, (section, key) in VENDOR_VARIABLES.items():
            if os.environ.get(variable):
                found.setdefault(section, {})[key] = os.environ[variable]
        return found


def load(path: Path) -> Settings:
    """Read the settings; raises BadSettings with every fault named by its key."""
    if not path.is_file():
        raise BadSettings(f"there is no settings file at {path}", "run `tracegrad init` to write one")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise BadSettings(
            f"{path} is not valid YAML{line}", "mend it, or start over with `tracegrad init --force`"
        ) from error
    if content is not None and not isinstance(content, dict):
        raise BadSettings(f"{path} does not hold settings", "start over with `tracegrad init --force`")
    try:
        return Settings(**(content or {}))
    except ValidationError as error:
        raise BadSettings(f"{path}: {_faults(error)}", "correct it; docs/cli.md lists every key") from error


def _faults(error: ValidationError) -> str:
    said = []
    for fault in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in fault["loc"] if part not in ("numeric", "boolean", "categorical"))
        what = PLAIN.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        said.append(f"{where}: {what}" if where else what)
    return "; ".join(said)
