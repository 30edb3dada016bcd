"""How to reach one Langfuse project, and what may be read from it. It must never appear in a log: it holds the keys."""

import re
from base64 import b64encode
from dataclasses import dataclass, field

from optimizer.errors import BadSettings

_ENVIRONMENT = re.compile(r"[a-z0-9_-]{1,40}")

_EXPERIMENTS = frozenset({"sdk-experiment", "langfuse-prompt-experiment"})
"""Where Langfuse and its SDK file experiment runs: test traffic, never a production signal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LangfuseAccess:
    """One project behind one pair of keys.

    Attributes:
        environments: the allow-list; nothing outside it is ever returned.
        own_environment: where our own traces are filed; may not be in the allow-list.
        own_tag: rows with this tag are our own, whatever their environment.
        source_secret: the HMAC key under which users and sessions are hashed.
        requests_per_minute: for each of Langfuse's rate-limit buckets; 0 means no limit. The smallest plan allows 30.
        score_page: rows per page of scores; the server refuses more than 100.
        observation_page: rows per page of generations; with their texts, a page must stay under 5 MB.
        exposure_page: rows per page of generations without their texts; the server refuses more than 1000.

    Raises:
        BadSettings: the address is not one, or the allow-list holds what must never be read.
    """

    base_url: str
    public_key: str
    secret_key: str = field(repr=False)
    source_secret: bytes = field(repr=False)
    environments: tuple[str, ...] = ("production", "default")
    own_environment: str = "tracegrad"
    own_tag: str = "tracegrad"
    requests_per_minute: float = 20.0
    timeout_s: float = 60.0
    score_page: int = 100
    observation_page: int = 200
    exposure_page: int = 1000

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise BadSettings(
                f"'{self.base_url}' is not an address of a Langfuse server",
                "give one that begins with https:// or http://",
            )
        if not self.environments:
            raise BadSettings("no Langfuse environment may be read", "name at least one under `langfuse.environments`")
        for name in self.environments:
            if not _ENVIRONMENT.fullmatch(name):
                raise BadSettings(
                    f"'{name}' cannot be a Langfuse environment",
                    "use up to 40 lower-case letters, digits, dashes and underscores",
                )
            if name == self.own_environment or name in _EXPERIMENTS:
                raise BadSettings(
                    f"the environment '{name}' holds our own traces or experiments, not production",
                    "remove it from `langfuse.environments`",
                )

    @property
    def authorization(self) -> str:
        """The header's value, which is as secret as the keys."""
        return "Basic " + b64encode(f"{self.public_key}:{self.secret_key}".encode()).decode("ascii")

    def url(self, path: str) -> str:
        """The absolute address of an API path, which begins with a slash."""
        return self.base_url.rstrip("/") + path
