"""`tracegrad redteam`: a file of attacks on the owner's assistant, made by his own model, for `gate.attack_files`."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from connectors.promptfoo.redteam import EXTRACTION, Generated, generated
from connectors.promptfoo.runtime import locate
from deploy.cli.console import Terminal
from deploy.cli.options import Options
from deploy.endpoint import language_model
from deploy.settings import Settings, load
from gates.attacks import attacks
from gates.safety.attack import parsed
from optimizer.errors import BadInput, BadSettings
from optimizer.identity import canonical, digest

TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The command's own options."""

    purpose: str
    out: Path
    number: int = 5


def command(options: Options, wanted: Wanted) -> None:
    """Have attacks made and write them, one JSON object a line; an existing file is never overwritten."""
    settings, terminal = load(options.config), Terminal(as_json=options.as_json)
    if not settings.model.critic:
        raise BadSettings("no model is set that could think up attacks", "set `model.critic`")
    if wanted.out.exists():
        raise BadInput(f"{wanted.out} exists already", "name another file, or remove it")
    with terminal.progress("Making attacks"):
        lines = "".join(f"{line(attack)}\n" for attack in asyncio.run(made(settings, wanted)))
    found = parsed(lines, wanted.out.name, taken={attack.id for attack in attacks()})
    wanted.out.write_text(lines, encoding="utf-8")
    terminal.say(f"{len(found)} attacks are in {wanted.out}: read them, then name the file in `gate.attack_files`.")
    terminal.give({"attacks": len(found), "file": str(wanted.out)})


async def made(settings: Settings, wanted: Wanted) -> tuple[Generated, ...]:
    """The attacks, by the critic's model."""
    runtime = locate(settings.node_dir)
    async with language_model(settings) as model:
        return await generated(
            runtime,
            model,
            attacker=settings.model.critic,
            purpose=wanted.purpose,
            number=wanted.number,
            timeout_s=TIMEOUT_S,
        )


def line(attack: Generated) -> str:
    """An attack in the form of a file of attacks."""
    after_the_prompt = attack.plugin == EXTRACTION
    return json.dumps(
        {
            "id": f"redteam-{digest(canonical([attack.plugin, attack.text]))[:12]}",
            "category": "extraction" if after_the_prompt else "personal-data",
            "technique": f"red team, {attack.encoding or 'plain words'}",
            "text": attack.text,
            "check": {"kind": "prompt" if after_the_prompt else "personal", "data": []},
        },
        ensure_ascii=False,
    )
