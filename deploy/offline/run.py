"""One search over files, from what the owner handed in to what was found.

Everything that can be wrong with the files is found before anything is spent. Must never write a file.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.offline import promptfile, rows
from deploy.offline.compared import compare
from deploy.offline.evaluators import opened
from deploy.offline.ledger import Jury, Ledger
from deploy.offline.rows import Rows
from deploy.settings import Settings
from optimizer.errors import BadReply, ServerFault
from optimizer.fence import Fence
from optimizer.identity import digest
from optimizer.ports import LanguageModel, ModelRequest
from optimizer.prompts import Message, PromptVersion, body_json
from optimizer.search.found import Found
from optimizer.search.plan import SearchPlan
from optimizer.search.search import search
from optimizer.search.sizes import checked
from optimizer.template import contents


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the owner asked for.

    Attributes:
        settings: of which only the model's are used.
        max_task_calls: runs of a prompt on a row, at most.
        quorum: rows that are enough for a root cause when no better founded one is left.
        folder: where the evaluator's module or rubric is.
    """

    prompt: Path
    train: Path
    validation: Path
    evaluator: str
    settings: Settings
    max_task_calls: int
    quorum: int
    seed: int
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The prompt and the rows, read and found to fit together."""

    prompt: PromptVersion
    train: Rows
    validation: Rows


def files(order: Order) -> Files:
    """Read what was handed in. Raises BadInput, also when the budget is too small for these rows."""
    body = promptfile.load(order.prompt)
    train, validation = rows.load(order.train), rows.load(order.validation)
    rows.check_apart(train, validation)
    rows.check_filled(body, train)
    rows.check_filled(body, validation)
    prompt = PromptVersion(name=order.prompt.stem, version=1, body=body)
    given = Files(prompt=prompt, train=train, validation=validation)
    checked(prompt, train.cases, validation.cases, plan(order, given))
    return given


async def found_by(order: Order, given: Files, ledger: Ledger) -> tuple[Found, Jury]:
    """Search.

    Raises:
        BadInput: the evaluator cannot be used.
        ServerFault: no row of a file could be answered.
        TracegradError: model and evaluator's own.
    """
    secret = fence_secret(order, given)
    models = order.settings.model
    async with opened(
        order.evaluator, folder=order.folder, model=ledger, judge_model=models.critic, secret=secret
    ) as judge:
        for model_id in dict.fromkeys((models.task, models.critic)):
            await check_model(ledger, model_id)
        jury = Jury(judge)
        found = await search(
            given.prompt,
            train=given.train.cases,
            validation=given.validation.cases,
            model=ledger,
            judge=jury,
            plan=plan(order, given),
            fence=Fence.of(secret),
        )
    seed = given.prompt.body
    for rows_of in (given.train, given.validation):
        if not compare(seed, seed, rows_of.cases, ledger, jury).before:
            raise jury.useless() if jury.refusals else ServerFault(f"the task model answered no row of {rows_of.path}")
    return found, jury


async def check_model(model: LanguageModel, model_id: str) -> None:
    """One tiny call, to find a wrong key or name before a hundred calls are paid. Raises the model's errors."""
    asked = (Message(role="user", content="Answer with OK."),)
    with suppress(BadReply):
        await model.complete(ModelRequest(purpose="check", model=model_id, messages=asked, max_tokens=256))


def plan(order: Order, given: Files) -> SearchPlan:
    """The search's plan. A prompt that is longer than prompts may grow may stay as long as it is, and grow a little."""
    made = SearchPlan(
        task_model=order.settings.model.task,
        critic_model=order.settings.model.critic,
        rewriter_model=order.settings.model.critic,
        max_task_calls=order.max_task_calls,
        seed=order.seed,
    )
    chars = sum(map(len, contents(given.prompt.body)))
    most = max(made.limits.max_chars, chars + made.limits.free_growth_chars)
    return replace(
        made,
        quorum=max(made.quorum, order.quorum),
        least_quorum=order.quorum,
        limits=replace(made.limits, max_chars=most),
    )


def fence_secret(order: Order, given: Files) -> bytes:
    """Made of the seed, so that the run can be repeated, and of all rows, which the writer of one does not know.

    Not of their order: the same rows in another order send the same bytes.
    """
    texts = sorted(repr(case) for case in (*given.train.cases, *given.validation.cases))
    return bytes.fromhex(digest("optimize", str(order.seed), body_json(given.prompt.body), *texts))
