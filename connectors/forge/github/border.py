"""Where GitHub's refusals become ours: every status as one sentence that ends with what to do.

It must never repeat the token, nor a text that somebody wrote on the forge.
"""

import re
from email.utils import parsedate_to_datetime
from typing import Any

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
)

SCOPES = "`Contents`, `Pull requests`, `Issues` and `Commit statuses`"
_LEAST_S = 60.0
"""What GitHub asks for after a secondary limit that names no time."""
_LONGEST_S = 3600.0
_PROTECTED = re.compile(r"protected branch|rule violation|Changes must be made|cannot create ref|push declined", re.I)


class Taken(Declined):
    """HTTP 409 or 422: most often somebody else was there first, so look again."""


def of_answer(response: httpx.Response, *, where: str, doing: str) -> TracegradError:
    """The error for an answer that is not a success.

    Args:
        where: the repository, for people.
        doing: what was asked, as in "open a pull request".
    """
    status, said = response.status_code, _said(response)
    if status == 429 or (status == 403 and _limited(response, said)):
        return RateLimited(f"{where} asks us to slow down ({status})", retry_after_s=_wait_s(response))
    if status >= 500:
        return ServerFault(f"{where} failed with status {status}", retry_after_s=_seconds(response, "retry-after"))
    if status in (403, 409, 422) and _PROTECTED.search(said):
        return Declined(
            f"{where} does not let us {doing}: a rule protects the branch",
            "let the account of the token create and push branches `tracegrad/*`, or take them out of the rule",
        )
    if status == 401:
        return BadCredentials(f"{where} refused the token (401)", "set `forge.token` to one that is still valid")
    if status == 403:
        return BadCredentials(
            f"{where} does not let us {doing} (403)",
            f"give the token write access to {SCOPES} of this repository, and authorise it where sign-on is enforced",
        )
    if status == 404:
        return NotFound(
            f"{where} is not there, or the token may not see it, or has not the right to {doing} (404)",
            f"check `forge.repository` and `forge.base_url`, and that the token reaches the repository with {SCOPES}",
        )
    if 300 <= status < 400:
        return BadSettings(f"{where} has moved ({status})", "set `forge.repository` to its new name")
    if status in (409, 422):
        return Taken(f"{where} refused to {doing} ({status}: {said})", "look at the repository's rules and branches")
    return BadAnswer(f"{where} refused to {doing} with status {status}", "check that `forge.base_url` is GitHub's API")


def _limited(response: httpx.Response, said: str) -> bool:
    spent = response.headers.get("x-ratelimit-remaining") == "0"
    return spent or "retry-after" in response.headers or "rate limit" in said.lower()


def _wait_s(response: httpx.Response) -> float:
    """Seconds until it is worth trying: what the answer names, counted from its own date."""
    if after := _seconds(response, "retry-after"):
        return min(after, _LONGEST_S)
    reset = _seconds(response, "x-ratelimit-reset")
    if response.headers.get("x-ratelimit-remaining") != "0" or not reset:
        return _LEAST_S
    try:
        now = parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return _LEAST_S
    return min(max(1.0, reset - now), _LONGEST_S)


def _seconds(response: httpx.Response, name: str) -> float:
    found = response.headers.get(name, "")
    return float(found) if re.fullmatch(r"\d{1,12}", found) else 0.0


def _said(response: httpx.Response) -> str:
    """GitHub's own words, on one line."""
    try:
        answer: Any = response.json()
    except (ValueError, RecursionError):
        return ""
    if not isinstance(answer, dict):
        return ""
    errors = answer.get("errors")
    more = [error.get("message", "") if isinstance(error, dict) else error for error in errors or ()] if errors else []
    words = " ".join(" ".join(str(word) for word in [answer.get("message", ""), *more]).split())
    return "".join(char for char in words if char.isprintable())[:200]
