"""docs/which-version.md shows the examples as they are, a split as it is written, and answers as they are given."""

import json
import re
from pathlib import Path

import pytest

from connectors.flags.langfuse import split_of, text_of
from deploy.ofrep.app import FLAGS, MOST_BYTES
from deploy.ofrep.flags import ErrorCode, Flags, Reason, Shown
from deploy.release_settings import CanarySettings, OfrepSettings, ReleaseSettings
from deploy.store.splits import KeptSplit
from optimizer.prompts import PromptVersion
from optimizer.rollouts import canary

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "which-version.md").read_text(encoding="utf-8")
NAME = "support/answer"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("number", "file"), [(0, "openfeature/app.py"), (1, "resolver/resolver.py")])
def test_the_code_is_that_of_the_examples(number: int, file: str) -> None:
    assert blocks("python")[number] in (ROOT / "examples" / file).read_text(encoding="utf-8")


def test_the_split_is_one_that_the_flag_service_reads_and_writes() -> None:
    (text,) = blocks("json")
    version = PromptVersion(
        name=f"rollouts/{NAME}", version=1, body=text, config_json="{}", labels=("production",), commit_message=""
    )
    split = split_of(NAME, version)
    assert split == canary(NAME, "9f2c...", version=8, share=0.1)
    assert json.loads(text_of(split)) == json.loads(text)


def test_the_answer_is_one_that_the_endpoint_gives() -> None:
    (said,) = re.findall(r"^200  (.*)$", PAGE, re.MULTILINE)
    kept = KeptSplit(split=canary(NAME, "s", version=8, share=1 - 2**-30), serial=2)
    shown = Flags(prompts=frozenset({NAME}), splits={NAME: kept}).shown(NAME, "user-7")
    assert isinstance(shown, Shown)
    assert said == json.dumps(shown.json(), separators=(",", ":"))
    assert f"POST {FLAGS}/support%2Fanswer " in PAGE
    assert f"POST {FLAGS}`" in PAGE


def test_words_and_numbers_are_those_of_the_code() -> None:
    for word in (*Reason, *ErrorCode):
        assert f"`{word}`" in PAGE or word is ErrorCode.GENERAL
    assert f"over {MOST_BYTES // 1024} KiB" in PAGE
    assert f"port: {OfrepSettings().port}\n" in PAGE
    assert CanarySettings().settle_s == 120
    assert "`release.canary.settle_s` (two minutes)" in PAGE
    assert ReleaseSettings().resolver == "ofrep"
