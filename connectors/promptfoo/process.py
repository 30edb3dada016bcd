"""One promptfoo run as a child process, through its Python wrapper.

The child gets nothing of our environment: no keys, no proxy, no home. Its PATH holds `node` and the pinned `promptfoo`
only, so the wrapper cannot fall back to a download. It lives in its own process group, and the whole group is ended
when the run is over, too slow, or cancelled.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from connectors.promptfoo.runtime import Runtime

GUARD = Path(str(files("connectors.promptfoo"))) / "egress.js"
WRAPPER = "from promptfoo import main; main()"
OWN_SHARE = 0.9
"""Share of the time limit after which promptfoo is to stop by itself and write what it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended.

    Attributes:
        code: the exit code; None when the run was killed for being too slow.
        log: what it printed.
    """

    code: int | None
    log: str


async def run(
    runtime: Runtime,
    workdir: Path,
    config: Path,
    output: Path,
    *,
    concurrency: int,
    timeout_s: float,
    models_url: str = "",
) -> Ended:
    """Run `promptfoo eval` to its end, or to ours. `models_url` is where its OpenAI client is to ask."""
    command = ["eval", "-c", str(config), "-o", str(output), "-j", str(concurrency)]
    return await call(
        runtime, workdir, [*command, "--no-write", "--no-table"], timeout_s=timeout_s, models_url=models_url
    )


async def call(
    runtime: Runtime, workdir: Path, command: Sequence[str], *, timeout_s: float, models_url: str = ""
) -> Ended:
    """Run any command of promptfoo, without its cache."""
    log = workdir / "log.txt"
    with log.open("wb") as sink:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-c", WRAPPER, *command, "--no-cache", "--no-progress-bar"),
            cwd=workdir,
            env=environment(runtime, workdir, timeout_s=timeout_s, models_url=models_url),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    try:
        code: int | None = await asyncio.wait_for(child.wait(), timeout_s)
    except TimeoutError:
        code = None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
    return Ended(code=code, log=log.read_text(encoding="utf-8", errors="replace"))


def environment(runtime: Runtime, workdir: Path, *, timeout_s: float, models_url: str = "") -> dict[str, str]:
    """The child's whole environment, made from nothing."""
    limit_ms = str(int(timeout_s * 1000))
    # the key is none: the address itself is what admits the run to the gateway
    models = {"OPENAI_BASE_URL": models_url, "OPENAI_API_KEY": "the-address-is-the-key"} if models_url else {}
    return {
        **models,
        "PATH": str(runtime.bin_dir),
        "HOME": str(workdir),
        "TMPDIR": str(workdir),
        "LANG": "C.UTF-8",
        "NODE_OPTIONS": f'--require "{GUARD}"',
        "NODE_NO_WARNINGS": "1",
        "PROMPTFOO_CONFIG_DIR": str(workdir / ".promptfoo"),
        "PROMPTFOO_VERSION": runtime.version,
        "PROMPTFOO_PYTHON": sys.executable,
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_DISABLE_REMOTE_GENERATION": "true",
        "PROMPTFOO_DISABLE_SHARING": "1",
        "PROMPTFOO_DISABLE_TEMPLATE_ENV_VARS": "true",
        "PROMPTFOO_DISABLE_ADAPTIVE_SCHEDULER": "true",
        "PROMPTFOO_SELF_HOSTED": "1",
        "PROMPTFOO_MAX_EVAL_TIME_MS": str(int(timeout_s * 1000 * OWN_SHARE)),
        # one call may take as long as the run: the language model behind the gateway has its own timeouts and retries
        "REQUEST_TIMEOUT_MS": limit_ms,
        "WEBHOOK_TIMEOUT": limit_ms,
        "PROMPTFOO_REQUEST_BACKOFF_MS": "500",
    }
