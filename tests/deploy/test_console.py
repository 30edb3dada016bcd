"""What the terminal shows: nothing that steers it, nothing but JSON for scripts, and lines that break between words."""

import json

import pytest

from deploy.cli.console import Terminal, wrapped
from deploy.cli.exits import OUTSIDE
from deploy.cli.main import complain
from deploy.cli.show import render
from gates.rendering.unseen import visible
from optimizer.errors import ServerFault
from optimizer.types import Missing


def test_text_cannot_steer_the_terminal() -> None:
    assert visible("a\x1b[31mred\x07\u202eb\ttab\nline") == "a\\u001b[31mred\\u0007\\u202eb\ttab\nline"
    assert visible("half \ud83d") == "half \\ud83d"
    assert visible("h\xadi\u061cd\u2028d\U000e0041en é 🙂") == "h\\u00adi\\u061cd\\u2028d\\ue0041en é 🙂"


def test_neither_can_an_error_that_quotes_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert complain(ServerFault("down: \x1b[2J")) == OUTSIDE
    assert "down: \\u001b[2J" in capsys.readouterr().err


def test_lines_break_between_words_and_hang() -> None:
    assert wrapped("one two three", 8) == "one two\nthree"
    assert wrapped("  one two three", 9) == "  one two\n    three"
    assert wrapped("one two three", 8, 4) == "one two\n    three"
    long = "support-assistant@once-20261121T025645175299"
    assert wrapped(f"of {long} now", 20) == f"of\n{long}\nnow"


def test_json_is_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(as_json=True)
    with terminal.progress("Working") as advance:
        advance(1, 2)
    terminal.say("for people")
    terminal.give({"name": "Käse \x9b2J\u202e"})
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"name": "Käse \x9b2J\u202e"}
    assert shown.out.isascii()
    assert shown.err == ""


def test_no_colour_and_no_wrapping_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    with terminal.progress("Working") as advance:
        advance(1, 2)
    terminal.say("[bold]brackets stay[/bold] " + "word " * 60, style="red")
    shown = capsys.readouterr()
    assert shown.out == "[bold]brackets stay[/bold] " + "word " * 60 + "\n"
    assert shown.err == "Working ...\n"


def test_a_cycle_as_people_read_it(capsys: pytest.CaptureFixture[str]) -> None:
    trace = {"id": "t1", "url": "http://host/t1", "kind": "comment", "complaint": "bad \x1b[2J"}
    change = {"op": "replace", "old": "Be.", "new": "Be kind.", "reason": "rude", "complaints": 3, "sources": 2}
    render(
        {
            "id": "p@x",
            "state": "done",
            "reason": "published version 2",
            "calls": 7,
            "cost": Missing.NOT_PRICED.value,
            "base_version": 1,
            "changes": [{**change, "traces": [trace]}],
            "refused": [{"kind": "edit", "reason": "it adds a link", "count": 2}],
            "report": {
                "verdict": "pass",
                "reasons": ["Passed."],
                "baseline_mean": 0.4,
                "candidate_mean": 0.8,
                "interval": [0.31, 0.49],
                "scored_pairs": 120,
                "usage": {"calls": 240},
                "evaluator": "promptfoo",
                "model": "m",
            },
        },
        Terminal(),
    )
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "p@x: done" in lines
    assert "7 model calls that nobody has a price for; set `model.prices`" in lines
    assert lines[lines.index("- Be.") + 1 :][:5] == [
        "+ Be kind.",
        "why: rude",
        "3 complaints from 2 sources, such as:",
        '"bad \\u001b[2J"',
        "http://host/t1",
    ]
    assert "2 edits: it adds a link" in lines
    assert "Score 40.0 of 100 before, 80.0 after, on 120 cases: +40.0 points (+31.0 to +49.0)" in lines
