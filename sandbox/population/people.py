"""Who comes when, how they are, and what they would say: all drawn from the seed, hour by hour.

The same seed gives the same people whatever they are shown; only whether they like it depends on that. Their luck is
drawn beforehand, so whoever likes an answer of a worse version would have liked one of a better version too.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

HOUR = timedelta(hours=1)
_LONGEST_GAP = timedelta(days=2)
_SATURDAY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How people are. Rates are per week, shares in [0, 1], pairs are for (good, bad) answers.

    Attributes:
        origin: when their history begins: there, a version is liked by as many as its quality says.
        users: new ones in a week without a weekend's quiet; weekends have the part `weekend` of a working day.
        most_answers: everybody asks for 1 to so many, with pauses of `pause_days` on average.
        icc: correlation of two scores of one user.
        missing: share of answers that are never scored. `delay_days`: how long a score takes, on average.
        season: how much better answers are liked in mid-week than on average, and worse at its ends.
        hard: share of users who ask for more, at the origin; it grows by `drift` a day. They like answers less often
            than the others, by `gap`.
        hostile: share of users who dislike everything and say so in prompt injections.
        commenting: share of bad scores with a comment.
    """

    origin: datetime
    users: float = 1000.0
    weekend: float = 0.5
    most_answers: int = 5
    pause_days: float = 0.3
    icc: float = 0.3
    missing: tuple[float, float] = (0.3, 0.3)
    delay_days: tuple[float, float] = (0.5, 0.25)
    season: float = 0.02
    hard: float = 0.25
    gap: float = 0.2
    drift: float = 0.002
    hostile: float = 0.02
    commenting: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Luck:
    """Numbers in [0, 1) that decide about one answer, drawn before it is given."""

    same: float
    own: float
    missing: float
    delay: float
    failing: float
    speed: float
    words: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One question of one user.

    Attributes:
        usual: the user's own luck, which is shared by all visits.
    """

    user: str
    number: int
    at: datetime
    hard: bool
    hostile: bool
    usual: float
    luck: Luck

    @property
    def session(self) -> str:
        """Every user has one session."""
        return f"{self.user}-s"


def visits(habits: Habits, *, seed: int, start: datetime, end: datetime) -> list[Visit]:
    """Every question that is asked in [start, end), oldest first: also of people who came before."""
    found = []
    hour = _hour_of(start - habits.most_answers * _LONGEST_GAP)
    while hour < end:
        found += [visit for visit in _arrived(habits, seed, hour) if start <= visit.at < end]
        hour += HOUR
    return sorted(found, key=lambda visit: (visit.at, visit.user, visit.number))


def liking(habits: Habits, quality: float, at: datetime, *, hard: bool) -> float:
    """The chance that this kind of user likes an answer of a version, which `quality` of all users like."""
    week = habits.season * math.cos(2 * math.pi * (at.weekday() + at.hour / 24 - 2.5) / 7)
    return min(1.0, max(0.0, quality + week + habits.gap * (habits.hard - hard)))


def likes(habits: Habits, visit: Visit, quality: float) -> bool:
    """Whether the user likes the answer.

    With chance sqrt(icc) an answer meets the user's usual luck, else its own; so two scores correlate by icc, and the
    mean is not moved.
    """
    luck = visit.usual if visit.luck.same < math.sqrt(habits.icc) else visit.luck.own
    return not visit.hostile and luck < liking(habits, quality, visit.at, hard=visit.hard)


def _arrived(habits: Habits, seed: int, hour: datetime) -> Iterator[Visit]:
    chance = random.Random(f"{seed}/{hour:%Y-%m-%dT%H}")
    share_hard = min(1.0, max(0.0, habits.hard + habits.drift * ((hour - habits.origin) / timedelta(days=1))))
    for number in range(_poisson(chance, habits.users / 168 * (habits.weekend if hour.weekday() >= _SATURDAY else 1))):
        user = f"user-{hour:%y%m%d%H}-{number}"
        at = hour + HOUR * chance.random()
        hard, hostile, usual = chance.random() < share_hard, chance.random() < habits.hostile, chance.random()
        for turn in range(chance.randint(1, habits.most_answers)):
            if turn:
                at += min(_LONGEST_GAP, timedelta(days=chance.expovariate(1 / habits.pause_days)))
            luck = Luck(
                same=chance.random(),
                own=chance.random(),
                missing=chance.random(),
                delay=chance.random(),
                failing=chance.random(),
                speed=chance.random(),
                words=chance.random(),
            )
            yield Visit(user=user, number=turn, at=_whole(at), hard=hard, hostile=hostile, usual=usual, luck=luck)


def _poisson(chance: random.Random, mean: float) -> int:
    """By counting arrivals within one unit of time."""
    count, passed = 0, chance.expovariate(mean) if mean > 0 else 1.0
    while passed < 1.0:
        count += 1
        passed += chance.expovariate(mean)
    return count


def _whole(at: datetime) -> datetime:
    """Whole milliseconds, as they are on the wire."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
