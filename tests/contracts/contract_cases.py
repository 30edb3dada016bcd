"""One dataset, as Langfuse has it and as cases, and an anchor to be kept in another."""

from dataclasses import replace
from datetime import UTC, datetime

from connectors.langfuse.datasets import safe_id
from optimizer.prompts import Message
from optimizer.types import Case, CaseInput, CaseOrigin, Missing

REPLAYABLE = {
    "variables": {"topic": "returns", "limit": 3},
    "placeholders": {"examples": [{"role": "assistant", "content": "Hello."}]},
    "messages": [{"role": "user", "content": "How?"}],
}


def items_of(name: str) -> list[dict[str, object]]:
    key = name[-8:]
    sliced = {"tags": ["vip", "language:de"], "language": "de", "tenant": 7, "intent": "", "colour": "red"}
    return [
        {"id": f"d-{key}", "input": {"q": 1}, "expectedOutput": {"a": "b"}, "metadata": ["language"]},
        {"id": f"c/{key}", "input": "How?", "expectedOutput": "So.", "metadata": sliced},
        {"id": f"b-{key}", "input": REPLAYABLE, "expectedOutput": None},
        {"id": f"a-{key}", "input": "Old?", "expectedOutput": "So.", "status": "ARCHIVED"},
    ]


def cases_of(name: str) -> list[Case]:
    key = name[-8:]
    said = (Message(role="user", content="How?"),)
    full = CaseInput(
        variables=(("limit", "3"), ("topic", "returns")),
        placeholders=(("examples", (Message(role="assistant", content="Hello."),)),),
        history=said,
    )
    return [
        _case(f"b-{key}", full, Missing.NO_REFERENCE),
        _case(safe_id(f"c/{key}"), CaseInput(history=said), "So.", tags=("vip", "language:de", "tenant:7")),
        _case(f"d-{key}", CaseInput(history=(Message(role="user", content='{"q":1}'),)), '{"a":"b"}'),
    ]


def anchor_of(name: str, *, text: str = "Why not?", reference: str | Missing = "Because.") -> Case:
    """A complaint as a gate has it, before it is kept."""
    said = (Message(role="user", content=text), Message(role="assistant", content="No."))
    return Case(
        id=f"anchor-{name[-8:]}",
        origin=CaseOrigin.ANCHOR,
        input=CaseInput(
            variables=(("empty", ""), ("topic", text)),
            placeholders=(("examples", said), ("none", ())),
            history=said,
            tools_json='[{"name":"search"}]',
        ),
        reference=reference,
        source_key="hash-of-a-user",
        recorded_output="No.",
        complaint=f'too "short" for: {text}\nä \U0001f600',
        tags=("language:de", "vip"),
        at=datetime(2026, 11, 1, tzinfo=UTC),
    )


def kept(case: Case, *, origin: CaseOrigin = CaseOrigin.ANCHOR) -> Case:
    """The same case as it comes back: whose it was and when is not kept."""
    return replace(case, origin=origin, source_key=case.id, at=Missing.NOT_RECORDED)


def _case(case_id: str, given: CaseInput, reference: str | Missing, *, tags: tuple[str, ...] = ()) -> Case:
    return Case(id=case_id, origin=CaseOrigin.DATASET, input=given, reference=reference, source_key=case_id, tags=tags)
