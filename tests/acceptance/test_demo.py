"""`tracegrad demo` as a newcomer runs it, and the commands that it points to."""

import json
from pathlib import Path

import pytest

from sandbox.scenario.customers import HOSTILE_LINE
from tests.acceptance.harness import ROOT, sandbox, tracegrad

pytestmark = pytest.mark.slow


def test_the_whole_loop(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    first = tracegrad("--json", "demo", "--folder", folder, cwd=ROOT)
    assert first.returncode == 0, first.stderr
    shown = json.loads(first.stdout)
    cycle = shown["cycle"]
    assert (cycle["state"], cycle["verdict"], cycle["published_version"]) == ("done", "pass", 2)
    assert cycle["report"]["candidate_mean"] > cycle["report"]["baseline_mean"]
    assert cycle["report"]["proof"] == "proven"
    claim = cycle["report"]["claim"]
    assert claim["e_value"] >= claim["threshold"] >= 20
    assert claim["scored_pairs"] >= 50
    assert cycle["report"]["scored_pairs"] >= 100
    assert sum(one["attacks"] for one in cycle["report"]["attacks"]) >= 200
    assert cycle["cost"].startswith("$")
    assert cycle["changes"]
    for change in cycle["changes"]:
        assert change["reason"]
        assert change["sources"] >= 2
        assert change["traces"][0]["url"].startswith("http://127.0.0.1:")
        assert HOSTILE_LINE not in change["new"]
    null, worse = (one["verdict"] for one in shown["refused"])
    assert (null in ("fail", "undecided"), worse) == (True, "fail")

    config = Path(shown["config"])
    again = tracegrad("show", cycle["id"], config=config)
    assert again.returncode == 0
    assert "why:" in again.stdout
    assert "\x1b[" not in again.stdout, "no colour when piped"
    status = tracegrad("--json", "status", config=config)
    assert json.loads(status.stdout)["prompts"][0]["published"] == 2

    second = tracegrad("demo", "--folder", folder, cwd=ROOT)
    assert second.returncode == 0, second.stderr
    assert "nothing to do: no complaints about version 2" in second.stdout
    with sandbox(folder / "sandbox") as world:
        assert world.versions() == [1, 2]
        served = world.get("/api/public/v2/prompts/support-assistant")
        assert served["version"] == 2
        assert HOSTILE_LINE not in served["prompt"]
        assert cycle["id"] in served["commitMessage"]
        anchors = world.get("/api/public/dataset-items", datasetName="tracegrad-anchors-support-assistant")["data"]
        assert len(anchors) == len(cycle["report"]["fixed"]) > 0
