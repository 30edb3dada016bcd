"""Labels of the registry, as effects see them: where one stands, and moving it from where it stood."""

from optimizer.errors import NotFound
from optimizer.identity import Json
from optimizer.ports import PromptRegistry


async def standing(registry: PromptRegistry, name: str, label: str) -> int:
    """The version that a label points to, 0 when none has it."""
    try:
        return (await registry.head(name, label=label)).production.version
    except NotFound:
        return 0


async def found(registry: PromptRegistry, name: str, label: str, _key: str) -> Json:
    """`standing`, as an effect to be remembered: what a later compare-and-set compares with."""
    return await standing(registry, name, label)


async def moved(registry: PromptRegistry, name: str, label: str, to: int, expect: int, _key: str) -> Json:
    """Compare and set of a label."""
    return await registry.move_label(name, label, to=to, expect=expect)
