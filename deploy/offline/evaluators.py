"""Which judge an evaluator's name stands for. Must never ask it anything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from connectors.judges import http, python
from connectors.judges.rubric import ModelJudge
from deploy.offline.texts import read
from optimizer.errors import BadInput
from optimizer.ports import Judge, LanguageModel

KINDS = "python:module:function, http://host/path or judge:rubric.md"


@asynccontextmanager
async def opened(
    spec: str, *, folder: Path, model: LanguageModel, judge_model: str, secret: bytes
) -> AsyncIterator[Judge]:
    """The judge, ready to be asked.

    Args:
        folder: where the owner's modules and rubrics are.

    Raises:
        BadInput: it is of no known kind, or cannot be used.
    """
    kind, _, rest = spec.partition(":")
    if kind == "python":
        yield python.load(rest, folder)
    elif kind in ("http", "https"):
        async with http.HttpJudge(spec) as judge:
            await judge.check()
            yield judge
    elif kind == "judge" and rest:
        yield ModelJudge(model, judge_model, read(folder / rest).strip(), fence_secret=secret)
    else:
        raise BadInput("the evaluator is of no known kind", f"give {KINDS}")
