"""A release from its proposal to its end, over HTTP against the sandbox, and killed wherever it can be killed.

People live day by day and ask the real resolver; a real process tends the release at every tick. What a candidate is
worth is in its text. Then every tick is done again from the moment before it, by a process that is killed with SIGKILL
before or after its n-th request that changes something at a server, or before its n-th transaction that changes
something in our database: these are the only moments at which the world changes. A second process goes on, and in the
end everything stands as if nothing had happened.

`make test` kills at some of these points, `make acceptance` at every one of them.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.release_world import PROMPT, TEXT, Kill, People, World, opened_world, requests_of

pytestmark = pytest.mark.slow

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
LINE = "Say what to do next."
BETTER, WORSE = (0.5, 0.95), (0.5, 0.05)
CANARY = {"maturity_days": 1, "least_days": 3, "first_units": 20, "least_units": 60, "holdback_weeks": 0.3}
FULL = os.environ.get("TRACEGRAD_FULL") == "1"
SOME = 1 if FULL else 19
"""Of the points at which a process may be killed, each so-manieth is tried."""

RESOLVERS = ("ofrep", "launchdarkly", "langfuse") if FULL else ("ofrep",)

KILLED = 9
OBJECTS = ("git/trees", "git/commits")
"""Objects of git without a branch are in nobody's way; a second attempt may make them once more."""


@dataclass(frozen=True)
class Step:
    """One thing that a process did: the world before it, what it changed in which order, and the world after it."""

    name: str
    before: Path
    cycle: bool
    requests: list[str]
    commits: list[str]
    after: dict[str, Any]

    @property
    def kills(self) -> list[Kill]:
        """Every point at which it can be killed."""
        requests = range(1, len(self.requests) + 1)
        return [
            *(Kill("commit", number) for number in range(1, len(self.commits) + 1)),
            *(Kill("request", number, moment) for number in requests for moment in ("before", "after")),
        ]


@dataclass
class Life:
    """What was done to a world so far, undisturbed."""

    world: World
    steps: list[Step] = field(default_factory=list)

    def cycle(self, name: str) -> Step:
        """A cycle proposes a candidate."""
        return self._done(name, cycle=True)

    def tick(self, name: str) -> Step:
        """One round of ticks."""
        return self._done(name, cycle=False)

    def _done(self, name: str, *, cycle: bool) -> Step:
        before = self.world.copy(f"{len(self.steps)} before")
        assert do(self.world, cycle=cycle) == [0]
        made = Step(
            name=name,
            before=before,
            cycle=cycle,
            requests=requests_of(self.world.writes.done),
            commits=self.world.commits(),
            after=self.world.seen(),
        )
        self.steps.append(made)
        return made


def do(world: World, kill: Kill | None = None, *, cycle: bool) -> list[int]:
    return world.cycle("first", LINE, kill) if cycle else world.tick(kill)


@pytest.fixture(params=RESOLVERS)
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    release = {"resolver": request.param, "canary": CANARY}
    with opened_world(tmp_path, release=release, now=MONDAY) as opened:
        yield opened


def test_a_release_goes_all_the_way_or_is_stopped_and_a_kill_changes_neither(world: World) -> None:
    life = Life(world)
    with People(world, LINE, BETTER) as people:
        asked_and_merged(life, people)
        shown_to_some = world.copy("shown to some")
        promoted(life, people)
        if FULL:
            held_back(life, people)
    world.back_to(shown_to_some)
    with People(world, LINE, WORSE) as people:
        stopped(life, people)
    killed_and_repeated(life)


def asked_and_merged(life: Life, people: People) -> None:
    """From a candidate to the first part of the users."""
    world = life.world
    people.live(2)
    life.cycle("propose")
    assert world.moves() == ["proposed"]

    asked = life.tick("ask")
    forge = asked.after["forge"]
    (pull,) = forge["pulls"]
    assert pull["state"] == "open"
    assert len(forge["branches"]) == 2
    assert "Passed (screened)" in forge["comment"][0]["body"]
    assert [row["state"] for row in forge["status"]] == ["success"]
    assert Counter(line.split("/")[4] if line.startswith("forge") else line for line in asked.requests) == {
        "git": 3, "pulls": 1, "issues": 2, "statuses": 1, "bell POST /bell": 1,
    }  # fmt: skip
    assert nothing_more(world)

    world.person("merge", number=pull["number"], by="ada")
    merged = life.tick("publish and begin")
    assert world.moves() == ["proposed", "approved", "published", "progressing 0.1"]
    assert world.labels() == {1: ["production"], 2: ["canary", "latest"]}
    assert merged.after["versions"][2]["text"] == f"{TEXT}\n{LINE}"
    assert label_moves(merged) == ["2 canary"]
    assert world.served() == (0.1, 2)
    assert len(merged.after["forge"]["comment"]) == 1


def promoted(life: Life, people: People) -> None:
    """Half of the users, then all of them but the holdback."""
    world = life.world
    assert 0.05 < part_of(people.live(3), 2) < 0.15
    life.tick("widen")
    assert world.moves()[-1] == "progressing 0.5"
    assert world.served() == (0.5, 3)
    assert 0.4 < part_of(people.live(2), 2) < 0.6
    step = life.tick("promote")
    assert world.moves()[4:] == ["progressing 0.5", "promoted"]
    assert world.labels() == {1: ["holdback"], 2: ["canary", "latest", "production"]}
    assert label_moves(step) == ["2 production", "1 holdback"]
    assert world.served() == (0.9, 4)
    assert sorted(state for _, state in step.after["told"]) == ["promoted", "proposed"]
    assert set(told(world).values()) == {1}
    assert nothing_more(world)


def held_back(life: Life, people: People) -> None:
    """Some keep the old version for a while; then nobody does."""
    world = life.world
    assert 0.05 < part_of(people.live(3), 1) < 0.15
    life.tick("end the holdback")
    assert world.moves()[5:] == ["promoted", "promoted"]
    assert set(people.live(1)) == {2}
    assert nothing_more(world)
    assert world.served() == (1.0, 5)


def stopped(life: Life, people: People) -> None:
    """A candidate that users do not like never gets beyond the first part of them."""
    world = life.world
    for _ in range(4):
        assert part_of(people.live(1), 2) < 0.2
        step = life.tick("stop")
        if len(step.requests) > 0:
            break
    assert world.moves() == ["proposed", "approved", "published", "progressing 0.1", "rolled_back"]
    assert world.labels() == {1: ["canary", "production"], 2: ["latest"]}
    assert label_moves(step) == ["1 canary"]
    assert sorted(state for _, state in step.after["told"]) == ["proposed", "rolled_back"]
    assert set(told(world).values()) == {1}
    assert set(people.live(1)) == {1}
    assert nothing_more(world)
    assert world.served() == (1.0, 3)


def killed_and_repeated(life: Life) -> None:
    """Every step again, killed at one point and then gone on with: everything stands as if nothing had happened."""
    world, points = life.world, [(step, kill) for step in life.steps for kill in step.kills][::SOME]
    differing, struck = [], 0
    for step, kill in points:
        world.back_to(step.before)
        ended, asked = do(world, kill, cycle=step.cycle), requests_of(world.writes.done)
        again = do(world, cycle=step.cycle)
        asked += requests_of(world.writes.done)
        struck += ended == [KILLED]
        differences = different(step, asked, world.seen())
        # a message may arrive twice, with the same id: its receiver can tell, and nobody else could
        differences += [f"told: {times} times" for times in told(world).values() if times > 2]
        if ended not in ([0], [KILLED]) or again != [0] or differences:
            differing.append((step.name, str(kill), ended, again, differences))
    said = f"{world.release['resolver']}: {len(points)} points in {len(life.steps)} steps, {struck} killed"
    print(f"{said}, {len(differing)} with another end")
    assert differing == [], said
    # DBOS asks for work by the real clock, so that a process may have a transaction less than the undisturbed one had
    assert struck >= 0.8 * len(points), said


def different(step: Step, asked: list[str], seen: dict[str, Any]) -> list[str]:
    """What stands otherwise than after the undisturbed step, and what was done more or less often."""
    found = [name for name in seen["rows"] if seen["rows"][name] != step.after["rows"][name]]
    found += [name for name in seen if name != "rows" and seen[name] != step.after[name]]
    more, less = standing(asked) - standing(step.requests), standing(step.requests) - standing(asked)
    return found + [f"more: {line}" for line in more] + [f"less: {line}" for line in less]


def told(world: World) -> Counter[str]:
    """How often each message has arrived."""
    return Counter(one["delivery"] for one in world.deliveries())


def nothing_more(world: World) -> bool:
    """Another tick at the same moment finds nothing to do."""
    before = world.seen()
    assert world.tick() == [0]
    return requests_of(world.writes.done) == [] and world.seen() == before


def part_of(answers: Counter[int], version: int) -> float:
    """The part of all answers that a version gave."""
    return answers[version] / answers.total()


def label_moves(step: Step) -> list[str]:
    """Which label was moved to which version of the prompt, in order."""
    asked = f"langfuse PATCH /api/public/v2/prompts/{PROMPT}/versions/"
    return [line.removeprefix(asked) for line in step.requests if line.startswith(asked)]


def standing(requests: list[str]) -> Counter[str]:
    """Requests that leave something behind at a server that somebody sees; messages are counted by `told`."""
    return Counter(line for line in requests if not line.endswith(OBJECTS) and not line.startswith("bell"))
