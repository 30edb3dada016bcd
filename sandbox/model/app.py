"""The simulated model behind the OpenAI wire format: POST /v1/chat/completions and /v1/embeddings, GET /v1/models.

For tests, benchmarks and the demo. Its numbers say how our software behaves and nothing about a real model. It must
only be served on the loopback interface.
"""

import asyncio
import hmac
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from json import JSONDecodeError
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.model.chance import draw
from sandbox.model.embedding import embeddings
from sandbox.model.pairwise import always_first
from sandbox.model.reading import Lab, Shuffle
from sandbox.model.roles import ROLES, perform
from sandbox.model.shapes import task_in
from sandbox.model.troubles import Trouble, Troubles
from sandbox.model.wire import EMBEDDER, MODELS, Call, Refusal, completion, garbled, read_call
from sandbox.model.world import World

API_KEY = "sk-sandbox"
_BAD_KEY = Refusal(status=401, message="Incorrect API key provided.", code="invalid_api_key")


@dataclass(slots=True, kw_only=True)
class Counts:
    """What the server has seen since it started.

    Attributes:
        first_at, last_at: when the first and the last request came, in seconds of the machine's monotonic clock.
        prompts: for every prompt of a task call, when it came first and the number of that task call.
    """

    calls: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    faults: int = 0
    garbled: int = 0
    in_flight: int = 0
    in_flight_max: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    prompts: dict[str, tuple[float, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedModel:
    """The server's state and switches; `create_app` explains them."""

    lab: Lab
    latency_s: float
    structured: bool
    garble: float
    faults: float
    troubles: Troubles
    counts: Counts = field(default_factory=Counts)

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        try:
            _check_key(request)
            call = read_call(await _json(request), structured=self.structured)
        except Refusal as refusal:
            return refusal.response()
        counts = self.counts
        self._note(call)
        counts.in_flight += 1
        counts.in_flight_max = max(counts.in_flight_max, counts.in_flight)
        try:
            if self.latency_s:
                await asyncio.sleep(self.latency_s)
            return self._answer(call)
        finally:
            counts.in_flight -= 1

    def _note(self, call: Call) -> None:
        counts, now = self.counts, time.monotonic()
        counts.first_at, counts.last_at = counts.first_at or now, now
        if call.kind == "task":
            counts.prompts.setdefault(task_in(call)[0], (now, counts.calls["task"] + 1))

    def _answer(self, call: Call) -> Response:
        counts = self.counts
        counts.calls[call.kind] += 1
        counts.attempts[call.digest] += 1
        attempt = counts.attempts[call.digest]
        chance = draw("fault", self.lab.seed, call.digest, attempt)
        if chance < self.faults:
            counts.faults += 1
            return (_OVERLOADED if chance < self.faults / 2 else _BROKEN).response()
        trouble = self.troubles.strikes(model=call.model, kind=call.kind, system=call.system)
        if trouble is Trouble.ERROR:
            return _BROKEN.response()
        text = _SAID_IN_TROUBLE[trouble] if trouble in _SAID_IN_TROUBLE else self._performed(call, attempt)
        body = completion(call, text)
        counts.prompt_tokens += body["usage"]["prompt_tokens"]
        counts.completion_tokens += body["usage"]["completion_tokens"]
        return JSONResponse(body)

    def _performed(self, call: Call, attempt: int) -> str:
        counts = self.counts
        if self.troubles.first_place and call.kind == "preference":
            return json.dumps(always_first())
        text = perform(self.lab, call, attempt=attempt)
        if call.kind in ROLES and draw("garble", self.lab.seed, call.digest, attempt) < self.garble:
            counts.garbled += 1
            text = garbled(text, draw("garble kind", self.lab.seed, call.digest, attempt))
        return text

    async def embed(self, request: Request) -> Response:
        """POST /v1/embeddings."""
        try:
            _check_key(request)
            made = embeddings(await _json(request))
        except Refusal as refusal:
            return refusal.response()
        counts = self.counts
        counts.calls["embedding"] += 1
        counts.prompt_tokens += made["usage"]["prompt_tokens"]
        if self.troubles.strikes(model=EMBEDDER, kind="embedding", system="") is Trouble.ERROR:
            return _BROKEN.response()
        return JSONResponse(made)

    async def trouble(self, request: Request) -> Response:
        """/sandbox/troubles: show the switches, after setting those named in the body of a POST; without a key."""
        try:
            if request.method == "POST":
                self.troubles.update(await _json(request))
        except ValueError as problem:
            return JSONResponse({"message": str(problem)}, 400)
        except Refusal as refusal:
            return refusal.response()
        return JSONResponse(self.troubles.settings)

    async def models(self, request: Request) -> Response:
        """GET /v1/models."""
        try:
            _check_key(request)
        except Refusal as refusal:
            return refusal.response()
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "simulated"} for name in (*MODELS, EMBEDDER)]
        return JSONResponse({"object": "list", "data": data})

    async def seen(self, _request: Request) -> Response:
        """GET /sandbox/calls: counts for tests and benchmarks, without a key."""
        counts = self.counts
        return JSONResponse(
            {
                "calls": dict(counts.calls),
                "total": counts.calls.total(),
                "prompt_tokens": counts.prompt_tokens,
                "completion_tokens": counts.completion_tokens,
                "faults": counts.faults,
                "garbled": counts.garbled,
                "repeated": sum(times > 1 for times in counts.attempts.values()),
                "in_flight": counts.in_flight,
                "in_flight_max": counts.in_flight_max,
            }
        )

    async def prompts(self, _request: Request) -> Response:
        """GET /sandbox/prompts: which prompts were tried and when, without a key."""
        counts = self.counts
        tried = [{"text": text, "at": at, "task_call": number} for text, (at, number) in counts.prompts.items()]
        return JSONResponse({"first_at": counts.first_at, "last_at": counts.last_at, "prompts": tried})


_OVERLOADED = Refusal(
    status=429, message="Rate limit reached (simulated).", code="rate_limit_exceeded", retry_after="0"
)
_SAID_IN_TROUBLE = {Trouble.EMPTY: "", Trouble.BABBLE: "It depends on how one looks at it, I would say."}
_BROKEN = Refusal(status=500, message="The server had an error (simulated).", code="server_error")


def create_app(
    *,
    seed: int = 7,
    latency_s: float = 0.0,
    world: World | None = None,
    structured: bool = True,
    fenced_obedience: float = 0.3,
    garble: float = 0.0,
    faults: float = 0.0,
    shuffle: Shuffle = Shuffle.NONE,
    troubles: Troubles | None = None,
) -> Starlette:
    """The simulated model as an ASGI application.

    Args:
        seed: the same seed gives the same answers in every process.
        latency_s: how long every answer takes.
        world: the hidden rules; the demo's support shop when not given.
        structured: False answers 400 to `response_format` json_schema, as servers without it do.
        fenced_obedience: how often critic and rewriter obey an order found inside a data block, [0, 1].
        garble: share of structured replies that are malformed, [0, 1]; another attempt draws anew.
        faults: share of requests answered with 429 or 500, [0, 1]; another attempt draws anew.
        shuffle: whether the critic answers about other traces than it is shown, as a control.
        troubles: further switches, which can be set over HTTP, too; the application keeps this very object.
    """
    lab = Lab(world=world or World.support(), seed=seed, fenced_obedience=fenced_obedience, shuffle=shuffle)
    model = SimulatedModel(
        lab=lab,
        latency_s=latency_s,
        structured=structured,
        garble=garble,
        faults=faults,
        troubles=troubles or Troubles(),
    )
    return Starlette(
        routes=[
            Route("/v1/chat/completions", model.chat, methods=["POST"]),
            Route("/v1/embeddings", model.embed, methods=["POST"]),
            Route("/v1/models", model.models),
            Route("/sandbox/calls", model.seen),
            Route("/sandbox/prompts", model.prompts),
            Route("/sandbox/troubles", model.trouble, methods=["GET", "POST"]),
        ]
    )


def _check_key(request: Request) -> None:
    given = request.headers.get("authorization", "").encode()
    if not hmac.compare_digest(given, f"Bearer {API_KEY}".encode()):
        raise _BAD_KEY


async def _json(request: Request) -> Any:
    try:
        return await request.json()
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise Refusal(status=400, message="The body is not JSON.", code="invalid_json") from error
