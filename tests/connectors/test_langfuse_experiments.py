"""A gate report as experiments in Langfuse, written and read back over HTTP."""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from langfuse import Langfuse
from langfuse_scripted import START, access_to, answering
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connectors.langfuse.experiment_rows import TEXT_CHARS
from connectors.langfuse.experiments import LangfuseExperiments
from connectors.langfuse.server import Server, probe
from optimizer.errors import BadAnswer, NotFound, ServerFault, TracegradError, Unreachable
from optimizer.proof import GateReport
from optimizer.types import CaseOrigin, Evidence
from sandbox.langfuse.app import create_app
from sandbox.serving import serve
from tests.gates.report_samples import FULL, HOSTILE, evidence_of, pair, report_of

SHA = "0123456789abcdef" * 4
NAME = "support@0123456789ab/gate-7"
AUTH = ("pk-lf-sandbox", "sk-lf-sandbox")


@contextmanager
def langfuse(folder: Path, *, version: str = "4.59.0") -> Iterator[str]:
    with serve(create_app(folder / "langfuse.db", version=version)) as url:
        yield url


async def exported(url: str, report: GateReport, **given: Any) -> str:
    access = access_to(url)
    async with LangfuseExperiments(access, await probe(access)) as experiments:
        return await experiments.export(
            report, **{"prompt": "support", "candidate_sha": SHA, "run_name": "gate-7", "at": START, **given}
        )


async def listed(url: str, path: str, **params: str) -> list[dict[str, Any]]:
    since = {} if path == "v3/scores" else {"fromStartTime": "2026-01-01T00:00:00Z"}
    given = {"limit": "100", **since, **params}
    async with httpx.AsyncClient(base_url=url, auth=AUTH) as http:
        answer = await http.get(f"/api/public/{path}", params=given)
    found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
    return found


async def created(url: str, dataset: str) -> str:
    async with httpx.AsyncClient(base_url=url, auth=AUTH) as http:
        answer = await http.post("/api/public/v2/datasets", json={"name": dataset})
    return str(answer.raise_for_status().json()["id"])


async def both(url: str) -> dict[str, dict[str, Any]]:
    found = await listed(url, "experiments", fields="core,metadata,scores")
    return {experiment["name"]: experiment for experiment in found}


async def test_both_arms_are_experiments_that_can_be_compared(tmp_path: Path) -> None:
    with langfuse(tmp_path) as url:
        place = await exported(url, FULL)
        experiments = await both(url)
        candidate = experiments[NAME]
        items = await listed(
            url, "experiment-items", experimentId=candidate["id"], fields="core,io,dataset,metadata,itemMetadata,scores"
        )
        effects = await listed(url, "v3/scores", name="gate.effect", environment="tracegrad", fields="details,subject")
    assert set(experiments) == {NAME, f"{NAME} (baseline)"}
    assert place == f"{url}/project/lf-sandbox-project/experiments/results?baseline={candidate['id']}"
    assert {experiment["itemCount"] for experiment in experiments.values()} == {100}
    assert candidate["metadata"] == {
        "arm": "candidate",
        "verdict": "pass",
        "proof": "proven",
        "model": "task-model",
        "evaluator": "promptfoo 0.121",
    }
    scores = {score["name"]: score for score in candidate["scores"]}
    assert {name: score["value"] for name, score in scores.items()} == {
        "gate.verdict": "pass",
        "gate.proof": "proven",
        "gate.effect": FULL.numbers.effect,
        "gate.e_value": 123.4,
    }
    (effect,) = effects
    assert effect["comment"] == "95% interval -0.020 to +0.370, on 99 cases"
    assert effect["subject"] == {"kind": "experiment", "id": candidate["id"]}
    assert experiments[f"{NAME} (baseline)"]["scores"] == []
    case = FULL.evidence.pairs[0]
    (item,) = [item for item in items if item["metadata"]["case"] == case.case.id]
    assert item["environment"] == "sdk-experiment"
    assert item["output"] == case.candidate.output
    assert json.loads(item["input"])["variables"] == {"city": f"Rome {HOSTILE}"}
    assert [(score["name"], score["value"]) for score in item["scores"]] == [("gate.score", 1.0)]
    assert item["experimentItemMetadata"]["origin"] == "replay"


async def test_exporting_twice_changes_nothing(tmp_path: Path) -> None:
    with langfuse(tmp_path) as url:
        await exported(url, FULL)
        first = await everything(url)
        await exported(url, FULL)
        second = await everything(url)
    assert timeless(first) == timeless(second)
    assert len(first[2]) == 4 * len(FULL.evidence.pairs), "two spans for each answer"


async def everything(url: str) -> tuple[Any, Any, Any]:
    return (
        await both(url),
        await listed(url, "experiment-items", fields="core,io,scores"),
        await listed(url, "v2/observations", limit="1000", environment="sdk-experiment", fields="core,basic,io"),
    )


def timeless(value: Any) -> Any:
    """The same without the moments at which the server wrote it down."""
    if isinstance(value, dict):
        return {key: timeless(part) for key, part in value.items() if key not in {"createdAt", "updatedAt"}}
    return [timeless(part) for part in value] if isinstance(value, list | tuple) else value


async def test_another_gate_is_another_experiment(tmp_path: Path) -> None:
    with langfuse(tmp_path) as url:
        await exported(url, report_of())
        await exported(url, report_of(), run_name="gate-8")
        assert len(await both(url)) == 4


async def test_only_items_of_the_dataset_are_linked_and_as_the_sdk_would(tmp_path: Path) -> None:
    curated = pair(1, 0.0, 1.0, id="case-0", origin=CaseOrigin.DATASET, reference="the answer")
    anchor = pair(2, 0.0, 1.0, id="anchor-1", origin=CaseOrigin.ANCHOR)
    report = report_of(Evidence(pairs=(anchor, curated, pair(3, None, 1.0)), model="m", evaluator="e"))
    with langfuse(tmp_path) as url:
        dataset = await created(url, "folder/curated")
        place = await exported(url, report, dataset="folder/curated")
        items = await listed(url, "experiment-items", experimentName=NAME, fields="core,io,dataset,metadata,scores")
    # the SDK's own formula, which needs nothing of a client
    expected = Langfuse._create_experiment_id(
        cast(Langfuse, None), project_id="lf-sandbox-project", dataset_id=dataset, run_name=NAME
    )
    assert place.endswith(f"baseline={expected}")
    linked = {item["experimentItemId"]: item for item in items if item["experimentDatasetId"] == dataset}
    assert set(linked) == {"case-0"}
    assert linked["case-0"]["expectedOutput"] == "the answer"
    assert len(items) == 3


async def test_an_answer_that_nobody_scored_has_no_score(tmp_path: Path) -> None:
    with langfuse(tmp_path) as url:
        await exported(url, report_of(evidence_of((None, 1.0))))
        (item,) = await listed(
            url, "experiment-items", experimentName=f"{NAME} (baseline)", fields="core,io,metadata,scores"
        )
    assert (item["level"], item["scores"], item["metadata"]["score"]) == ("WARNING", [], "unscored")


async def test_an_old_server_gets_the_scores_of_the_whole_alone(tmp_path: Path) -> None:
    with langfuse(tmp_path, version="4.16.0") as url:
        await exported(url, report_of())
        experiments = await both(url)
        items = await listed(url, "experiment-items", experimentName=NAME, fields="core,metadata,scores")
    assert {score["name"] for score in experiments[NAME]["scores"]} == {"gate.verdict", "gate.proof", "gate.effect"}
    assert [item["scores"] for item in items] == [[]] * 100
    assert {item["metadata"]["score"] for item in items} == {0.0, 1.0}


async def test_sealed_cases_are_not_exported(tmp_path: Path) -> None:
    sealed = replace(FULL.evidence, pairs=tuple(pair(n, 0.0, 1.0, id=f"sealed-{n}") for n in range(3)))
    assert FULL.claim is not None
    with langfuse(tmp_path) as url:
        await exported(url, replace(FULL, claim=replace(FULL.claim, evidence=sealed)))
        items = await listed(url, "experiment-items", fields="core,metadata")
    assert not [item for item in items if item["metadata"]["case"].startswith("sealed")]


SERVER = Server(version="4.59.0", project_id="p", clock_ahead_s=0.0, batch_scores=True)


async def export_to(url: str, report: GateReport, **given: Any) -> str:
    """To a server that need not be one."""
    async with LangfuseExperiments(access_to(url), SERVER) as experiments:
        return await experiments.export(
            report, **{"prompt": "support", "candidate_sha": SHA, "run_name": "gate-7", "at": START, **given}
        )


async def test_nothing_is_written_for_a_gate_without_cases() -> None:
    with answering(lambda _: JSONResponse({}, 500)) as (url, asked):
        assert await export_to(url, report_of(evidence_of())) == ""
    assert asked == []


async def test_long_texts_are_cut_and_batches_stay_small() -> None:
    sizes: list[int] = []

    def answer(request: Request) -> Response:
        if request.url.path.endswith("traces"):
            message = gzip.decompress(request._body)
            assert ExportTraceServiceRequest.FromString(message).resource_spans
            sizes.append(len(message))
            return Response(b"", media_type="application/x-protobuf")
        return JSONResponse({"message": "Accepted"}, 202)

    long = pair(1, 0.0, 1.0)
    long = replace(long, candidate=replace(long.candidate, output="half \ud83d" + "word " * 200_000))
    pairs = tuple(replace(long, case=replace(long.case, id=f"c{n}")) for n in range(60))
    with answering(answer) as (url, asked):
        await export_to(url, report_of(Evidence(pairs=pairs, model="m", evaluator="e")))
    assert len(sizes) > 1
    assert max(sizes) < 1_500_000
    assert sum(sizes) < 60 * 2 * 2 * (TEXT_CHARS + 3000)
    assert [request.headers["x-langfuse-ingestion-version"] for request in asked[: len(sizes)]] == ["4"] * len(sizes)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (lambda _: JSONResponse({}, 500), ServerFault),
        (lambda _: Response("<html>", media_type="text/html"), BadAnswer),
        (lambda _: Response(refusing(3), media_type="application/x-protobuf"), BadAnswer),
        (
            lambda request: (
                JSONResponse({"errors": [{"message": "out of range"}]}, 207)
                if request.url.path.endswith("scores")
                else Response(b"")
            ),
            BadAnswer,
        ),
    ],
)
async def test_what_goes_wrong_is_an_error_of_ours(
    said: Callable[[Request], Response], error: type[TracegradError]
) -> None:
    with answering(said) as (url, _), pytest.raises(error) as raised:
        await export_to(url, FULL)
    assert HOSTILE not in str(raised.value)


def refusing(spans: int) -> bytes:
    body: bytes = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=spans)
    ).SerializeToString()
    return body


async def test_a_dataset_that_is_not_there_and_a_server_that_is_gone(tmp_path: Path) -> None:
    with langfuse(tmp_path) as url:
        with pytest.raises(NotFound):
            await exported(url, FULL, dataset="nowhere")
        assert await both(url) == {}
    with pytest.raises(Unreachable):
        await export_to(url, FULL)
