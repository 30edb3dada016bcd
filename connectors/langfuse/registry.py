"""PromptRegistry over Langfuse, by the generated client of its SDK.

The server knows no expected versions, so compare and set is ours: read, compare, create once, read back. A create
must never be repeated without looking first, and nothing here ever sets a label on a new version.
"""

from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx
from langfuse.api import AsyncLangfuseAPI
from langfuse.api.core import RequestOptions

from connectors.langfuse.border import translated
from connectors.langfuse.prompts import create_request, to_version
from connectors.langfuse.settings import LangfuseAccess
from optimizer.errors import BadAnswer, NotFound, ServerFault, Unreachable
from optimizer.prompts import Body, Head, PromptVersion, Published, Superseded, body_sha256

MESSAGE_CHARS = 500
"""The server's limit for a commit message."""

_LISTED = 100
"""The server's page limit; the name filter is exact, so one page holds the prompt."""


class LangfuseRegistry:
    """The prompts of one project. An async context manager."""

    def __init__(self, access: LangfuseAccess) -> None:
        self._host = access.base_url
        self._http = httpx.AsyncClient(timeout=access.timeout_s, follow_redirects=True)
        # the SDK repeats a POST after a 5xx by default, which makes one version per answer
        self._once = RequestOptions(max_retries=0, timeout_in_seconds=max(1, round(access.timeout_s)))
        self._api = AsyncLangfuseAPI(
            base_url=access.base_url,
            username=access.public_key,
            password=access.secret_key,
            httpx_client=self._http,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def head(self, name: str, *, label: str = "production") -> Head:
        """The labelled version, then the newest number: a version made in between is noticed, not missed."""
        labelled = await self._find(name, label=label)
        if labelled is None:
            raise NotFound(
                f"no version of prompt '{name}' has the label '{label}'",
                "set the label in Langfuse or correct the name",
            )
        return Head(production=labelled, newest=await self._newest(name), label=label)

    async def get(self, name: str, version: int) -> PromptVersion:
        """One version."""
        found = await self._find(name, version=version)
        if found is None:
            raise NotFound(f"there is no version {version} of prompt '{name}'", "correct the name or the number")
        return found

    async def publish(self, name: str, body: Body, *, base: Head, run_id: str, note: str) -> Published | Superseded:
        """Look for this run's version, else create it once; then see whether it came directly after the base."""
        head = await self.head(name, label=base.label)
        mine = await self._made_by(run_id, name, above=base.newest, newest=head.newest)
        if mine is None:
            if head.newest != base.newest or _text_of(head) != _text_of(base):
                return Superseded(head=head, stray=0)
            mine = await self._create(name, body, base, run_id, note)
            head = await self.head(name, label=base.label)
        if mine is None:
            return Superseded(head=head, stray=0)
        if mine.sha256 != body_sha256(body, base.production.config_json):
            raise BadAnswer(
                f"version {mine.version} of prompt '{name}' does not hold what was published",
                "compare it in Langfuse and set no label on it",
            )
        unchanged = _text_of(head) == _text_of(base) or head.production.version == mine.version
        if mine.version == base.newest + 1 and unchanged:
            return Published(version=mine)
        return Superseded(head=head, stray=mine.version)

    async def ensure(self, name: str, body: Body, *, note: str) -> PromptVersion:
        """The newest version of a prompt; where there is no such prompt, its first version, which has no label.

        Idempotent: after an interruption, and when another writer is faster, there is one first version.
        """
        if not await self._newest(name):
            request = create_request(name, body, config_json="{}", commit_message=note[:MESSAGE_CHARS])
            try:
                with translated(self._host):
                    await self._api.prompts.create(request=request, request_options=self._once)
            except (Unreachable, ServerFault, BadAnswer):
                # it may have been committed all the same, or by another writer
                if not await self._newest(name):
                    raise
        return await self.get(name, await self._newest(name))

    async def move_label(self, name: str, label: str, *, to: int, expect: int) -> bool:
        """Compare and set of one label; `expect=0` means that no version has it."""
        await self.get(name, to)
        now = await self._labelled(name, label)
        if now == to:
            return True
        if now != expect:
            return False
        with translated(self._host):
            await self._api.prompt_version.update(
                quote(name, safe=""), to, new_labels=[label], request_options=self._once
            )
        return await self._labelled(name, label) == to

    async def _create(self, name: str, body: Body, base: Head, run_id: str, note: str) -> PromptVersion | None:
        """One attempt; None when another writer was faster and the server refused ours."""
        suffix = f" (base v{base.production.version} {base.production.sha256[:12]}) {_mark(run_id)}"
        message = note[: MESSAGE_CHARS - len(suffix)] + suffix
        request = create_request(name, body, config_json=base.production.config_json, commit_message=message)
        try:
            with translated(self._host):
                made = await self._api.prompts.create(request=request, request_options=self._once)
            return await self.get(name, made.version)
        except (Unreachable, ServerFault):
            # it may have been committed all the same; when it was not, the caller may publish again, which looks first
            mine = await self._made_by(run_id, name, above=base.newest, newest=await self._newest(name))
            if mine is None:
                raise
            return mine
        except BadAnswer:
            if await self._newest(name) == base.newest:
                raise
            return None

    async def _made_by(self, run_id: str, name: str, *, above: int, newest: int) -> PromptVersion | None:
        """The version that this run made, among those above the base."""
        for version in range(above + 1, newest + 1):
            found = await self._find(name, version=version)
            if found is not None and _mark(run_id) in found.commit_message:
                return found
        return None

    async def _labelled(self, name: str, label: str) -> int:
        found = await self._find(name, label=label)
        return found.version if found else 0

    async def _newest(self, name: str) -> int:
        with translated(self._host):
            listed = await self._api.prompts.list(name=name, limit=_LISTED, request_options=self._once)
        return max((version for meta in listed.data if meta.name == name for version in meta.versions), default=0)

    async def _find(self, name: str, *, version: int | None = None, label: str | None = None) -> PromptVersion | None:
        try:
            with translated(self._host):
                prompt = await self._api.prompts.get(
                    quote(name, safe=""), version=version, label=label, resolve=False, request_options=self._once
                )
        except NotFound:
            return None
        return to_version(prompt)


def _mark(run_id: str) -> str:
    """How a commit message names its run; the brackets keep `run 1` out of `run 12`."""
    return f"[run {run_id}]"


def _text_of(head: Head) -> tuple[int, str]:
    return head.production.version, head.production.sha256
