"""One proposal of GEPA on the work that comes in by standard input; the figures go out as the last line of output.

Run by `benchmarks/engine.py` with a Python that has `gepa`. GEPA's step makes no criticism per sample: it runs and
judges the minibatch, then asks for each new prompt once. That much is timed here, up to the new prompts; the check on
the same minibatch that follows is not. The adapter asks each stage, and the judge, about the whole minibatch at once,
which is kinder than the package's own adapter with an evaluator that asks a model.
"""

import json
import os
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else the import asks the internet for prices

import gepa
from gepa.core.adapter import EvaluationBatch, GEPAAdapter
from gepa.lm import LM

_MINIBATCH = 2
"""The second evaluation is the minibatch; the first is the validation of the prompts as they came."""


def seen(base_url: str) -> dict[str, float]:
    """What the server saw since it was last asked."""
    with urllib.request.urlopen(base_url.removesuffix("v1") + "seen") as answer:
        return dict(json.load(answer))


class Stages(GEPAAdapter[str, dict[str, str], str]):
    """The prompts one after the other, then the judge; remembers what one proposal took."""

    def __init__(self, model: LM, work: Mapping[str, Any]) -> None:
        self.model = model
        self.work = work
        self.figures: dict[str, float] = {}
        self._started = (0.0, 0.0)
        self._evaluations = 0

    def evaluate(
        self, batch: list[str], candidate: dict[str, str], capture_traces: bool = False
    ) -> EvaluationBatch[dict[str, str], str]:
        """Answers of the whole minibatch, with one request per stage and sample, and the judge's words."""
        self._evaluations += 1
        if self._evaluations == _MINIBATCH:
            seen(self.work["base_url"])
            self._started = (time.perf_counter(), time.process_time())
        elif self._evaluations == _MINIBATCH + 1:  # the new prompts are there, and about to be checked
            wall_s, cpu_s = time.perf_counter() - self._started[0], time.process_time() - self._started[1]
            self.figures = {"wall_s": wall_s, "cpu_s": cpu_s, **seen(self.work["base_url"])}
        said = list(batch)
        for name in sorted(candidate):
            said = self._asked([(candidate[name], text) for text in said])
        judged = self._asked([(self.work["rubric"], text) for text in said])
        traces = [
            {"input": asked, "output": answer, "feedback": feedback}
            for asked, answer, feedback in zip(batch, said, judged, strict=True)
        ]
        scores = [0.25] * len(batch)
        return EvaluationBatch(outputs=said, scores=scores, trajectories=traces if capture_traces else None)

    def make_reflective_dataset(
        self,
        candidate: dict[str, str],  # noqa: ARG002  # the package's signature
        eval_batch: EvaluationBatch[dict[str, str], str],
        components_to_update: list[str],
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """The same conversations for every prompt."""
        return {name: eval_batch.trajectories or [] for name in components_to_update}

    def _asked(self, pairs: list[tuple[str, str]]) -> list[str]:
        messages = [
            [{"role": "system", "content": system}, {"role": "user", "content": user}] for system, user in pairs
        ]
        return list(self.model.batch_complete(messages, max_workers=64))


def main() -> None:
    """One iteration: a minibatch of all samples, every prompt rewritten."""
    work = json.load(sys.stdin)
    model = LM("openai/bench", api_base=work["base_url"], api_key="sk-benchmark")
    adapter = Stages(model, work)
    questions = work["questions"]
    gepa.optimize(
        seed_candidate={f"prompt_{number}": text for number, text in enumerate(work["prompts"])},
        trainset=questions,
        valset=questions[:1],
        adapter=adapter,
        reflection_lm=model,
        reflection_minibatch_size=len(questions),
        module_selector="all",
        max_metric_calls=2 * len(questions) + 1,
    )
    print(json.dumps(adapter.figures))


if __name__ == "__main__":
    main()
