"""LaunchDarkly's management API: one client, and where its failures become ours.

It never repeats a request by itself, and nothing above it sees an exception or a status of HTTP. It must never repeat
the token.
"""

import json
import re
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

import httpx

from optimizer.errors import (
    BadAnswer,
    BadCredentials,
    BadSettings,
    Declined,
    NotFound,
    RateLimited,
    ServerFault,
    TracegradError,
    Transient,
    Unreachable,
    Unsupported,
)
from optimizer.identity import Json

API_VERSION = "20240415"
SEMANTIC_PATCH = "application/json; domain-model=launchdarkly.semanticpatch"

CHECK_ADDRESS = "check `launchdarkly.base_url`"

KEY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,255}")
"""Keys of projects, environments and flags; they are parts of addresses."""

_WINDOW_S = 10.0
"""LaunchDarkly counts requests in windows of ten seconds; what to wait when it does not say."""

_QUOTED_CHARS = 200
"""Of what the server said, in a message of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchDarklyAccess:
    """One environment of one project.

    Attributes:
        token: a service token that may read flags and change the default rule of those in the environment.

    Raises:
        BadSettings: the address is not one, the token is missing, or a key is none.
    """

    base_url: str
    token: str = field(repr=False)
    project: str = "default"
    environment: str = "production"
    timeout_s: float = 20.0

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise BadSettings("the address of LaunchDarkly is none", "write `launchdarkly.base_url` like https://host")
        if not (self.token.isascii() and self.token.isprintable() and self.token):
            raise BadSettings("the LaunchDarkly token is missing", "set `launchdarkly.token` to a service token")
        for name in ("project", "environment"):
            if not KEY.fullmatch(getattr(self, name)):
                raise BadSettings(f"`launchdarkly.{name}` is no key", f"copy the key of the {name} from LaunchDarkly")


class LaunchDarklyClient:
    """An async context manager around one connection pool."""

    def __init__(self, access: LaunchDarklyAccess) -> None:
        self._access = access
        self._flags = f"/api/v2/flags/{access.project}"
        self._http = httpx.AsyncClient(
            base_url=access.base_url,
            timeout=access.timeout_s,
            headers={"Authorization": access.token, "LD-API-Version": API_VERSION},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, flag: str) -> bytes | None:
        """A flag with the settings of our environment; None when there is no such flag, or no such project."""
        try:
            return await self._send("GET", f"{self._flags}/{flag}?env={self._access.environment}")
        except NotFound:
            return None

    async def create(self, body: Json) -> None:
        """A new flag, once. Raises Transient for 409, also when a flag of that key was made a moment ago."""
        await self._send("POST", self._flags, body, content_type="application/json")

    async def patch(self, flag: str, instructions: Json, comment: str) -> None:
        """A semantic patch in our environment, once."""
        body: Json = {
            "environmentKey": self._access.environment,
            "comment": comment,
            "instructions": instructions,
        }
        await self._send("PATCH", f"{self._flags}/{flag}", body, content_type=SEMANTIC_PATCH)

    async def _send(self, method: str, path: str, body: Json = None, *, content_type: str = "") -> bytes:
        content = json.dumps(body) if content_type else None
        headers = {"Content-Type": content_type} if content_type else None
        try:
            answer = await self._http.request(method, path, content=content, headers=headers)
        except httpx.InvalidURL as error:
            raise BadSettings("the address of LaunchDarkly is none", CHECK_ADDRESS) from error
        except httpx.TimeoutException as error:
            raise Unreachable(f"LaunchDarkly gave no answer within {self._access.timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise Unreachable("LaunchDarkly cannot be reached, or broke the connection") from error
        if answer.status_code < 300:
            return answer.content
        raise _refusal(answer, self._access)


def _refusal(answer: httpx.Response, access: LaunchDarklyAccess) -> TracegradError:
    """The error for an answer that is not a success."""
    status, said = answer.status_code, _said(answer)
    place = f"project '{access.project}', environment '{access.environment}'"
    if status == 401:
        return BadCredentials("LaunchDarkly refused the token", "set `launchdarkly.token` to a valid service token")
    if status == 403:
        return BadCredentials(
            f"the LaunchDarkly token may not do this in {place}",
            "give it a role with updateFallthrough, and createFlag if it is to make the flag",
        )
    if status == 404:
        return NotFound(f"LaunchDarkly knows no such flag in {place}", "correct `launchdarkly.project` or the flag")
    if status == 405:
        return Unsupported(
            f"LaunchDarkly asks for an approval of changes in {place}{said}",
            "allow the token's role to bypass required approvals, or require none for this environment",
        )
    if status == 409:
        return Transient("LaunchDarkly is busy with another change of the flag; nothing was changed", retry_after_s=1.0)
    if status == 429:
        return RateLimited("LaunchDarkly asks us to wait", retry_after_s=_retry_after_s(answer.headers))
    if status >= 500:
        return ServerFault(f"LaunchDarkly failed with status {status}")
    if status in (400, 422):
        return Declined(
            f"LaunchDarkly refused the change{said}",
            "look at the flag in LaunchDarkly: a pending approval or a scheduled change may be in the way",
        )
    return BadAnswer(f"what answers for LaunchDarkly says {status}, which its API does not", CHECK_ADDRESS)


def _said(answer: httpx.Response) -> str:
    """The service's own words after a colon, shortened; nothing when they are not its JSON."""
    try:
        message = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    text = " ".join(str(message).split()).rstrip(" .")
    return f": {text[:_QUOTED_CHARS]}"


def _retry_after_s(headers: httpx.Headers) -> float:
    """The wait that a 429 asks for: `Retry-After`, or until the reset, by the server's own clock."""
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        pass
    try:
        now_s = parsedate_to_datetime(headers["date"]).timestamp()
        reset = headers.get("x-ratelimit-auth-token-reset") or headers["x-ratelimit-reset"]
        return max(1.0, float(reset) / 1000 - now_s)
    except (KeyError, ValueError, TypeError):
        return _WINDOW_S
