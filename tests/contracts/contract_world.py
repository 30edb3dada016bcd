"""A small production, as values: what every TraceSource under contract is seeded with."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from connectors.langfuse.rows import source_key
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

    @property
    def generations(self) -> list[Generation]:
        return [*self.linked, self.routed, self.unlinked, *self.forbidden]

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
