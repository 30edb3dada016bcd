"""The pull request of a release is kept, found by its release, its prompt and its branch, and brought up to date."""

from dataclasses import replace
from datetime import timedelta

from store_samples import T0

from deploy.store.facade import Store
from deploy.store.pull_requests import OPEN, Asked
from optimizer.ports import PullRequest, PullState


def asked(store: Store, slot: int, prompt: str = "support") -> Asked:
    """A release and its pull request."""
    run_id = f"{prompt}@{slot}"
    at = T0 + timedelta(hours=slot)
    store.releases.propose(
        run_id, cycle_id=run_id, prompt=prompt, candidate_id="c", base_version=1, expires_at=at, at=at
    )
    request = PullRequest(number=slot, url=f"https://forge.example/{slot}", branch=f"tracegrad/{prompt}-{slot}")
    row = Asked(run_id=run_id, request=request, state=OPEN, checked_at=at)
    store.pull_requests.keep(row)
    return row


def test_what_is_kept_comes_back(store: Store) -> None:
    first, second, other = asked(store, 2), asked(store, 1), asked(store, 3, "other")
    pulls = store.pull_requests
    assert pulls.of(first.run_id) == first
    assert pulls.of("nobody@1") is None
    assert pulls.in_state("support", OPEN) == (second, first)
    assert pulls.in_state("other", OPEN) == (other,)
    assert pulls.in_state("other", PullState.CLOSED) == ()


def test_it_is_brought_up_to_date(store: Store) -> None:
    row = asked(store, 1)
    merged = replace(row, state=PullState.MERGED, checked_at=row.checked_at + timedelta(hours=1))
    store.pull_requests.keep(merged)
    assert store.pull_requests.of(row.run_id) == merged
    assert store.pull_requests.in_state("support", OPEN) == ()
    assert store.pull_requests.in_state("support", PullState.MERGED) == (merged,)


def test_a_branch_leads_to_its_prompt(store: Store) -> None:
    row = asked(store, 1)
    assert store.pull_requests.prompt_of(row.request.branch) == "support"
    assert store.pull_requests.prompt_of("main") == ""
