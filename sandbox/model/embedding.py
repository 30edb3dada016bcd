"""Simulated embeddings: a hashed bag of words, so that texts with the same words lie close together.

The same text gives the same numbers in every process. It must not pretend to know what words mean.
"""

import base64
import math
import re
import struct
from typing import Any

from sandbox.model.chance import draw
from sandbox.model.wire import EMBEDDER, Refusal, tokens

DIMENSIONS = 256
_WORD = re.compile(r"\w+")


def embedding(text: str) -> list[float]:
    """A vector of length 1; of length 0 for a text without words."""
    vector = [0.0] * DIMENSIONS
    for word in _WORD.findall(text.casefold()):
        place = draw("embedding", word)
        vector[int(place * DIMENSIONS)] += 1.0 if draw("sign", word) < 0.5 else -1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


def embeddings(body: Any) -> dict[str, Any]:
    """The answer to one request, in OpenAI's shape. Raises Refusal."""
    if not isinstance(body, dict) or body.get("model") != EMBEDDER:
        name = body.get("model") if isinstance(body, dict) else ""
        raise Refusal(status=404, message=f"The model '{name}' does not exist.", code="model_not_found")
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise Refusal(status=400, message="'input' must be a text or a list of texts.", code="invalid_input")
    as_bytes = body.get("encoding_format") == "base64"
    vectors = map(embedding, texts)
    data = [
        {"object": "embedding", "index": place, "embedding": _packed(vector) if as_bytes else vector}
        for place, vector in enumerate(vectors)
    ]
    used = sum(map(tokens, texts))
    return {
        "object": "list",
        "model": EMBEDDER,
        "data": data,
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
