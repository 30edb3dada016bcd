"""What every CaseSource promises."""

from dataclasses import replace

import pytest
from contract_cases import anchor_of, cases_of, kept

from optimizer.errors import BadInput, NotFound
from optimizer.types import CaseOrigin, Missing


async def test_active_items_come_in_id_order(curated):
    source, dataset = curated
    assert [case async for case in source.cases(dataset)] == cases_of(dataset)


async def test_a_dataset_that_does_not_exist_is_not_found(curated):
    source, _ = curated
    with pytest.raises(NotFound, match="no dataset 'nowhere'"):
        async for _ in source.cases("nowhere"):
            pass


async def found(source, dataset):
    return [case async for case in source.cases(dataset)]


async def test_what_is_kept_comes_back_from_a_dataset_that_was_not_there(curated):
    source, name = curated
    dataset, anchor = f"folder/anchors of {name}", anchor_of(name)
    await source.keep(dataset, [anchor])
    assert await found(source, dataset) == [kept(anchor)]


async def test_a_case_without_a_reference_or_from_elsewhere_is_kept_too(curated):
    source, name = curated
    anchor = replace(anchor_of(name, reference=Missing.NO_REFERENCE), origin=CaseOrigin.REPLAY)
    await source.keep(f"anchors of {name}", [anchor])
    assert await found(source, f"anchors of {name}") == [kept(anchor, origin=CaseOrigin.DATASET)]


async def test_a_case_that_is_kept_again_replaces_itself_and_no_other(curated):
    source, name = curated
    first, changed = anchor_of(name), anchor_of(name, text="Why?", reference="So.")
    other = replace(first, id=f"{first.id}-2")
    await source.keep(f"anchors of {name}", [other, first])
    for _ in range(2):
        await source.keep(f"anchors of {name}", [changed])
    assert await found(source, f"anchors of {name}") == [kept(changed), kept(other)]


async def test_a_dataset_that_is_there_keeps_its_cases(curated):
    source, name = curated
    await source.keep(name, [])
    await source.keep(name, [anchor_of(name)])
    assert await found(source, name) == [kept(anchor_of(name)), *cases_of(name)]


async def test_an_empty_dataset_has_no_cases(curated):
    source, name = curated
    await source.keep(f"anchors of {name}", [])
    assert await found(source, f"anchors of {name}") == []


async def test_one_id_is_one_case_in_all_datasets(curated):
    source, name = curated
    anchor = anchor_of(name)
    await source.keep(f"anchors of {name}", [anchor])
    with pytest.raises(BadInput, match=f"case '{anchor.id}' is in another dataset; delete it there"):
        await source.keep(f"more anchors of {name}", [anchor])
    assert await found(source, f"anchors of {name}") == [kept(anchor)]
