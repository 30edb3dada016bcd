"""Real processes for the acceptance tests: a sandbox, a settings file, and `tracegrad` run as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

ROOT = Path(__file__).resolve().parents[2]
TRACEGRAD = Path(sys.executable).parent / "tracegrad"
PATIENCE_S = 240.0
"""How long a test waits for something that takes seconds on an idle machine."""

SETTINGS = """\
langfuse: {{host: {langfuse}, public_key: {public_key}, secret_key: {secret_key}, requests_per_minute: 0}}
model: {{base_url: {model}, api_key: {api_key}, task: sim-task, critic: sim-critic, judge: sim-judge,
        concurrency: {concurrency}}}
prompts:
  - name: support-assistant
    schedule: "{schedule}"
    rules:
      - {{kind: numeric, score: user-feedback, below: 0.5}}
      - {{kind: boolean, score: resolved, bad: false}}
      - {{kind: correction}}
    gate: {{datasets: [support-regression], replayed: 60, sealed: 100, evaluator: contains, attacks: false,
           latency_margin: 20}}
state_dir: {state}
node_dir: {node}
web: {{port: {port}}}
"""

GATE = {
    "datasets": ["support-regression"],
    "replayed": 60,
    "sealed": 100,
    "evaluator": "contains",
    "attacks": False,  # hundreds of calls, which have a test of their own
    "export": False,
    "latency_margin": 20,  # a simulated model answers at once: what would be compared is this machine's noise
}


@dataclass(frozen=True)
class Sandbox:
    """A running simulated world and where it listens."""

    langfuse: str
    model: str
    public_key: str
    secret_key: str
    api_key: str

    def get(self, path: str, **params: Any) -> Any:
        """A Langfuse answer, as JSON."""
        answer = httpx.get(self.langfuse + path, params=params, auth=(self.public_key, self.secret_key), timeout=30)
        answer.raise_for_status()
        return answer.json()

    def calls(self) -> dict[str, Any]:
        """What the simulated model was asked so far."""
        answer: dict[str, Any] = httpx.get(self.model.removesuffix("/v1") + "/sandbox/calls", timeout=30).json()
        return answer

    def trouble(self, **switches: Any) -> None:
        """Have the simulated model misbehave; see `sandbox.model.troubles`."""
        url = self.model.removesuffix("/v1") + "/sandbox/troubles"
        httpx.post(url, json=switches, timeout=30).raise_for_status()

    def versions(self) -> list[int]:
        """Version numbers of the demo's prompt."""
        rows = self.get("/api/public/v2/prompts", name="support-assistant")["data"]
        return sorted(rows[0]["versions"])


@dataclass(frozen=True)
class Place:
    """The sandbox that all cases share, and a folder of one case's own."""

    world: Sandbox
    folder: Path

    def settings(self, **changes: Any) -> Path:
        """A settings file; `langfuse__host=...` changes one key, `prompt__label=...` one of the only prompt.

        With `gate__...` it is one of that prompt's gate.
        """
        world = self.world
        prompt: dict[str, Any] = {
            "name": "support-assistant",
            "rules": [{"kind": "numeric", "score": "user-feedback", "below": 0.5}],
            "gate": {**GATE},
        }
        content: dict[str, Any] = {
            "langfuse": {
                "host": world.langfuse,
                "public_key": world.public_key,
                "secret_key": world.secret_key,
                "requests_per_minute": 0,
            },
            "model": {
                "base_url": world.model,
                "api_key": world.api_key,
                "task": "sim-task",
                "critic": "sim-critic",
                "judge": "sim-judge",
            },
            "prompts": [prompt],
            "state_dir": str(self.folder / "state"),
            "node_dir": str(ROOT / ".node"),
            "web": {"port": 0},
        }
        for path, value in changes.items():
            *sections, key = path.split("__")
            target = content
            for section in sections:
                target = {"prompt": prompt, "gate": prompt["gate"]}.get(section) or target[section]
            target[key] = value
        file = self.folder / "tracegrad.yaml"
        file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        return file

    def versions(self) -> dict[str, Any]:
        """Every prompt with its versions and labels."""
        rows = self.world.get("/api/public/v2/prompts", limit=100)["data"]
        return {row["name"]: (row["versions"], row["labels"]) for row in rows}


@contextmanager
def sandbox(folder: Path, *options: str) -> Iterator[Sandbox]:
    """`tracegrad sandbox` as a process of its own."""
    command = [
        str(TRACEGRAD),
        "sandbox",
        "--folder",
        str(folder),
        "--langfuse-port",
        "0",
        "--model-port",
        "0",
        *options,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    try:
        assert process.stdout is not None
        yield Sandbox(**json.loads(process.stdout.readline()))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


def write_settings(
    folder: Path, world: Sandbox, *, schedule: str = "0 3 * * *", port: int = 0, concurrency: int = 16
) -> Path:
    """A settings file for that world; returns its path."""
    path = folder / "tracegrad.yaml"
    values = {**vars(world), "schedule": schedule, "port": port, "concurrency": concurrency}
    path.write_text(SETTINGS.format(**values, state=folder / "state", node=ROOT / ".node"), encoding="utf-8")
    return path


def tracegrad(
    *arguments: str | Path, config: Path | None = None, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    options = ["--config", str(config)] if config else []
    command = [str(TRACEGRAD), *options, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, env=environment() | variables, cwd=cwd, check=False
    )


def start(*arguments: str | Path, config: Path, log: Path) -> subprocess.Popen[str]:
    """Start a command and leave it running; its output goes to `log`."""
    with log.open("a") as out:
        return subprocess.Popen(
            [str(TRACEGRAD), "--config", str(config), *map(str, arguments)],
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
        )


def environment() -> dict[str, str]:
    """Ours, without keys that the developer may have set."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("LANGFUSE_", "OPENAI_", "TRACEGRAD_"))}


def until(what: str, condition: Any, log: Path | None = None) -> Any:
    """Poll until `condition()` is true; returns what it returned."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.1)
    said = log.read_text()[-3000:] if log else ""
    raise AssertionError(f"{what} did not happen within {PATIENCE_S:.0f} s\n{said}")
