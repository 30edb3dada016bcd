"""The sandbox's LaunchDarkly, its real server SDK, and a person who acts in the same moment as we do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ldclient import Context, LDClient
from ldclient.config import Config
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.flags.launchdarkly import LaunchDarkly, LaunchDarklyAccess
from connectors.memory import MemoryRegistry
from optimizer.rollouts import Split, canary, holdback
from sandbox.flags.app import change, create_app
from sandbox.flags.store import Store
from sandbox.serving import serve

PROMPT, FLAG = "support/answer", "prompt-answer"
TOKEN = "api-sandbox"


class Meanwhile:
    """An ASGI layer in which a person acts right before our change counts, or right after it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.before: Callable[[], None] | None = None
        self.after: Callable[[], None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if self.after and message["type"] == "http.response.start":
                self.after()
                self.after = None
            await send(message)

        ours = scope["type"] == "http" and scope["method"] == "PATCH"
        if ours and self.before:
            self.before()
            self.before = None
        await self.app(scope, receive, sending if ours else send)


class Desk:
    """A service with a registry in which versions 7, 8 and 9 are old, new and a person's."""

    def __init__(self, url: str, store: Store, meanwhile: Meanwhile) -> None:
        self.url, self.store, self.meanwhile = url, store, meanwhile
        self.registry = MemoryRegistry()
        for _ in range(9):
            self.registry.add(PROMPT, "Answer.")
        for label, version in {"production": 7, "canary": 8, "holdback": 7}.items():
            self.registry.label(PROMPT, label, version)

    def flags(self, token: str = TOKEN, **access: Any) -> LaunchDarkly:
        fields = {"base_url": self.url, "token": token, "timeout_s": 5.0, **access}
        return LaunchDarkly(LaunchDarklyAccess(**fields), {PROMPT: FLAG}, self.registry)

    @property
    def flag(self) -> dict[str, Any]:
        return self.store.flags[FLAG]

    @property
    def settings(self) -> dict[str, Any]:
        return self.flag["environments"]["production"]

    def id(self, index: int) -> str:
        return self.flag["variations"][index]["_id"]

    def by_hand(self, kind: str, environment: str = "production", **told: Any) -> None:
        instructions = [{"kind": kind, **told}]
        change(self.store, FLAG, {"environmentKey": environment, "instructions": instructions}, by="person")

    def shares_by_hand(self, *weights: int) -> None:
        told = {self.id(index): weight for index, weight in enumerate(weights)}
        self.by_hand("updateFallthroughVariationOrRollout", rolloutWeights=told)


@contextmanager
def launchdarkly(folder: Path) -> Iterator[Desk]:
    store = Store(folder=folder)
    meanwhile = Meanwhile(create_app(folder, store=store))
    with serve(meanwhile) as url:
        yield Desk(url, store, meanwhile)


@contextmanager
def sdk(desk: Desk) -> Iterator[LDClient]:
    """The SDK as an application uses it; a new one, since it polls every 30 seconds at most."""
    config = Config("sdk-production", base_uri=desk.url, stream=False, send_events=False, diagnostic_opt_out=True)
    client = LDClient(config, start_wait=5)
    try:
        assert client.is_initialized()
        yield client
    finally:
        client.close()


def labels(desk: Desk, keys: list[str]) -> dict[str, str]:
    """The label by which the application fetches its prompt, for each user."""
    with sdk(desk) as client:
        return {key: client.variation(FLAG, Context.create(key), "production") for key in keys}


def first(begin: Split) -> Split:
    return canary(PROMPT, begin.salt, version=8, share=0.1)


def second(begin: Split) -> Split:
    return canary(PROMPT, begin.salt, version=8, share=0.5)


def promoted(begin: Split) -> Split:
    return holdback(PROMPT, begin.salt, version=7, share=0.1)
