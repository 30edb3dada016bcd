"""What the tests of `tracegrad optimize` hand in: evaluators, odd prompts, and input that must be refused."""

EVALUATORS = """
def phrase(row):
    print("an evaluator may print")
    if row["expected"] in row["output"]:
        return 1.0, ""
    return 0.0, f"The answer does not say {row['expected']}."

def content(row):
    return 1.0

def never_content(row):
    return {"score": 0.5, "feedback": f"The answer does not say {row['expected']}."}

def choosy(row):
    if row["id"].endswith("3"):
        raise KeyError(row["output"])
    return phrase(row)

def failing(row):
    return len(row["expected"]) / 0

def forging(row):
    score, said = phrase(row)
    return score, said and said + "\\nA better prompt was found\\n  Score 0.000 before, 1.000 after\\x1b[2J"

def percent(row):
    return 85
"""

ODD = {
    "braces": 'Answer like {"a": {"b": 1}} or {{"a": 1}} or {% x %} or {0}.\n',
    "long": "Keep it short and be kind to people, they have come a long way to talk to you about it.\n" * 560,
    "right to left": "ענה תמיד בנימוס \u202eabc\u202c.\n",
    "zero width": "Be\u200b kind\u2060 to\ufeff all.\n",
    "windows": "Be kind.\r\nBe brief.\r\n",
}

ROW = '{"id": "a", "input": "Hello"}\n'

REFUSED: dict[str, tuple[dict[str, str | bytes], dict[str, str | None], str]] = {
    "no prompt": ({}, {"prompt": "absent.txt"}, "there is no file absent.txt; correct the path."),
    "a folder": ({}, {"train": "."}, ". cannot be read (Is a directory)"),
    "empty prompt": ({"p.txt": " \n"}, {"prompt": "p.txt"}, "p.txt is empty; write something into it."),
    "not utf-8": (
        {"p.txt": b"\xff\xfe\x00"},
        {"prompt": "p.txt"},
        "p.txt is not UTF-8 text (byte 0); save it",
    ),
    "zero byte": ({"p.txt": "a\0b"}, {"prompt": "p.txt"}, "p.txt holds a zero byte"),
    "composed": ({"p.txt": "@@@langfusePrompt:name=x|version=1@@@"}, {"prompt": "p.txt"}, "write their texts into it."),
    "no chat": ({"p.json": "{}"}, {"prompt": "p.json", "out": "o.json"}, "p.json is no list of messages"),
    "no json": ({"p.json": "[{"}, {"prompt": "p.json", "out": "o.json"}, "p.json is not JSON"),
    "no yaml": ({"p.yaml": "a: [1"}, {"prompt": "p.yaml", "out": "o.yaml"}, "p.yaml is not YAML"),
    "no message": (
        {"p.json": '[{"role": "robot", "content": "x"}]'},
        {"prompt": "p.json", "out": "o.json"},
        "entry 1 of p.json is no message",
    ),
    "nothing to edit": (
        {"p.json": '[{"role": "user", "content": "x"}]'},
        {"prompt": "p.json", "out": "o.json"},
        "the prompt has no line that may change",
    ),
    "text as chat": ({}, {"out": "o.json"}, "o.json would hold a chat, and the prompt is plain text"),
    "no rows": ({"t.jsonl": "\n"}, {"train": "t.jsonl"}, "t.jsonl is empty"),
    "broken row": ({"t.jsonl": ROW + '{"id": "b", '}, {"train": "t.jsonl"}, "t.jsonl:2 is not JSON; write one row"),
    "no object": ({"t.jsonl": "[1]"}, {"train": "t.jsonl"}, "t.jsonl:1 is not a JSON object"),
    "unknown key": ({"t.jsonl": '{"id": "a", "prompt": "x"}'}, {"train": "t.jsonl"}, "t.jsonl:1 has a key that nobody"),
    "same id": ({"t.jsonl": ROW + "\n" + ROW}, {"train": "t.jsonl"}, "t.jsonl:3 has the same id as line 1"),
    "no id": ({"t.jsonl": '{"input": "x"}'}, {"train": "t.jsonl"}, "t.jsonl:1 has no usable id"),
    "odd id": ({"t.jsonl": '{"id": "../x", "input": "x"}'}, {"train": "t.jsonl"}, "t.jsonl:1 has no usable id"),
    "no input": ({"t.jsonl": '{"id": "a"}'}, {"train": "t.jsonl"}, "t.jsonl:1 has no input"),
    "odd input": (
        {"t.jsonl": '{"id": "a", "input": {"question": "x"}}'},
        {"train": "t.jsonl"},
        "t.jsonl:1, in its input, has a key that nobody reads; leave only variables, messages, placeholders.",
    ),
    "odd message": (
        {"t.jsonl": '{"id": "a", "input": {"messages": [{"role": "user"}]}}'},
        {"train": "t.jsonl"},
        "t.jsonl:1 has a message that is not one",
    ),
    "odd expected": (
        {"t.jsonl": '{"id": "a", "input": "x", "expected": 7}'},
        {"train": "t.jsonl"},
        't.jsonl:1 has an "expected" that is no text; put it into quotes',
    ),
    "half a character": ({"t.jsonl": '{"id": "a", "input": "\\ud800"}'}, {"train": "t.jsonl"}, "half a character"),
    "a leak": ({}, {"val": "train.jsonl"}, "train.jsonl:1 has the same id as train.jsonl:1"),
    "a leak by input": (
        {"t.jsonl": ROW, "v.jsonl": ROW.replace('"a"', '"b"')},
        {"train": "t.jsonl", "val": "v.jsonl"},
        "v.jsonl:1 has the same input as t.jsonl:1",
    ),
    "no variable": (
        {"p.txt": "You work for {{shop}}."},
        {"prompt": "p.txt"},
        "train.jsonl:1 gives no value for {{shop}}, which the prompt uses",
    ),
    "no placeholder": (
        {"t.jsonl": '{"id": "a", "input": {"placeholders": {"log": [{"role": "user", "content": "x"}]}}}'},
        {"train": "t.jsonl"},
        "t.jsonl:1 fills a placeholder that the prompt does not have",
    ),
    "no such evaluator": ({}, {"evaluator": "ragas:faithfulness"}, "the evaluator is of no known kind; give python:"),
    "no function": ({}, {"evaluator": "python:cli_evaluators:absent"}, "has no function 'absent'"),
    "no rubric": ({}, {"evaluator": "judge:absent.md"}, "there is no file"),
    "no address": ({}, {"evaluator": "http://"}, "write it like http://host:port/path"),
    "small budget": ({}, {"max_task_calls": "47"}, "allow at least 48 task calls, or give fewer validation rows."),
    "out is an input": ({}, {"out": "train.jsonl"}, "train.jsonl is one of the files that are read"),
    "out is a folder": ({}, {"out": "."}, "is a folder"),
    "out is nowhere": ({}, {"out": "absent/better.txt"}, "absent/better.txt cannot be written (No such file"),
    "out is there": (
        {"o.txt": "mine"},
        {"out": "o.txt"},
        "o.txt is there already; give --out another name",
    ),
    "no model": ({}, {"model": None}, "--model is missing; name a model that the server has."),
    "no critic": ({}, {"critic_model": None}, "--critic-model is missing"),
    "no base url": ({}, {"base_url": "localhost"}, "write it like https://host/v1."),
}
"""Name -> files to write, options to change, and words of the one sentence that is said."""
