"""The resolvers of the examples, Python and TypeScript, by the plain Langfuse SDKs: both say what the hash says."""

import ast
import json
import random
import runpy
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from langfuse import Langfuse
from opentelemetry.sdk.trace import TracerProvider

from optimizer.rollouts import Band, Split, canary, holdback, point
from sandbox.langfuse.app import create_app
from sandbox.serving import serve
from tests.node_packages import ran

pytestmark = pytest.mark.slow

Questions = Sequence[tuple[str, str]]
Resolve = Callable[[str, Questions], list[int]]

EXAMPLES = Path(__file__).parents[1] / "examples" / "resolver"
NODE_SCRIPT = Path(__file__).parent / "node" / "resolver.mjs"
SECRET = "sk-lf-sandbox"
MOST_LINES = 15
SPLITS = {
    "support": canary("support", "9f2c/8", version=8, share=0.1),
    "team/größe 客服": canary("team/größe 客服", "salt 客 \U0001f9c2", version=12, share=0.5),
    "promoted": holdback("promoted", "s", version=6, share=0.1),
    "thirds": Split(
        prompt="thirds",
        salt="t",
        bands=(Band(below=1 / 3, version=2), Band(below=2 / 3, version=0), Band(below=1.0, version=1)),
    ),
    "closed": Split(prompt="closed", salt="c"),
}
GOOD = {"format": 1, "salt": "s", "bands": [{"below": 1, "version": 8}]}
UNFIT: dict[str, object] = {
    "no JSON": "{",
    "a list": [],
    "another format": {**GOOD, "format": 2},
    "no format": {"salt": "s", "bands": GOOD["bands"]},
    "no salt": {"format": 1, "bands": GOOD["bands"]},
    "no bands": {"format": 1, "salt": "s"},
    "bands that end early": {**GOOD, "bands": [{"below": 0, "version": 8}]},
    "a version in words": {**GOOD, "bands": [{"below": 1, "version": "8"}]},
    "half a version": {**GOOD, "bands": [{"below": 1, "version": 8.5}]},
    "a version below zero": {**GOOD, "bands": [{"below": 1, "version": -8}]},
    "no version": {**GOOD, "bands": [{"below": 1}]},
}


def units() -> tuple[str, ...]:
    """Thousands of users: plain ids, and text of every plane that UTF-8 can carry."""
    chance = random.Random(7)
    letters = [*range(1, 0xD800), *range(0xE000, 0x110000)]
    strange = ("".join(map(chr, chance.choices(letters, k=chance.randint(1, 12)))) for _ in range(1000))
    return (*(f"user-{number}" for number in range(1000)), *strange, "a\0b", " ", "\U0001f600" * 50)


UNITS = units()


def expected(prompt: str, unit: str) -> int:
    split = SPLITS[prompt]
    return split.at(point(split.salt, unit))


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A Langfuse in which every split stands, as its flag service writes it."""
    key = public_key(request)
    with serve(create_app(tmp_path / "sandbox.db", public_key=key)) as url:
        with httpx.Client(base_url=url, auth=(key, SECRET)) as http:
            for prompt, split in SPLITS.items():
                bands = [{"below": band.below, "version": band.version} for band in split.bands]
                keep(http, prompt, {"format": 1, "salt": split.salt, "bands": bands})
            for name, content in UNFIT.items():
                keep(http, name, content)
            messages = [{"role": "system", "content": json.dumps(GOOD)}]
            sent = {"name": "rollouts/a chat", "type": "chat", "prompt": messages, "labels": ["production"]}
            http.post("/api/public/v2/prompts", json=sent).raise_for_status()
        yield url


def keep(http: httpx.Client, prompt: str, content: object) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    sent = {"name": f"rollouts/{prompt}", "type": "text", "prompt": text, "labels": ["production"]}
    http.post("/api/public/v2/prompts", json=sent).raise_for_status()


def by_python(url: str, public_key: str, questions: Questions, _: Path) -> list[int]:
    version_for: Callable[[Any, str, str], int] = runpy.run_path(str(EXAMPLES / "resolver.py"))["version_for"]
    with httpx.Client() as http:
        langfuse = Langfuse(
            public_key=public_key,  # the SDK keeps one connection per key, for ever
            secret_key=SECRET,
            base_url=url,
            tracer_provider=TracerProvider(),
            httpx_client=http,
        )
        answers = [version_for(langfuse, prompt, unit) for prompt, unit in questions]
        langfuse.shutdown()
        return answers


def by_typescript(url: str, public_key: str, questions: Questions, folder: Path) -> list[int]:
    given = {"client": {"publicKey": public_key, "secretKey": SECRET, "baseUrl": url}, "questions": questions}
    answers: list[int] = json.loads(
        ran(folder / "node", NODE_SCRIPT, EXAMPLES / "resolver.ts", given=json.dumps(given))
    )
    return answers


@pytest.fixture(params=[by_python, by_typescript])
def resolve(request: pytest.FixtureRequest, tmp_path: Path) -> Resolve:
    """Answers in one go; every test has a Langfuse and a key of its own."""
    return lambda url, questions: request.param(url, public_key(request), questions, tmp_path)


def public_key(request: pytest.FixtureRequest) -> str:
    return f"pk-{request.node.name}"


def test_thousands_of_users_get_what_the_hash_says(resolve: Resolve, server: str) -> None:
    questions = [(prompt, unit) for prompt in SPLITS for unit in UNITS]
    versions = [expected(prompt, unit) for prompt, unit in questions]
    assert {8, 12, 6, 2, 1, 0} == set(versions)
    assert resolve(server, questions) == versions


def test_whatever_is_wrong_it_is_production(resolve: Resolve, server: str) -> None:
    questions = [(name, unit) for name in (*UNFIT, "a chat", "never rolled out") for unit in ("u", "Zoë")]
    assert resolve(server, [*questions, ("support", "")]) == [0] * (len(questions) + 1)


def test_with_langfuse_away_it_is_production(resolve: Resolve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert resolve(closed, [("support", "u")]) == [0]


def test_both_fit_on_half_a_page() -> None:
    source = (EXAMPLES / "resolver.py").read_text()
    said = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    python = [line for number, line in enumerate(source.splitlines(), 1) if line.strip() and number not in said]
    script = [
        line for line in (EXAMPLES / "resolver.ts").read_text().splitlines() if line and not line.startswith("//")
    ]
    assert (len(python) <= MOST_LINES, len(script) <= MOST_LINES) == (True, True)
