"""Every port of the loop in memory: for tests, for dry runs, and as the plainest reading of the contracts.

The twins keep their ports' promises and nothing more. They must never read a clock, the disk or the network.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from inspect import isawaitable

from connectors.source_keys import source_key
from optimizer.errors import BadInput, NotFound
from optimizer.ports import ModelReply, ModelRequest
from optimizer.prompts import Body, Head, PromptVersion, Published, Superseded
from optimizer.rollouts import Exposure
from optimizer.rules import ScoreRule
from optimizer.traces.losses import is_asked_for
from optimizer.types import Case, CaseOrigin, Generation, Missing, Score, Scored, Unscored, Window

Answer = str | ModelReply | Exception
"""What a scripted model says, or raises."""

Script = Callable[[ModelRequest], Answer | Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a trace store knows of a generation beside its texts: for whom it was made, and how it went."""

    user: str = ""
    session: str = ""
    failed: bool = False
    latency_s: float | Missing = Missing.NOT_RECORDED
    cost_usd: float | Missing = Missing.NOT_RECORDED


class MemoryTraceSource:
    """TraceSource over two lists and a dictionary, which may be added to between calls.

    Args:
        calls: by the id of the generation.
        environments: the allow-list, for scores and generations alike.
        own_tag: rows with this tag are the optimizer's own and are left out.
        source_secret: the key under which users and sessions are hashed.
    """

    def __init__(
        self,
        scores: Iterable[Score] = (),
        generations: Iterable[Generation] = (),
        *,
        calls: Mapping[str, Call] | None = None,
        environments: Sequence[str] = ("production", "default"),
        own_tag: str = "tracegrad",
        source_secret: bytes = b"in memory",
    ) -> None:
        self.all_scores = list(scores)
        self.all_generations = list(generations)
        self.all_calls = dict(calls or {})
        self._secret = source_secret
        self._environments = frozenset(environments)
        self._own_tag = own_tag

    @property
    def skipped_rows(self) -> int:
        """Always 0: values are readable."""
        return 0

    async def scores(self, window: Window, rules: Sequence[ScoreRule]) -> AsyncIterator[Score]:
        """Scores that the rules ask for, newest first; of several rows of one score the one that was edited last."""
        latest = {s.id: s for s in sorted(self.all_scores, key=lambda s: s.updated_at)}
        for score in sorted(latest.values(), key=lambda s: (s.at, s.id), reverse=True):
            readable = score.environment in self._environments and window.start <= score.at < window.end
            if readable and is_asked_for(score, rules):
                yield score

    async def generations(
        self, trace_ids: Sequence[str], prompts: Sequence[str], since: datetime
    ) -> AsyncIterator[Generation]:
        """Linked generations of these traces, newest first."""
        wanted, named = frozenset(trace_ids), frozenset(prompts)
        for generation in self._newest_first():
            if generation.trace_id in wanted and generation.prompt_name in named and generation.at >= since:
                yield generation

    async def recent(self, window: Window, *, limit: int, prompt: str = "") -> AsyncIterator[Generation]:
        """The newest generations in the window."""
        found = (
            g
            for g in self._newest_first()
            if window.start <= g.at < window.end and (not prompt or g.prompt_name == prompt)
        )
        for _, generation in zip(range(limit), found, strict=False):
            yield generation

    async def exposures(
        self, window: Window, prompt: str, *, place: Callable[[str], float], by: str
    ) -> AsyncIterator[Exposure]:
        """Answers of the prompt in the window, the first of each trace."""
        first: dict[str, Exposure] = {}
        for generation in self._newest_first():
            call = self.all_calls.get(generation.id, Call())
            user, session = (call.user, "") if by == "user" else ("", call.session)
            asked_for = generation.prompt_name == prompt and window.start <= generation.at < window.end
            if asked_for and (key := user or session):
                first.pop(generation.trace_id, None)  # so that it stands where its oldest answer is
                first[generation.trace_id] = Exposure(
                    trace_id=generation.trace_id,
                    unit=source_key(user, session, secret=self._secret),
                    place=place(key),
                    at=generation.at,
                    version=generation.prompt_version,
                    model=generation.model,
                    failed=call.failed,
                    latency_s=call.latency_s,
                    cost_usd=call.cost_usd,
                )
        for exposure in first.values():
            yield exposure

    def _newest_first(self) -> list[Generation]:
        latest = {g.id: g for g in self.all_generations}
        readable = (g for g in latest.values() if g.environment in self._environments and self._own_tag not in g.tags)
        return sorted(readable, key=lambda g: (g.at, g.id), reverse=True)


class MemoryCaseSource:
    """CaseSource over a mapping from dataset name to cases."""

    def __init__(self, datasets: Mapping[str, Iterable[Case]] | None = None) -> None:
        self.datasets = {name: list(cases) for name, cases in (datasets or {}).items()}

    async def cases(self, dataset: str) -> AsyncIterator[Case]:
        """The dataset's cases in id order."""
        if dataset not in self.datasets:
            raise NotFound(f"there is no dataset '{dataset}'", "create it or correct the name in the settings")
        distinct = {case.id: case for case in self.datasets[dataset]}
        for case in sorted(distinct.values(), key=lambda c: c.id):
            yield case

    async def keep(self, dataset: str, cases: Sequence[Case]) -> None:
        """Write cases, replacing those with the same ids; who was behind them and when is not kept."""
        elsewhere = {case.id for name, kept in self.datasets.items() if name != dataset for case in kept}
        for case in cases:
            if case.id in elsewhere:
                raise BadInput(f"case '{case.id}' is in another dataset", "delete it there or keep it there")
            origin = CaseOrigin.ANCHOR if case.origin is CaseOrigin.ANCHOR else CaseOrigin.DATASET
            kept = replace(case, origin=origin, source_key=case.id, at=Missing.NOT_RECORDED)
            self.datasets.setdefault(dataset, []).append(kept)
        self.datasets.setdefault(dataset, [])


class MemoryRegistry:
    """PromptRegistry over a dictionary. `add` is what a person does in the registry's own interface."""

    def __init__(self) -> None:
        self._versions: dict[str, list[PromptVersion]] = {}

    def add(
        self,
        name: str,
        body: Body,
        *,
        labels: Sequence[str] = (),
        config_json: str = "{}",
        commit_message: str = "",
    ) -> PromptVersion:
        """A new version, which takes `latest` and the given labels from the others."""
        versions = self._versions.setdefault(name, [])
        made = PromptVersion(
            name=name,
            version=_newest(versions) + 1,
            body=body,
            config_json=config_json,
            commit_message=commit_message,
        )
        versions.append(made)
        for label in ("latest", *labels):
            self._point(name, label, made.version)
        return self._versions[name][-1]

    def label(self, name: str, label: str, version: int) -> None:
        """Point a label, whatever it pointed to before."""
        self._version(name, version)
        self._point(name, label, version)

    def delete(self, name: str, version: int) -> None:
        """Remove a version and its labels; the number of the newest one is given out again, as in Langfuse."""
        self._versions[name].remove(self._version(name, version))
        if self._versions[name]:
            self._point(name, "latest", _newest(self._versions[name]))

    async def head(self, name: str, *, label: str = "production") -> Head:
        """The labelled version and the newest number."""
        labelled = self._labelled(name, label)
        if labelled is None:
            raise NotFound(
                f"no version of prompt '{name}' has the label '{label}'", "set the label or correct the name"
            )
        return Head(production=labelled, newest=_newest(self._versions[name]), label=label)

    async def get(self, name: str, version: int) -> PromptVersion:
        """One version."""
        return self._version(name, version)

    async def publish(self, name: str, body: Body, *, base: Head, run_id: str, note: str) -> Published | Superseded:
        """Create the next version unless this run already has, or the prompt is no longer what `base` says."""
        head = await self.head(name, label=base.label)
        mark = f"[run {run_id}]"
        mine = next((v for v in self._versions[name] if mark in v.commit_message), None)
        was, now = base.production, head.production
        kept = (was.version, was.sha256) == (now.version, now.sha256)
        if mine is None and kept and head.newest == base.newest:
            made = self.add(name, body, config_json=was.config_json, commit_message=f"{note} {mark}")
            return Published(version=made)
        if mine is not None and mine.version == base.newest + 1 and (kept or now.version == mine.version):
            return Published(version=mine)
        return Superseded(head=head, stray=mine.version if mine else 0)

    async def ensure(self, name: str, body: Body, *, note: str) -> PromptVersion:
        """The newest version of a prompt; where there is no such prompt, its first version, which has no label."""
        return self._versions[name][-1] if self._versions.get(name) else self.add(name, body, commit_message=note)

    async def move_label(self, name: str, label: str, *, to: int, expect: int) -> bool:
        """Compare and set of one label; `expect=0` means that no version has it."""
        self._version(name, to)
        labelled = self._labelled(name, label)
        now = labelled.version if labelled else 0
        if now == expect:
            self._point(name, label, to)
        return now in (expect, to)

    def _point(self, name: str, label: str, version: int) -> None:
        self._versions[name] = [
            replace(v, labels=tuple(x for x in v.labels if x != label) + ((label,) if v.version == version else ()))
            for v in self._versions[name]
        ]

    def _labelled(self, name: str, label: str) -> PromptVersion | None:
        return next((v for v in self._versions.get(name, ()) if label in v.labels), None)

    def _version(self, name: str, version: int) -> PromptVersion:
        found = next((v for v in self._versions.get(name, ()) if v.version == version), None)
        if found is None:
            raise NotFound(f"there is no version {version} of prompt '{name}'", "correct the name or the number")
        return found


def _newest(versions: Sequence[PromptVersion]) -> int:
    return max((version.version for version in versions), default=0)


class ScriptedModel:
    """LanguageModel that answers from a function, or from a list in the order of the requests; it records them.

    Answers that are exceptions are raised. A list that has run out is a mistake of the test and fails as one.
    """

    def __init__(self, script: Script | Iterable[Answer]) -> None:
        self._script = script if callable(script) else _in_turn(iter(script))
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The script's answer."""
        self.requests.append(request)
        said = self._script(request)
        answer = await said if isawaitable(said) else said
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, ModelReply) else ModelReply(text=answer, model=request.model)


class ScriptedJudge:
    """Judge that answers from a function of the case and the output."""

    def __init__(self, script: Callable[[Case, str], Scored | Unscored], *, name: str = "scripted") -> None:
        self._script = script
        self._name = name

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    async def judge(self, case: Case, output: str) -> Scored | Unscored:
        """The script's judgement."""
        return self._script(case, output)


def _in_turn(answers: Iterable[Answer]) -> Script:
    turn = iter(answers)

    def script(request: ModelRequest) -> Answer:
        for answer in turn:
            return answer
        raise AssertionError(f"the scripted model has no answer left for a '{request.purpose}' request")

    return script
