"""What was asked once is never paid for twice, a budget holds, and a run that lost its lease sends nothing."""

import asyncio
from dataclasses import replace

import pytest
import sqlalchemy as sa
from store_samples import HOSTILE, T0, request, run

from deploy.store.facade import Store
from deploy.store.fence import LeaseLost
from deploy.store.journal import CallJournal, InMemoryJournal
from deploy.store.journalled import JournalledModel
from optimizer.errors import BadReply, CutOff, EmptyReply, Garbled, OverBudget, Refused, ServerFault
from optimizer.identity import Json
from optimizer.ports import ModelReply, ModelRequest
from optimizer.types import Missing, Usage


class CountingModel:
    """Answers every request with its own words, or with the error it was given; counts and can be made to wait."""

    def __init__(self, *, cost_usd: float | Missing = 0.01, error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self.sent: asyncio.Queue[str] = asyncio.Queue()
        self.cost_usd = cost_usd
        self.error = error
        self.gate = asyncio.Event()
        self.gate.set()

    async def complete(self, request: ModelRequest) -> ModelReply:
        said = request.messages[0].content
        self.asked.append(said)
        self.sent.put_nowait(said)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        usage = Usage(calls=1, input_tokens=3, output_tokens=2, cost_usd=self.cost_usd)
        return ModelReply(text=f"re: {said}", model="critic-2", usage=usage)


class StrictlyBad(CutOff):
    """A connector's own refinement of one of our errors."""


@pytest.fixture(params=["in memory", "database"])
def journal(request: pytest.FixtureRequest, owned: Store) -> CallJournal:
    return InMemoryJournal() if request.param == "in memory" else owned.journal


def journalled(model: CountingModel, journal: CallJournal, *, at_once: int = 4, **more: float) -> JournalledModel:
    return JournalledModel(model, journal, run(), capacity=asyncio.Semaphore(at_once), **more)


async def test_an_answer_is_paid_for_once_also_by_the_next_process(journal: CallJournal) -> None:
    model = CountingModel()
    first = await journalled(model, journal).complete(request(HOSTILE))
    again = await journalled(model, journal).complete(request(HOSTILE))
    assert first == await CountingModel().complete(request(HOSTILE))
    assert again == replace(first, replayed=True), "how long it took says nothing"
    await journalled(model, journal).complete(request(HOSTILE, attempt=1))
    assert model.asked == [HOSTILE, HOSTILE]
    assert journal.spent(run().cycle_id) == Usage(calls=2, input_tokens=6, output_tokens=4, cost_usd=0.02)
    assert journal.spent("another@cycle") == Usage()


async def test_identical_requests_in_flight_share_one_call(journal: CallJournal) -> None:
    model = CountingModel()
    asks = journalled(model, journal)
    replies = await asyncio.gather(*(asks.complete(request(text)) for text in ("a", "b", "a", "a")))
    assert sorted(model.asked) == ["a", "b"]
    assert [reply.text for reply in replies] == ["re: a", "re: b", "re: a", "re: a"]


@pytest.mark.parametrize("kind", [BadReply, CutOff, Refused, EmptyReply, Garbled])
async def test_a_bad_reply_is_remembered_as_what_it_was(journal: CallJournal, kind: type[BadReply]) -> None:
    model = CountingModel(error=kind(HOSTILE))
    for _ in range(2):
        with pytest.raises(BadReply) as caught:
            await journalled(model, journal).complete(request())
        assert (type(caught.value), str(caught.value)) == (kind, HOSTILE)
    assert len(model.asked) == 1
    assert journal.spent(run().cycle_id) == Usage(calls=1, cost_usd=Missing.NOT_PRICED)


async def test_a_refinement_of_a_bad_reply_comes_back_as_the_class_that_the_tree_names(owned: Store) -> None:
    model = CountingModel(error=StrictlyBad("too long"))
    with pytest.raises(StrictlyBad):
        await journalled(model, owned.journal).complete(request())
    with pytest.raises(CutOff, match="too long") as caught:
        await journalled(model, owned.journal).complete(request())
    assert type(caught.value) is CutOff


async def test_a_transient_failure_is_asked_again(journal: CallJournal) -> None:
    model = CountingModel(error=ServerFault("502"))
    with pytest.raises(ServerFault):
        await journalled(model, journal).complete(request())
    model.error = None
    assert (await journalled(model, journal).complete(request())).text == "re: why?"
    assert journal.spent(run().cycle_id).calls == 1


async def test_the_call_that_might_exceed_the_budget_is_not_sent(journal: CallJournal) -> None:
    model = CountingModel(cost_usd=0.4)
    asks = journalled(model, journal, budget_usd=1.0)
    for text in ("a", "b"):
        await asks.complete(request(text))
    with pytest.raises(OverBudget, match=r"1\.00 USD"):
        await asks.complete(request("c"))
    assert (await asks.complete(request("a"))).text == "re: a"
    assert model.asked == ["a", "b"]


async def test_calls_in_flight_count_against_the_budget(journal: CallJournal) -> None:
    model = CountingModel(cost_usd=0.4)
    asks = journalled(model, journal, budget_usd=1.3)
    await asks.complete(request("dear"))
    model.gate.clear()
    flying = [asyncio.create_task(asks.complete(request(text))) for text in ("a", "b", "c")]
    await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
    model.gate.set()
    results = await asyncio.gather(*flying, return_exceptions=True)
    assert [type(result) for result in results].count(OverBudget) == 1
    assert len(model.asked) == 3


async def test_a_call_that_is_sent_again_is_in_flight_once(journal: CallJournal) -> None:
    model = CountingModel(cost_usd=0.4)
    asks = journalled(model, journal, budget_usd=1.25)
    await asks.complete(request("dear"))
    model.error = ServerFault("502")
    for _ in range(3):
        with pytest.raises(ServerFault):
            await asks.complete(request("a"))
    model.error = None
    await asks.complete(request("b"))  # .4 spent, and .4 each for this and the one in flight
    await asks.complete(request("a"))


async def test_the_next_call_is_taken_to_cost_as_much_as_the_dearest(journal: CallJournal) -> None:
    model = CountingModel(cost_usd=0.4)
    asks = journalled(model, journal, budget_usd=0.8)
    await asks.complete(request("dear"))
    model.cost_usd = 0.1
    await asks.complete(request("cheap"))
    with pytest.raises(OverBudget):
        await asks.complete(request("another"))


async def test_nothing_may_be_spent_on_a_budget_of_nothing(journal: CallJournal) -> None:
    model = CountingModel()
    with pytest.raises(OverBudget):
        await journalled(model, journal, budget_usd=0.0).complete(request())
    assert model.asked == []


async def test_capacity_bounds_what_is_in_flight(journal: CallJournal) -> None:
    model = CountingModel()
    model.gate.clear()
    asks = journalled(model, journal, at_once=2)
    flying = [asyncio.create_task(asks.complete(request(str(number)))) for number in range(5)]
    for _ in range(2):
        await model.sent.get()
    await asyncio.sleep(0.05)
    assert len(model.asked) == 2
    model.gate.set()
    await asyncio.gather(*flying)
    assert len(model.asked) == 5


async def test_a_sleeper_sends_nothing_but_keeps_what_it_had_paid_for(owned: Store) -> None:
    model = CountingModel()
    model.gate.clear()
    asks = journalled(model, owned.journal, at_once=1)
    in_flight = asyncio.create_task(asks.complete(request("in flight")))
    await model.sent.get()
    queued = asyncio.create_task(asks.complete(request("queued")))
    with owned.engine.begin() as connection:
        connection.execute(sa.text("update workflow_status set owner_xid = 'the successor'"))
    model.gate.set()
    assert (await in_flight).text == "re: in flight"
    with pytest.raises(LeaseLost):
        await queued
    assert model.asked == ["in flight"]
    assert owned.journal.spent(run().cycle_id).calls == 1


async def test_of_two_answers_to_one_call_the_first_stays(journal: CallJournal) -> None:
    for text in ("first", "second"):
        journal.reserve(run(), request(), budget_usd=None)
        journal.settle(run(), request(), ModelReply(text=text, model="m"))
    answer = journal.reserve(run(), request(), budget_usd=None)
    assert isinstance(answer, ModelReply)
    assert answer.text == "first"


async def test_spend_is_shown_by_cycle_and_purpose(owned: Store) -> None:
    owned.cycles.open("support", "2026-11-21T02:30Z", at=T0)
    asks = journalled(CountingModel(), owned.journal)
    await asks.complete(request("a"))
    await asks.complete(request("b"))
    with pytest.raises(Refused):
        await journalled(CountingModel(error=Refused("no")), owned.journal).complete(request("c"))
    [critic, refused] = sorted(owned.journal.spend(T0), key=lambda row: row.calls, reverse=True)
    assert (critic.prompt, critic.purpose, critic.model, critic.calls) == ("support", "backward", "critic-2", 2)
    assert (critic.cost_usd, critic.unpriced) == (pytest.approx(0.02), 0)
    assert (refused.model, refused.cost_usd, refused.unpriced) == ("critic", 0.0, 1)


async def test_an_effect_is_sent_once_and_its_result_comes_back(owned: Store) -> None:
    sent = []

    async def send(key: str) -> Json:
        sent.append(key)
        return {"version": len(sent)}

    assert await owned.effects.once(run(), "publish", send) == {"version": 1}
    assert await owned.effects.once(run(), "publish", send) == {"version": 1}
    assert await owned.effects.once(run(), "label", send) == {"version": 2}
    with pytest.raises(LeaseLost):
        await owned.effects.once(run(token="the sleeper's"), "another", send)
    assert sent == ["support@2026-11-21T02:30Z/publish", "support@2026-11-21T02:30Z/label"]


async def test_an_effect_that_failed_is_sent_again_with_the_same_key(owned: Store) -> None:
    keys = []

    async def send(key: str) -> Json:
        keys.append(key)
        if len(keys) == 1:
            raise ServerFault("502 after commit")
        return None

    with pytest.raises(ServerFault):
        await owned.effects.once(run(), "publish", send)
    for _ in range(2):
        assert await owned.effects.once(run(), "publish", send) is None
    assert keys == ["support@2026-11-21T02:30Z/publish"] * 2
