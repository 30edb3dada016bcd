"""Studies a prompt on training rows: runs it, and asks the critic about every bad answer the moment it is judged.

A row waits for no other one, unless there are more rows than the critic may be asked about: then the rows beyond them
wait until it is known how many of the others are bad. So what is asked never depends on what arrives first. And whoever
wants the scores alone does not wait for the critic.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from optimizer.documents.document import Document
from optimizer.errors import BadReply, Declined, Transient
from optimizer.fence import Fence
from optimizer.identity import Json, canonical, digest
from optimizer.ports import LanguageModel
from optimizer.prompts import Body, PromptVersion, body_json
from optimizer.search.budget import Purse
from optimizer.search.entrant import Entrant
from optimizer.search.plan import SearchPlan
from optimizer.search.trials import Trials
from optimizer.steps.backward import numbered
from optimizer.steps.critic import Critic, criticise
from optimizer.template import fill
from optimizer.types import UNDATED, Case, Generation, Gradient, LossKind, Scored, TextLoss, Trace, Trial

_LEAST_WEIGHT = 0.05


class Studies:
    """The bad answers of every studied prompt, and what the critic said about them.

    Attributes:
        critics: where the calls of the critic run; the search's own group, so that none outlives it.
    """

    critics: asyncio.TaskGroup

    def __init__(
        self, prompt: PromptVersion, trials: Trials, model: LanguageModel, *, plan: SearchPlan, fence: Fence
    ) -> None:
        self.trials = trials
        self.failures = 0
        """Calls of the critic that gave nothing usable."""
        self._prompt = prompt
        self._model = model
        self._plan = plan
        self._fence = fence
        self._said: dict[str, dict[str, tuple[Gradient, ...]]] = defaultdict(dict)
        self._pending: dict[str, list[asyncio.Task[None]]] = defaultdict(list)

    async def study(self, entrant: Entrant, rows: Sequence[Case], purse: Purse, *, criticise: bool) -> None:
        """Run the prompt on these rows; what is bad is being criticised when this returns, see `settled`.

        Args:
            criticise: False where nobody can pay for using what the critic says.
        """
        shown = numbered(Document.of(entrant.body))
        asked, early = set(self._said[entrant.id]), {case.id for case in rows[: self._plan.max_losses]}

        def ask(case: Case, trial: Trial) -> None:
            if criticise and self._bad(trial) and case.id not in asked:
                asked.add(case.id)
                call = self._criticised(entrant, case.id, shown, self._loss(entrant.body, case, trial))
                self._pending[entrant.id].append(self.critics.create_task(call))

        def ask_if_early(case: Case, trial: Trial) -> None:
            if case.id in early:
                ask(case, trial)

        known = len(asked)
        done = await self.trials.run(entrant.body, rows, purse, ask_if_early)
        for case in rows:
            if case.id in done and len(asked) - known < self._plan.max_losses:
                ask(case, done[case.id])

    async def settled(self, entrant: Entrant) -> None:
        """Wait until the critic has said all about the prompt."""
        for call in self._pending.pop(entrant.id, []):
            await call

    async def _criticised(self, entrant: Entrant, case_id: str, shown: str, loss: TextLoss) -> None:
        self._said[entrant.id][case_id] = await self._gradients(shown, loss)

    def gradients(self, entrant: Entrant) -> tuple[Gradient, ...]:
        """What the critic said about the prompt, in the order of the cases."""
        said = self._said[entrant.id]
        return tuple(gradient for case_id in sorted(said) for gradient in said[case_id])

    def failing(self, entrant: Entrant) -> tuple[str, ...]:
        """The ids of the rows that the prompt answers badly."""
        return tuple(case_id for case_id, trial in self.trials.known(entrant.body).items() if self._bad(trial))

    def _bad(self, trial: Trial) -> bool:
        return isinstance(trial.result, Scored) and trial.result.value < self._plan.passing

    async def _gradients(self, shown: str, loss: TextLoss) -> tuple[Gradient, ...]:
        """What the critic says, in one answer or several; nothing when its calls failed."""
        plan, run = self._plan, loss.trace.generation
        critic = Critic(
            model=plan.critic_model,
            attempts=plan.attempts,
            max_tokens=plan.critic_max_tokens,
            samples=plan.critic_samples,
        )
        about: dict[str, Json] = {
            "input": run.input,
            "output": run.output,
            "kind": loss.kind.value,
            "complaint": loss.text,
        }
        try:
            said = await criticise(shown, about, self._model, critic=critic, fence=self._fence)
        except (BadReply, Transient, Declined):
            self.failures += 1
            return ()
        return tuple(Gradient(loss=loss, warrants_change=one.change, text=one.text) for one in said)

    def _loss(self, body: Body, case: Case, trial: Trial) -> TextLoss:
        """The judgement as a text loss; of a judge without words, the expected answer as a correction."""
        assert isinstance(trial.result, Scored)
        value, said = trial.result.value, trial.result.reason.strip()
        expected = case.reference.strip() if type(case.reference) is str else ""
        generation = Generation(
            id=case.id,
            trace_id=digest("run", body_json(body), case.id),
            prompt_name=self._prompt.name,
            prompt_version=self._prompt.version,
            environment="",
            at=UNDATED,
            input=_asked(body, case),
            output=trial.output,
            model=self._plan.task_model,
            source_key=case.source_key or case.id,
        )
        return TextLoss(
            trace=Trace(generation=generation, scores=()),
            kind=LossKind.CORRECTION if expected and not said else LossKind.FEEDBACK,
            text=said or expected or f"The answer scored {value:.2f} of 1.",
            weight=max(_LEAST_WEIGHT, 1 - value),
        )


def _asked(body: Body, case: Case) -> str:
    """What the application put in: the conversation as JSON, and the variables where there are any."""
    own = () if case.input.history else tuple(m for m in fill(body, case.input) if m.role == "user")
    messages: Json = [{"role": m.role, "content": m.content} for m in (*own, *case.input.history)]
    if not case.input.variables:
        return canonical(messages)
    return canonical({"messages": messages, "variables": {**dict(case.input.variables)}})
