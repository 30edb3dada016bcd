"""GitHub's published description as a check around an application: all requests and all good answers are held to it."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DESCRIPTION: dict[str, Any] = json.loads(Path(__file__).with_name("github_openapi.json").read_text("utf-8"))
OPERATIONS: dict[str, Any] = DESCRIPTION["operations"]


def validator(schema: Any) -> jsonschema_rs.Draft202012Validator:
    """A schema of the description, with what it refers to."""
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": DESCRIPTION["components"]}, validate_formats=True
    )


def shape_of(path: str) -> str:
    """A path of the description as a regular expression; paths of files and branches hold slashes."""
    return re.sub(r"\\\{(\w+)\\\}", lambda m: "(.+)" if m[1] in ("path", "ref") else "([^/]+)", re.escape(path))


PATHS = [(name, *name.split(" ", 1)) for name in OPERATIONS]
COMPILED = [(name, method.upper(), re.compile(shape_of(path))) for name, method, path in PATHS]
BODIES = {name: validator(operation["body"]) for name, operation in OPERATIONS.items() if operation["body"]}
ANSWERS = {
    (name, int(status)): validator(schema)
    for name, operation in OPERATIONS.items()
    for status, schema in operation["answers"].items()
    if schema
}


def operation_of(method: str, path: str) -> str:
    """The operation that a request is; the most specific one, empty for none."""
    found = [(len(shape.pattern), name) for name, verb, shape in COMPILED if verb == method and shape.fullmatch(path)]
    return max(found, default=(0, ""))[1]


class Held:
    """An application whose traffic is checked. `seen` are the operations, `wrong` what broke the description."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.seen: set[str] = set()
        self.wrong: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/sandbox/"):
            await self._app(scope, receive, send)
            return
        name = operation_of(scope["method"], scope["path"].removeprefix("/api/v3"))
        given, answered, status = bytearray(), bytearray(), 0

        async def heard() -> Message:
            message = await receive()
            given.extend(message.get("body", b""))
            return message

        async def said(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            answered.extend(message.get("body", b""))
            await send(message)

        await self._app(scope, heard, said)
        self.check(name or f"{scope['method']} {scope['path']}", scope["query_string"], bytes(given), status, answered)

    def check(self, name: str, query: bytes, given: bytes, status: int, answered: bytes) -> None:
        """Note what is wrong with one exchange."""
        self.seen.add(name)
        if name not in OPERATIONS:
            self.wrong.append(f"{name}: not in the description that we keep")
            return
        names = {part.partition(b"=")[0].decode() for part in query.split(b"&") if part}
        self.wrong += [f"{name}: ?{extra}" for extra in names - OPERATIONS[name]["query"].keys()]
        if bool(given) != (name in BODIES):
            self.wrong.append(f"{name}: a body, or none, against the description")
        elif given:
            self.wrong += [f"{name}: {e.message}" for e in BODIES[name].iter_errors(json.loads(given))]
        if 200 <= status < 300:
            answer = ANSWERS.get((name, status))
            errors = answer.iter_errors(json.loads(bytes(answered))) if answer else ()
            self.wrong += [f"{name}: answered {e.message[:300]} at {e.instance_path}" for e in errors]
            self.wrong += [] if answer else [f"{name}: {status} is not in the description"]
