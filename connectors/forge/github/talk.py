"""What is said on a pull request: our comments, one per topic, and the words of the people who may decide."""

from datetime import datetime

from connectors.forge.github.client import GitHubClient
from connectors.forge.github.wire import Anything, Comment, Pull, Review, User
from connectors.forge.naming import marked, marker

MOST_WORDS, LONGEST = 50, 2_000
"""Of what people wrote: how many texts, the newest, and characters of each."""
INSIDERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
"""In a public repository anybody may comment; only words of these may steer what is proposed next."""


class Talk:
    """Comments and reviews in one repository."""

    def __init__(self, client: GitHubClient) -> None:
        self._client = client
        self._login: str | None = None

    async def say(self, pull: Pull, topic: str, text: str) -> None:
        """One comment per topic; it is sent again only when it changed."""
        body, us = marked(topic, text), await self._us(pull)
        comments = await self._comments(pull.number)
        old = next((c for c in comments if _by(c.user, us) and c.body.startswith(marker(topic))), None)
        if old is None:
            path = f"/issues/{pull.number}/comments"
            await self._client.write("POST", path, {"body": body}, Anything, "comment")
        elif lines(old.body) != lines(body):
            path = f"/issues/comments/{old.id}"
            await self._client.write("PATCH", path, {"body": body}, Anything, "edit our comment")

    async def heard(self, pull: Pull) -> tuple[str, ...]:
        """What people of the repository wrote, oldest first; hostile text as any."""
        us = await self._us(pull)
        said: list[tuple[datetime, Comment | Review]] = [(c.created_at, c) for c in await self._comments(pull.number)]
        reviews = await self._client.every(f"/pulls/{pull.number}/reviews", Review, "read its reviews")
        said += [(r.submitted_at, r) for r in reviews if r.submitted_at is not None]
        ordered = sorted(said, key=lambda pair: pair[0])
        words = [remark.body.strip() for _, remark in ordered if _counts(remark, us)]
        return tuple(text[:LONGEST] for text in words if text)[-MOST_WORDS:]

    async def _comments(self, number: int) -> list[Comment]:
        return await self._client.every(f"/issues/{number}/comments", Comment, "read its comments")

    async def _us(self, pull: Pull) -> str:
        """Our account: who opened the pull request, where the token may not say."""
        if self._login is None:
            self._login = await self._client.login()
        return self._login or (pull.user.login if pull.user else "")


def lines(text: str | None) -> list[str]:
    """A text as it was meant: browsers send other line ends."""
    return (text or "").rstrip().splitlines()


def _by(user: User | None, login: str) -> bool:
    return user is not None and user.login == login


def _counts(remark: Comment | Review, us: str) -> bool:
    user = remark.user
    return user is not None and user.type == "User" and user.login != us and remark.author_association in INSIDERS
