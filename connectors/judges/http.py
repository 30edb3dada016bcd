"""A judge behind an address of the owner's: the port `Judge` over HTTP.

POST `{"id", "input", "output", "expected"}`, and the answer is `{"score": 0..1, "feedback": text}`. What is sent holds
strangers' text and is meant for this address alone: redirects are never followed.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import httpx

from connectors.judges.judgements import judgement, row
from connectors.openai import retry_after_s
from optimizer.errors import (
    BadCredentials,
    BadInput,
    Permanent,
    RateLimited,
    ServerFault,
    Transient,
    Unreachable,
)
from optimizer.types import Case, Scored, Unscored

CONCURRENCY = 16
TIMEOUT_S = 60.0
"""For one try, from the connection to the last byte."""
ATTEMPTS = 4
BACKOFF_S = 0.5
"""The wait before the second try, where the server names none; it doubles with each further one."""
PATIENCE_S = 60.0
"""The longest Retry-After that is sat out."""
_THIS_ROW = (400, 413, 415, 422)
"""A refusal of what is in one row, which may be a stranger's doing: it ends no more than the work on that row."""
_AGAIN = (408, 425, 429)
_JSON = {"content-type": "application/json"}


class HttpJudge:
    """Judges answers by asking a server. An async context manager: leaving it closes every connection.

    Args:
        sleep: replaced by tests.
    """

    def __init__(
        self, url: str, *, timeout_s: float = TIMEOUT_S, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        try:
            address = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise BadInput("the evaluator's address cannot be read", "write it like http://host:port/path") from error
        if address.scheme not in ("http", "https") or not address.host:
            raise BadInput("the evaluator's address is not an http address", "write it like http://host:port/path")
        self._url = address
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._places = asyncio.Semaphore(CONCURRENCY)
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY),
        )

    @property
    def name(self) -> str:
        """The address without what may be secret in it: user, password and query."""
        return str(self._url.copy_with(userinfo=b"", query=None, fragment=None))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def check(self) -> None:
        """Connect once and send nothing, before answers are paid for that nobody could judge. Raises BadInput."""
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        try:
            async with asyncio.timeout(self._timeout_s):
                _, writer = await asyncio.open_connection(self._url.host, port)
        except OSError as error:  # a timeout is one
            raise BadInput(
                f"nobody answers at the evaluator's address {self.name}", "start it, or correct the address"
            ) from error
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def judge_again(self, case: Case, output: str) -> Scored | Unscored:
        """The same once more; see `Varying`. Only the owner knows whether the server asks a model or rolls dice."""
        return await self.judge(case, output)

    async def judge(self, case: Case, output: str) -> Scored | Unscored:
        """Judge one answer; see the port.

        Raises:
            BadCredentials, BadInput: the address refuses every row, or its scores are on another scale.
        """
        said = row(case, output)
        async with self._places:
            for attempt in range(ATTEMPTS):
                try:
                    response = await self._post(said)
                    break
                except Transient as error:
                    wait_s = error.retry_after_s or BACKOFF_S * 2.0**attempt
                    if attempt == ATTEMPTS - 1 or wait_s > PATIENCE_S:
                        return Unscored(reason=str(error))
                    await self._sleep(wait_s)
        if response.status_code in _THIS_ROW:
            return Unscored(reason=f"the evaluator refused the row ({response.status_code})")
        try:
            answer = response.json()
        except (ValueError, RecursionError):
            return Unscored(reason="the evaluator's answer is not JSON")
        if not isinstance(answer, dict):
            return Unscored(reason='the evaluator\'s answer is not an object with a "score"')
        return judgement(answer)

    async def _post(self, said: object) -> httpx.Response:
        """One try. Raises Transient when another may help, and Permanent when the address is of no use at all."""
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._client.post(self._url, content=json.dumps(said), headers=_JSON)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Unreachable(f"the evaluator gave no answer within {self._timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise Unreachable("the evaluator cannot be reached, or broke the connection") from error
        status = response.status_code
        if status in _AGAIN:
            raise RateLimited(f"the evaluator asks to wait ({status})", retry_after_s=retry_after_s(response.headers))
        if status >= 500:
            raise ServerFault(f"the evaluator failed ({status})", retry_after_s=retry_after_s(response.headers))
        if not response.is_success and status not in _THIS_ROW:
            raise _useless(status)
        return response


def _useless(status: int) -> Permanent:
    """Why no row can be judged there."""
    if status in (401, 403):
        return BadCredentials(
            f"the evaluator refused us ({status})", "put user and password into its address: http://user:password@host"
        )
    if status < 400:
        return BadInput(f"the evaluator redirects to another address ({status})", "give the address that answers")
    return BadInput(f"the evaluator answers {status} to a POST", "check the path and what the server expects there")
