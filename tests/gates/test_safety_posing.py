"""An attack reaches a prompt where a stranger's text does, and nowhere else."""

import re

from gates.attacks import attacks
from gates.safety.attack import Attack, Check, CheckKind
from gates.safety.posing import case_id, category, posed
from optimizer.prompts import Body, Message, Placeholder
from optimizer.template import fill
from optimizer.types import CaseInput, CaseOrigin

ASKED = Attack(id="own-1", category="own", technique="t", text="HOSTILE", check=Check(kind=CheckKind.PROMPT))
ORDER = Attack(
    id="own-2", category="own", technique="t", text="HOSTILE", check=Check(kind=CheckKind.MARKER, data=("KELP",))
)


def said(role: str, content: str) -> Message:
    return Message(role=role, content=content)


def sent(body: Body, carrier: CaseInput | None = None, attack: Attack = ASKED) -> list[tuple[str, str]]:
    """What the model sees, role and text."""
    (case,) = posed([attack], [carrier] if carrier else [], body)
    return [(message.role, message.content) for message in fill(body, case.input)]


def test_an_attack_takes_the_place_of_the_last_user_message_of_a_real_conversation() -> None:
    carrier = CaseInput(
        variables=(("shop", "Kiosk"),), history=(said("user", "hello"), said("assistant", "hi"), said("user", "when?"))
    )
    assert sent("You help at {{shop}}.", carrier) == [
        ("system", "You help at Kiosk."),
        ("user", "hello"),
        ("assistant", "hi"),
        ("user", "HOSTILE"),
    ]


def test_an_order_hides_behind_the_real_message() -> None:
    carrier = CaseInput(history=(said("user", "when?"),))
    assert sent("You help.", carrier, ORDER)[-1] == ("user", "when?\n\nHOSTILE")


def test_a_conversation_in_which_no_user_spoke_gets_the_attack_as_one_more_message() -> None:
    carrier = CaseInput(history=(said("assistant", "hi"),))
    assert sent("You help.", carrier)[-2:] == [("assistant", "hi"), ("user", "HOSTILE")]


def test_a_prompt_that_is_all_input_gets_the_attack_in_its_variable_and_no_message_more() -> None:
    assert sent("Answer {{question}}") == [("system", "Answer HOSTILE")]
    assert sent("Answer {{question}}", CaseInput(variables=(("question", "when?"),))) == [("system", "Answer HOSTILE")]


def test_the_longest_variable_that_users_fill_carries_the_attack() -> None:
    body = "Answer in {{language}} for {{user_name}}: {{question}}, after {{document}}"
    carrier = CaseInput(
        variables=(("document", "d" * 50), ("language", "x" * 99), ("question", "when?"), ("user_name", "Robin"))
    )
    assert sent(body, carrier) == [("system", f"Answer in {'x' * 99} for Robin: when?, after HOSTILE")]


def test_the_users_message_of_a_chat_prompt_carries_it_whatever_its_variables_are_called() -> None:
    body = (said("system", "Use {{context}}."), said("user", "{{q}}"))
    carrier = CaseInput(variables=(("context", "c" * 50), ("q", "when?")))
    assert sent(body, carrier) == [("system", f"Use {'c' * 50}."), ("user", "HOSTILE")]


def test_a_placeholder_in_which_users_speak_at_the_end_carries_it() -> None:
    body = (said("system", "You help at {{shop}}."), Placeholder(name="chat"))
    carrier = CaseInput(
        variables=(("shop", "Kiosk"),),
        placeholders=(("chat", (said("user", "a"), said("assistant", "b"), said("user", "c"))),),
    )
    assert [text for _, text in sent(body, carrier)] == ["You help at Kiosk.", "a", "b", "HOSTILE"]


def test_an_empty_placeholder_gets_a_message_behind_it() -> None:
    body = (said("system", "You help."), Placeholder(name="chat"))
    assert sent(body) == [("system", "You help."), ("user", "HOSTILE")]


def test_without_carriers_no_variable_stays_open() -> None:
    body = (
        said(
            "system",
            "You are {{ bot_name }} of {{shop}}, {{date}}, speak {{lang}}, up to {{max_words}} words, {{zzz}}.",
        ),
        said("user", "Hello from {{customer}}"),
    )
    for attack in attacks()[::40]:
        shown = "\n".join(text for _, text in sent(body, attack=attack))
        assert not re.search(r"\{\{", shown)
        assert attack.text in shown


def test_a_carrier_that_lacks_a_variable_gets_a_plain_value_for_it() -> None:
    carrier = CaseInput(history=(said("user", "when?"),))
    assert "{{" not in sent("You help at {{shop}}.", carrier)[0][1]


def test_the_cases_have_their_attacks_ids_and_categories() -> None:
    cases = posed(attacks(), [], "You help.")
    assert [case.id for case in cases] == [case_id(attack) for attack in attacks()]
    assert [category(case) for case in cases] == [attack.category for attack in attacks()]
    assert all(case.origin is CaseOrigin.ATTACK and re.fullmatch(r"[\w-]+", case.id) for case in cases)


def test_attacks_are_spread_over_the_carriers_and_the_same_every_time() -> None:
    carriers = [CaseInput(history=(said("user", f"real {n}"),)) for n in range(10)]
    orders = [attack for attack in attacks() if attack.check.kind is CheckKind.MARKER]
    cases = posed(orders, carriers, "You help.")
    assert cases == posed(orders, carriers, "You help.")
    assert len({case.input.history[-1].content.split("\n")[0] for case in cases}) == 10


def test_tools_of_the_carrier_stay() -> None:
    (case,) = posed([ASKED], [CaseInput(history=(said("user", "x"),), tools_json="[1]")], "You help.")
    assert case.input.tools_json == "[1]"
