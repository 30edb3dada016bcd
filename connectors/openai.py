"""A chat model behind any OpenAI-compatible endpoint: the port LanguageModel over `AsyncOpenAI`.

One client per process, on the SDK's aiohttp transport with a pool as large as the concurrency limit: the default
transport scans its whole pool for every request and collapses at high concurrency. Retries are ours, not the SDK's,
so that Retry-After is obeyed to the letter and a call keeps its place in line while it waits. Calls go through the
client's generic `post`: `chat.completions.create` spends half of a call's CPU on transforming parameters and building
models that we would not read.

Must never log or raise message text. Must never be run as a script: its folder would then come first on the path and
this file would shadow the `openai` package. Imported as `connectors.openai` it shadows nothing, imports are absolute.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from httpx2 import Limits
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, DefaultAioHttpClient, Timeout

from connectors.openai_wire import CHECK_URL, Dialect, body, decoded, explanation, reply
from connectors.pricing import Prices
from optimizer.errors import (
    BadAnswer,
    BadCredentials,
    BadInput,
    BadSettings,
    Declined,
    NotFound,
    RateLimited,
    Refused,
    ServerFault,
    TracegradError,
    Transient,
    Unreachable,
)
from optimizer.identity import digest
from optimizer.ports import ModelReply, ModelRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRules:
    """How hard to try.

    Attributes:
        concurrency: calls in flight at most, and the size of the connection pool.
        attempts: tries of one call, the first included.
        timeout_s: for one try, from the connection to the last byte.
        backoff_s: the wait before the second try; it doubles with each further one, up to `backoff_limit_s`.
        retry_after_limit_s: the longest wait that a server may ask for; a longer one is raised, not shortened,
            because a call before its time would only be refused again.
    """

    concurrency: int = 16
    attempts: int = 6
    timeout_s: float = 120.0
    connect_timeout_s: float = 10.0
    backoff_s: float = 0.5
    backoff_limit_s: float = 30.0
    retry_after_limit_s: float = 60.0


def steady_jitter(request: ModelRequest, attempt: int) -> float:
    """A share in [0, 1) that differs between calls and attempts, and is the same in every run."""
    return int(digest("jitter", request.key, str(attempt))[:8], 16) / 2**32


class OpenAIModel:
    """A LanguageModel over HTTP. An async context manager: leaving it closes every connection.

    Args:
        api_key: sent as bearer token; servers without keys take any text.
        prices: what the calls cost; `Prices(base_url, overrides)`.
        sleep, jitter: replaced by tests. `jitter` gives a share in [0, 1) for a request and an attempt.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        prices: Prices | None = None,
        rules: CallRules | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[ModelRequest, int], float] = steady_jitter,
    ) -> None:
        address = urlsplit(base_url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise BadSettings("the model's base_url is not an http address", "write it like https://host/v1")
        if not api_key.isascii() or not api_key.isprintable():
            raise BadSettings("the model's API key holds characters that no key has", "copy the key again")
        self._server = f"the model server at {address.hostname}"
        self._api_key = api_key
        self._prices = prices or Prices(base_url)
        self._rules = rules or CallRules()
        self._sleep = sleep
        self._jitter = jitter
        self._places = asyncio.Semaphore(self._rules.concurrency)
        self._dialects: dict[str, Dialect] = {}
        size = self._rules.concurrency
        self._client = AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or "none",
            max_retries=0,
            # the whole try is timed by asyncio: a server that trickles bytes must not hold a place for ever
            timeout=Timeout(None, connect=self._rules.connect_timeout_s),
            http_client=DefaultAioHttpClient(
                limits=Limits(max_connections=size, max_keepalive_connections=size), follow_redirects=False
            ),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.close()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer one request; see `optimizer.ports.LanguageModel`."""
        if self._client.is_closed():
            raise BadInput("this model's connections are closed", "make a new OpenAIModel for each loop or `use` block")
        # the place is kept during waits: a server that is short of breath sees fewer calls, not other calls
        async with self._places:
            return reply(await self._patient(request), request, self._prices, self._server)

    async def _patient(self, request: ModelRequest) -> dict[str, Any]:
        """The decoded answer, after as many tries as the rules allow."""
        attempt = 1
        while True:
            try:
                return await self._understood(request)
            except Transient as error:
                wait_s = self._wait_s(error, request, attempt)
                if attempt >= self._rules.attempts or error.retry_after_s > self._rules.retry_after_limit_s:
                    raise
            await self._sleep(wait_s)
            attempt += 1

    def _wait_s(self, error: Transient, request: ModelRequest, attempt: int) -> float:
        """At least what the server asked for; the jitter only adds to that, so that calls come back one by one."""
        rules = self._rules
        backoff_s = min(rules.backoff_s * 2.0 ** (attempt - 1), rules.backoff_limit_s)
        share = self._jitter(request, attempt)
        return error.retry_after_s + backoff_s * share if error.retry_after_s else backoff_s * (0.5 + share / 2)

    async def _understood(self, request: ModelRequest) -> dict[str, Any]:
        """One try in the model's dialect; where the server refuses it, in the next one, remembered if it works."""
        known = dialect = self._dialects.get(request.model, Dialect())
        while True:
            try:
                answer = await self._sent(body(request, dialect))
            except APIStatusError as error:
                words = explanation(error.body, request).replace(self._api_key or "\0", "***")
                other = dialect.after_refusal(words, request, known) if error.status_code in (400, 422) else None
                if other is None:
                    raise self._translated(error.status_code, words, request, error) from error
                dialect = other
                continue
            value = decoded(answer, self._server)
            failure = value.get("error")
            if isinstance(failure, dict) and not value.get("choices"):
                # gateways report what went wrong behind them under status 200
                code = failure.get("code")
                words = explanation(failure, request).replace(self._api_key or "\0", "***")
                raise self._translated(code if isinstance(code, int) and code >= 400 else 500, words, request, None)
            if dialect != known:
                self._dialects[request.model] = dialect
            return value

    async def _sent(self, said: dict[str, Any]) -> bytes:
        try:
            async with asyncio.timeout(self._rules.timeout_s):
                return await self._client.post("/chat/completions", body=said, cast_to=bytes)
        except TimeoutError as error:
            raise Unreachable(f"{self._server} gave no answer within {self._rules.timeout_s:g} s") from error
        except (APIConnectionError, aiohttp.ClientError) as error:
            raise Unreachable(f"{self._server} cannot be reached, or broke the connection") from error

    def _translated(
        self, status: int, words: str, request: ModelRequest, error: APIStatusError | None
    ) -> TracegradError:
        headers: Mapping[str, str] = error.response.headers if error else {}
        said = f": {words.rstrip(' .')}" if words else ""
        code = error.code if error else None
        if status == 429 and code == "insufficient_quota":
            return BadCredentials(f"{self._server} says that the quota is used up{said}", "add credit to the account")
        if status == 429:
            return RateLimited(f"{self._server} limits the rate (429){said}", retry_after_s=retry_after_s(headers))
        if code == "content_filter":
            return Refused("the server's content filter refused the request")
        if status in (408, 409) or status >= 500:
            return ServerFault(f"{self._server} failed ({status}){said}", retry_after_s=retry_after_s(headers))
        if status in (401, 403):
            return BadCredentials(f"{self._server} refused the API key ({status}){said}", "check the model's API key")
        if status == 404:
            return NotFound(
                f"{self._server} knows no model '{request.model}'{said}",
                f"check the name of the model, and {CHECK_URL}",
            )
        if status < 400:
            return BadAnswer(f"{self._server} redirects to another address ({status})", CHECK_URL)
        return Declined(
            f"{self._server} refused the {request.purpose} request ({status}){said}",
            "check that the model allows requests of this kind and length",
        )


def retry_after_s(headers: Mapping[str, str]) -> float:
    """The wait that an answer asks for, in seconds: `retry-after-ms`, or `retry-after` as a number or a date; else 0.

    A date counts from the answer's own `date`, so that neither our clock nor the difference between clocks matters.
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait_s = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        if 0 <= wait_s < float("inf"):
            return wait_s
    try:
        until, now = parsedate_to_datetime(headers["retry-after"]), parsedate_to_datetime(headers["date"])
        return max(0.0, (until - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return 0.0
