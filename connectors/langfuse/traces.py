"""TraceSource over Langfuse's bulk endpoints: scores first, then their generations by the hundred.

It must never ask once per trace, and never return our own traces, experiments, or anything outside the allow-list.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import datetime
from operator import itemgetter
from types import TracebackType
from typing import Self

from connectors.langfuse.client import LangfuseClient
from connectors.langfuse.exposures import ANSWERS, EXPOSURE_FIELDS, AnswerRow, to_exposure
from connectors.langfuse.limiter import RateLimiter
from connectors.langfuse.paging import pages
from connectors.langfuse.queries import (
    IDS_PER_REQUEST,
    Condition,
    any_of,
    observation_params,
    score_params,
    started_before,
    started_since,
)
from connectors.langfuse.rows import OBSERVATIONS, SCORES, ObservationRow, ScoreRow, is_score, to_generation, to_score
from connectors.langfuse.settings import LangfuseAccess
from optimizer.rollouts import Exposure
from optimizer.rules import ScoreRule
from optimizer.traces.losses import is_asked_for
from optimizer.types import Generation, Score, Window


class LangfuseTraceSource:
    """Reads one project. An async context manager.

    Args:
        limiter: shared with other readers of the project, or restored from before a restart; its own when left out.
    """

    def __init__(self, access: LangfuseAccess, *, limiter: RateLimiter | None = None) -> None:
        self._access = access
        self._allowed = frozenset(access.environments)
        self._client = LangfuseClient(access, limiter)
        self._skipped = 0

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    @property
    def skipped_rows(self) -> int:
        """Rows that could not be read so far."""
        return self._skipped

    async def scores(self, window: Window, rules: Sequence[ScoreRule]) -> AsyncGenerator[Score, None]:
        """Scores in the window that the rules ask for, newest first: one walk per rule, merged."""
        seen: set[str] = set()
        async with AsyncExitStack() as stack:
            rule_walks = [self._by_rule(rule, window, seen) for rule in dict.fromkeys(rules)]
            walks = [await stack.enter_async_context(aclosing(walk)) for walk in rule_walks]
            if len(walks) == 1:  # the usual case, and nothing to merge
                async for only in walks[0]:
                    yield only
                return
            heads = [(score, walk) for walk in walks if (score := await anext(walk, None))]
            while heads:
                score, walk = heads.pop(max(range(len(heads)), key=lambda i: (heads[i][0].at, heads[i][0].id)))
                yield score
                if following := await anext(walk, None):
                    heads.append((following, walk))

    async def generations(
        self, trace_ids: Sequence[str], prompts: Sequence[str], since: datetime
    ) -> AsyncGenerator[Generation, None]:
        """Linked generations of these traces, newest first within each hundred of them."""
        if not prompts:
            return
        distinct = list(dict.fromkeys(trace_ids))
        hundreds = [distinct[start : start + IDS_PER_REQUEST] for start in range(0, len(distinct), IDS_PER_REQUEST)]
        shared = any_of("promptName", prompts), started_since(since)
        async with aclosing(self._generations(*[(any_of("traceId", ids), *shared) for ids in hundreds])) as walk:
            async for generation in walk:
                if generation.at >= since:
                    yield generation

    async def recent(self, window: Window, *, limit: int, prompt: str = "") -> AsyncGenerator[Generation, None]:
        """The newest generations in the window."""
        named = [any_of("promptName", [prompt])] if prompt else []
        conditions = started_since(window.start), started_before(window.end), *named
        left = limit
        async with aclosing(self._generations(conditions, page=min(limit, self._access.observation_page))) as walk:
            while left > 0 and (generation := await anext(walk, None)):
                if window.start <= generation.at < window.end:
                    left -= 1
                    yield generation

    async def exposures(
        self, window: Window, prompt: str, *, place: Callable[[str], float], by: str
    ) -> AsyncGenerator[Exposure, None]:
        """Answers of the prompt in the window, the first of each trace.

        Which answer of a trace was its first is known when the last page was read: then they come, newest first.
        """
        conditions = any_of("promptName", [prompt]), started_since(window.start), started_before(window.end)
        params = observation_params(self._access.environments, *conditions, fields=EXPOSURE_FIELDS)
        first: dict[str, tuple[datetime, str, Exposure]] = {}
        walk = pages(self._client, "/api/public/v2/observations", [params], ANSWERS, limit=self._access.exposure_page)
        async with aclosing(walk):
            async for rows in walk:
                for row in rows:
                    if not isinstance(row, AnswerRow):
                        self._skipped += 1
                    elif self._is_production(row) and window.start <= row.start_time < window.end:
                        exposure = to_exposure(row, place=place, by=by, secret=self._access.source_secret)
                        if exposure is not None:
                            found = (exposure.at, row.id, exposure)
                            first[row.trace_id] = min(found, first.get(row.trace_id, found), key=itemgetter(0, 1))
        for _, _, exposure in sorted(first.values(), key=itemgetter(0, 1), reverse=True):
            yield exposure

    async def _by_rule(self, rule: ScoreRule, window: Window, seen: set[str]) -> AsyncGenerator[Score, None]:
        """What one rule asks for and was not `seen` yet: what the server's filters found, filtered again exactly."""
        params = score_params(rule, window, self._access.environments)
        limit = self._access.score_page
        async with aclosing(pages(self._client, "/api/public/v3/scores", [params], SCORES, limit=limit)) as walk:
            async for page in walk:
                for row in page:
                    if not is_score(row):
                        self._skipped += 1
                    elif row.id not in seen and self._is_about_production(row):
                        score = to_score(row)
                        if window.start <= score.at < window.end and is_asked_for(score, [rule]):
                            seen.add(score.id)
                            yield score

    async def _generations(self, *queries: Sequence[Condition], page: int = 0) -> AsyncGenerator[Generation, None]:
        """Generations that meet all conditions of a query and are not our own or an experiment's."""
        params = [observation_params(self._access.environments, *conditions) for conditions in queries]
        limit = page or self._access.observation_page
        seen: set[str] = set()
        walk = pages(self._client, "/api/public/v2/observations", params, OBSERVATIONS, limit=limit)
        async with aclosing(walk):
            async for rows in walk:
                for row in rows:
                    if not isinstance(row, ObservationRow):
                        self._skipped += 1
                    elif row.id not in seen and self._is_production(row):
                        seen.add(row.id)
                        yield to_generation(row, source_secret=self._access.source_secret)

    def _is_about_production(self, row: ScoreRow) -> bool:
        return row.environment in self._allowed and row.subject.kind in ("trace", "observation")

    def _is_production(self, row: ObservationRow | AnswerRow) -> bool:
        return (
            row.type == "GENERATION"
            and row.environment in self._allowed
            and not row.experiment_id
            and self._access.own_tag not in (row.tags or ())
        )
