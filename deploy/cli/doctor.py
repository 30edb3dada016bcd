"""`tracegrad doctor`: every check, one line each."""

import asyncio
from collections.abc import AsyncIterator

from deploy import doctor
from deploy.cli.console import Terminal
from deploy.cli.exits import DONE, OUTSIDE
from deploy.cli.options import Options
from deploy.doctor import Check, Health
from deploy.endpoint import language_model, prices_of
from deploy.gating.health import check_gate
from deploy.releases.health import check_notify, check_ofrep, check_release, check_role
from deploy.settings import ModelSettings, PromptSettings, Settings, load
from deploy.wiring import House, opened
from optimizer.errors import TracegradError
from optimizer.ports import LanguageModel

MARK = {Health.OK: ("ok     ", "green"), Health.WARNING: ("warning", "yellow"), Health.FAILED: ("failed ", "red")}


def command(options: Options) -> int:
    """Print every finding as it is made; not zero when one of them failed."""
    settings, terminal = load(options.config), Terminal(as_json=options.as_json)
    found = asyncio.run(examine(settings, terminal))
    terminal.give([{"check": c.name, "health": c.health, "said": c.said} for c in found])
    return OUTSIDE if any(check.health is Health.FAILED for check in found) else DONE


async def examine(settings: Settings, terminal: Terminal) -> list[Check]:
    """All checks, said as they come."""
    found = []
    walk = checks(settings)
    while True:
        with terminal.progress("Checking", announced=False):
            check = await anext(walk, None)
        if check is None:
            break
        found.append(check)
        mark, style = MARK[check.health]
        terminal.say(f"{mark}  {check.name}: {check.said}", style=style, hang=9)
    return found


async def checks(settings: Settings) -> AsyncIterator[Check]:
    """From the inside out; what cannot be reached ends its branch and not the others."""
    yield doctor.check_promptfoo(settings)
    yield doctor.check_budget(settings, prices_of(settings))
    yield await check_role(settings)
    yield check_notify(settings)
    yield await check_ofrep(settings)
    try:
        async with opened(settings) as house:
            for check in doctor.check_server(house.server):
                yield check
            async for check in of_house(house):
                yield check
    except TracegradError as error:
        yield doctor.failed("set-up", doctor.sentence(error))
    if settings.role == "publisher":
        return
    try:
        async with language_model(settings) as model:
            async for check in of_models(settings.model, model):
                yield check
    except TracegradError as error:
        yield doctor.failed("model", doctor.sentence(error))


async def of_house(house: House) -> AsyncIterator[Check]:
    """Traffic and prompts."""
    yield await doctor.check_links(house.traces, doctor.sample_window(house.clock))
    if not house.settings.prompts:
        yield doctor.failed("prompts", "no prompt is registered; add one under `prompts` in tracegrad.yaml.")
    for prompt in house.settings.prompts:
        try:
            async for check in of_prompt(house, prompt):
                yield check
        except TracegradError as error:
            yield doctor.failed(f"prompt {prompt.name}", doctor.sentence(error))
    yield doctor.check_skipped(house.traces)


async def of_prompt(house: House, prompt: PromptSettings) -> AsyncIterator[Check]:
    """One prompt, its gate and its releases; a gate needs the models that a publisher must not have."""
    window = doctor.sample_window(house.clock, prompt)
    sample = await doctor.recent(prompt, house.traces, window)
    async for check in doctor.check_prompt(prompt, house.registry, house.traces, window, sample):
        yield check
    if house.settings.role != "publisher":
        async for check in check_gate(house, prompt, sample):
            yield check
    async for check in check_release(house, prompt, sample):
        yield check


async def of_models(named: ModelSettings, model: LanguageModel) -> AsyncIterator[Check]:
    """Every model once, whatever its roles."""
    for model_id in sorted({named.task, named.critic, named.judge}):
        roles = ", ".join(role for role in ("task", "critic", "judge") if getattr(named, role) == model_id)
        yield await doctor.check_model(model, roles, model_id)
