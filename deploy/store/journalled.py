"""A language model whose answers are journalled: what a cycle asked once, it never pays for twice."""

import asyncio
from dataclasses import replace
from weakref import WeakValueDictionary

from deploy.store.fence import Run
from deploy.store.journal import Answer, CallJournal
from optimizer.errors import BadReply
from optimizer.ports import LanguageModel, ModelReply, ModelRequest


class JournalledModel:
    """A LanguageModel around another one, for one run of one cycle.

    The order matters: identical requests queue behind one another, then wait for capacity, and only then ask the
    journal, whose fence is the last thing before sending. So `capacity` must not exceed what the model underneath sends
    at once, or calls would wait behind the fence, and a process that lost its lease while asleep would send them.

    Args:
        capacity: calls at once, shared by all runs of this process.
        budget_usd: what the whole cycle may spend, None for no limit.
    """

    def __init__(
        self,
        model: LanguageModel,
        journal: CallJournal,
        run: Run,
        *,
        capacity: asyncio.Semaphore,
        budget_usd: float | None = None,
    ) -> None:
        self._model = model
        self._journal = journal
        self._run = run
        self._capacity = capacity
        self._budget_usd = budget_usd
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """See LanguageModel. Also raises OverBudget, and LeaseLost when this run may no longer act.

        A reply that was not waited for says so (`replayed`).
        """
        turn = self._turns.setdefault(request.key, asyncio.Lock())
        async with turn, self._capacity:
            known = await asyncio.to_thread(self._journal.reserve, self._run, request, budget_usd=self._budget_usd)
            answer = known or await self._ask(request)
        if isinstance(answer, BadReply):
            raise answer
        return answer if known is None else replace(answer, replayed=True)

    async def _ask(self, request: ModelRequest) -> Answer:
        answer: Answer
        try:
            answer = await self._model.complete(request)
        except BadReply as bad:
            answer = bad
        await asyncio.to_thread(self._journal.settle, self._run, request, answer)
        return answer
