"""The simulated population at work: it asks which version it gets, reads that prompt, answers, traces and scores.

Everything goes over HTTP, as applications do it, with the simulated time on it. No model is asked: how good a version
is follows from its number or its text, as the scenario says. Wherever its numbers are shown, they are called simulated.
"""

import asyncio
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.population.asking import PRODUCTION, Resolver
from sandbox.population.people import Habits, Visit, likes, visits
from sandbox.scenario.customers import HOSTILE_COMMENTS
from sandbox.scenario.otlp import Generated
from sandbox.scenario.project import LangfuseProject, LinkedPrompt
from sandbox.scenario.support import ENVIRONMENT, NoPrompt

_IN_FLIGHT = 32
COMPLAINTS = ("That did not help me.", "Not what I asked for.", "Too vague.", "I had to ask twice.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How a version serves: the share of users who like it, and what it takes."""

    quality: float
    failing: float = 0.01
    latency_s: float = 1.2
    cost_usd: float = 0.002


Serves = Callable[[LinkedPrompt], Service]
"""How the version with this number and text serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What was posted for one interval; `versions` are answers by version."""

    answers: int
    scores: int
    users: int
    versions: dict[int, int]


class Population:
    """One prompt's users.

    Args:
        seed: the same one gives the same people, who do the same things when they are shown the same.
        score: the name of the scores that they give: 1.0 for a liked answer, 0.0 for another.

    Attributes:
        everybody: users who have asked so far.
    """

    def __init__(
        self,
        project: LangfuseProject,
        resolver: Resolver,
        serves: Serves,
        *,
        prompt: str,
        habits: Habits,
        seed: int = 7,
        score: str = "user-feedback",
    ) -> None:
        self._project = project
        self._resolver = resolver
        self._serves = serves
        self._prompt = prompt
        self._habits = habits
        self._seed = seed
        self._score = score
        self._unsaid: list[tuple[datetime, dict[str, object]]] = []
        self.everybody: set[str] = set()

    async def live(self, start: datetime, end: datetime) -> Lived:
        """Post all answers of [start, end), and every score whose time has come. Intervals must follow each other.

        Raises:
            NoPrompt: the prompt does not exist.
        """
        came = visits(self._habits, seed=self._seed, start=start, end=end)
        shown = await self._shown(sorted({visit.user for visit in came}))
        self.everybody |= shown.keys()
        prompts = {number: await self._read(number) for number in sorted(set(shown.values()))}
        answered = [(visit, prompts[shown[visit.user]]) for visit in came]
        await self._project.record(self._generated(visit, prompt) for visit, prompt in answered)
        self._unsaid += [said for visit, prompt in answered for said in self._said(visit, prompt)]
        self._unsaid.sort(key=lambda said: (said[0], str(said[1]["id"])))
        due = [body for at, body in self._unsaid if at < end]
        await self._project.score(due)
        del self._unsaid[: len(due)]
        numbers = [prompt.version for _, prompt in answered]
        versions = {number: numbers.count(number) for number in sorted(set(numbers))}
        return Lived(answers=len(answered), scores=len(due), users=len(shown), versions=versions)

    async def _shown(self, users: Sequence[str]) -> dict[str, int]:
        """The version of each user, 0 for production's."""
        await self._resolver.refresh()
        turns = asyncio.Semaphore(_IN_FLIGHT)

        async def asked(user: str) -> int:
            async with turns:
                return await self._resolver.version(user)

        return dict(zip(users, await asyncio.gather(*map(asked, users)), strict=True))

    async def _read(self, number: int) -> LinkedPrompt:
        """The prompt as the application fetches it; production's when the version is gone."""
        found = await self._project.prompt(self._prompt, version=number) if number != PRODUCTION else None
        found = found or await self._project.prompt(self._prompt)
        if found is None:
            raise NoPrompt(f"Langfuse has no production version of {self._prompt!r}.")
        return found

    def _generated(self, visit: Visit, prompt: LinkedPrompt) -> Generated:
        service, trace_id = self._serves(prompt), self._trace_id(visit)
        failed = visit.luck.failing < service.failing
        question = f"Question {visit.number + 1} of {visit.user}"
        messages = [{"role": "system", "content": prompt.text}, {"role": "user", "content": question}]
        slowness = 0.5 - math.log(1.0 - visit.luck.speed) / 2
        return Generated(
            trace_id=trace_id,
            observation_id=trace_id[16:],
            at=visit.at,
            duration=timedelta(milliseconds=round(1000 * service.latency_s * slowness)),
            user=visit.user,
            session=visit.session,
            environment=ENVIRONMENT,
            prompt_name=prompt.name,
            prompt_version=prompt.version,
            messages_json=json.dumps(messages),
            question=question,
            output="" if failed else f"A simulated answer to {question}.",
            model="sim-task",
            input_tokens=200,
            output_tokens=40,
            cost_usd=round(service.cost_usd * slowness, 9),
            failed=failed,
            alone=True,
        )

    def _said(self, visit: Visit, prompt: LinkedPrompt) -> Iterable[tuple[datetime, dict[str, object]]]:
        """The score that the user will give, if any, and when."""
        service, luck, habits = self._serves(prompt), visit.luck, self._habits
        good = luck.failing >= service.failing and likes(habits, visit, service.quality)
        if not visit.hostile and luck.missing < habits.missing[0 if good else 1]:
            return
        at = visit.at + timedelta(days=-math.log(1.0 - luck.delay) * habits.delay_days[0 if good else 1])
        trace_id = self._trace_id(visit)
        body: dict[str, object] = {
            "id": f"population-{trace_id}",
            "traceId": trace_id,
            "name": self._score,
            "value": float(good),
            "dataType": "NUMERIC",
            "environment": ENVIRONMENT,
            "timestamp": at.isoformat(timespec="milliseconds"),
        }
        if visit.hostile:
            body["comment"] = HOSTILE_COMMENTS[int(luck.words * len(HOSTILE_COMMENTS))]
        elif not good and luck.words < habits.commenting:
            body["comment"] = COMPLAINTS[int(luck.words / habits.commenting * len(COMPLAINTS))]
        yield at, body

    def _trace_id(self, visit: Visit) -> str:
        named = f"{self._prompt}\x1f{self._seed}\x1f{visit.user}\x1f{visit.number}"
        return hashlib.sha256(named.encode()).hexdigest()[:32]
