"""Wrong keys, broken servers, odd prompts: one clear sentence, the right exit code, and a registry left as it was."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.model.world import World
from sandbox.scenario.customers import Stream, feedback, questions
from sandbox.scenario.otlp import Generated
from sandbox.scenario.project import LangfuseProject
from sandbox.scenario.support import Answered, Question
from sandbox.serving import serve
from tests.acceptance.harness import GATE, ROOT, TRACEGRAD, Place, Sandbox, environment, sandbox, tracegrad

pytestmark = pytest.mark.slow

DONE, USAGE, OUTSIDE, COULD_NOT_RUN, INTERRUPTED = 0, 2, 3, 12, 130

CHAT = 'team/support "Käse" 2'
LONELY = "never-used"
QUESTIONS = 120


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("bad-input")) as world:
        auth = (world.public_key, world.secret_key)
        with httpx.Client(base_url=world.langfuse, auth=auth, timeout=30) as langfuse:
            body = {"name": LONELY, "type": "text", "prompt": "Be kind.", "labels": ["production"]}
            langfuse.post("/api/public/v2/prompts", json=body).raise_for_status()
        yield world


@pytest.fixture
def place(shared: Sandbox, tmp_path: Path) -> Place:
    return Place(shared, tmp_path)


def answering(body: bytes, media_type: str = "application/json", status: int = 200) -> Starlette:
    """A server that says the same to everybody."""

    async def answer(_request: Request) -> Response:
        return Response(body, status_code=status, media_type=media_type)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "PATCH"])])


def refused(place: Place, config: Path, arguments: tuple[str, ...], code: int, *said: str) -> str:
    """Run a command that must fail with one sentence, and leave the registry alone."""
    before = place.versions()
    done = tracegrad(*arguments, config=config)
    everything = done.stdout + done.stderr
    assert done.returncode == code, everything
    for words in said:
        assert words in everything
    assert "Traceback" not in everything
    assert "this is a bug" not in everything
    if code in (USAGE, OUTSIDE):
        [sentence] = [line for line in done.stderr.splitlines() if not line.endswith(" ...")]
        assert sentence.startswith("tracegrad: ")
        assert sentence.endswith(".")
    assert place.versions() == before
    return everything


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"langfuse__secret_key": "sk-lf-wrong"}, OUTSIDE, "refused the keys; check LANGFUSE_PUBLIC_KEY"),
        ({"langfuse__secret_key": ""}, USAGE, "set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY."),
        ({"langfuse__host": "http://127.0.0.1:9"}, OUTSIDE, "cannot reach Langfuse at http://127.0.0.1:9"),
        ({"langfuse__host": "langfuse"}, USAGE, "give one that begins with https:// or http://."),
        ({"model__api_key": "sk-wrong"}, COULD_NOT_RUN, "refused the API key"),
        ({"model__critic": "gpt-0"}, COULD_NOT_RUN, "knows no model 'gpt-0'"),
        ({"model__task": ""}, USAGE, "set `model.task` in tracegrad.yaml."),
        ({"prompt__label": "staging"}, COULD_NOT_RUN, "has the label 'staging'; set the label in Langfuse"),
        (
            {"node_dir": "nowhere", "prompt__gate": {**GATE, "assertions": [{"type": "contains", "value": "x"}]}},
            OUTSIDE,
            "run `tracegrad setup-node`",
        ),
        ({"state_dir": "/dev/null/state"}, USAGE, "set `state_dir` to a directory that you may write to."),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
def test_once_says_what_is_wrong(place: Place, changes: dict[str, Any], code: int, said: str) -> None:
    refused(place, place.settings(**changes), ("once", "support-assistant"), code, said)


@pytest.mark.parametrize(
    ("body", "media_type", "status", "said"),
    [
        (b"<html>Welcome</html>", "text/html", 200, "answered HTML where JSON was promised"),
        (b'{"version": "\xff\xfe"}', "application/json", 200, "answered text that is not UTF-8"),
        (b"{{{", "application/json", 200, "something that is not Langfuse's API"),
        (b'{"status": "OK", "version": "3.80.1"}', "application/json", 200, "upgrade it to 4.16 or newer."),
        (b"oops", "text/plain", 500, "failed with status 500"),
    ],
    ids=["html", "utf8", "json", "old", "500"],
)
def test_a_host_that_is_no_langfuse(place: Place, body: bytes, media_type: str, status: int, said: str) -> None:
    with serve(answering(body, media_type, status)) as url:
        refused(place, place.settings(langfuse__host=url), ("once", "support-assistant"), OUTSIDE, said)


GARBAGE = {
    "id": "x",
    "object": "chat.completion",
    "created": 0,
    "model": "sim",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "lorem ipsum"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


@pytest.mark.parametrize(
    ("body", "media_type", "said"),
    [
        (json.dumps(GARBAGE).encode(), "application/json", "calls of the critic failed"),
        (b"<html></html>", "text/html", "check the model's base_url"),
        (b"\xff\xfe", "application/json", "check the model's base_url"),
    ],
    ids=["garbage", "html", "utf8"],
)
def test_a_model_that_answers_garbage(place: Place, body: bytes, media_type: str, said: str) -> None:
    with serve(answering(body, media_type)) as url:
        config = place.settings(model__base_url=f"{url}/v1")
        refused(place, config, ("once", "support-assistant"), COULD_NOT_RUN, "failed\n", said)


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("ghost", COULD_NOT_RUN, "no version of prompt 'ghost' has the label 'production'"),
        (LONELY, COULD_NOT_RUN, f"no generation in the last 30 days is linked to {LONELY}; pass `prompt=`"),
    ],
)
def test_a_prompt_without_data(place: Place, name: str, code: int, said: str) -> None:
    refused(place, place.settings(prompt__name=name), ("once", name), code, said)


def test_no_complaints_is_not_a_failure(place: Place) -> None:
    rules = [{"kind": "numeric", "score": "nobody-uses-this", "below": 0.5}]
    config = place.settings(prompt__rules=rules)
    refused(place, config, ("once", "support-assistant"), DONE, "nothing to do: no complaints about version 1")


def test_settings_and_arguments(place: Place) -> None:
    config = place.settings()
    refused(place, config, ("once", "nobody"), USAGE, "'nobody' is not registered (registered: support-assistant)")
    refused(place, config, ("show", "no@cycle"), OUTSIDE, "there is no cycle 'no@cycle'; list the cycles with")
    for text, said in (
        ("langfuse: {hots: x}", "langfuse.hots: unknown key; correct it"),
        ("langfuse: [", "is not valid YAML in line 1; mend it"),
    ):
        config.write_text(text)
        refused(place, config, ("status",), USAGE, said)
    refused(place, place.folder / "none.yaml", ("status",), USAGE, "run `tracegrad init` to write one.")


def test_a_database_that_is_none(place: Place) -> None:
    config = place.settings()
    (place.folder / "state").mkdir()
    (place.folder / "state" / "tracegrad.db").write_text("Dear diary, " * 500)
    refused(place, config, ("run",), USAGE, "file is not a database", "or set another `state_dir`.")


def test_the_daemon_refuses_a_port_in_use_and_no_prompts(place: Place) -> None:
    port = int(place.world.langfuse.rpartition(":")[2])
    refused(place, place.settings(web__port=port), ("run",), USAGE, "Address already in use", "set another `web.port`")
    refused(place, place.settings(prompts=[]), ("run",), USAGE, "no prompt is registered; add one under `prompts`")


def test_the_demo_leaves_other_peoples_settings_alone(place: Place) -> None:
    config = place.settings()
    mine = config.read_text()
    (place.folder / "state").mkdir()
    done = tracegrad("demo", "--fresh", "--folder", place.folder, cwd=ROOT)
    assert done.returncode == USAGE
    assert "is not the demo's; choose an empty folder with `--folder`." in done.stderr
    assert config.read_text() == mine
    assert (place.folder / "state").is_dir()


def test_an_interrupted_cycle_goes_on_later(place: Place) -> None:
    """Ctrl-C in mid-cycle, then two runs at the same time: every cycle ends, and nothing is published by a dry run."""
    changes = {"replayed": 0, "claim": False}  # three claims would need more sealed cases than there are
    config = place.settings(
        prompt__gate=GATE | changes, prompt__release={"policy": "observe"}, prompt__max_complaints=200
    )
    before = place.versions()
    command = [str(TRACEGRAD), "--config", str(config), "once", "support-assistant", "--dry-run"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as first:
        assert first.stderr is not None
        while "Turning complaints" not in (line := first.stderr.readline()):
            assert line, "it ended before it could be interrupted"
        first.send_signal(signal.SIGINT)
        out, said = first.communicate(timeout=60)
    assert first.returncode == INTERRUPTED
    assert out == ""
    assert said.splitlines()[-1].startswith("tracegrad: interrupted; a cycle that was running goes on with the next")
    assert "Traceback" not in said

    piped = f"'{TRACEGRAD}' --config '{config}' status | head -1"
    assert subprocess.run(["bash", "-o", "pipefail", "-c", piped], capture_output=True, check=True).stderr == b""
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) for _ in range(2)]
    assert [process.communicate(timeout=240) and process.returncode for process in both] == [DONE, DONE]
    cycles = json.loads(tracegrad("--json", "status", config=config).stdout)["cycles"]
    ends = [(cycle["state"], cycle["verdict"]) for cycle in cycles]
    assert ends == [("done", "pass")] * 3, "the interrupted one, and two that found its complaints unused"
    assert place.versions() == before


def test_a_chat_prompt_with_placeholders_and_a_comment_of_a_megabyte(place: Place) -> None:
    asyncio.run(seed_chat(place.world))
    rules = [{"kind": "numeric", "score": "user-feedback", "below": 0.5}, {"kind": "correction"}]
    gate = {
        "datasets": ["chat-regression"],
        "sealed_datasets": ["chat-sealed"],
        "replayed": 60,
        "evaluator": "contains",
        "latency_margin": 20,
    }
    config = place.settings(prompt__name=CHAT, prompt__rules=rules, prompt__gate=gate)
    doctor = tracegrad("doctor", config=config)
    assert doctor.returncode == DONE, doctor.stdout
    assert f"of {QUESTIONS} recorded inputs can be replayed" in doctor.stdout
    # a greeting before the question may be the placeholder's or the start of a conversation: nobody can know
    assert "not: the messages can be assigned to the prompt in more than one way" in doctor.stdout
    done = tracegrad("once", CHAT, config=config)
    assert done.returncode == DONE, done.stdout + done.stderr
    approved = tracegrad("approve", CHAT, config=config)
    assert approved.returncode == DONE, approved.stdout + approved.stderr
    assert place.versions()[CHAT][0] == [1, 2]
    new = place.world.get(f"/api/public/v2/prompts/{quote(CHAT, safe='')}")
    assert new["version"] == 2
    assert [part.get("name") or part["role"] for part in new["prompt"]] == ["system", "history", "user"]
    assert new["prompt"][2]["content"] == "{{question}}"
    assert "{{shop_name}}" in new["prompt"][0]["content"]


async def seed_chat(sandbox: Sandbox) -> None:
    """A chat prompt that production used, with complaints and a dataset."""
    world = World.support()
    now = datetime.now(UTC)
    stream = Stream(name="chat", seed=11, start=now - timedelta(days=3), end=now - timedelta(minutes=20), users=100)
    prompt = [
        {"role": "system", "content": world.base_prompt},
        {"type": "placeholder", "name": "history"},
        {"role": "user", "content": "{{question}}"},
    ]
    async with LangfuseProject(
        sandbox.langfuse, public_key=sandbox.public_key, secret_key=sandbox.secret_key
    ) as project:
        await project._post(
            "/api/public/v2/prompts", {"name": CHAT, "type": "chat", "prompt": prompt, "labels": ["production"]}
        )
        async with httpx.AsyncClient(
            base_url=sandbox.model, headers={"authorization": f"Bearer {sandbox.api_key}"}, timeout=60
        ) as model:
            asked = questions(world, stream, QUESTIONS)
            generated = await asyncio.gather(*(ask(model, world.base_prompt, question) for question in asked))
        await project.record(generated)
        answered = [
            Answered(question=question, output=one.output, prompt_version=1, observation_id=one.observation_id)
            for question, one in zip(asked, generated, strict=True)
        ]
        scores = feedback(world, stream, answered)
        low = next(score for score in scores if score["name"] == "user-feedback" and float(str(score["value"])) < 0.5)
        low["comment"] = "It went on and on. " * 55_000
        await project.score([low])  # alone: the server takes a megabyte a request
        await project.score([score for score in scores if score is not low])
        for name, count in (("chat-regression", 115), ("chat-sealed", 60)):
            await project.create_dataset(name, description="Simulated")
            for number, case in enumerate(world.cases(count, seed=3, stream=name)):
                variables = {"shop_name": "Larkspur Garden", "question": case.question}
                await project.put_dataset_item(
                    {
                        "id": f"{name}-{number:03d}",
                        "datasetName": name,
                        "input": {"variables": variables, "placeholders": {"history": []}},
                        "expectedOutput": case.expected,
                    }
                )


async def ask(model: httpx.AsyncClient, system: str, question: Question) -> Generated:
    """One answer of an application that fills the chat prompt, half of the time with a greeting before the question."""
    greeting = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day!"}]
    history = greeting if int(question.trace_id[:2], 16) % 2 else []
    messages = [
        {"role": "system", "content": system.replace("{{shop_name}}", question.shop_name)},
        *history,
        {"role": "user", "content": question.text},
    ]
    answer = await model.post("chat/completions", json={"model": "sim-task", "messages": messages})
    answer.raise_for_status()
    return Generated(
        trace_id=question.trace_id,
        observation_id=question.trace_id[16:],
        at=question.at,
        duration=timedelta(seconds=1),
        user=question.user,
        session=question.session,
        environment="production",
        prompt_name=CHAT,
        prompt_version=1,
        messages_json=json.dumps(messages),
        question=question.text,
        output=answer.json()["choices"][0]["message"]["content"],
        model="sim-task",
        input_tokens=1,
        output_tokens=1,
    )
