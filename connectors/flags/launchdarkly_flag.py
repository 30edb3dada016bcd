"""One flag as LaunchDarkly has it, and what it serves in thousandths of a percent.

Three string variations in a fixed order, because users are dealt to variations in that order by one hash:

    canary      the first users, while a release is tried
    production  everybody else (or the owner's own label)
    holdback    the last users, who keep the old version for some weeks

A widening canary keeps all that it had, and whoever is held back was on production until then. A flag that serves
anything in another way was made or changed by a person; it must be reported, never repaired.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, Field, ValidationError

from optimizer.errors import BadAnswer, BadInput
from optimizer.identity import Json
from optimizer.rollouts import CANARY_LABEL, HOLDBACK_LABEL, PRODUCTION, Split

ALL = 100_000
"""Weights are thousandths of a percent."""

Trouble = tuple[str, str]
"""What a person did to a flag, and what to do about it."""

ODD_SHARES: Trouble = (
    "does not show `canary` to the first users or `holdback` to the last ones, and production to all others",
    "set its default rule to production",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What a flag serves, in weights that sum to `ALL`: the first users or the last ones, and all others."""

    canary: int = 0
    holdback: int = 0

    @property
    def production(self) -> int:
        """Everybody else."""
        return ALL - self.canary - self.holdback

    @property
    def label(self) -> str:
        """What the part is shown; empty when everybody is shown production."""
        return CANARY_LABEL if self.canary else HOLDBACK_LABEL if self.holdback else ""


class _Weighted(BaseModel):
    variation: int
    weight: int


class _Rollout(BaseModel):
    variations: tuple[_Weighted, ...]
    bucket_by: str = Field(default="key", alias="bucketBy")
    context_kind: str = Field(default="user", alias="contextKind")
    seed: int | None = None
    experiment: object = Field(default=None, alias="experimentAllocation")


class _Served(BaseModel):
    variation: int | None = None
    rollout: _Rollout | None = None


class _Target(BaseModel):
    values: tuple[str, ...] = ()


class _Environment(BaseModel):
    on: bool
    salt: str
    version: int
    archived: bool = False
    targets: tuple[_Target, ...] = ()
    context_targets: tuple[_Target, ...] = Field(default=(), alias="contextTargets")
    rules: tuple[object, ...] = ()
    prerequisites: tuple[object, ...] = ()
    fallthrough: _Served = _Served()


class _Variation(BaseModel):
    id: str = Field(alias="_id")
    value: object


class _Flag(BaseModel):
    key: str
    archived: bool = False
    variations: tuple[_Variation, ...]
    environments: dict[str, _Environment] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagReading:
    """A flag at one moment, in one environment.

    Attributes:
        salt: what the service's hash is salted with: the flag's key and its own salt.
        version: counts the changes in this environment.
        shares: what is served, or why that is not ours to know.
        ids: the ids of the three variations, in order.
    """

    salt: str
    version: int
    shares: Shares | Trouble
    ids: tuple[str, ...]


def read_flag(body: bytes, *, environment: str, production: str) -> FlagReading:
    """What a flag serves. Raises BadAnswer for what is no flag, or does not have the environment."""
    try:
        flag = _Flag.model_validate_json(body)
    except ValidationError as error:
        raise BadAnswer("LaunchDarkly answered something that is no flag", "check `launchdarkly.base_url`") from error
    settings = flag.environments.get(environment)
    if settings is None:
        raise BadAnswer(
            f"flag '{flag.key}' in LaunchDarkly has no environment '{environment}'",
            "correct `launchdarkly.environment`",
        )
    trouble = _trouble(flag, settings, (CANARY_LABEL, production, HOLDBACK_LABEL))
    return FlagReading(
        salt=f"{flag.key}.{settings.salt}",
        version=settings.version,
        shares=trouble or _shares(settings.fallthrough) or ODD_SHARES,
        ids=tuple(item.id for item in flag.variations),
    )


def shares_of(split: Split) -> Shares:
    """A split in weights.

    Raises:
        BadInput: it is no shape that a release has, or a share is less than a thousandth of a percent.
    """
    ends = [0, *(round(band.below * ALL) for band in split.bands)]
    found = [(after - before, band.version) for before, after, band in zip(ends, ends[1:], split.bands, strict=False)]
    for (weight, _), band, before in zip(found, split.bands, (0.0, *(b.below for b in split.bands)), strict=False):
        if weight == 0 and band.below > before:
            raise BadInput("a share is smaller than LaunchDarkly's thousandth of a percent", "choose a larger share")
    dealt = [(weight, version) for weight, version in found if weight]
    match dealt:
        case [(_, version)] if version == PRODUCTION:
            return Shares()
        case [(_, version)]:
            return Shares(canary=ALL)
        case [(first, version), (_, other)] if other == PRODUCTION and version != PRODUCTION:
            return Shares(canary=first)
        case [(_, version), (last, other)] if version == PRODUCTION and other != PRODUCTION:
            return Shares(holdback=last)
    raise BadInput("a split has bands that LaunchDarkly's variations cannot show", "start the release again")


def instruction(shares: Shares, ids: Sequence[str]) -> Json:
    """What makes a flag serve the shares; all three weights are named, so that none is left over."""
    kind = "updateFallthroughVariationOrRollout"
    canary, production, holdback = ids
    if shares == Shares():
        return {"kind": kind, "variationId": production}
    weights: dict[str, Json] = {canary: shares.canary, production: shares.production, holdback: shares.holdback}
    return {"kind": kind, "rolloutContextKind": "user", "rolloutBucketBy": "key", "rolloutWeights": weights}


def new_flag(key: str, prompt: str, production: str) -> Json:
    """The body that creates a flag which shows everybody production, and is on."""
    values = (CANARY_LABEL, production, HOLDBACK_LABEL)
    return {
        "key": key,
        "name": f"Prompt {prompt}"[:256],
        "description": "Which version of the prompt a user is shown. Tracegrad moves the shares of its default rule.",
        "variations": [{"value": value, "name": value} for value in values],
        "defaults": {"onVariation": 1, "offVariation": 1},
        "temporary": False,
        "tags": ["tracegrad"],
        "isFlagOn": True,
    }


def _trouble(flag: _Flag, settings: _Environment, values: tuple[str, ...]) -> Trouble | None:
    """The first thing that a person did to the flag and that a release never does."""
    rollout = settings.fallthrough.rollout
    table: dict[Trouble, bool] = {
        ("does not have our three variations", f"give it the strings {', '.join(values)}, in this order"): (
            tuple(item.value for item in flag.variations) != values
        ),
        ("is archived", "restore it, or name another flag"): flag.archived or settings.archived,
        ("is switched off", "set its default rule to production and switch it on"): not settings.on,
        ("has prerequisites", "remove them"): bool(settings.prerequisites),
        ("has individual targets", "remove them"): any(
            target.values for target in (*settings.targets, *settings.context_targets)
        ),
        ("has targeting rules", "remove them, so that its default rule alone decides"): bool(settings.rules),
        ("runs an experiment", "end it, and set the default rule to production"): rollout is not None
        and (rollout.seed is not None or rollout.experiment is not None),
        ("deals users by something else than the key of their user context", "set its default rule to production"): (
            rollout is not None and (rollout.bucket_by, rollout.context_kind) != ("key", "user")
        ),
    }
    return next((trouble for trouble, found in table.items() if found), None)


def _shares(served: _Served) -> Shares | None:
    """The shares of a default rule; None when it is not one of a release."""
    if served.rollout is None:
        return {0: Shares(canary=ALL), 1: Shares(), 2: Shares(holdback=ALL)}.get(
            -1 if served.variation is None else served.variation
        )
    dealt = [item for item in served.rollout.variations if item.weight]
    order = [item.variation for item in dealt]
    if order != sorted(set(order)) or not set(order) <= {0, 1, 2} or sum(item.weight for item in dealt) != ALL:
        return None
    weights = {item.variation: item.weight for item in dealt}
    # a release has one or the other
    return None if {0, 2} <= set(order) else Shares(canary=weights.get(0, 0), holdback=weights.get(2, 0))
