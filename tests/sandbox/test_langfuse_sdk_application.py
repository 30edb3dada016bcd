"""An application that uses the plain Langfuse SDK 5 is pointed at the sandbox with no change but the host."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from langfuse import Evaluation, Langfuse, propagate_attributes
from langfuse.api import (
    AsyncLangfuseAPI,
    CreateTextPromptRequest,
    ScoreV3_Boolean,
    ScoreV3_Categorical,
    ScoreV3_Correction,
    ScoreV3_Numeric,
)
from langfuse.api.core import ApiError
from opentelemetry.sdk.trace import TracerProvider

from sandbox.langfuse.app import create_app
from sandbox.serving import serve

ALL_GROUPS = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
SYSTEM = "You answer for {{company}}."


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportApplication:
    """What a customer's program looks like; it knows the SDK and nothing of the sandbox."""

    langfuse: Langfuse

    def answer(self, question: str, *, user: str) -> tuple[str, str]:
        """Answer one question; returns the ids of the trace and of its generation."""
        prompt = self.langfuse.get_prompt("support/system")
        messages = [
            {"role": "system", "content": prompt.compile(company="ACME")},
            {"role": "user", "content": question},
        ]
        with (
            self.langfuse.start_as_current_observation(as_type="span", name="answer", input={"q": question}) as root,
            propagate_attributes(user_id=user, session_id=f"session-of-{user}", tags=["web"], trace_name="support"),
            self.langfuse.start_as_current_observation(
                as_type="generation", name="llm", model="some-model", prompt=prompt, input=messages
            ) as generation,
        ):
            generation.update(
                output=f"No idea about {question}.",
                usage_details={"input": 12, "output": 5},
                cost_details={"input": 0.1, "output": 0.2},
                model_parameters={"temperature": 0.2},
                metadata={"attempt": 2, "route": {"region": "eu"}},
            )
            root.update(output=f"No idea about {question}.")
            return generation.trace_id, generation.id

    def thumbs_down(self, trace_id: str, comment: str) -> None:
        """What the user pressed."""
        self.langfuse.create_score(trace_id=trace_id, name="helpful", value=0.1, comment=comment)
        self.langfuse.create_score(trace_id=trace_id, name="resolved", value=0, data_type="BOOLEAN")

    def review(self, trace_id: str, generation_id: str) -> None:
        """What a reviewer wrote."""
        where = {"trace_id": trace_id, "observation_id": generation_id}
        self.langfuse.create_score(**where, name="tone", value="rude", data_type="CATEGORICAL")
        self.langfuse.create_score(**where, name="output", value="Ask billing.", data_type="CORRECTION")
        project = self.langfuse.api.projects.get().data[0].id
        self.langfuse.api.comments.create(
            project_id=project, object_type="TRACE", object_id=trace_id, content="should name the department"
        )


@pytest.fixture
def public_key(request: pytest.FixtureRequest) -> str:
    """One per test: the SDK keeps one client per public key and process."""
    return f"pk-{request.node.name}"


@pytest.fixture
def host(tmp_path: Path, public_key: str) -> Iterator[str]:
    with serve(create_app(tmp_path / "langfuse.sqlite", public_key=public_key)) as url:
        yield url


@pytest.fixture
def langfuse(host: str, public_key: str) -> Iterator[Langfuse]:
    with httpx.Client() as http:
        client = Langfuse(
            public_key=public_key,
            secret_key="sk-lf-sandbox",
            base_url=host,
            environment="production",
            tracer_provider=TracerProvider(),
            httpx_client=http,
        )
        yield client
        client.shutdown()


def test_an_application_writes_and_reads_with_no_change_but_the_host(langfuse: Langfuse) -> None:
    assert langfuse.auth_check()
    langfuse.create_prompt(name="support/system", prompt=SYSTEM, labels=["production"], config={"model": "some-model"})
    application = SupportApplication(langfuse=langfuse)

    trace_id, generation_id = application.answer("refunds", user="ada")
    langfuse.flush()
    application.thumbs_down(trace_id, "it did not answer")
    application.review(trace_id, generation_id)
    langfuse.flush()

    rows = langfuse.api.observations.get_many(trace_id=trace_id, fields=ALL_GROUPS, expand_metadata="route").data
    # both may have started in the same millisecond; then their order says nothing
    generation, root = sorted(rows, key=lambda row: row.type)
    assert (generation.id, generation.type, root.type) == (generation_id, "GENERATION", "SPAN")
    assert (generation.prompt_name, generation.prompt_version) == ("support/system", 1)
    assert (generation.model, generation.model_parameters) == ("some-model", {"temperature": 0.2})
    assert (generation.usage_details, generation.total_cost) == (
        {"input": 12, "output": 5, "total": 17},
        pytest.approx(0.3),
    )
    assert generation.parent_observation_id == root.id
    assert (generation.is_root_observation, root.is_root_observation) == (False, True)
    assert generation.input.startswith('[{"role": "system", "content": "You answer for ACME."}')
    assert (generation.output, root.input) == ("No idea about refunds.", '{"q": "refunds"}')
    assert (generation.user_id, generation.session_id) == ("ada", "session-of-ada")
    assert (generation.environment, generation.trace_name, generation.tags) == ("production", "support", ["web"])
    assert (generation.metadata["attempt"], generation.metadata["route"]) == (2, {"region": "eu"})
    assert root.prompt_name == ""

    scores = {score.name: score for score in langfuse.api.scores.get_many(fields="details,subject").data}
    numeric, boolean, category, correction = (scores[name] for name in ("helpful", "resolved", "tone", "output"))
    assert isinstance(numeric, ScoreV3_Numeric)
    assert isinstance(boolean, ScoreV3_Boolean)
    assert isinstance(category, ScoreV3_Categorical)
    assert isinstance(correction, ScoreV3_Correction)
    assert (numeric.value, numeric.comment, numeric.environment) == (0.1, "it did not answer", "production")
    assert (boolean.value, category.value, correction.value) == (False, "rude", "Ask billing.")
    assert (numeric.subject.kind, numeric.subject.id) == ("trace", trace_id)
    assert (correction.subject.kind, correction.subject.id) == ("observation", generation_id)

    comments = langfuse.api.comments.get(object_type="TRACE", object_id=trace_id).data
    assert [comment.content for comment in comments] == ["should name the department"]


def test_a_new_version_reaches_the_application_by_its_label(langfuse: Langfuse) -> None:
    langfuse.create_prompt(name="support/system", prompt=SYSTEM, labels=["production"])
    langfuse.create_prompt(name="support/system", prompt="Be kind. " + SYSTEM, labels=["canary"])
    assert langfuse.get_prompt("support/system", cache_ttl_seconds=0).version == 1
    langfuse.update_prompt(name="support/system", version=2, new_labels=["production"])
    promoted = langfuse.get_prompt("support/system", cache_ttl_seconds=0)
    assert (promoted.version, promoted.compile(company="X")) == (2, "Be kind. You answer for X.")
    assert not promoted.is_fallback


def test_a_chat_prompt_with_placeholders_comes_back_whole(langfuse: Langfuse) -> None:
    messages = [
        {"role": "system", "content": "For {{company}}."},
        {"type": "placeholder", "name": "history"},
        {"role": "user", "content": "{{question}}"},
    ]
    langfuse.create_prompt(name="chat", type="chat", prompt=messages, labels=["production"])
    prompt = langfuse.get_prompt("chat", type="chat")
    history = [{"role": "user", "content": "hello"}]
    assert prompt.compile(company="X", question="why?", history=history) == [
        {"role": "system", "content": "For X."},
        {"role": "user", "content": "hello"},
        {"role": "user", "content": "why?"},
    ]


def test_an_experiment_is_read_back_from_its_spans(langfuse: Langfuse) -> None:
    langfuse.create_dataset(name="gate")
    for number in range(3):
        langfuse.create_dataset_item(dataset_name="gate", id=f"case-{number}", input=number, expected_output=number * 2)
    dataset = langfuse.get_dataset("gate")

    def task(*, item: Any, **_: Any) -> int:
        return int(item.input) * 2

    def exact(*, output: Any, expected_output: Any, **_: Any) -> Evaluation:
        return Evaluation(name="exact", value=float(output == expected_output))

    result = dataset.run_experiment(name="candidate", run_name="run-1", task=task, evaluators=[exact])
    langfuse.flush()
    assert len(result.item_results) == 3
    since = min(item.created_at for item in dataset.items)
    (experiment,) = langfuse.api.experiments.list(from_start_time=since, fields="core,metadata,scores").data
    assert (experiment.name, experiment.item_count, experiment.dataset_id) == ("run-1", 3, dataset.id)
    items = langfuse.api.experiments.list_items(
        from_start_time=since, experiment_id=experiment.id, fields="core,dataset,io,scores"
    ).data
    assert {item.experiment_item_id: item.output for item in items} == {"case-0": "0", "case-1": "2", "case-2": "4"}
    assert {item.expected_output for item in items} == {"0", "2", "4"}
    assert [score.name for item in items for score in item.scores or ()] == ["exact"] * 3


@pytest.fixture
async def api(host: str, public_key: str) -> AsyncIterator[AsyncLangfuseAPI]:
    async with httpx.AsyncClient() as http:
        yield AsyncLangfuseAPI(base_url=host, username=public_key, password="sk-lf-sandbox", httpx_client=http)


async def test_the_async_client_parses_what_it_is_answered(api: AsyncLangfuseAPI) -> None:
    created = await api.prompts.create(request=CreateTextPromptRequest(name="p", prompt="hi {{n}}", labels=["canary"]))
    assert (created.version, created.labels) == (1, ["canary", "latest"])
    listed = await api.prompts.list(name="p")
    assert (listed.data[0].versions, listed.meta.total_items) == ([1], 1)
    config = await api.score_configs.create(name="helpful", data_type="NUMERIC", min_value=0, max_value=1)
    assert (await api.score_configs.get_by_id(config.id)).max_value == 1
    assert (await api.score_configs.update(config.id, is_archived=True)).is_archived
    assert (await api.health.health()).version == "4.59.0"
    with pytest.raises(ApiError) as refused:
        await api.prompts.get("nope", request_options={"max_retries": 0})
    assert refused.value.status_code == 404
