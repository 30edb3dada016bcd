"""An application that shows each user the version that Tracegrad assigns, by the stock OpenFeature provider.

    LANGFUSE_PUBLIC_KEY=... LANGFUSE_SECRET_KEY=... LANGFUSE_HOST=... OFREP_URL=http://127.0.0.1:8322 \
        python app.py PROMPT USER

Needs `openfeature-sdk`, `openfeature-provider-ofrep` and `langfuse`, and nothing of Tracegrad.
"""

import os
import sys
from urllib.parse import quote

from langfuse import Langfuse, propagate_attributes
from langfuse.model import PromptClient
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext


def connect(url: str, token: str = "") -> None:
    """Once, at start. A short timeout: whoever waits for an answer must not wait for a flag."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    api.set_provider(OFREPProvider(url, headers_factory=lambda: headers, timeout=0.5))


def prompt_for(langfuse: Langfuse, name: str, user: str) -> PromptClient:
    """The prompt that this user gets. With the endpoint away, slow or refusing it is what carries the label."""
    context = EvaluationContext(targeting_key=user)
    version = api.get_client().get_integer_value(quote(name, safe=""), 0, context)
    if version:
        try:
            return langfuse.get_prompt(name, version=version)
        except Exception:  # the version is gone
            print(f"version {version} of the prompt cannot be read; using production", file=sys.stderr)
    return langfuse.get_prompt(name, label="production")


def answer(langfuse: Langfuse, name: str, user: str) -> int:
    """One answer, recorded so that its scores count for the release: the user as above, and the prompt."""
    prompt = prompt_for(langfuse, name, user)
    with (
        propagate_attributes(user_id=user),
        langfuse.start_as_current_observation(as_type="generation", name="answer", prompt=prompt) as generation,
    ):
        generation.update(model="your-model", input=prompt.prompt, output="what your model says")
    return prompt.version


if __name__ == "__main__":
    connect(os.environ["OFREP_URL"], os.environ.get("OFREP_TOKEN", ""))
    client = Langfuse()
    print(answer(client, sys.argv[1], sys.argv[2]))
    client.shutdown()
