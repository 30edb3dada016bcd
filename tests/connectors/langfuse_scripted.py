"""A Langfuse server that answers as a test says, and remembers what it was asked. Real HTTP on 127.0.0.1."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.langfuse.limiter import RateLimiter
from connectors.langfuse.settings import LangfuseAccess
from optimizer.rules import NumericRule
from optimizer.types import Window
from sandbox.serving import serve

START = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = Window(start=START, end=START + timedelta(days=1))
RULE = NumericRule(name="helpful", threshold=0.5)


def access_to(url: str, **changes: Any) -> LangfuseAccess:
    fields = {"public_key": "pk-lf-sandbox", "secret_key": "sk-lf-sandbox", "source_secret": b"s"}
    return LangfuseAccess(**{"base_url": url, "requests_per_minute": 0, **fields, **changes})


class Naps:
    """A limiter that notes its sleeps on a clock of its own."""

    def __init__(self) -> None:
        self.at = START
        self.naps: list[float] = []
        self.limiter = RateLimiter(0, clock=self, sleep=self.sleep)

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.at += timedelta(seconds=seconds)


class Asked(list[Request]):
    """The requests so far."""

    @property
    def limits(self) -> list[int]:
        return [int(request.query_params["limit"]) for request in self]

    @property
    def ports(self) -> list[int]:
        return [request.client.port for request in self if request.client]


@contextmanager
def answering(answer: Callable[[Request], Response]) -> Iterator[tuple[str, Asked]]:
    asked = Asked()

    async def respond(request: Request) -> Response:
        await request.body()
        asked.append(request)
        return answer(request)

    app = Starlette(routes=[Route("/{path:path}", respond, methods=["GET", "POST", "PATCH"])])
    with serve(app) as url:
        yield url, asked


def page(*rows: Any, cursor: str | None = None) -> Response:
    return JSONResponse({"data": list(rows), "meta": {"limit": 100, **({"cursor": cursor} if cursor else {})}})


def score_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    at = (START + timedelta(hours=23, seconds=-number)).isoformat()
    row = {
        "id": f"s{number}",
        "projectId": "p",
        "name": "helpful",
        "value": 0.1,
        "dataType": "NUMERIC",
        "source": "API",
        "timestamp": at,
        "environment": "production",
        "createdAt": at,
        "updatedAt": at,
        "comment": None,
        "subject": {"kind": "trace", "id": f"t{number}"},
    }
    return {**row, **changes}


def observation_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "id": f"o{number}",
        "traceId": f"t{number}",
        "type": "GENERATION",
        "startTime": (START + timedelta(hours=22, seconds=-number)).isoformat(),
        "environment": "production",
        "input": "in",
        "output": "out",
        "promptName": "p",
        "promptVersion": 3,
        "userId": "",
        "sessionId": "",
        "tags": [],
    }
    return {**row, **changes}
