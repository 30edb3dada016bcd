"""A small production, as values: what every TraceSource under contract is seeded with."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from connectors.memory import Call
from connectors.source_keys import source_key
from optimizer.rollouts import Exposure, point
from optimizer.types import Generation, Score, ScoreKind, Window

SECRET = b"a secret of the tests"
MANY = 120


def hexid(digits: int, *parts: object) -> str:
    return sha256(repr(parts).encode()).hexdigest()[:digits]


@dataclass(frozen=True, kw_only=True)
class World:
    """Names carry a nonce, so that a server may hold many worlds."""

    nonce: str
    now: datetime

    @property
    def window(self) -> Window:
        # a real server may stamp scores itself, a little later than now
        return Window(start=self.now - timedelta(hours=1), end=self.now + timedelta(hours=1))

    @property
    def prompt(self) -> str:
        return f"contract/answer-{self.nonce}"

    @property
    def other_prompt(self) -> str:
        return f"contract/route-{self.nonce}"

    @property
    def shown_prompt(self) -> str:
        return f"contract/shown-{self.nonce}"

    def name(self, score: str) -> str:
        return f"{score}-{self.nonce}"

    def trace(self, number: int) -> str:
        return hexid(32, self.nonce, "trace", number)

    def generation(self, number: int, **changes: object) -> Generation:
        fields: dict[str, object] = {
            "id": hexid(16, self.nonce, "generation", number),
            "trace_id": self.trace(number),
            "prompt_name": self.prompt,
            "prompt_version": 1,
            "environment": "production",
            "at": self.now - timedelta(minutes=10, seconds=number),
            "input": f'[{{"role":"user","content":"question {number} äß"}}]',
            "output": f"answer {number}",
            "model": "some-model",
            "source_key": source_key(f"user-{number % 7}", "", secret=SECRET),
            "tags": ("shop",),
        }
        return Generation(**{**fields, **changes})  # type: ignore[arg-type]

    @property
    def linked(self) -> list[Generation]:
        """Readable, and linked to the first prompt."""
        return [self.generation(number) for number in range(MANY)]

    @property
    def routed(self) -> Generation:
        """A second registered prompt in the first trace."""
        return self.generation(900, trace_id=self.trace(0), prompt_name=self.other_prompt)

    @property
    def unlinked(self) -> Generation:
        return self.generation(901, prompt_name="", prompt_version=0)

    @property
    def forbidden(self) -> list[Generation]:
        """Never to be returned: another environment, and our own."""
        return [
            self.generation(902, trace_id=self.trace(1), environment="staging"),
            self.generation(903, trace_id=self.trace(1), tags=("shop", "tracegrad")),
        ]

    def shown(self, number: int, **changes: object) -> Generation:
        call = self.call(number)
        key = source_key(call.user, call.session, secret=SECRET)
        return self.generation(number, prompt_name=self.shown_prompt, source_key=key, **changes)

    @property
    def every_shown(self) -> list[Generation]:
        """Of the third prompt, newest first: a trace with two answers, one without a user, one without a session."""
        return [
            self.shown(910, trace_id=self.trace(911), prompt_version=3),
            self.shown(911, prompt_version=2),
            self.shown(912),
            self.shown(913),
            self.shown(914, environment="staging"),
            self.shown(915, tags=("tracegrad",)),
        ]

    @property
    def generations(self) -> list[Generation]:
        return [*self.linked, self.routed, self.unlinked, *self.forbidden, *self.every_shown]

    def call(self, number: int) -> Call:
        """For whom the answer with this number was made, and how it went."""
        special = {
            911: Call(user="user-ä", session="a", failed=True, latency_s=1.25, cost_usd=0.5),
            912: Call(session="b", latency_s=1.0),
            913: Call(user="user-b", latency_s=0.0),
        }
        return special.get(number, Call(user=f"user-{number % 7}", session="session", latency_s=1.0, cost_usd=0.25))

    @property
    def calls(self) -> dict[str, Call]:
        return {g.id: self.call(int(g.output.removeprefix("answer "))) for g in self.generations}

    def exposure(self, generation: Generation, salt: str, *, by: str = "user") -> Exposure:
        call = self.calls[generation.id]
        user, session = (call.user, "") if by == "user" else ("", call.session)
        return Exposure(
            trace_id=generation.trace_id,
            unit=source_key(user, session, secret=SECRET),
            place=point(salt, user or session),
            at=generation.at,
            version=generation.prompt_version,
            model="some-model",
            failed=call.failed,
            latency_s=call.latency_s,
            cost_usd=call.cost_usd,
        )

    def score(self, key: str, of: str, value: float | bool | str, number: int, **changes: object) -> Score:
        kind = {bool: ScoreKind.BOOLEAN, float: ScoreKind.NUMERIC, str: ScoreKind.CATEGORICAL}[type(value)]
        at = self.now - timedelta(minutes=5, seconds=number)
        fields: dict[str, object] = {
            "id": f"{key}-{self.nonce}",
            "name": self.name(of),
            "kind": kind,
            "value": value,
            "comment": "",
            "trace_id": self.trace(number),
            "observation_id": "",
            "environment": "production",
            "at": at,
            "updated_at": at,
        }
        return Score(**{**fields, **changes})  # type: ignore[arg-type]

    @property
    def scores(self) -> list[Score]:
        answer = self.generation(0).id
        return [
            self.score("low", "helpful", 0.2, 0, comment='not what I asked "at all"\nä'),
            self.score("lower", "helpful", 0.1, 1),
            self.score("threshold", "helpful", 0.5, 2),
            self.score("good", "helpful", 0.9, 3),
            self.score("observed", "helpful", 0.3, 0, observation_id=answer),
            self.score("staged", "helpful", 0.1, 4, environment="staging"),
            self.score("ours", "helpful", 0.1, 4, environment="tracegrad"),
            self.score("slow", "latency", 9.5, 5),
            self.score("down", "thumbs", False, 6),
            self.score("up", "thumbs", True, 7),
            self.score("rude", "tone", "rude", 8),
            self.score("listed", "tone", "cold, curt", 9),
            self.score("kind", "tone", "kind", 10),
            self.score("comma", "style, or tone", 0.0, 11),
            self.score("fixed", "output", "the right answer", 12, name="output", kind=ScoreKind.CORRECTION),
        ]


def new_world(nonce: str) -> World:
    now = datetime.now(UTC)
    return World(nonce=nonce, now=now.replace(microsecond=now.microsecond // 1000 * 1000))
