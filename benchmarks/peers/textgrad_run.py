"""TextGrad on one simulated task, as its prompt optimization example does it: steps of a batch, kept or reverted.

After each step the prompt is measured on the validation rows, 32 at a time, and put back when it got worse. The loss is
a text loss whose instruction holds the grader's words. Its cache starts empty. Of batches of 3, 6 and 12 rows the
largest did best on development families (0.960, 0.988 and 0.998 of the oracle), although its steps take longest.
"""

import os
import random
import tempfile
from concurrent.futures import ThreadPoolExecutor

from task import CRITIC_MODEL, KEY, TASK_MODEL, hand_back, read_task

task = read_task()
scratch = tempfile.mkdtemp(prefix="textgrad-")
os.environ.update(OPENAI_API_KEY=KEY, HOME=scratch, XDG_CACHE_HOME=scratch, LITELLM_LOCAL_MODEL_COST_MAP="True")
os.chdir(scratch)

import textgrad as tg  # noqa: E402  it opens its cache and its log where it is imported
from openai import OpenAI  # noqa: E402
from textgrad.engine.local_model_openai_api import ChatExternalClient  # noqa: E402

BATCH, WORKERS = 12, 32

client = OpenAI(base_url=task.base_url, api_key=KEY, max_retries=5)
answers = ChatExternalClient(client=client, model_string=TASK_MODEL)
critic = ChatExternalClient(client=client, model_string=CRITIC_MODEL)
tg.set_backward_engine(critic, override=True)
prompt = tg.Variable(
    task.world.base_prompt, requires_grad=True, role_description="system prompt of an assistant that answers questions"
)
model = tg.BlackboxLLM(answers, prompt)
optimizer = tg.TextualGradientDescent(parameters=[prompt], engine=critic)


def accuracy() -> float:
    """The prompt's accuracy on the validation rows."""

    def right(case) -> float:
        question = tg.Variable(case.question, requires_grad=False, role_description="question")
        return task.graded(case.question, model(question).value).score

    with ThreadPoolExecutor(WORKERS) as pool:
        return sum(pool.map(right, task.validation)) / len(task.validation)


def loss_of(case) -> tg.Variable:
    """The text loss of one training row."""
    question = tg.Variable(case.question, requires_grad=False, role_description="question")
    answer = model(question)
    verdict = task.graded(case.question, answer.value).feedback
    told = f"Evaluate the answer to this question: {case.question}\nA grader said: <GRADE>{verdict}</GRADE>"
    return tg.TextLoss(told, engine=critic)(answer)


def batches():
    """The training rows in shuffled epochs."""
    chance = random.Random(task.seed)
    while True:
        order = list(task.train)
        chance.shuffle(order)
        for start in range(0, len(order) - BATCH + 1, BATCH):
            yield order[start : start + BATCH]


best, left = accuracy(), task.task_calls - len(task.validation)
for batch in batches():
    if left < BATCH + len(task.validation):
        break
    left -= BATCH + len(task.validation)
    optimizer.zero_grad()
    before = prompt.value
    tg.sum([loss_of(case) for case in batch]).backward()
    optimizer.step()
    score = accuracy() if prompt.value != before else best
    if score < best:
        prompt.set_value(before)
    else:
        best = score
hand_back(prompt.value)
