"""What a call costs."""

import pytest

from connectors.pricing import Prices
from optimizer.types import Missing

OPENAI = "https://api.openai.com/v1"


def cost(prices: Prices, *models: str, cached: int = 0) -> float | Missing:
    return prices.cost_usd(models, input_tokens=1_000_000, cached=cached, output_tokens=100_000)


def test_the_public_list_knows_public_models_and_their_cached_tokens() -> None:
    # gpt-4o-mini: 0.15 in, 0.075 in from the cache, 0.60 out, US dollars per million
    assert cost(Prices(OPENAI), "gpt-4o-mini") == pytest.approx(0.15 + 0.06)
    assert cost(Prices(OPENAI), "gpt-4o-mini", cached=1_000_000) == pytest.approx(0.075 + 0.06)
    assert cost(Prices(OPENAI), "gpt-4o-mini", cached=9_000_000) == pytest.approx(0.075 + 0.06)


def test_a_gateway_is_priced_by_the_name_of_the_model() -> None:
    assert cost(Prices("http://127.0.0.1:4000/v1"), "gpt-4o-mini") == pytest.approx(0.21)
    assert cost(Prices(OPENAI), "our-alias", "gpt-4o-mini-2024-07-18") == pytest.approx(0.21)


def test_the_owners_price_wins() -> None:
    prices = Prices(OPENAI, {"gpt-4o-mini": (1.0, 20.0), "house-model": (0.0, 0.0)})
    assert cost(prices, "gpt-4o-mini") == pytest.approx(3.0)
    assert cost(prices, "house-model") == 0.0


@pytest.mark.parametrize("base_url", [OPENAI, "http://127.0.0.1:4000/v1", ""])
def test_an_unknown_model_has_no_price_rather_than_none(base_url: str) -> None:
    assert cost(Prices(base_url), "sim-task") is Missing.NOT_PRICED
