"""Webhooks as GitHub delivers them: the event in a header, the body signed with the shared secret, one try."""

import hashlib
import hmac
import json
from contextlib import suppress
from typing import NamedTuple
from uuid import uuid4

import httpx

from sandbox.forge.endpoint import Forge
from sandbox.forge.pull_routes import known
from sandbox.forge.shapes import Shapes


class Hook(NamedTuple):
    """One event about a pull request."""

    event: str
    action: str
    number: int
    by: str


def signed(secret: str, body: bytes) -> str:
    """The value of `X-Hub-Signature-256`."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


async def deliver(forge: Forge, hook: Hook) -> None:
    """Send an event, if somebody asked for events; nobody is told when it does not arrive."""
    to = forge.records.get("webhook", "one")
    if not to or not to["url"]:
        return
    shapes, row = Shapes(forge), known(forge, hook.number)
    about = (
        {"issue": {**shapes.issue(row), "pull_request": {"url": f"{shapes.root}/pulls/{row['number']}"}}}
        if hook.event == "issue_comment"
        else {"pull_request": shapes.pull(row, whole=True)}
    )
    payload = {
        "action": hook.action,
        "number": hook.number,
        **about,
        "repository": shapes.repository(),
        "sender": shapes.user(hook.by),
    }
    body = json.dumps(payload).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/sandbox",
        "X-GitHub-Event": hook.event,
        "X-GitHub-Delivery": str(uuid4()),
        **({"X-Hub-Signature-256": signed(to["secret"], body)} if to["secret"] else {}),
    }
    async with httpx.AsyncClient(timeout=5) as client:
        with suppress(httpx.HTTPError, httpx.InvalidURL):
            await client.post(to["url"], content=body, headers=headers)
