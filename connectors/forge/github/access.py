"""How to reach one repository on GitHub. It must never appear in a log: it holds the token."""

import re
from dataclasses import dataclass, field

import httpx

from connectors.forge.naming import Author
from optimizer.errors import BadSettings

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubAccess:
    """One repository behind one token.

    Attributes:
        base_url: `https://api.github.com`, or `https://HOST/api/v3` for an Enterprise server.
        repository: `owner/name`.
        branch: what pull requests are opened against.
        author: `Name <address>` of our commits; a commit by anybody else is a person's.
        labels: put on every pull request.

    Raises:
        BadSettings: one of them cannot be right.
    """

    repository: str
    token: str = field(repr=False)
    base_url: str = "https://api.github.com"
    branch: str = "main"
    author: str = "Tracegrad <tracegrad@localhost>"
    labels: tuple[str, ...] = ()
    timeout_s: float = 20.0

    def __post_init__(self) -> None:
        """Say what is wrong before anything is sent."""
        if not _REPOSITORY.fullmatch(self.repository) or {".", ".."} & set(self.repository.split("/")):
            raise BadSettings("`forge.repository` names no repository", "write it as in `owner/name`")
        if not self.token or not self.token.isascii() or not self.token.isprintable():
            raise BadSettings("`forge.token` is missing or no token", "set it to a token for the repository")
        if not self.branch:
            raise BadSettings("`forge.branch` is empty", "name the branch that pull requests are merged into")
        try:
            address = httpx.URL(self.base_url)
        except httpx.InvalidURL as error:
            raise BadSettings("`forge.base_url` is no address", "write it like https://HOST/api/v3") from error
        if address.scheme not in ("http", "https") or not address.host or address.userinfo:
            raise BadSettings("`forge.base_url` is no address", "write it like https://HOST/api/v3")
        Author.of(self.author)

    @property
    def owner(self) -> str:
        """The user or organisation that the repository belongs to."""
        return self.repository.partition("/")[0]

    @property
    def host(self) -> str:
        """The server, for people."""
        return httpx.URL(self.base_url).host
