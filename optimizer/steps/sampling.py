"""Several independent answers to one request: the same words, asked as different calls.

The first sample is the request as it stands. A later one differs in `attempt`, which counts from `STRIDE` times its
number, and in its temperature, so its key differs, a journal keeps it apart, and its repairs (which count on from
there) never meet those of another sample. Nothing here may draw at random: the model does.
"""

from dataclasses import replace

from optimizer.ports import ModelRequest

STRIDE = 100
"""Attempts that one sample may take; far more than anybody repairs."""

TEMPERATURE = 0.7
"""Of every sample but the first: at 0 a model says the same again."""


def sampled(request: ModelRequest, sample: int) -> ModelRequest:
    """The request as the given sample asks it; sample 0 is the request itself."""
    if sample == 0:
        return request
    return replace(
        request, attempt=request.attempt + STRIDE * sample, temperature=max(TEMPERATURE, request.temperature)
    )
