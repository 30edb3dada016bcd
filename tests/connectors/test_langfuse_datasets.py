"""Dataset items as cases, where the contract suite does not reach: pages, shapes, ids."""

import pytest
from langfuse_scripted import access_to, answering
from starlette.responses import JSONResponse

from connectors.langfuse.datasets import LangfuseCaseSource, safe_id
from optimizer.errors import BadAnswer


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
