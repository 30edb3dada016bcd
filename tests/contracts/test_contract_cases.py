"""What every CaseSource promises."""

import pytest
from contract_cases import cases_of

from optimizer.errors import NotFound


async def test_active_items_come_in_id_order(curated):
    source, dataset = curated
    assert [case async for case in source.cases(dataset)] == cases_of(dataset)


async def test_a_dataset_that_does_not_exist_is_not_found(curated):
    source, _ = curated
    with pytest.raises(NotFound, match="no dataset 'nowhere'"):
        async for _ in source.cases("nowhere"):
            pass
