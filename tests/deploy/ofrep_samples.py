"""The evaluation endpoint as the daemon starts it, over a database that a test writes to."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
from store_samples import T0

from deploy.ofrep.process import answering
from deploy.settings import PromptSettings, Settings
from deploy.store.database import open_database
from deploy.store.splits import Splits
from optimizer.rollouts import Split, canary, holdback

FLAGS = "/ofrep/v1/evaluate/flags"
TOKEN = "let me ask"
PLAIN, PATHS, STRANGE, LATE = "support", "team/größe 客服", "100% sure? #1 & only+a", "promoted"
PROMPTS = (PLAIN, PATHS, STRANGE, LATE)
SALT = "salt of the release"
RUNNING = {
    PLAIN: canary(PLAIN, SALT, version=8, share=0.5),
    PATHS: canary(PATHS, SALT, version=3, share=0.1),
    LATE: holdback(LATE, SALT, version=6, share=0.1),
}
KEYS = (*(f"user-{number}" for number in range(60)), "Zoë", "客户", "a\x00b", "😀", " ", "x" * 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One endpoint, with what it answers from."""

    address: str
    splits: Splits
    http: httpx.Client

    def asked(self, prompt: str, **context: object) -> httpx.Response:
        """One evaluation."""
        return self.sent(f"/{quote(prompt, safe='')}", {"context": context})

    def sent(self, path: str, body: object, **headers: str) -> httpx.Response:
        """Any question, by one who has the token."""
        headers = {"authorization": f"Bearer {TOKEN}", **headers}
        return self.http.post(f"{FLAGS}{path}", json=body, headers=headers)

    def follows(self, prompt: str, serial: int) -> None:
        """Wait until the endpoint answers from this change of the split, or a later one."""
        until = time.monotonic() + 20
        while self.asked(prompt, targetingKey="u").json()["metadata"]["serial"] < serial:
            assert time.monotonic() < until, "the endpoint did not see the change"
            time.sleep(0.05)


def put(splits: Splits, split: Split) -> None:
    """Make this the prompt's split, from whatever stands."""
    found = splits.read(split.prompt)
    base = found[0] if found else splits.start(split.prompt, split.salt, T0)
    assert splits.write(split, base, T0)


def settings_of(folder: Path, *, port: int = 0) -> Settings:
    """Settings of an owner with these prompts."""
    registered = tuple(PromptSettings(name=name) for name in PROMPTS)
    return Settings(prompts=registered, state_dir=folder, ofrep={"port": port, "token": TOKEN})


@contextmanager
def served(folder: Path, migrated: Path) -> Iterator[Served]:
    """An endpoint that has read `RUNNING`. Its daemon stands still meanwhile, as one that hangs does."""
    shutil.copy(migrated, folder / "tracegrad.db")
    settings = settings_of(folder)
    engine = open_database(settings.database_url)
    splits = Splits(engine)
    for split in RUNNING.values():
        put(splits, split)
    with asyncio.Runner() as runner:
        endpoint = answering(settings)
        address = runner.run(endpoint.__aenter__())
        try:
            with httpx.Client(base_url=address) as http:
                yield Served(address=address, splits=splits, http=http)
        finally:
            runner.run(endpoint.__aexit__(None, None, None))
    engine.dispose()
