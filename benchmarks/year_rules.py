"""Three ways to release, each living through the same year: naive offline, naive A/B, and ours.

A week's candidates come on its first day and are edits of what is in production then. All three look at the one that
did best on development cases. A rule sees scores and cases, never what a candidate is worth; the measures do.
"""

from dataclasses import dataclass

import numpy as np
from year_engine import HOLDBACK_SHARE, SOUND, Canaries, Codes, Conduct, End, Phase
from year_offline import Changes, Truths, best, changes, higher, screened
from year_world import DAYS, VALUES, WEEK, Candidates, Floats, Scenario, Versions, World

from deploy.release_settings import CanarySettings
from gates.error_budget import YEAR_DAYS, next_stake

BUDGET = CanarySettings().budget
MUCH = 0.01
"""A release that is worse by more than a point."""

if DAYS >= YEAR_DAYS:
    raise AssertionError("a stake would count again within the year, and the ledger here knows no such days")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The best of the week, for one rule: what it would be as a version, and its fresh cases."""

    version: Versions
    fresh: Changes


class Measures:
    """What a rule did, by prompt-year: sums over the days."""

    def __init__(self, count: int) -> None:
        self.harm, self.gain, self.units = np.zeros(count), np.zeros(count), np.zeros(count)
        self.releases, self.much_worse, self.no_better = np.zeros(count), np.zeros(count), np.zeros(count)
        self.final = np.zeros(count)

    def served(self, share: Floats, quality: Floats, replaced: Floats, units: Floats) -> None:
        """So many units a day, a share of which is shown this version, in the place of the other."""
        self.harm += share * units * np.maximum(replaced - quality, 0.0)
        self.gain += share * units * quality

    def shipped(self, these: Truths, effect: Floats) -> None:
        """Releases to everybody, worth so much beside what they replace."""
        self.releases += these
        self.no_better += these & (effect <= 0.0)
        self.much_worse += these & (effect < -MUCH)

    def result(self) -> dict[str, Floats]:
        """By name, gains as means over the units."""
        names = ("harm", "releases", "much_worse", "no_better", "final")
        return {name: getattr(self, name) for name in names} | {"gain": self.gain / self.units}


class Rule:
    """What all rules share: production, and the version that it replaced."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.production = Versions.start(world.count)
        self.replaced = Versions.start(world.count, level=-9.0)  # nothing is worse than what was never there
        self.measures = Measures(world.count)

    def choose(self, week: Candidates) -> Chosen:
        """The best candidate on development cases, as a version made of production."""
        world = self.world
        effects = week.effects(world.scenario.mix, self.production.level)
        judged = effects + week.bias + week.part * world.tilt(world.today - 28)[:, None]
        pick = best(changes(week.development, judged))[:, None]

        def own(values: Floats) -> Floats:
            return np.take_along_axis(values, pick, axis=1)[:, 0]

        version = Versions(
            self.production.level + own(effects),
            self.production.part + own(week.part),
            own(week.charm),
            np.full(world.count, float(world.today)),
        )
        return Chosen(version, changes(week.fresh, own(judged)))

    def ship(self, these: Truths, version: Versions) -> None:
        """The version goes to everybody."""
        world = self.world
        self.measures.shipped(these, world.lasting(version) - world.lasting(self.production))
        self.replaced = self.replaced.where(these, self.production)
        self.production = self.production.where(these, version)

    def serve(self, share: Floats) -> Floats:
        """A day on which this share is shown production; gives production's quality."""
        world = self.world
        quality = world.quality(self.production)
        self.measures.units += world.scored
        self.measures.gain -= world.scored * world.quality(Versions.start(world.count))
        self.measures.served(share, quality, world.quality(self.replaced), world.scored)
        return quality

    def close(self) -> dict[str, Floats]:
        """The year is over."""
        start = Versions.start(self.world.count)
        self.measures.final = self.world.lasting(self.production) - self.world.lasting(start)
        return self.measures.result()


class NaiveOffline(Rule):
    """Ships what has the higher mean on fresh cases."""

    def week(self, week: Candidates) -> None:
        """Ships, or not."""
        chosen = self.choose(week)
        self.ship(higher(chosen.fresh), chosen.version)

    def day(self) -> None:
        """Everybody is shown production."""
        self.serve(np.ones(self.world.count))


class NaiveAB(Rule):
    """The same, and then a week with half of the users. Scores that come late count, too, in its favour."""

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(world)
        self._chance = np.random.default_rng([seed, 4])
        self._tested = Versions.start(world.count)
        self._testing = np.zeros(world.count, dtype=bool)
        self._sums = np.zeros((2, 2, world.count))  # arm; sum and number of values

    def week(self, week: Candidates) -> None:
        """Ships what won last week; begins to test what has the higher mean now."""
        (old_sum, old), (new_sum, new) = self._sums
        won = new_sum / np.maximum(new, 1.0) > old_sum / np.maximum(old, 1.0)
        self.ship(self._testing & won, self._tested)
        chosen = self.choose(week)
        self._testing, self._tested = higher(chosen.fresh), chosen.version
        self._sums[:] = 0.0

    def day(self) -> None:
        """Half of the users of those that test are shown the candidate."""
        world = self.world
        share = np.where(self._testing, 0.5, 0.0)
        old = self.serve(1.0 - share)
        new = world.quality(self._tested)
        self.measures.served(share, new, old, world.scored)
        for sums, quality, part in zip(self._sums, (old, new), (1.0 - share, share), strict=True):
            chances = world.scores.chances(quality + world.common, world.grudge)[:, :-1]
            rates = (part * self._testing * world.scored / world.scores.observed)[:, None] * chances
            counts = self._chance.poisson(rates)
            sums += np.stack((counts @ VALUES, counts.sum(axis=1)))


class Ours(Rule):
    """The product's rule. The best candidate waits while a canary runs, until production changes."""

    def __init__(self, world: World, seed: int, conduct: Conduct = SOUND) -> None:
        super().__init__(world)
        count = world.count
        self._canaries = Canaries(world, conduct, seed, CanarySettings().rules(BUDGET))
        self._candidate = Versions.start(count)
        self._waiting = Versions.start(count)
        self._waiting_z = np.full(count, -np.inf)
        self._before = self.replaced  # what the version before production had replaced
        self._conduct = conduct
        self.spent, self.canaries, self.false = np.zeros(count), np.zeros(count), np.zeros(count)
        self.ends = np.zeros((len(End), count))

    def week(self, week: Candidates) -> None:
        """What passes the screen waits for its canary, in the place of what did less well."""
        chosen = self.choose(week)
        passed, z = screened(chosen.fresh)
        self._expire()
        better = passed & (z > self._waiting_z)
        self._waiting = self._waiting.where(better, chosen.version)
        self._waiting_z = np.where(better, z, self._waiting_z)

    def day(self) -> None:
        """Begins what can begin, serves everybody, looks, and does what the look says."""
        world, canaries = self.world, self._canaries
        self._begin()
        running, held = canaries.running, canaries.phase == Phase.HOLDBACK
        share = np.where(running, canaries.share, 0.0)
        old = self.serve(np.where(held, 1.0 - HOLDBACK_SHARE, 1.0 - share))
        new = world.quality(self._candidate)
        self.measures.served(share, new, old, world.scored)
        before = world.quality(self.replaced)
        self.measures.gain += np.where(held, HOLDBACK_SHARE * world.scored * before, 0.0)
        self._obey(canaries.day(np.where(held, before, old), np.where(held, old, new)))

    def _begin(self) -> None:
        """A new canary ends the holdback of the release before it."""
        world, canaries = self.world, self._canaries
        self._expire()
        free = canaries.phase == Phase.IDLE if self._conduct.patient else ~canaries.running
        these = free & (self._waiting_z > -np.inf)
        stakes = next_stakes(self.spent[these])
        canaries.stake[these] = stakes
        self.spent[these] += stakes
        self.canaries += these
        self._candidate = self._candidate.where(these, self._waiting)
        self._candidate.born = np.where(these, float(world.today), self._candidate.born)
        self._waiting_z[these] = -np.inf
        canaries.open(these, Phase.FIRST, today=world.today, prior=self._worth(self.production))

    def _expire(self) -> None:
        """Nobody acts on evidence that is too old."""
        self._waiting_z[self.world.today - self._waiting.born >= self._conduct.expires] = -np.inf

    def _obey(self, said: Codes) -> None:
        canaries = self._canaries
        for end in End:
            self.ends[end] += said == end
        promoted, back = said == End.PROMOTED, said == End.TAKEN_BACK
        self.false += promoted & (canaries.effect <= 0.0)
        self._before = self._before.where(promoted, self.replaced)
        self.ship(promoted, self._candidate)
        prior = self._worth(self.replaced)
        canaries.open(promoted, Phase.HOLDBACK, today=self.world.today + 1.0, prior=prior)
        self.production = self.production.where(back, self.replaced)
        self.replaced = self.replaced.where(back, self._before)
        self._waiting_z[promoted | back] = -np.inf

    def _worth(self, version: Versions) -> Floats:
        world = self.world
        return world.scores.mean(world.quality(version) + world.common, world.grudge)

    def close(self) -> dict[str, Floats]:
        """The year is over."""
        own = {"spent": self.spent, "canaries": self.canaries, "false": self.false}
        return super().close() | own | {f"ended_{end.name.lower()}": self.ends[end] for end in End if end}


def next_stakes(spent: Floats) -> Floats:
    """The product's stake for each prompt-year. The year is shorter than a ledger's, so all that was staked counts."""
    return np.fromiter((next_stake(left) for left in np.maximum(BUDGET - spent, 0.0)), dtype=float, count=len(spent))


def lived(
    scenario: Scenario, count: int, seed: int, conduct: Conduct = SOUND, *, naive: bool = True
) -> dict[str, dict[str, Floats]]:
    """A year of `count` prompts under each rule."""
    world = World(scenario, count, seed)
    rules: dict[str, NaiveOffline | NaiveAB | Ours] = {"ours": Ours(world, seed, conduct)}
    if naive:
        rules |= {"offline": NaiveOffline(world), "ab": NaiveAB(world, seed)}
    for today in range(DAYS):
        world.day(today)
        if today % WEEK == 0:
            week = world.week()
            for rule in rules.values():
                rule.week(week)
        for rule in rules.values():
            rule.day()
    return {name: rule.close() for name, rule in rules.items()}
