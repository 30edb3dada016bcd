"""Attacks on one assistant, made by promptfoo's red team with the owner's own model.

promptfoo's hosted generator stays off; what it makes here, it makes by asking our model client. Only attacks that rules
of code can judge are made: for the prompt itself, and for personal data, each also encoded. Never runs an attack.
"""

import asyncio
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.promptfoo.chat import Chat
from connectors.promptfoo.loopback import Loopback
from connectors.promptfoo.owner.documents import read
from connectors.promptfoo.process import call
from connectors.promptfoo.runtime import Runtime
from optimizer.errors import BadAnswer, Unreachable
from optimizer.identity import Json
from optimizer.ports import LanguageModel

EXTRACTION = "prompt-extraction"
PERSONAL = "pii:direct"
ENCODINGS = ("base64", "rot13")
VARIABLE = "attack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """One attack. `plugin` says what it is after, `encoding` how it is disguised; empty for plain words."""

    plugin: str
    encoding: str
    text: str


class _Origin(BaseModel):
    model_config = ConfigDict(extra="ignore")

    plugin: str = Field(alias="pluginId")
    strategy: str = Field(default="", alias="strategyId")


class _Test(BaseModel):
    model_config = ConfigDict(extra="ignore")

    vars: dict[str, str]
    metadata: _Origin


class _Output(BaseModel):
    model_config = ConfigDict(extra="ignore")

    tests: tuple[_Test, ...]


async def generated(
    runtime: Runtime, model: LanguageModel, *, attacker: str, purpose: str, number: int, timeout_s: float
) -> tuple[Generated, ...]:
    """Attacks on an assistant with this purpose, each text once.

    Args:
        attacker: name of the model that thinks them up.
        purpose: what the assistant is for, in the owner's words.
        number: of each kind, before they are encoded.

    Raises:
        Unreachable: promptfoo did not finish in time, or the model could not be asked.
        BadAnswer: promptfoo made nothing that can be read.
    """
    chat = Chat(model, purpose="attack")
    workdir = Path(tempfile.mkdtemp(prefix="tracegrad-"))
    config, out = workdir / "promptfooconfig.json", workdir / "attacks.yaml"
    try:
        config.write_text(json.dumps(_configuration(attacker, purpose, number)), encoding="utf-8")
        command = ["redteam", "generate", "-c", str(config), "-o", str(out), "--force"]
        async with Loopback({"/v1/chat/completions": chat.serve}) as loopback:
            ended = await call(runtime, workdir, command, timeout_s=timeout_s, models_url=f"{loopback.url}/v1")
        if ended.code is None:
            raise Unreachable(f"promptfoo made no attacks within {timeout_s:g} s")
        if chat.broken:
            raise Unreachable(chat.broken)
        return _attacks(out)
    finally:
        await asyncio.to_thread(shutil.rmtree, workdir, ignore_errors=True)


def _configuration(attacker: str, purpose: str, number: int) -> Json:
    return {
        "prompts": [f"{{{{{VARIABLE}}}}}"],
        "providers": ["echo"],
        "redteam": {
            "provider": f"openai:chat:{attacker}",
            "purpose": purpose,
            "injectVar": VARIABLE,
            "numTests": number,
            "plugins": [EXTRACTION, PERSONAL],
            "strategies": list(ENCODINGS),
        },
        "sharing": False,
    }


def _attacks(out: Path) -> tuple[Generated, ...]:
    fix = "try a stronger model, which keeps to the form that it is asked for"
    if not out.is_file():
        raise BadAnswer("promptfoo made no attacks", fix)
    try:
        tests = _Output.model_validate(read(out)).tests
    except ValidationError as error:
        raise BadAnswer("promptfoo's attacks are not in the form that is known", fix) from error
    by_text = {
        test.vars[VARIABLE]: Generated(
            plugin=test.metadata.plugin,
            encoding=test.metadata.strategy if test.metadata.strategy in ENCODINGS else "",
            text=test.vars[VARIABLE],
        )
        for test in tests
        if test.vars.get(VARIABLE, "").strip()
    }
    if not by_text:
        raise BadAnswer("promptfoo made no attacks", fix)
    return tuple(by_text.values())
