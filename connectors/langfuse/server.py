"""Who is on the other side: version, project and clock. Asks twice, writes nothing."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import BaseModel, TypeAdapter

from connectors.langfuse.border import CHECK_ADDRESS, read
from connectors.langfuse.client import Answer, LangfuseClient
from connectors.langfuse.limiter import Bucket, UtcClock
from connectors.langfuse.settings import LangfuseAccess
from optimizer.errors import BadAnswer, BadCredentials, NotFound, Unsupported
from optimizer.ports import Clock

OLDEST = (4, 16)
"""The first version whose observations and scores endpoints were tried with this connector."""

BATCH_SCORES = (4, 59)
"""The first version that takes a list of scores in one POST."""


class _Health(BaseModel):
    version: str


class _Project(BaseModel):
    id: str


class _Projects(BaseModel):
    data: list[_Project]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A Langfuse server that can be worked with.

    Attributes:
        project_id: the project behind the keys, for links to traces.
        clock_ahead_s: the server's clock minus ours, good to about a second.
        batch_scores: False when scores must be written one by one.
    """

    version: str
    project_id: str
    clock_ahead_s: float
    batch_scores: bool


async def probe(access: LangfuseAccess, *, clock: Clock | None = None) -> Server:
    """Ask for the version, then for the project behind the keys.

    Raises:
        Unsupported: older than 4.16.
        BadCredentials: the keys are refused.
        Unreachable, BadAnswer: no Langfuse server there.
    """
    time = clock or UtcClock()
    async with LangfuseClient(access) as client:
        asked_at = time.now()
        try:
            health = await client.get("/api/public/health", bucket=Bucket.GENERAL)
        except NotFound as error:
            raise BadAnswer(f"{access.base_url} has no Langfuse API", CHECK_ADDRESS) from error
        ahead_s = _clock_ahead_s(health, asked_at, time.now())
        version = read(TypeAdapter(_Health), health.body, host=access.base_url).version
        numbers = _numbers(version, access.base_url)
        if numbers < OLDEST:
            raise Unsupported(f"{access.base_url} runs Langfuse {version}", "upgrade it to 4.16 or newer")
        answer = await client.get("/api/public/projects", bucket=Bucket.GENERAL)
        projects = read(TypeAdapter(_Projects), answer.body, host=access.base_url).data
    if not projects:
        raise BadCredentials("the Langfuse keys belong to no project", "create keys in the project's settings")
    return Server(
        version=version,
        project_id=projects[0].id,
        clock_ahead_s=ahead_s,
        batch_scores=numbers >= BATCH_SCORES,
    )


def _numbers(version: str, host: str) -> tuple[int, int]:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if found is None:
        raise BadAnswer(f"{host} says that its version is '{version[:40]}'", CHECK_ADDRESS)
    return int(found[1]), int(found[2])


def _clock_ahead_s(answer: Answer, asked_at: datetime, answered_at: datetime) -> float:
    """From the Date header, which has whole seconds: half a second is its mean error."""
    try:
        theirs = parsedate_to_datetime(answer.date)
    except ValueError:
        return 0.0  # no header, no finding
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    return (theirs - (asked_at + (answered_at - asked_at) / 2)).total_seconds() + 0.5
