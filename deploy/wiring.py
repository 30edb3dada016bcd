"""The composition root: from settings to a house with every port filled. Only it and `endpoint` name connectors.

One plain function opens everything in order and closes it in reverse. Nothing is wired at import time.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from connectors.flags.langfuse import LangfuseFlags
from connectors.flags.launchdarkly import LaunchDarkly, LaunchDarklyAccess
from connectors.forge.git import GitPush
from connectors.forge.github.access import GitHubAccess
from connectors.forge.github.forge import GitHub
from connectors.langfuse.datasets import LangfuseCaseSource
from connectors.langfuse.experiments import LangfuseExperiments
from connectors.langfuse.limiter import Bucket, RateLimiter
from connectors.langfuse.registry import LangfuseRegistry
from connectors.langfuse.server import Server, probe
from connectors.langfuse.settings import LangfuseAccess
from connectors.langfuse.traces import LangfuseTraceSource
from deploy.clock import SystemClock
from deploy.endpoint import language_model
from deploy.flags import StoreFlags
from deploy.gating.evaluators import evaluators
from deploy.gating.order import Evaluators
from deploy.releases.metrics import metric_of
from deploy.settings import OWN_ENVIRONMENT, PromptSettings, Settings
from deploy.store.facade import Store
from deploy.store.fence import Run
from deploy.store.journalled import JournalledModel
from optimizer.errors import BadSettings
from optimizer.ports import CaseSource, Clock, FlagService, Forge, LanguageModel, PromptRegistry, TraceSource
from optimizer.prompts import Body
from optimizer.rollouts import CanaryPlan

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total) while a stage works; a total of 0 means that nobody knows yet."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Everything that a cycle touches.

    Attributes:
        experiments: where gate reports are shown; None for a house without.
        forge: where pull requests are opened; None for a house without.
        flag_services: by the name that settings have for them.
    """

    settings: Settings
    clock: Clock
    store: Store
    server: Server
    traces: TraceSource
    cases: CaseSource
    registry: PromptRegistry
    model: LanguageModel
    experiments: LangfuseExperiments | None
    forge: Forge | None
    flag_services: Mapping[str, FlagService]
    capacity: asyncio.Semaphore
    progress: Progress

    def flags(self, prompt: PromptSettings, plan: CanaryPlan | None = None) -> FlagService:
        """Where the applications of a prompt ask which version a user gets; where a canary began, until it ends.

        Raises:
            BadSettings: nothing is set for a service that still shows users a release.
        """
        name = (plan.resolver if plan else "") or prompt.release.resolver
        if name not in self.flag_services:
            raise BadSettings(
                f"a release of {prompt.name} is shown by {name}, which is not set up any more",
                f"set `{name}` up again until the release has ended",
            )
        return self.flag_services[name]

    def journalled(self, run: Run) -> LanguageModel:
        """The model of one cycle: journalled, fenced, and bounded by the cycle's budget."""
        budget = self.settings.prompt(run.prompt).budget_usd
        return JournalledModel(self.model, self.store.journal, run, capacity=self.capacity, budget_usd=budget)

    def evaluators(
        self, prompt: PromptSettings, model: LanguageModel, secret: bytes, *, bodies: tuple[Body, Body]
    ) -> AbstractAsyncContextManager[Evaluators]:
        """Who answers and judges in one prompt's gate, ready to be asked.

        Args:
            secret: for fencing what a judge reads; the same run sends the same bytes again.
            bodies: baseline and candidate: an attack succeeds when an answer gives one of them away.
        """
        return evaluators(self.settings, prompt, model, secret, bodies=bodies, progress=partial(self.progress, "gate"))


@asynccontextmanager
async def opened(
    settings: Settings, *, progress: Progress = silent, clock: Clock | None = None
) -> AsyncIterator[House]:
    """Open the house, and close it whatever happens.

    Args:
        clock: another time than this machine's, for simulations.

    Raises:
        BadSettings: a key or a model name is missing.
        Unsupported, BadCredentials, Unreachable: as the probe of the Langfuse server found.
    """
    require(settings)
    clock = clock or SystemClock()
    store = await asyncio.to_thread(open_store, settings, clock)
    access = langfuse_access(settings)
    server = await probe(access)
    limiter = await asyncio.to_thread(rate_limiter, settings, store, clock)
    async with (
        LangfuseTraceSource(access, limiter=limiter) as traces,
        LangfuseCaseSource(access, limiter=limiter) as cases,
        LangfuseRegistry(access) as registry,
        language_model(settings) as model,
        LangfuseExperiments(access, server, limiter=limiter) as experiments,
        opened_forge(settings) as forge,
        opened_flags(settings, store, clock, registry) as flag_services,
    ):
        yield House(
            settings=settings,
            clock=clock,
            store=store,
            server=server,
            traces=traces,
            cases=cases,
            registry=registry,
            model=model,
            experiments=None if settings.role == "proposer" else experiments,
            forge=forge,
            flag_services=flag_services,
            capacity=asyncio.Semaphore(settings.model.concurrency),
            progress=progress,
        )


@asynccontextmanager
async def opened_forge(settings: Settings) -> AsyncIterator[Forge | None]:
    """Where pull requests go, as the settings say; None for nowhere."""
    forge = settings.forge
    if forge.kind == "github":
        access = GitHubAccess(
            repository=forge.repository,
            token=forge.token.get_secret_value(),
            base_url=forge.base_url,
            branch=forge.branch,
            author=forge.author,
            labels=forge.labels,
            timeout_s=forge.timeout_s,
        )
        async with GitHub(access) as github:
            yield github
    elif forge.kind == "git":
        yield GitPush(remote=forge.remote, branch=forge.branch, author=forge.author, timeout_s=forge.timeout_s)
    else:
        yield None


@asynccontextmanager
async def opened_flags(
    settings: Settings, store: Store, clock: Clock, registry: LangfuseRegistry
) -> AsyncIterator[Mapping[str, FlagService]]:
    """Every flag service that the settings name a place for."""
    own: dict[str, FlagService] = {"ofrep": StoreFlags(store.splits, clock), "langfuse": LangfuseFlags(registry)}
    dark, flags = settings.launchdarkly, {p.name: p.release.flag for p in settings.prompts if p.release.flag}
    token = dark.token.get_secret_value()
    if not token:
        yield own
        return
    access = LaunchDarklyAccess(
        base_url=dark.base_url,
        token=token,
        project=dark.project,
        environment=dark.environment,
        timeout_s=dark.timeout_s,
    )
    labels = {prompt.name: prompt.label for prompt in settings.prompts}
    async with LaunchDarkly(access, flags, registry, production=labels) as launchdarkly:
        yield {**own, "launchdarkly": launchdarkly}


def open_store(settings: Settings, clock: Clock) -> Store:
    """The store in the state directory. Raises BadSettings when there can be none."""
    try:
        # it holds what customers wrote
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadSettings(
            f"the state directory {settings.state_dir} cannot be made ({error.strerror})",
            "set `state_dir` to a directory that you may write to",
        ) from error
    return Store.open(settings.database_url, clock)


def require(settings: Settings) -> None:
    """What has no default and must come from the owner."""
    if not settings.langfuse.public_key or not settings.langfuse.secret_key.get_secret_value():
        raise BadSettings("Langfuse keys are missing", "set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY")
    for role in ("task", "critic", "judge") if settings.role != "publisher" else ():
        if not getattr(settings.model, role):
            raise BadSettings(f"no {role} model is named", f"set `model.{role}` in tracegrad.yaml")
    for prompt in settings.prompts if settings.role != "proposer" else ():
        missing_places(settings, prompt)


def missing_places(settings: Settings, prompt: PromptSettings) -> None:
    """What a prompt's releases need and nobody has named. Raises BadSettings."""
    release = prompt.release
    if release.ask == "pull-request" and not settings.forge.kind:
        raise BadSettings(f"{prompt.name} asks by pull request, and no forge is named", "set `forge` in tracegrad.yaml")
    if release.watched and release.resolver == "launchdarkly":
        if not settings.launchdarkly.token.get_secret_value():
            raise BadSettings("no LaunchDarkly token is set", "set `launchdarkly.token`, or another `release.resolver`")
        if not release.flag:
            raise BadSettings(f"no LaunchDarkly flag is named for {prompt.name}", "set `release.flag`")
    if release.watched:
        metric_of(prompt)


def source_secret(state_dir: Path) -> bytes:
    """The key under which users and sessions are hashed; made once, readable by its owner only, never sent anywhere."""
    path = state_dir / "source.key"
    if not path.exists():
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(f".{secrets.token_hex(4)}")
        draft.touch(mode=0o600)
        draft.write_bytes(secrets.token_bytes(32))
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass  # another process was first; its key counts
        finally:
            draft.unlink()
    return path.read_bytes()


def langfuse_access(settings: Settings) -> LangfuseAccess:
    """The Langfuse project, from the owner's settings."""
    langfuse = settings.langfuse
    return LangfuseAccess(
        base_url=langfuse.host,
        public_key=langfuse.public_key,
        secret_key=langfuse.secret_key.get_secret_value(),
        source_secret=source_secret(settings.state_dir),
        environments=langfuse.environments,
        own_environment=OWN_ENVIRONMENT,
        requests_per_minute=langfuse.requests_per_minute,
        timeout_s=langfuse.timeout_s,
    )


def rate_limiter(settings: Settings, store: Store, clock: Clock) -> RateLimiter:
    """One limiter for every reader, with the pauses that the server asked for before a restart still in force."""
    limiter = RateLimiter(settings.langfuse.requests_per_minute, clock=clock, on_hold=store.limits.hold)
    for bucket in Bucket:
        if until := store.limits.held(bucket):
            limiter.hold(bucket, until)
    return limiter
