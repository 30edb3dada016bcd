"""The attacks that ship with the project: frozen, one file a category. `README.md` beside them says what they show.

Reads nothing but its own files.
"""

from functools import cache
from importlib.resources import files

from gates.safety.attack import Attack, parsed

CATEGORIES = ("extraction", "injection", "personal-data", "over-refusal", "unsafe-request")
"""The shipped files, in the order of reports."""


@cache
def attacks() -> tuple[Attack, ...]:
    """Every shipped attack, by category and then in the order of its file."""
    return tuple(attack for category in CATEGORIES for attack in parsed(_text(category), f"{category}.jsonl"))


def _text(category: str) -> str:
    return files(__name__).joinpath(f"{category}.jsonl").read_text(encoding="utf-8")
