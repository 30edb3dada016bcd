"""The owner's promptfoo configuration: what is read of it, what is refused, and what cannot be honoured."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from connectors.promptfoo.owner.config import OwnerTests
from connectors.promptfoo.owner.documents import read
from optimizer.errors import BadInput
from optimizer.prompts import Body, Message, body_json
from optimizer.proof import Gate
from optimizer.types import CaseOrigin, Verdict

GOOD = {"vars": {"question": "Where is it?"}, "assert": [{"type": "contains", "value": "here"}]}


def load(folder: Path, config: Any = None, *, body: Body = "Be kind.", **chosen: Any) -> OwnerTests:
    path = folder / "promptfooconfig.yaml"
    if config is not None:
        path.write_text(config if isinstance(config, str) else json.dumps(config))
    return OwnerTests.load(path, project=folder, prompt_name="support", body=body, **chosen)


def test_every_test_is_a_case_with_an_id_that_depends_on_its_words_alone(tmp_path: Path) -> None:
    (tmp_path / "more.jsonl").write_text(json.dumps({**GOOD, "description": "Über {{x}} / file://y"}) + "\n\n")
    (tmp_path / "rows.csv").write_text("\ufeffquestion,__expected\nyes?,contains: yes\nno?,\n")
    (tmp_path / "list.yml").write_text("- vars: {question: list}\n- vars: {question: other}\n")
    config = {"tests": [GOOD, "more.jsonl", "file://rows.csv", "file://l*.yml"]}
    owner = load(tmp_path, config)
    again = load(tmp_path, {"tests": list(reversed(config["tests"]))})
    assert len(owner.cases) == 6
    assert {case.id for case in owner.cases} == {case.id for case in again.cases}
    assert all(case.origin is CaseOrigin.CONFIG for case in owner.cases)
    assert owner.cases[1].id.startswith("config-ber-x-file-y-")
    assert owner.cases[0].input.variables == (("question", "Where is it?"),)
    assert owner.not_honoured == ()
    assert owner.finding() is None


BOMB = "\n".join(
    [
        "a: &a [x, x, x, x, x, x, x, x, x]",
        *(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefghijkl")),
    ]
)
"""Twelve lines that stand for 9^12 values."""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tests: [", r"promptfooconfig\.yaml does not parse \(line 1\); mend it\."),
        ("a: b: c", "does not parse"),
        ("tests: !!python/object:os.system {}", "does not parse"),
        ("a: &a [*a]", "does not parse"),
        (BOMB, r"promptfooconfig\.yaml holds aliases of aliases without end; write out what they stand for\."),
        ("just words", "holds no settings of promptfoo"),
        ("[1, 2]", "holds no settings"),
        ("", "holds no settings"),
        ("tests: []", r"holds no tests; write some under `tests`\."),
        ("tests: [3]", "an entry of `tests` is no test"),
        ("tests: [{assert: {type: equals}}]", "the `assert` of a test is no list"),
        ("tests: [missing.yaml]", "there is no file 'missing.yaml'"),
        (f"tests: [file://{'x' * 300}.yaml]", "there is no file"),
        ("defaultTest: [1]", "`defaultTest` is no test"),
        ("tests: [{$ref: '#/nowhere'}]", "leads nowhere"),
        ("x: {$ref: '#/x'}\ntests: []", "leads back to itself"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load(tmp_path, text)


def test_a_missing_file_bytes_that_are_no_text_and_a_program_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "promptfooconfig.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="not UTF-8"):
        load(tmp_path)
    with pytest.raises(BadInput, match="no YAML or JSON"):
        OwnerTests.load(tmp_path / "promptfooconfig.js", project=tmp_path, prompt_name="support", body="")


@pytest.mark.parametrize(
    "test",
    [
        {"vars": {"question": "file://../outside.txt"}},
        {"vars": {"question": "file://OUTSIDE"}},
        {"vars": {"question": "file://link.txt"}},
        {"vars": "../outside.txt"},
        {"vars": {"question": "x"}, "assert": [{"type": "equals", "value": "file://../outside.txt"}]},
        {"vars": {"question": "x"}, "assert": [{"type": "contains-any", "value": ["a", "file://../outside.txt"]}]},
        {"vars": {"question": "x"}, "assert": [{"type": "javascript", "value": "file://../outside.cjs:check"}]},
        {"vars": {"question": "x"}, "assert": "file://../outside.yaml"},
        {"vars": {"question": "x"}, "options": {"transform": "file://../outside.cjs"}},
        {"vars": {"question": "x"}, "options": {"rubricPrompt": "file://folder/outside.txt"}},
        {"$ref": "../outside.yaml#/x"},
    ],
)
@pytest.mark.parametrize("place", ["tests", "defaultTest", "file"])
def test_files_outside_the_project_are_refused(tmp_path: Path, test: dict[str, Any], place: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in ("outside.txt", "outside.cjs", "outside.yaml"):
        (tmp_path / name).write_text("x: {}")
    (project / "link.txt").symlink_to(tmp_path / "outside.txt")
    (project / "folder").symlink_to(tmp_path)
    test = json.loads(json.dumps(test).replace("OUTSIDE", str(tmp_path / "outside.txt")))
    (project / "listed.json").write_text(json.dumps([test]))
    config = {
        "tests": {"tests": [test]},
        "defaultTest": {"defaultTest": test, "tests": [GOOD]},
        "file": {"tests": ["listed.json"]},
    }[place]
    with pytest.raises(BadInput, match=r"leads out of the project; copy the file into the project\."):
        load(project, config)


@pytest.mark.parametrize(
    "cell", ["file://../outside.txt", "is-json: file://../outside.txt", "equals:file://../outside.txt"]
)
def test_a_cell_leads_out_of_the_project_no_more_than_a_value(tmp_path: Path, cell: str) -> None:
    (tmp_path / "outside.txt").write_text("")
    project = tmp_path / "project"
    project.mkdir()
    (project / "rows.csv").write_text(f"question,__expected\nx,{cell}\n")
    with pytest.raises(BadInput, match="leads out of the project"):
        load(project, {"tests": "rows.csv"})


def test_references_inside_become_absolute(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("question.txt", "check.py", "sub/vars.yaml", "sub/filter.cjs"):
        (tmp_path / name).write_text("x: 1")
    listed = {"vars": "vars.yaml", "assert": [{"type": "python", "value": "file://check.py:get_it"}]}
    (tmp_path / "sub" / "tests.json").write_text(json.dumps([listed]))
    first = {"vars": {"question": "file://question.txt", "other": "see file://question.txt"}}
    config = {"tests": [first, "sub/tests.json"], "nunjucksFilters": {"loud": "sub/filter.cjs"}}
    owner = load(tmp_path, config)
    said = [test.said for test in owner.tests.values()]
    assert said[0]["vars"] == {"question": f"file://{tmp_path}/question.txt", "other": "see file://question.txt"}
    assert said[1]["vars"] == f"file://{tmp_path}/sub/vars.yaml"
    assert said[1]["assert"] == [{"type": "python", "value": f"file://{tmp_path}/check.py:get_it"}]
    assert owner.filters == {"loud": tmp_path / "sub" / "filter.cjs"}


def test_the_same_test_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"test 2 is the same as 'twin'; remove one of them\."):
        load(tmp_path, {"tests": [{**GOOD, "description": "twin"}, {**GOOD, "description": "twin"}]})


@pytest.mark.parametrize("row", ["a,b,c", "a"])
def test_a_row_of_another_width_is_refused(tmp_path: Path, row: str) -> None:
    (tmp_path / "rows.csv").write_text(f"question,__expected\n{row}\n")
    with pytest.raises(BadInput, match=r"row 1 of rows\.csv has not as many cells"):
        load(tmp_path, {"tests": ["rows.csv"]})


def test_scalars_are_read_as_promptfoo_reads_them(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        "{a: yes, b: 2024-01-02, c: 010, d: 1:30, e: 1.5, f: true, g: null, h: 1e3, i: off, j: .inf}\n"
    )
    assert read(tmp_path / "x.yaml") == {
        "a": "yes",
        "b": "2024-01-02",
        "c": 10,
        "d": "1:30",
        "e": 1.5,
        "f": True,
        "g": None,
        "h": 1000.0,
        "i": "off",
        "j": ".inf",
    }


def asserting(**assertion: Any) -> dict[str, Any]:
    return {"tests": [{"description": "t", "vars": {"question": "x"}, "assert": [assertion]}]}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (asserting(type="moderation"), "'moderation' in 't'"),
        (asserting(type="not-webhook", value="http://127.0.0.1:1"), "'not-webhook' in 't'"),
        (asserting(type="an-invention"), "'an-invention' in 't'"),
        (asserting(value="x"), "an assertion without a `type` in 't'"),
        (asserting(type="llm-rubric", value="x"), "'llm-rubric' in 't', which needs a judge model"),
        (asserting(type="similar", value="x"), "'similar' in 't', which needs an embedding model"),
        (asserting(type="javascript", value="package:x:y"), "a package in 't'"),
        (asserting(type="javascript", value="context.prompt.length"), "`context.prompt` in 't'"),
        (asserting(type="contains", value="{{ env.HOME }}"), "the environment in a template of 't'"),
        (asserting(type="assert-set", **{"assert": [{"type": "pi"}]}), "'pi' in 't'"),
        (asserting(type="contains", value="x", provider="anthropic:x"), "the grader that 't' names"),
        (
            asserting(type="contains", value="x", provider={"id": "openai:gpt-9", "config": {"tools": [{}]}}),
            "the grader that 't' names",
        ),
        ({"tests": [{"vars": {"question": "package:x:y"}}]}, "a package in test 1"),
        ({"tests": [GOOD], "defaultTest": {"vars": {"b": "{{env['A']}}"}}}, "the environment in a template of `defau"),
        ({"tests": [GOOD], "scenarios": [{}]}, "`scenarios`"),
        ({"tests": [GOOD], "extensions": ["file://hook.js:all"]}, "`extensions`"),
        ({"tests": [GOOD], "redteam": {"purpose": "x"}}, "`redteam`"),
        ({"tests": [GOOD], "env": {"A": "b"}}, "`env`"),
        ({"tests": [GOOD], "evaluateOptions": {"repeat": 3}}, "`evaluateOptions.repeat`"),
        ({"tests": [GOOD], "commandLineOptions": {"filterSample": 3}}, "`commandLineOptions.filterSample`"),
        ({"tests": [GOOD], "providers": ["openai:a", "openai:b"]}, "more than one provider"),
        ({"tests": [GOOD], "providers": ["file://app.py"]}, "a provider that is an application"),
        ({"tests": [GOOD], "targets": "https://chat.example"}, "a provider that is an application"),
        ({"tests": [GOOD], "providers": [{"id": "openai:a", "config": {"tools": [{}]}}]}, "the provider's `tools`"),
        ({"tests": [GOOD], "prompts": ["langfuse://another"]}, "a prompt that is not the one under test"),
        ({"tests": [GOOD], "prompts": ["Be rude. {{question}}"]}, "a prompt that is not the one under test"),
        ({"tests": [{**GOOD, "providerOutput": "x"}]}, "`providerOutput` of test 1"),
        ({"tests": [{**GOOD, "options": {"prefix": "x"}}]}, "the option `prefix` of test 1"),
        ({"tests": [GOOD, "file://make.py"]}, "the tests that 'file://make.py' makes"),
        ({"tests": [GOOD, "huggingface://datasets/x"]}, "tests from another machine"),
        (
            {"tests": [GOOD], "defaultTest": {"options": {"provider": "anthropic:x"}}},
            "the grader that `defaultTest` names",
        ),
        ({"tests": [{"vars": {"a": "x", "b": "y"}}]}, "no variable of test 1 reaches the prompt"),
    ],
)
def test_what_cannot_be_honoured_is_told_and_holds_the_gate_back(
    tmp_path: Path, config: dict[str, Any], told: str
) -> None:
    owner = load(tmp_path, config)
    assert [what.startswith(told) for what in owner.not_honoured] == [True]
    finding = owner.finding()
    assert finding is not None
    assert (finding.gate, finding.verdict) == (Gate.PROMPTFOO, Verdict.UNDECIDED)
    assert f"promptfooconfig.yaml asks for what this gate cannot do: {told}" in finding.sentence


def test_a_long_list_is_cut_in_the_sentence_alone(tmp_path: Path) -> None:
    kinds = ("pi", "moderation", "guardrails", "classifier", "search-rubric", "webhook", "ruby")
    owner = load(tmp_path, {"tests": [{**GOOD, "assert": [{"type": kind} for kind in kinds]}]})
    finding = owner.finding()
    assert len(owner.not_honoured) == 7
    assert finding is not None
    assert finding.sentence.endswith("'search-rubric' in test 1 and 2 more.")


def test_a_row_tells_what_it_cannot_do_too(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("question,__expected,__prefix\nx,moderation: y,\nz,note: plain words,Hi\n")
    owner = load(tmp_path, {"tests": "rows.csv"})
    assert owner.not_honoured == ("'moderation' in test 1", "`__prefix` of test 2")
    assert [test.said["__expected"] for test in owner.tests.values()] == ["", "note: plain words"]


@pytest.mark.parametrize(
    "prompts",
    [
        None,
        "langfuse://support",
        ["langfuse://support@production", "langfuse://support:8", "langfuse://support:staging:text"],
        [{"id": "langfuse://support@a:text", "label": "x"}],
        ["file://prompt.txt"],
        {"prompt.txt": "mine"},
        ["Be kind.\n"],
        ["{{prompt}}"],
    ],
)
def test_our_own_prompt_stands_for_both_arms(tmp_path: Path, prompts: Any) -> None:
    (tmp_path / "prompt.txt").write_text("Be kind.\n")
    config = {"tests": [GOOD], **({} if prompts is None else {"prompts": prompts})}
    assert load(tmp_path, config).not_honoured == ()


def test_a_prompt_file_may_hold_either_version_and_lie_beside_the_tests(tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text("Be kind and quick.\n")
    (tmp_path / "tests").mkdir()
    config = {"tests": [GOOD], "prompts": ["file://../prompt.txt"]}
    assert load(tmp_path / "tests", config).not_honoured != ()
    assert load(tmp_path / "tests", config, candidate="Be kind and quick.").not_honoured == ()
    for other in ("file://missing.txt", "long " * 2_000, "x" * 300, "a\0b"):
        assert load(tmp_path / "tests", {"tests": [GOOD], "prompts": [other]}).not_honoured != ()


def test_a_chat_in_a_file_is_told_by_its_messages(tmp_path: Path) -> None:
    chat = (Message(role="system", content="Be kind."), Message(role="user", content="{{question}}"))
    (tmp_path / "prompt.json").write_text(body_json(chat).replace(",", " ,\n"))
    config = {"tests": [GOOD], "prompts": ["prompt.json"]}
    assert load(tmp_path, config, body=chat).not_honoured == ()
    assert load(tmp_path, config, body=chat[:1]).not_honoured != ()


def test_graders_that_speak_our_protocol_are_asked_by_their_name(tmp_path: Path) -> None:
    config = asserting(
        type="llm-rubric",
        value="x",
        provider={"id": "openai:gpt-9", "config": {"temperature": 0.2, "apiKey": "sk-x", "apiHost": "elsewhere"}},
    )
    config["defaultTest"] = {"options": {"provider": {"text": "openai:chat:gpt-8", "embedding": "openai:embedding:e"}}}
    owner = load(tmp_path, config, judge_model="j", embedding_model="e")
    assert owner.not_honoured == ()
    (test,) = owner.tests.values()
    asserted = test.said["assert"]
    assert isinstance(asserted, list)
    assert asserted[0] == {
        "type": "llm-rubric",
        "value": "x",
        "provider": {
            "text": {"id": "openai:chat:gpt-9", "config": {"temperature": 0.2}},
            "embedding": {"id": "openai:embedding:e", "config": {}},
        },
    }
    assert owner.common["options"] == {
        "provider": {
            "text": {"id": "openai:chat:gpt-8", "config": {}},
            "embedding": {"id": "openai:embedding:e", "config": {}},
        }
    }


def test_the_prompts_variables_want_values(tmp_path: Path) -> None:
    owner = load(tmp_path, {"tests": [GOOD]}, body="Speak {{tone}} about {{question}}.")
    assert owner.not_honoured == ("test 1 gives no value for the prompt's variable 'tone'",)
    shared = load(
        tmp_path, {"tests": [GOOD], "defaultTest": {"vars": {"tone": "softly"}}}, body="Speak {{tone}}: {{question}}"
    )
    assert shared.not_honoured == ()
