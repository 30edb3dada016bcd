"""JSON schemas of a case's reference, held against an answer in a process of their own.

References inside a schema can multiply its work without limit, so the check has bounds on time and memory that only
another process can be held to. It gets no environment, and follows no reference to another document.
"""

import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from optimizer.types import Scored, Unscored

CHECKS = 4
"""At the same time; each is a process."""
TIMEOUT_S = 30.0
"""For one check on a machine that is busy; its own bound on computing time comes much earlier."""
_SCRIPT = Path(__file__).with_name("schema_check.py")


class SchemaChecks:
    """Checks answers against schemas, a few at a time."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._places = asyncio.Semaphore(CHECKS)
        self._timeout_s = timeout_s

    async def fits(self, output: str, schema: str) -> Scored | Unscored:
        """1 when the answer is JSON that fits the schema."""
        async with self._places:
            said = await _checked(json.dumps({"output": output, "schema": schema}).encode(), self._timeout_s)
        if said is None:
            return Unscored(reason="the reference's JSON schema takes too long, or too much memory, on this answer")
        if said["verdict"] == "no schema":
            return Unscored(reason="the reference is no JSON schema, or refers to another document")
        if said["verdict"] == "fits":
            return Scored(value=1.0, reason="is JSON that fits the schema")
        return Scored(value=0.0, reason=said["why"])


async def _checked(asked: bytes, timeout_s: float) -> dict[str, Any] | None:
    """What the script says; None when it ended without a word."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", str(_SCRIPT)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
    )
    try:
        async with asyncio.timeout(timeout_s):
            told, _ = await process.communicate(asked)
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return json.loads(told) if process.returncode == 0 else None
