"""Tokens -> US dollars, by the public price list of `genai-prices` and by prices that the owner states.

Never guesses: a model that neither knows is `Missing.NOT_PRICED`, and that is not 0. Never goes online: the list is the
one inside the installed package.
"""

from collections.abc import Mapping

from genai_prices import Usage as Tokens
from genai_prices import calc_price

from optimizer.types import Missing

PER_MILLION = 1_000_000


class Prices:
    """What calls of one endpoint cost.

    Args:
        base_url: where the calls go. It decides whose price holds; a gateway that the list does not know is priced
            by the name of the model, because a budget is safer with the vendor's price than with none.
        overrides: model name -> (US dollars per million input tokens, per million output tokens); they win.
    """

    def __init__(self, base_url: str = "", overrides: Mapping[str, tuple[float, float]] | None = None) -> None:
        self._base_url = base_url
        self._overrides = dict(overrides or {})

    def cost_usd(
        self, models: tuple[str, ...], *, input_tokens: int, cached: int, output_tokens: int
    ) -> float | Missing:
        """The price of one call.

        Args:
            models: names of the same model, the one that was asked for first; the first that has a price counts.
            cached: how many of the input tokens the server read from its cache.
        """
        for model in models:
            if stated := self._overrides.get(model):
                return (input_tokens * stated[0] + output_tokens * stated[1]) / PER_MILLION
        tokens = Tokens(
            input_tokens=input_tokens, cache_read_tokens=min(cached, input_tokens), output_tokens=output_tokens
        )
        for url in (self._base_url, None):
            for model in models:
                try:
                    return float(calc_price(tokens, model, provider_api_url=url).total_price)
                except LookupError:
                    continue
        return Missing.NOT_PRICED
