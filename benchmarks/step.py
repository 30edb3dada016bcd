"""What one step over many gradients costs in own CPU, and how large its update request is.

    python benchmarks/step.py [--small]

A step is clustering and the rewrite, with a model that answers at once; in this process, nothing else running. Three
streams of criticisms, 100, 1,000 and 10,000 each (10,000 is left out with --small):

- *mixed*: templates and paraphrases about sixty causes, one in five noise, a third as many sources as criticisms;
- *common*: every text is different and made of the same sixty words, ten in each: everything is a little alike;
- *unique*: the same, eight in each, and a word of its own: nothing says the same.

The traces behind them are a few words long: what the guard takes to read longer ones is linear in their length, and is
not measured here. Exits with 1 when a step takes 2 s or more, or a request is over its budget.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.memory import ScriptedModel
from optimizer.causes.grouping import group
from optimizer.fence import Fence
from optimizer.ports import ModelRequest
from optimizer.prompts import PromptVersion
from optimizer.steps.rewriting import Rewriter
from optimizer.steps.tgd import step
from optimizer.types import UNDATED, Generation, Gradient, LossKind, TextLoss, Trace

MOST_S = 2.0
SIZES = (100, 1_000, 10_000)
QUORUM, PER_SOURCE = 2, 3
CHARS_PER_TOKEN = 4

REWRITER = Rewriter(model="rewriter", attempts=1, max_tokens=4_096, max_causes=12, causes_chars=12_000)
PROMPT = PromptVersion(name="support", version=1, body="You are the assistant of {{shop}}.\nBe kind.\nBe short.")

TEMPLATES = (
    "The prompt does not tell the assistant to mention the {} {}.",
    "Missing from the prompt: {} {}s.",
    "Nothing in the prompt deals with a {} {}, so the answer left it out.",
    "{} {}s should be covered.",
    "Customers are not told about the {} {}.",
)
KINDS = ("refund", "shipping", "warranty", "invoice", "voucher", "return", "payment", "loyalty", "repair", "gift")
MATTERS = ("deadline", "fee", "address", "limit", "proof", "receipt")
HEADS = ("bal", "cor", "din", "fel", "gom", "hun")
TAILS = ("ard", "elt", "ick", "oma", "unt", "esh", "ank", "orp", "idu", "ask")
COMMON = tuple(head + tail for head in HEADS for tail in TAILS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One step."""

    cpu_s: float
    causes: int
    told: int
    request_tokens: int
    budget_tokens: int

    @property
    def held(self) -> bool:
        return self.cpu_s < MOST_S and self.request_tokens <= self.budget_tokens


# ---- the streams ---------------------------------------------------------------------------------------------------


def mixed(count: int, draw: random.Random) -> list[str]:
    """Sixty causes in five wordings, and noise."""
    return [
        draw.choice(TEMPLATES).format(draw.choice(KINDS), draw.choice(MATTERS))
        if draw.random() < 0.8
        else f"{' '.join(draw.sample(COMMON, 5))} {number}x"
        for number in range(count)
    ]


def common(count: int, draw: random.Random) -> list[str]:
    """Different mixtures of the same words."""
    return [" ".join(draw.sample(COMMON, 10)) for _ in range(count)]


def unique(count: int, draw: random.Random) -> list[str]:
    """Different mixtures of the same words, and one word that is nobody else's."""
    return [f"{' '.join(draw.sample(COMMON, 8))} own{number}word" for number in range(count)]


STREAMS: dict[str, Callable[[int, random.Random], list[str]]] = {"mixed": mixed, "common": common, "unique": unique}


def gradients(texts: Sequence[str], draw: random.Random) -> list[Gradient]:
    """The texts as criticisms, from a third as many sources."""
    return [
        _gradient(number, text, f"source {draw.randrange(1 + len(texts) // 3)}") for number, text in enumerate(texts)
    ]


def _gradient(number: int, text: str, source: str) -> Gradient:
    generation = Generation(
        id=f"g{number}",
        trace_id=f"t{number}",
        prompt_name=PROMPT.name,
        prompt_version=PROMPT.version,
        environment="",
        at=UNDATED,
        input=f"question {number}",
        output=f"answer {number}",
        model="",
        source_key=source,
    )
    loss = TextLoss(trace=Trace(generation=generation, scores=()), kind=LossKind.FEEDBACK, text="bad", weight=1.0)
    return Gradient(loss=loss, warrants_change=True, text=text)


# ---- the step ------------------------------------------------------------------------------------------------------


def answer(request: ModelRequest) -> str:
    """An added line for every cause."""
    block = next(line for line in request.messages[-1].content.splitlines() if line.startswith('{"causes"'))
    labels = [cause["label"] for cause in json.loads(block)["causes"]][:6]
    edits = [
        {"op": "add", "line": "3", "text": f"Keep point {place} in mind.", "cause": label, "reason": "it was missing"}
        for place, label in zip("abcdef", labels, strict=False)
    ]
    return json.dumps({"edits": edits})


async def measure(criticisms: Sequence[Gradient]) -> Measured:
    """One step, by the CPU clock of this process."""
    model = ScriptedModel(answer)
    texts = [text for g in criticisms for text in (g.loss.trace.generation.input, g.loss.trace.generation.output)]
    fence = Fence.of(b"benchmark", "step")
    started = time.process_time()
    grouped = group(criticisms, quorum=QUORUM, per_source=PER_SOURCE)
    stepped = await step(PROMPT, grouped.causes, model, rewriter=REWRITER, fence=fence, source_texts=texts)
    cpu_s = time.process_time() - started
    sent = max((len(_block(request)) for request in model.requests), default=0)
    return Measured(
        cpu_s=cpu_s,
        causes=len(grouped.causes),
        told=len(stepped.causes),
        request_tokens=sent // CHARS_PER_TOKEN,
        budget_tokens=REWRITER.causes_chars // CHARS_PER_TOKEN,
    )


def _block(request: ModelRequest) -> str:
    """The data block, which is all that grows with the number of gradients."""
    said = request.messages[1].content
    return said[said.index("<data-") :]


def main() -> int:
    """Print a line for every stream and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--small", action="store_true", help="without the streams of 10,000")
    sizes = SIZES[:2] if parser.parse_args().small else SIZES
    print(f"{'stream':8} {'gradients':>9} {'CPU s':>7} {'causes':>7} {'told':>5} {'request tokens':>15} {'budget':>7}")
    held = True
    for name, stream in STREAMS.items():
        for size in sizes:
            draw = random.Random(f"{name} {size}")
            one = asyncio.run(measure(gradients(stream(size, draw), draw)))
            held = held and one.held
            print(
                f"{name:8} {size:9,} {one.cpu_s:7.2f} {one.causes:7} {one.told:5} {one.request_tokens:15,}"
                f" {one.budget_tokens:7,}{'' if one.held else '  MISSED'}"
            )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
