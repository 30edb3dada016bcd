"""The address that a forge calls when something happens to a pull request: it looks sooner, and believes nothing.

A call only wakes the ticks, which then ask the forge themselves. It must never act on what a call says, and it takes
none that is not signed with the shared secret.
"""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH = "/hooks/github"
LARGEST = 1_000_000
"""Bytes of a call. A pull request with the longest description has some 300,000."""
EVENTS = frozenset({"pull_request", "pull_request_review", "issue_comment"})
SIGNATURE, EVENT = "x-hub-signature-256", "x-github-event"

PromptOf = Callable[[str], Awaitable[str]]
"""The prompt that a branch is about; empty when it is not ours."""

Nudge = Callable[[str], Awaitable[None]]
"""Look at a prompt now; an empty name is all of them."""


def github_route(secret: str, *, prompt_of: PromptOf, nudge: Nudge) -> Route:
    """The route that takes GitHub's webhooks.

    Raises:
        ValueError: the secret is empty, so anybody could sign.
    """
    if not secret:
        raise ValueError("a webhook needs a secret")

    async def take(request: Request) -> Response:
        body = await bounded(request)
        if body is None:
            return Response(status_code=413)
        if not is_signed(secret, body, request.headers.get(SIGNATURE, "")):
            return Response(status_code=401)
        if request.headers.get(EVENT) not in EVENTS:
            return Response(status_code=204)
        branch = branch_in(body)
        # a comment is told without its branch: whose it is, only the forge knows
        prompt = await prompt_of(branch) if branch else ""
        if prompt or not branch:
            await nudge(prompt)
        return Response(status_code=204)

    return Route(PATH, take, methods=["POST"])


async def bounded(request: Request) -> bytes | None:
    """The body, None as soon as it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            return None
    return bytes(body)


def is_signed(secret: str, body: bytes, signature: str) -> bool:
    """Whether the signature is the secret's for just these bytes; takes as long for a wrong one as for a right one."""
    expected = f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape"))


def branch_in(body: bytes) -> str:
    """The branch of the pull request that a call is about; empty when it does not say."""
    try:
        said: Any = json.loads(body)
        return str(said["pull_request"]["head"]["ref"])
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""
