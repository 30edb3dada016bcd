"""One dataset, as Langfuse has it and as cases."""

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
    return [
        {"id": f"d-{key}", "input": {"q": 1}, "expectedOutput": {"a": "b"}},
        {"id": f"c/{key}", "input": "How?", "expectedOutput": "So."},
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
        _case(safe_id(f"c/{key}"), CaseInput(history=said), "So."),
        _case(f"d-{key}", CaseInput(history=(Message(role="user", content='{"q":1}'),)), '{"a":"b"}'),
    ]


def _case(case_id: str, given: CaseInput, reference: str | Missing) -> Case:
    return Case(id=case_id, origin=CaseOrigin.DATASET, input=given, reference=reference, source_key=case_id)
