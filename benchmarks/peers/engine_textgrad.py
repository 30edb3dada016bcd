"""One step of TextGrad on the work that comes in by standard input; the figures go out as the last line of output.

Run by `benchmarks/engine.py` with a Python that has `textgrad`, in a folder of its own: the package writes its logs and
its cache of replies wherever it runs, and a cached reply would cost nothing. The clock starts after the imports.
"""

import json
import os
import sys
import time
import urllib.request

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else the import asks the internet for prices

import textgrad
from openai import OpenAI
from textgrad.engine.local_model_openai_api import ChatExternalClient


def seen(base_url: str) -> dict[str, float]:
    """What the server saw since it was last asked."""
    with urllib.request.urlopen(base_url.removesuffix("v1") + "seen") as answer:
        return dict(json.load(answer))


def main() -> None:
    """Forward, backward and a rewrite of every prompt."""
    work = json.load(sys.stdin)
    engine = ChatExternalClient(OpenAI(base_url=work["base_url"], api_key="sk-benchmark"), "bench")
    textgrad.set_backward_engine(engine, override=True)
    seen(work["base_url"])
    wall_s, cpu_s = time.perf_counter(), time.process_time()

    prompts = [
        textgrad.Variable(text, requires_grad=True, role_description="system prompt of a support assistant")
        for text in work["prompts"]
    ]
    stages = [textgrad.BlackboxLLM(engine, prompt) for prompt in prompts]
    loss_of, optimizer = textgrad.TextLoss(work["rubric"], engine=engine), textgrad.TGD(prompts)
    losses = []
    for question in work["questions"]:
        said = textgrad.Variable(question, requires_grad=False, role_description="question of a customer")
        for stage in stages:
            said = stage(said)
        losses.append(loss_of(said))
    optimizer.zero_grad()
    textgrad.sum(losses).backward()
    optimizer.step()

    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s, **seen(work["base_url"])}))


if __name__ == "__main__":
    main()
