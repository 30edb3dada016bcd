"""Dataset items as cases, where the contract suite does not reach: pages, shapes, ids, what people archived."""

import httpx
import pytest
from langfuse_scripted import access_to, answering
from starlette.responses import JSONResponse

from connectors.langfuse.datasets import LangfuseCaseSource, safe_id
from optimizer.errors import BadAnswer, ServerFault
from optimizer.prompts import Message
from optimizer.types import Case, CaseInput, CaseOrigin, Missing
from sandbox.langfuse.app import create_app
from sandbox.serving import serve

ANCHOR = Case(
    id="anchor-1",
    origin=CaseOrigin.ANCHOR,
    input=CaseInput(history=(Message(role="user", content="Hi"),)),
    reference=Missing.NO_REFERENCE,
    source_key="s",
)


def dataset(*items, per_page=100):
    pages = [items[start : start + per_page] for start in range(0, len(items), per_page)] or [()]

    def answer(request):
        if "datasets" in request.url.path:
            return JSONResponse({"id": "d", "name": "d"})
        number = int(request.query_params["page"])
        return JSONResponse({"data": pages[number - 1], "meta": {"page": number, "totalPages": len(pages)}})

    return answering(answer)


def item(key, given="Hi", **fields):
    return {"id": key, "status": "ACTIVE", "input": given, "expectedOutput": None, "mediaReferences": [], **fields}


async def cases(url):
    async with LangfuseCaseSource(access_to(url)) as source:
        return [case async for case in source.cases("d")]


async def test_every_page_is_read_and_a_row_that_moved_is_one_case():
    with dataset(item("c"), item("a"), item("a"), item("b"), per_page=2) as (url, asked):
        assert [case.id for case in await cases(url)] == ["a", "b", "c"]
    assert len(asked) == 3


async def test_an_empty_dataset_has_no_cases():
    with dataset() as (url, _):
        assert await cases(url) == []


@pytest.mark.parametrize(
    ("given", "text"),
    [("Hi", "Hi"), ({}, "{}"), ({"q": "Hi"}, '{"q":"Hi"}'), (["a"], '["a"]'), (3, "3"), (None, "")],
)
async def test_any_other_input_is_one_user_message(given, text):
    with dataset(item("a", given)) as (url, _):
        (case,) = await cases(url)
    assert [(m.role, m.content) for m in case.input.history] == [("user", text)]
    assert case.input.variables == ()


async def test_an_input_with_extra_keys_is_not_the_convention():
    with dataset(item("a", {"messages": [], "question": "Hi"})) as (url, _):
        (case,) = await cases(url)
    assert [m.role for m in case.input.history] == ["user"]


@pytest.mark.parametrize("given", [{"variables": ["a"]}, {"messages": "Hi"}, {"placeholders": {"a": "b"}}])
async def test_a_convention_with_the_wrong_shapes_names_its_item(given):
    with dataset(item("first"), item("second", given)) as (url, _), pytest.raises(BadAnswer, match="item 'second' of"):
        await cases(url)


def test_ids_are_safe_and_never_meet():
    assert safe_id("item-1_A") == "item-1_A"
    ids = [safe_id("a/b"), safe_id("a b"), safe_id("a-b"), safe_id("../é\n")]
    assert len(set(ids)) == 4
    assert all(part.isascii() and part.replace("-", "").replace("_", "").isalnum() for part in ids)


@pytest.mark.parametrize(
    "metadata",
    [None, "language", ["tags"], {"tags": "vip"}, {"tags": [1, None, ["x"]]}, {"language": ["de"], "origin": 3}, {}],
)
async def test_metadata_of_any_other_shape_says_nothing(metadata):
    with dataset(item("a", metadata=metadata)) as (url, _):
        (case,) = await cases(url)
    assert (case.tags, case.origin, case.complaint) == ((), CaseOrigin.DATASET, "")


@pytest.fixture
def server(tmp_path):
    with (
        serve(create_app(tmp_path / "sandbox.db")) as url,
        httpx.Client(base_url=url, auth=("pk-lf-sandbox", "sk-lf-sandbox")) as http,
    ):
        yield http


async def keep(server, dataset):
    async with LangfuseCaseSource(access_to(str(server.base_url))) as source:
        await source.keep(dataset, [ANCHOR])
        return [case.id async for case in source.cases(dataset)]


async def test_what_a_person_archived_stays_archived(server):
    assert await keep(server, "anchors") == ["anchor-1"]
    retired = {"datasetName": "anchors", "id": "anchor-1", "status": "ARCHIVED"}
    server.post("/api/public/dataset-items", json=retired).raise_for_status()
    assert await keep(server, "anchors") == []


async def test_a_dataset_keeps_the_description_that_a_person_gave_it(server):
    server.post("/api/public/v2/datasets", json={"name": "anchors", "description": "ours"}).raise_for_status()
    assert await keep(server, "anchors") == ["anchor-1"]
    assert server.get("/api/public/v2/datasets/anchors").json()["description"] == "ours"


async def test_a_write_that_failed_is_not_repeated_by_itself():
    def answer(request):
        return JSONResponse({"message": "away"}, 502) if request.method == "POST" else JSONResponse({"name": "d"})

    with answering(answer) as (url, asked):
        async with LangfuseCaseSource(access_to(url)) as source:
            with pytest.raises(ServerFault):
                await source.keep("d", [ANCHOR, ANCHOR])
    assert [request.method for request in asked] == ["GET", "POST"]
