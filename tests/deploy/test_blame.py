"""Who answers for every line: releases, pull requests, people, deleted versions, renamed prompts."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from conftest import SetClock

from connectors.memory import MemoryRegistry
from deploy.cli.blame import WIDTH, page
from deploy.lifecycle import ReleaseState
from deploy.lineage.blame import Author, Blame, blame
from deploy.lineage.showing import sentence, shown
from deploy.lineage.versions import AHEAD, run_in
from deploy.store.facade import Store
from deploy.store.release_texts import ReleaseText
from optimizer.documents.document import Document
from optimizer.errors import NotFound
from optimizer.prompts import Body, Message, PromptVersion
from optimizer.types import (
    Candidate,
    Edit,
    EditOp,
    Generation,
    Gradient,
    LossKind,
    RootCause,
    Score,
    ScoreKind,
    TextLoss,
    Trace,
)
from tests.gates.report_samples import FULL, HOSTILE

LABEL = "production"
BODY = "You help customers.\nBe brief."


class Shelf(MemoryRegistry):
    """A registry in which versions can be deleted, and that counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: set[tuple[str, int]] = set()
        self.reads = self.most = self.now = 0

    async def get(self, name: str, version: int) -> PromptVersion:
        self.reads, self.now = self.reads + 1, self.now + 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        if (name, version) in self.deleted:
            raise NotFound(f"there is no version {version} of prompt '{name}'", "correct the name or the number")
        return await super().get(name, version)


class Shop:
    """A registry and a store, and how a version comes into them."""

    def __init__(self, store: Store, clock: SetClock) -> None:
        self.store, self.clock = store, clock
        self.shelf = Shelf()
        self.runs = 0

    def person(self, body: Body, *, name: str = "support", message: str = "", live: bool = True) -> PromptVersion:
        """Somebody writes a version."""
        return self.shelf.add(name, body, labels=[LABEL] if live else [], commit_message=message)

    def release(
        self,
        base: PromptVersion,
        *edits: Edit,
        text: Body | None = None,
        name: str = "support",
        stray: bool = False,
        kept: bool = True,
    ) -> PromptVersion:
        """We release a version, with what a person made of it if anybody did."""
        self.runs += 1
        run_id = f"{name}@slot {self.runs}"
        at = self.clock.now()
        body = Document.of(base.body).apply(edits).body
        made = self.shelf.add(
            name,
            body if text is None else text,
            labels=[] if stray else [LABEL],
            commit_message=f"1 edit. (base v{base.version} abc) [run {run_id}]",
        )
        if not kept:
            return made
        candidate = Candidate(parent=base, edits=edits, body=body)
        store = self.store
        store.lineage.save(run_id, gradients=(), causes=(), candidate=candidate, at=at)
        store.reports.save(run_id, candidate.id, FULL, at=at)
        expires = at + timedelta(days=14)
        store.releases.propose(
            run_id,
            cycle_id=run_id,
            prompt=name,
            candidate_id=candidate.id,
            base_version=base.version,
            expires_at=expires,
            at=at,
        )
        if text is not None:
            store.release_texts.keep(ReleaseText(run_id=run_id, revision="abc", body=text, author="ada", at=at))
        for state, version in ((ReleaseState.APPROVED, None), (ReleaseState.PUBLISHED, made.version)):
            if state is ReleaseState.PUBLISHED and stray:
                store.releases.advance(run_id, ReleaseState.SUPERSEDED, at=at)
                break
            store.releases.advance(run_id, state, at=at, version=version, actor="grace", approver="grace")
        return made

    async def blame(self, name: str = "support", **given: Any) -> Blame:
        return await blame(self.store, self.shelf, name, label=LABEL, **given)

    async def origins(self, name: str = "support", **given: Any) -> list[tuple[str, int, str]]:
        """Of every line: who wrote it, in which version, and what it says."""
        found = await self.blame(name, **given)
        lines = zip(found.lines, found.origins, strict=True)
        return [(str(origin.author), origin.version, line.text) for line, origin in lines]


@pytest.fixture
def shop(store: Store, clock: SetClock) -> Shop:
    return Shop(store, clock)


def cause(*complaints: str) -> RootCause:
    gradients = []
    for number, said in enumerate(complaints):
        at = SetClock().time
        call = Generation(
            id=f"g{number}",
            trace_id=f"t/{number}",
            prompt_name="support",
            prompt_version=1,
            environment="production",
            at=at,
            input="i",
            output="o",
            model="m",
            source_key=f"user{number}",
        )
        score = Score(
            id=f"s{number}",
            name="n",
            kind=ScoreKind.NUMERIC,
            value=0.0,
            comment=said,
            trace_id=call.trace_id,
            observation_id="",
            environment="production",
            at=at,
            updated_at=at,
        )
        loss = TextLoss(trace=Trace(generation=call, scores=(score,)), kind=LossKind.COMMENT, text=said, weight=1.0)
        gradients.append(Gradient(loss=loss, warrants_change=True, text="ask"))
    return RootCause(label="c1", summary="nobody asks for the number", gradients=tuple(gradients))


def add(line: str, text: str, *complaints: str) -> Edit:
    why = cause(*(complaints or ("too slow", "no idea")))
    return Edit(op=EditOp.ADD, line=line, text=text, reason=f"because of {text}", cause=why)


OF_PERSON, OF_RELEASE, BY_HAND, UNKNOWN = map(str, (Author.PERSON, Author.RELEASE, Author.PULL_REQUEST, Author.UNKNOWN))


async def test_every_line_leads_to_its_version_release_cause_and_approver(shop: Shop) -> None:
    first = shop.person(BODY)
    second = shop.release(first, add("2", "Ask for the number."))
    shop.person(f"Hello.\n{second.body}")
    found = await shop.blame()
    assert [(origin.author, origin.version, origin.run_id) for origin in found.origins] == [
        (Author.PERSON, 3, ""),
        (Author.PERSON, 1, ""),
        (Author.PERSON, 1, ""),
        (Author.RELEASE, 2, "support@slot 1"),
    ]
    release = found.releases["support@slot 1"]
    assert (release.approver, release.approved_at) == ("grace", shop.clock.now())
    assert (release.state, release.version, release.report) == (ReleaseState.PUBLISHED, 2, FULL)
    line = shown(found, "http://langfuse/traces/{trace_id}")["lines"][3]
    assert line["edit"]["reason"] == "because of Ask for the number."
    assert line["edit"]["cause"] == "nobody asks for the number"
    assert [trace["url"] for trace in line["edit"]["traces"]] == [
        "http://langfuse/traces/t%2F0",
        "http://langfuse/traces/t%2F1",
    ]
    assert shown(found, "")["releases"]["support@slot 1"]["headline"] == FULL.reasons[0]


async def test_what_a_person_changed_in_the_pull_request_is_the_persons(shop: Shop) -> None:
    first = shop.person(BODY)
    shop.release(first, add("2", "Ask for the number."), text=f"{BODY}\nAsk for the number.\nSay thanks.")
    assert await shop.origins() == [
        (OF_PERSON, 1, "You help customers."),
        (OF_PERSON, 1, "Be brief."),
        (OF_RELEASE, 2, "Ask for the number."),
        (BY_HAND, 2, "Say thanks."),
    ]
    found = await shop.blame()
    assert sentence(found.origins[3]) == "written by ada in the pull request of version 2"


async def test_ours_are_made_from_what_production_read_not_from_strays_in_between(shop: Shop) -> None:
    first = shop.person(BODY)
    shop.release(first, add("2", "Ask for the number."), stray=True)
    shop.release(first, add("2", "Ask for the number."))
    assert (await shop.origins())[2] == (OF_RELEASE, 3, "Ask for the number.")
    shop.person(f"{BODY}\nother", live=False)
    shop.person(f"{BODY}\nAsk for the number.\nother")
    # a person may have taken it from anywhere: from the version before, as far as anybody knows
    assert (await shop.origins())[2:] == [(OF_PERSON, 5, "Ask for the number."), (OF_PERSON, 4, "other")]


async def test_of_two_equal_lines_each_has_its_own_origin(shop: Shop) -> None:
    first = shop.person("be brief")
    shop.release(first, add("0", "be brief"))
    assert await shop.origins() == [(OF_RELEASE, 2, "be brief"), (OF_PERSON, 1, "be brief")]


async def test_a_line_that_a_person_removed_and_a_release_brought_back(shop: Shop) -> None:
    shop.person(BODY)
    second = shop.person("You help customers.")
    shop.release(second, add("1", "Be brief."))
    assert await shop.origins() == [(OF_PERSON, 1, "You help customers."), (OF_RELEASE, 3, "Be brief.")]


async def test_a_chat_prompt_and_its_placeholders(shop: Shop) -> None:
    chat = (Message(role="system", content=BODY), Message(role="user", content="{{question}}"))
    first = shop.person(chat)
    shop.release(first, add("m0.2", "Ask for the number."))
    assert await shop.origins() == [
        (OF_PERSON, 1, "You help customers."),
        (OF_PERSON, 1, "Be brief."),
        (OF_RELEASE, 2, "Ask for the number."),
        (OF_PERSON, 1, "{{question}}"),
    ]
    assert "  user:" in page(shown(await shop.blame(), ""))


# ---- what is not there any more --------------------------------------------------------------------------------------


async def test_deleted_versions_come_out_of_the_store(shop: Shop) -> None:
    first = shop.person(BODY)
    second = shop.release(first, add("2", "Ask for the number."))
    shop.release(second, add("3", "Say thanks."), text=f"{second.body}\nSay thanks.\nBye.")
    shop.person(f"{second.body}\nSay thanks.\nBye.\nHello.")
    shop.shelf.deleted |= {("support", number) for number in (1, 2, 3)}
    assert await shop.origins() == [
        (UNKNOWN, 1, "You help customers."),
        (UNKNOWN, 1, "Be brief."),
        (OF_RELEASE, 2, "Ask for the number."),
        (OF_RELEASE, 3, "Say thanks."),
        (BY_HAND, 3, "Bye."),
        (OF_PERSON, 4, "Hello."),
    ]
    assert sentence((await shop.blame()).origins[0]) == "in version 1, which was deleted"


async def test_a_gap_that_nobody_can_fill_is_told(shop: Shop) -> None:
    for text in ("a", "a\nb", "a\nb\nc", "a\nb\nc\nd"):
        shop.person(text)
    shop.shelf.deleted |= {("support", 2), ("support", 3)}
    found = await shop.blame()
    assert [(origin.version, origin.since) for origin in found.origins] == [(1, 0), (4, 2), (4, 2), (4, 2)]
    assert sentence(found.origins[1]) == (
        "written by a person in version 4, or in one of the deleted versions from 2 on"
    )


async def test_a_release_that_the_store_knows_nothing_of(shop: Shop) -> None:
    first = shop.person(BODY)
    shop.release(first, add("2", "Ask for the number."), kept=False)
    found = await shop.blame()
    assert (found.origins[2].author, found.origins[2].run_id, found.releases) == (Author.UNKNOWN, "support@slot 1", {})
    assert "this installation knows nothing of" in sentence(found.origins[2])
    assert "unknown" in "\n".join(page(shown(found, "")))


async def test_a_number_that_was_given_again_is_not_ours(shop: Shop) -> None:
    first = shop.person(BODY)
    second = shop.release(first, add("2", "Ask for the number."))
    shop.shelf._versions["support"].pop()
    shop.person(f"{BODY}\nAsk for the number.")
    assert (await shop.origins())[2] == (OF_PERSON, 2, "Ask for the number.")
    # nor is a text with the message of a release of ours, copied by hand
    shop.person(f"{BODY}\nAsk for the number.\nBye.", message=second.commit_message)
    assert (await shop.origins())[3] == (OF_PERSON, 3, "Bye.")


async def test_no_such_prompt(shop: Shop) -> None:
    with pytest.raises(NotFound):
        await shop.blame("unheard")


# ---- other names, and many versions ----------------------------------------------------------------------------------


async def test_a_renamed_prompt_goes_on_under_its_former_names(shop: Shop) -> None:
    oldest = shop.person("one", name="a")
    shop.release(oldest, add("1", "two"), name="a")
    shop.person("not this", name="a", live=False)
    shop.person("one\ntwo\nthree", name="b")
    shop.person("one\ntwo\nthree")
    shop.person("one\ntwo\nthree\nfour")
    found = await shop.blame(formerly=("a", "b"))
    assert [(origin.name, origin.version, origin.author) for origin in found.origins] == [
        ("a", 1, Author.PERSON),
        ("a", 2, Author.RELEASE),
        ("b", 1, Author.PERSON),
        ("support", 2, Author.PERSON),
    ]
    shop.store.ledgers.prompt_id("support", formerly=("b",))
    known = await shop.blame()  # the store has heard of one of them
    assert [origin.name for origin in known.origins] == ["b", "b", "b", "support"]


async def test_hundreds_of_versions_are_read_only_as_far_as_lines_are_open(shop: Shop) -> None:
    for number in range(300):
        shop.person(f"Version {number}.\nAs of {number // 10}.")
    assert await shop.origins() == [(OF_PERSON, 300, "Version 299."), (OF_PERSON, 291, "As of 29.")]
    assert shop.shelf.reads <= 10 + AHEAD
    assert shop.shelf.most <= AHEAD
    shop.shelf.reads = 0
    shop.person("Version 0.\nAs of 29.", live=True)
    assert (await shop.origins())[0] == (OF_PERSON, 301, "Version 0.")


async def test_a_line_as_old_as_the_prompt_among_hundreds_of_versions(shop: Shop) -> None:
    for number in range(200):
        shop.person(f"Old.\nVersion {number}.")
    assert await shop.origins() == [(OF_PERSON, 1, "Old."), (OF_PERSON, 200, "Version 199.")]
    assert shop.shelf.reads == 199


# ---- the page --------------------------------------------------------------------------------------------------------


async def test_the_page_fits_a_hundred_columns_whatever_strangers_wrote(shop: Shop) -> None:
    first = shop.person(f"{BODY}\n{'long words ' * 30}\n{'x' * 300}\n\n    indented")
    shop.release(first, add("2", "Ask for the number.", f"{HOSTILE}\n" * 40, "no idea"))
    lines = page(shown(await shop.blame(), "http://langfuse/traces/{trace_id}"))
    assert max(map(len, lines)) <= WIDTH
    assert not any("\n" in line for line in lines)
    assert "   3    v2  [1] 2026-11-21 grace       Ask for the number." in lines
    assert "   1    v1    - a person               You help customers." in lines
    text = "\n".join(lines)
    for said in ("[1] version 2, release support@slot 1, published", "approved by grace at 2026-11-21 02:30:00 UTC"):
        assert said in text
    for said in ("line 3: because of Ask for the number.", "cause: nobody asks for the number"):
        assert said in text


@pytest.mark.parametrize(
    ("message", "run_id"),
    [
        ("1 edit from v1. (base v1 abc) [run a@b]", "a@b"),
        ("copied [run x] again [run y]", "y"),
        ("", ""),
        ("[run ", ""),
        ("[run ]", ""),
        ("a run] of luck", ""),
    ],
)
def test_the_run_that_a_commit_message_names(message: str, run_id: str) -> None:
    assert run_in(message) == run_id
