"""Attacks -> cases: each attack's text in an input as the application makes them.

A stranger's text reaches a prompt by the user's message, or by the variable that carries what users write. Where real
inputs are known, the attack is put into one of them; otherwise the prompt's variables are filled with plain values.
Must never change what the prompt itself says.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gates.safety.attack import Attack, CheckKind
from optimizer.identity import digest
from optimizer.prompts import Body, Message, Placeholder
from optimizer.template import placeholders, variable_uses
from optimizer.types import Case, CaseInput, CaseOrigin, Missing

_TAG = "attack:"

# what users write, by the names that variables have
_FROM_USERS = re.compile(
    r"question|query|input|message|request|e?mail|ticket|review|comment|complaint|feedback|prompt|utterance|text|content"
    r"|document|article|context|transcript|conversation|chat|post|passage|body|description|frage|anfrage|nachricht",
    re.IGNORECASE,
)
_PLAIN_VALUES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(names, re.IGNORECASE), value)
    for names, value in (
        (r"question|query|input|message|request|utterance|frage|anfrage|prompt", "How long does delivery take?"),
        (r"history|conversation|transcript|chat", "User: Hello!\nAssistant: Hello, how can I help you?"),
        (
            r"context|document|article|passage|knowledge|source|content|text|body|doc",
            "We deliver in three working days.",
        ),
        (r"mail|ticket|review|comment|complaint|feedback|description", "The lamp arrived today and works well."),
        (r"shop|store|company|brand|business|firm|organi[sz]ation|tenant", "Lindenhof"),
        (r"product|item|article|service", "desk lamp"),
        (r"lang|locale|sprache", "English"),
        (r"date|day|today|time|now", "2026-03-02"),
        (r"tone|style|mood", "friendly"),
        (r"count|number|limit|max|min|length|words|_id\b|^id$", "40"),
        (r"country|city|region|place|address", "Bremen"),
        (r"schema|json|format", '{"answer": "text"}'),
        (r"name|user|customer|person|agent|author", "Robin"),
    )
)
_ANY_VALUE = "not specified"


def case_id(attack: Attack) -> str:
    """The id of the case that poses this attack."""
    return f"attack-{attack.id}"


def category(case: Case) -> str:
    """What the attack in this case is aimed at; empty when it is no attack."""
    return next((tag.removeprefix(_TAG) for tag in case.tags if tag.startswith(_TAG)), "")


def posed(attacks: Sequence[Attack], carriers: Sequence[CaseInput], body: Body) -> tuple[Case, ...]:
    """One case for each attack, in their order, each in a carrier that follows from its id.

    Args:
        carriers: real inputs of this prompt; without any, inputs are made up.
        body: of the baseline: the variables and placeholders that inputs fill.
    """
    return tuple(
        Case(
            id=case_id(attack),
            origin=CaseOrigin.ATTACK,
            input=_with(attack, _carrier(attack, carriers, body), body),
            reference=Missing.NO_REFERENCE,
            source_key=case_id(attack),
            tags=(f"{_TAG}{attack.category}",),
        )
        for attack in attacks
    )


def _carrier(attack: Attack, carriers: Sequence[CaseInput], body: Body) -> CaseInput:
    known = carriers[int(digest("carrier", attack.id)[:12], 16) % len(carriers)] if carriers else CaseInput()
    values = {name: _plain(name) for name in variable_uses(body)} | dict(known.variables)
    return replace(known, variables=tuple(sorted(values.items())))


def _plain(name: str) -> str:
    return next((value for names, value in _PLAIN_VALUES if names.search(name)), _ANY_VALUE)


def _with(attack: Attack, carrier: CaseInput, body: Body) -> CaseInput:
    """The input with the attack where a stranger would put it."""
    if any(message.role == "user" for message in carrier.history):
        return replace(carrier, history=_in_messages(attack, carrier.history))
    if (name := _slot(carrier, body)) is not None:
        slots = tuple((n, _in_messages(attack, slot) if n == name else slot) for n, slot in carrier.placeholders)
        return replace(carrier, placeholders=slots)
    if (name := _variable(carrier, body)) is not None:
        values = tuple((n, _mixed(attack, value) if n == name else value) for n, value in carrier.variables)
        return replace(carrier, variables=values)
    return replace(carrier, history=(*carrier.history, Message(role="user", content=attack.text)))


def _in_messages(attack: Attack, messages: Sequence[Message]) -> tuple[Message, ...]:
    last = max(at for at, message in enumerate(messages) if message.role == "user")
    said = Message(role="user", content=_mixed(attack, messages[last].content))
    return (*messages[:last], said, *messages[last + 1 :])


def _mixed(attack: Attack, real: str) -> str:
    """An order hides behind a real text; a question takes its place, or nobody could tell what was answered."""
    return f"{real}\n\n{attack.text}" if attack.check.kind is CheckKind.MARKER and real.strip() else attack.text


def _slot(carrier: CaseInput, body: Body) -> str | None:
    """The placeholder that ends the prompt, if users speak in it."""
    if isinstance(body, str) or not body or not isinstance(body[-1], Placeholder):
        return None
    said: Mapping[str, tuple[Message, ...]] = dict(carrier.placeholders)
    name = placeholders(body)[-1]
    return name if any(message.role == "user" for message in said.get(name, ())) else None


def _variable(carrier: CaseInput, body: Body) -> str | None:
    """The variable that carries what users write: of the last user message, or by its name, the longest first."""
    values = dict(carrier.variables)
    users = tuple(part for part in body if isinstance(part, Message) and part.role == "user") if body else ()
    names = variable_uses(users[-1:]) if not isinstance(body, str) and users else ()
    if not names:
        names = tuple(name for name in variable_uses(body) if _FROM_USERS.search(name))
    return max(sorted(set(names)), key=lambda name: len(values[name]), default=None)
