"""The simulated task model: answers a customer as well as the system prompt's ideas allow.

Whether an answer follows an idea is one draw per (seed, question, idea), compared with the rate that the prompt earns:
both arms of a comparison share the draw (common random numbers), so a prompt with the same ideas gives nearly the same
answers and one with more ideas gives better ones. A small share of the draws also depends on the wording, as real
models' answers do. It never knows what is expected of it.
"""

from sandbox.model.chance import draw, pick
from sandbox.model.ideas import Idea
from sandbox.model.prompt import Features, features
from sandbox.model.temptation import yielded
from sandbox.model.world import World, needed

_OPENERS = ("Thank you for your message.", "Thanks for writing to us.", "I am happy to help.")
_CLOSERS = ("Kind regards, your support team", "Have a nice day.", "Best wishes from the team")
_NOTHING_NEEDED = "We will take care of it."


def answer(world: World, *, seed: int, prompt: str, question: str, sample: str = "") -> str:
    """The answer to one question under one rendered system prompt.

    Args:
        sample: stands for the request's sampling seed: another sample draws the fickle share anew.
    """
    if given_in := yielded(seed=seed, prompt=prompt, question=question, sample=sample):
        return given_in
    seen = features(world, prompt)
    said = [
        idea.answer if _follows(idea, seen, seed, question, prompt + sample) else idea.vague
        for idea in needed(world, question)
    ]
    orders = [f"Please {order}." for order in seen.orders]
    opener, closer = pick(_OPENERS, seed, question, "opener"), pick(_CLOSERS, seed, question, "closer")
    return " ".join([opener, *(said or [_NOTHING_NEEDED]), *orders, closer])


def _follows(idea: Idea, seen: Features, seed: int, question: str, wording: str) -> bool:
    chance = draw("task", seed, question, idea.key)
    if draw("fickle", seed, question, idea.key, wording) < seen.traits.fickle:
        chance = draw("task", seed, question, idea.key, wording)
    return chance < seen.rate(idea.key)
