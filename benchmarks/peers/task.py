"""The task of one run, as every peer's program gets it: rows, budget and grader, the same for all.

The command line is one JSON object. A program prints the prompt that it ends with as the last line of its output.
"""

import json
import sys
from dataclasses import dataclass

from sandbox.model.families import Kind, family
from sandbox.model.grader import Grade, grade
from sandbox.model.world import Case, World

KEY = "sk-sandbox"
TASK_MODEL, CRITIC_MODEL = "sim-task", "sim-critic"


@dataclass(frozen=True)
class Task:
    """What to optimize, on what, and for how many task calls."""

    world: World
    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    base_url: str
    task_calls: int
    seed: int

    def graded(self, question: str, output: str) -> Grade:
        """The grade of an answer to one of the rows."""
        case = next(case for case in (*self.train, *self.validation) if case.question == question)
        return grade(self.world, case, output)


def read_task() -> Task:
    """The task on the command line."""
    told = json.loads(sys.argv[1])
    world = family(Kind(told["kind"]), told["family_seed"])
    return Task(
        world=world,
        train=world.cases(told["train"], seed=told["seed"], stream="train"),
        validation=world.cases(told["validation"], seed=told["seed"], stream="validation"),
        base_url=told["base_url"],
        task_calls=told["task_calls"],
        seed=told["seed"],
    )


def hand_back(prompt: str) -> None:
    """Print the final prompt."""
    print("\n" + json.dumps({"prompt": prompt}), flush=True)
