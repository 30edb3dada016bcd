"""Which variable of an owner's test fills the prompt, which is the user's message, and which the model never sees."""

import pytest

from connectors.promptfoo.owner.variables import placed
from optimizer.prompts import Body, Message, Placeholder
from optimizer.template import fill
from optimizer.types import CaseInput

CHAT: Body = (Message(role="system", content="Be {{tone}}."), Message(role="user", content="{{question}}"))
SLOT: Body = (Message(role="system", content="Be kind."), Placeholder(name="history"))


@pytest.mark.parametrize(
    ("body", "values", "messages"),
    [
        ("Be kind.", {"question": "q"}, [("system", "Be kind."), ("user", "q")]),
        ("Be kind.", {"whatever": "q"}, [("system", "Be kind."), ("user", "q")]),
        ("Be kind.", {"expected": "e", "query": "q", "text": "t"}, [("system", "Be kind."), ("user", "q")]),
        ("Be kind.", {"expected": "e", "context": "c"}, [("system", "Be kind.")]),
        ("Answer {{question}}", {"question": "q", "expected": "e"}, [("system", "Answer q")]),
        ("Be {{tone}}.", {"tone": "t", "input": "q"}, [("system", "Be t."), ("user", "q")]),
        ("Be {{tone}}.", {"expected": "e"}, [("system", "Be {{tone}}.")]),
        (CHAT, {"tone": "t", "question": "q", "input": "i"}, [("system", "Be t."), ("user", "q")]),
        (
            SLOT,
            {"history": '[{"role": "assistant", "content": "{{x}} Hi."}]', "message": "q"},
            [("system", "Be kind."), ("assistant", "{{x}} Hi."), ("user", "q")],
        ),
        (SLOT, {"history": "only words"}, [("system", "Be kind."), ("user", "only words")]),
        ("Be kind.", {"question": "{{tone}} file://x"}, [("system", "Be kind."), ("user", "{{tone}} file://x")]),
    ],
)
def test_where_variables_go(body: Body, values: dict[str, str], messages: list[tuple[str, str]]) -> None:
    assert [(m.role, m.content) for m in fill(body, placed([body, body], values))] == messages


def test_both_arms_see_the_same_although_one_uses_more() -> None:
    shown = placed(["Be kind.", "Be {{tone}}."], {"tone": "t", "question": "q"})
    assert shown == CaseInput(variables=(("tone", "t"),), history=(Message(role="user", content="q"),))
