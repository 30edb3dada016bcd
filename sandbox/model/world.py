"""A simulated task with hidden rules: which ideas matter, how often each is asked for, and the prompt it starts with.

The world knows the truth that an optimizer has to find out. Nothing outside the sandbox may read it, except tests,
benchmarks and the demo's story-teller; the loop sees answers, complaints and scores only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from sandbox.model.chance import draw, pick, shuffled
from sandbox.model.ideas import Idea, mentions
from sandbox.model.vocabulary import BEYOND_PROMPTS, VOCABULARY

_SUPPORT_SHARES = {
    "refund_window": 0.19,
    "order_number": 0.17,
    "steps": 0.14,
    "delivery_dates": 0.12,
    "language": 0.08,
    "human": 0.08,
    "hours": 0.07,
    "warranty": 0.05,
    "shipping_cost": 0.05,
    "card_details": 0.05,
}
_SUPPORT_PROMPT = """\
You are the support assistant of {{shop_name}}.
Be friendly and keep every answer to one short paragraph.
Mention our return policy when it helps.
Answer in the language of the customer.
Offer to connect the customer with a human colleague when you cannot solve the problem.
Give our opening hours when somebody wants to call.
Do not talk about other shops.
Sign with the name of the shop."""
_FRAME = ("You are the support assistant of {{shop_name}}.", "Be friendly.", "Do not talk about other shops.")

_OPENERS = ("Hello.", "Hi there.", "Good morning.", "Dear team,", "Hey.", "To whom it may concern:")
_THINGS = (
    "kettle",
    "lamp",
    "backpack",
    "keyboard",
    "tent",
    "drill",
    "bike light",
    "toaster",
    "desk",
    "jacket",
    "scooter",
)
_COLOURS = ("green", "black", "white", "red", "yellow", "grey", "orange")
_TIMES = (
    "last week",
    "in May",
    "in June",
    "on Tuesday",
    "ten days ago",
    "in autumn",
    "recently",
    "before the holidays",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One customer's question.

    Attributes:
        ideas: keys of the ideas that a good answer follows, the main one first.
        expected: the phrase that proves the main one.
    """

    question: str
    ideas: tuple[str, ...]
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """How the models of one world behave; as in the demo's shop when nothing else is said.

    Attributes:
        stated: how often an idea is followed that the prompt states; `unstated`: that it leaves out.
        fickle: share of the task model's draws that a rewording of the prompt draws anew.
        patience: lines that may state the same idea before it is followed less often; 0 for any number.
        long: characters over which a prompt loses a tenth of every rate, and four tenths over twice as many.
        vague: share of criticisms that name no idea; `wrong`: that name a wrong one.
        rich: feedback says in words what is missing, not only which words were expected.
        attentive: a rewriter asked for edits knows two causes for the same idea and a cause that the prompt deals with
            already, and makes no edit for them; one asked for a whole prompt always does.
    """

    stated: float = 0.92
    unstated: float = 0.10
    fickle: float = 0.06
    patience: int = 0
    long: int = 3_000
    vague: float = 0.06
    wrong: float = 0.06
    rich: bool = True
    attentive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """One simulated task family. Compared by identity, so that it can be a key of caches.

    Attributes:
        shares: how often each idea is the main one of a question; they add up to 1.
        base_prompt: where the application starts; it states a few of the ideas.
        idle: ideas that the models know of and no question needs; the critic's mistakes may be about them.
        best_prompt: the best prompt known; made from the first one when empty.
    """

    name: str
    ideas: tuple[Idea, ...]
    shares: tuple[float, ...]
    base_prompt: str
    unfixable: tuple[str, ...] = BEYOND_PROMPTS
    traits: Traits = Traits()
    idle: tuple[Idea, ...] = ()
    best_prompt: str = ""

    @staticmethod
    def support() -> "World":
        """The demo's shop: always the same ten ideas, three of them in its first prompt."""
        by_key = {idea.key: idea for idea in VOCABULARY}
        return World(
            name="support",
            ideas=tuple(by_key[key] for key in _SUPPORT_SHARES),
            shares=tuple(_SUPPORT_SHARES.values()),
            base_prompt=_SUPPORT_PROMPT,
        )

    @staticmethod
    def generate(seed: int) -> "World":
        """Another shop: six to ten ideas of the vocabulary, in shares and with a first prompt that the seed decides."""
        count = 6 + int(draw("world", seed, "size") * 5)
        ideas = tuple(shuffled(VOCABULARY, "world", seed)[:count])
        raw = [0.5 + draw("world", seed, "share", idea.key) for idea in ideas]
        known = [pick(idea.lines, "world", seed, "known") for idea in ideas[-2:]]
        return World(
            name=f"generated-{seed}",
            ideas=ideas,
            shares=tuple(weight / sum(raw) for weight in raw),
            base_prompt="\n".join([*_FRAME[:2], *known, _FRAME[2]]),
        )

    @property
    def oracle_prompt(self) -> str:
        """The first prompt with a good line for every idea, or what the world says is best."""
        return self.best_prompt or "\n".join([self.base_prompt, *(idea.lines[0] for idea in self.ideas)])

    @property
    def known(self) -> tuple[Idea, ...]:
        """Every idea that the simulated critic and rewriter know of, the needed ones first."""
        return (*self.ideas, *self.idle)

    def idea(self, key: str) -> Idea:
        """The idea of that key; KeyError when this world has none."""
        return {idea.key: idea for idea in self.ideas}[key]

    def cases(self, count: int, *, seed: int, stream: str) -> tuple[Case, ...]:
        """Distinct questions whose main ideas keep to the shares exactly; a stream has cases of its own."""
        mains = shuffled(list(self._quota(count)), "cases", self.name, seed, stream)
        asked: set[str] = set()
        cases: list[Case] = []
        for number, main in enumerate(mains):
            attempt = 0
            while (case := self._case(main, seed, stream, number, attempt)).question in asked:
                attempt += 1
            asked.add(case.question)
            cases.append(case)
        return tuple(cases)

    def _quota(self, count: int) -> Iterator[Idea]:
        """`count` ideas in proportion to the shares, by systematic sampling."""
        position, upto = 0, self.shares[0]
        for number in range(count):
            while (number + 0.5) / count > upto and position + 1 < len(self.ideas):
                position += 1
                upto += self.shares[position]
            yield self.ideas[position]

    def _case(self, main: Idea, seed: int, stream: str, number: int, attempt: int) -> Case:
        key = ("case", self.name, seed, stream, number, attempt)
        others = [idea for idea in shuffled(self.ideas, *key, "others") if idea is not main]
        extra = int(draw(*key, "extra") ** 2 * 3)  # mostly none, sometimes one or two more ideas
        ideas = [main, *others[:extra]]
        asks = [pick(idea.questions, *key, idea.key) for idea in ideas]
        thing = f"{pick(_COLOURS, *key, 'colour')} {pick(_THINGS, *key, 'thing')}"
        about = f"It is about the {thing} I ordered {pick(_TIMES, *key, 'time')}."
        text = " ".join([pick(_OPENERS, *key, "opener"), *asks, about])
        return Case(question=text, ideas=tuple(idea.key for idea in ideas), expected=main.phrase)


@lru_cache(maxsize=8192)
def needed(world: World, question: str) -> tuple[Idea, ...]:
    """The ideas that a good answer to the question follows, in the world's order."""
    return tuple(idea for idea in world.ideas if mentions(question, idea.topics))


def missed(world: World, question: str, output: str) -> tuple[Idea, ...]:
    """The needed ideas that the output does not follow."""
    lowered = output.lower()
    return tuple(idea for idea in needed(world, question) if idea.phrase.lower() not in lowered)
