"""MIPROv2 on one simulated task, instructions only and zero-shot.

Its cache is on and starts empty, so that a candidate is paid for once: that makes room for eight candidates, each
measured on all validation rows. The rows show the question and the expected words.
"""

import logging
import os
import tempfile

from task import CRITIC_MODEL, KEY, TASK_MODEL, hand_back, read_task

task = read_task()
os.environ["DSPY_CACHEDIR"] = tempfile.mkdtemp(prefix="dspy-")
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import dspy  # noqa: E402  it reads its settings on import

CANDIDATES, TRIALS, THREADS = 8, 14, 32
logging.getLogger("dspy").setLevel(logging.ERROR)
reach = {"api_base": task.base_url, "api_key": KEY, "max_tokens": 4000}
answers = dspy.LM(f"openai/{TASK_MODEL}", temperature=0.0, **reach)
proposer = dspy.LM(f"openai/{CRITIC_MODEL}", temperature=1.0, **reach)
dspy.configure(lm=answers)


def metric(example, prediction, _trace=None) -> bool:
    """Right or wrong, as the grader says."""
    return task.graded(example.question, prediction.answer).score > 0


def rows(cases) -> list[dspy.Example]:
    """Rows with what was expected."""
    return [dspy.Example(question=case.question, answer=case.expected).with_inputs("question") for case in cases]


program = dspy.Predict(dspy.Signature("question -> answer", task.world.base_prompt))
optimizer = dspy.MIPROv2(
    metric=metric,
    prompt_model=proposer,
    task_model=answers,
    auto=None,
    num_candidates=CANDIDATES,
    max_bootstrapped_demos=0,
    max_labeled_demos=0,
    num_threads=THREADS,
    seed=task.seed,
)
best = optimizer.compile(
    program,
    trainset=rows(task.train),
    valset=rows(task.validation),
    num_trials=TRIALS,
    minibatch=False,
)
hand_back(best.signature.instructions)
