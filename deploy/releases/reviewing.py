"""Proposed: a person is asked, by a pull request where the owner wants one, and their answer is carried out.

Merged as it was proposed is an approval. Merged with a change of their own is an approval of their text, after it has
gone through the gate as well. Closed is a rejection, and what they wrote is remembered.
"""

import asyncio
from dataclasses import replace

from deploy.lifecycle import ReleaseState
from deploy.releases.errand import Errand
from deploy.releases.pull_requests import Answer, answer, ask
from deploy.releases.regating import trial_of
from deploy.releases.remembering import remember
from deploy.store.fence import Run
from deploy.store.pull_requests import OPEN, Asked
from deploy.store.release_texts import ReleaseText
from deploy.wiring import House
from gates.rendering.markdown import escaped
from optimizer.identity import Json
from optimizer.ports import Forge, PullRequest, PullState
from optimizer.types import Verdict

CLOSED_BECAUSE = {
    ReleaseState.REJECTED: "It was rejected by a command.",
    ReleaseState.EXPIRED: "Its evidence is too old to act on; the next cycle begins anew.",
    ReleaseState.SUPERSEDED: "Something newer took its place; merging this publishes nothing.",
}


async def asked(errand: Errand) -> Errand:
    """The next step of a proposal: nothing, until a person has answered or its evidence is too old."""
    changed = await asyncio.to_thread(errand.house.store.release_texts.of, errand.release.run_id)
    if changed is not None:
        return await judged(errand, changed)
    if errand.now >= errand.release.expires_at:
        days = errand.prompt.release.expires_days
        return await errand.move(ReleaseState.EXPIRED, f"nobody answered, and its evidence is older than {days:g} days")
    forge = errand.house.forge
    if errand.prompt.release.ask != "pull-request" or forge is None:
        return errand
    known = await asyncio.to_thread(errand.house.store.pull_requests.of, errand.release.run_id)
    request = known.request if known else await opened(errand, forge)
    candidate = await errand.candidate()
    found = await answer(forge, request, errand.prompt.release.path, candidate.body)
    await keep(errand.house, errand.release.run_id, request, found.state)
    if found.state is PullState.OPEN:
        return await errand.waits(f"waits for {request.url or request.branch}")
    return await (merged if found.state is PullState.MERGED else closed)(errand, found)


async def opened(errand: Errand, forge: Forge) -> PullRequest:
    """The release's pull request, opened when there is none."""
    release, store = errand.release, errand.house.store
    candidate = await errand.candidate()
    report = await asyncio.to_thread(store.reports.load, release.cycle_id)
    assert report is not None
    base = errand.house.settings.forge.branch

    async def send(_key: str) -> Json:
        made = await ask(forge, release=release, candidate=candidate, report=report, prompt=errand.prompt, base=base)
        return {"number": made.number, "url": made.url, "branch": made.branch}

    made = await errand.once("pull-request", send, forward=True)
    assert isinstance(made, dict)
    request = PullRequest(number=int(str(made["number"])), url=str(made["url"]), branch=str(made["branch"]))
    await keep(errand.house, release.run_id, request, PullState.OPEN)
    return request


async def merged(errand: Errand, found: Answer) -> Errand:
    """A person has merged it, perhaps with a change of their own."""
    if found.fault or found.body is None:
        reason = f"it was merged, and what was merged cannot be released: {found.fault}"
        return await errand.move(ReleaseState.REJECTED, reason, actor=found.by)
    if not found.changed:
        return await errand.move(
            ReleaseState.APPROVED,
            f"merged in {found.revision[:12]}",
            actor=found.by,
            approver=found.by,
            evidence={"revision": found.revision},
        )
    text = ReleaseText(
        run_id=errand.release.run_id, revision=found.revision, body=found.body, author=found.by, at=errand.now
    )
    await asyncio.to_thread(errand.house.store.release_texts.keep, text)
    return await errand.waits(f"{found.by} changed the text before merging it; it goes through the gate as well")


async def judged(errand: Errand, text: ReleaseText) -> Errand:
    """A person's text: on its way through the gate, or judged."""
    row = (await asyncio.to_thread(trial_of, errand.house.store, errand.release.prompt, text)).row
    if row is None:
        return errand
    evidence: dict[str, Json] = {"revision": text.revision, "gate": row.id}
    if row.verdict is not Verdict.PASS:
        reason = f"the text that {text.author} merged did not pass the gate ({row.verdict or row.state}): {row.reason}"
        return await errand.move(ReleaseState.REJECTED, reason, actor=text.author, evidence=evidence)
    return await errand.move(
        ReleaseState.APPROVED,
        f"{text.author} changed and merged it in {text.revision[:12]}, and it passed the gate",
        actor=text.author,
        approver=text.author,
        evidence=evidence,
    )


async def closed(errand: Errand, found: Answer) -> Errand:
    """A person has refused it."""
    by = found.by or "somebody"
    await remember(errand, because=ReleaseState.REJECTED, words=found.words, actor=by)
    return await errand.move(ReleaseState.REJECTED, f"{by} closed the pull request", actor=by)


async def close_stale(house: House, run: Run) -> None:
    """Close pull requests whose release has ended in another way, and say why."""
    forge = house.forge
    if forge is None:
        return
    for one in await asyncio.to_thread(house.store.pull_requests.in_state, run.prompt, OPEN):
        row = await asyncio.to_thread(house.store.releases.get, one.run_id)
        if row.state is ReleaseState.PROPOSED:
            continue
        why = f"{CLOSED_BECAUSE.get(row.state, f'The release is {row.state}.')} ({escaped(row.reason)})"

        async def send(_key: str, request: PullRequest = one.request, why: str = why) -> Json:
            if (await forge.read(request)).state is PullState.MERGED:
                await forge.tell(request, "ended", why)
            await forge.close(request, why)
            return (await forge.read(request)).state.value

        state = await house.store.effects.once(replace(run, cycle_id=one.run_id), "pull-request/close", send)
        await keep(house, one.run_id, one.request, PullState(str(state)))


async def waiting_gates(house: House, run: Run) -> list[Json]:
    """Slots of the cycles that must judge what people made of this prompt's proposals."""

    def find() -> list[Json]:
        store = house.store
        texts = [
            store.release_texts.of(row.run_id) for row in store.releases.in_state(run.prompt, ReleaseState.PROPOSED)
        ]
        trials = [trial_of(store, run.prompt, text) for text in texts if text]
        return [trial.slot for trial in trials if trial.row is None]

    return await asyncio.to_thread(find)


async def keep(house: House, run_id: str, request: PullRequest, state: PullState) -> None:
    """Remember a pull request as it stands."""
    seen = Asked(run_id=run_id, request=request, state=state, checked_at=house.clock.now())
    await asyncio.to_thread(house.store.pull_requests.keep, seen)
