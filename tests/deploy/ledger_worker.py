"""A process that the ledger's tests start, several at once: it opens stakes, or dies at every step of opening one.

Usage: ledger_worker.py URL spend RELEASE...     opens them in turn after a line on stdin, and prints each stake
       ledger_worker.py URL die                  forks children that are killed, each one step later than the last
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count

import sqlalchemy as sa

from deploy.clock import SystemClock
from deploy.store.database import open_database
from deploy.store.facade import Store
from deploy.store.ledger import Ledger, StakeRow

T0 = datetime(2026, 11, 21, tzinfo=UTC)
BUDGET = 0.2
STEPS = ("begin", "before_cursor_execute", "after_cursor_execute", "commit", "checkin")
"""Everything that the database is told, and the return of the connection, which is after the commit."""

PAUSE_S = 0.001
"""A spender's, at every step: long enough for others to come between two of them."""


def opened(store: Store, release: str) -> StakeRow:
    prompt = store.ledgers.prompt_id("support")
    return store.ledgers.open(
        prompt, Ledger.PROPOSAL, release_id=release, candidate=f"text of {release}", budget=BUDGET, at=T0
    )


def watched(url: str, step: Callable[[int], None] = lambda _: None) -> Store:
    """A store that calls back at every step, which are counted from 1."""
    store, steps = Store(open_database(url), SystemClock()), count(1)
    for name in STEPS:
        sa.event.listen(store.engine, name, lambda *_: step(next(steps)))
    return store


def spend(url: str, releases: list[str]) -> None:
    store = watched(url, lambda _: time.sleep(PAUSE_S))
    print("ready", flush=True)
    sys.stdin.readline()
    for release in releases:
        print(json.dumps({release: opened(store, release).stake}), flush=True)


def die(url: str) -> None:
    for last in count(1):
        child = os.fork()
        if child == 0:
            opened(watched(url, partial(kill, last)), f"release-{last}")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"step": last, "killed": os.WIFSIGNALED(status)}), flush=True)
        if not os.WIFSIGNALED(status):
            return
        survivor = watched(url)
        opened(survivor, f"release-{last}")
        survivor.close()


def kill(last: int, step: int) -> None:
    if step == last:
        os.kill(os.getpid(), signal.SIGKILL)


if sys.argv[2] == "die":
    die(sys.argv[1])
else:
    spend(sys.argv[1], sys.argv[3:])
