"""The model's endpoint, from the owner's settings: for commands that need a model and no Langfuse."""

from connectors.openai import CallRules, OpenAIModel
from connectors.pricing import Prices
from deploy.settings import Settings


def language_model(settings: Settings) -> OpenAIModel:
    """The model's client, from the owner's settings."""
    model = settings.model
    return OpenAIModel(
        model.base_url,
        model.api_key.get_secret_value(),
        prices=prices_of(settings),
        rules=CallRules(concurrency=model.concurrency, timeout_s=model.timeout_s),
    )


def prices_of(settings: Settings) -> Prices:
    """What calls cost: the owner's prices over the public list."""
    stated = {
        name: (price.input_usd_per_mtok, price.output_usd_per_mtok) for name, price in settings.model.prices.items()
    }
    return Prices(settings.model.base_url, stated)
