"""Two prompts in a row, improved together: one drafts an answer, the other writes the final one.

    tracegrad sandbox --empty                  # in another terminal: a simulated model, free, without a key of yours
    python examples/graph/two_stages.py        # the graph, then every line of both prompts, new ones with their reason

For models of your own set OPENAI_BASE_URL and OPENAI_API_KEY, and put their names at the end of this file.
"""

import os
import secrets
from collections.abc import Mapping

from connectors.openai import OpenAIModel
from optimizer import TGD, JudgedLoss, ModelCall, Variable, as_mermaid, total, use

QUESTIONS = {
    "q1": "Where is my parcel?",
    "q2": "My parcel has not arrived, what now?",
    "q3": "Can I still get a refund?",
    "q4": "I want my money back, is that possible?",
    "q5": "How do I change my address?",
    "q6": "How can I redeem a voucher?",
}
RUBRIC = "The answer holds what the customer needs to go on: what to send us, the deadline in days, or the steps."


def improve(base_url: str, api_key: str, *, task_model: str, critic_model: str, questions: Mapping[str, str]) -> None:
    """One step on both prompts; prints the graph of the first question, and what changed and why."""
    model = OpenAIModel(base_url, api_key)
    secret = secrets.token_bytes(32)  # makes the fences around texts that strangers wrote
    with use(model, task_model=task_model, critic_model=critic_model, secret=secret):
        drafting = Variable("Draft an answer.", role="prompt that drafts an answer", requires_grad=True)
        polishing = Variable("Write the final answer.", role="prompt that writes the final answer", requires_grad=True)
        draft = ModelCall(drafting, role="draft")
        answer = ModelCall(polishing, message="Question: {{question}}\nDraft: {{draft}}", role="final answer")
        loss_of = JudgedLoss(RUBRIC)
        optimizer = TGD([drafting, polishing], quorum=2)  # what only one customer missed changes nothing

        asked = [Variable(text, role="question of a customer", source=name) for name, text in questions.items()]
        losses = [loss_of(answer(question=one, draft=draft(one))) for one in asked]

        optimizer.zero_grad()
        loss = total(losses)  # up to here nothing was computed
        loss.backward()
        print(as_mermaid(losses[0]))
        found = optimizer.step().result

        print("A step was made." if found.changed else f"No step was made: {found.reason}.")
        for prompt in (drafting, polishing):
            show(optimizer, prompt)


def show(optimizer: TGD, prompt: Variable) -> None:
    """Every line of a prompt; under a new one its reason, and what was wrong with whose answers."""
    print(f"\n{prompt.role}")
    document = optimizer.document(prompt)
    for line in document.lines:
        edit = document.blame[line.id]  # None for a line that was there before
        print(f"  {'+' if edit else ' '} {line.text}")
        if edit:
            print(f"      why: {edit.reason}")
            for gradient in edit.cause.gradients:
                print(f"      {gradient.loss.trace.generation.source_key}: {gradient.loss.text}")


if __name__ == "__main__":
    improve(
        os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:3001/v1"),
        os.environ.get("OPENAI_API_KEY", "sk-sandbox"),
        task_model="sim-task",
        critic_model="sim-critic",
        questions=QUESTIONS,
    )
