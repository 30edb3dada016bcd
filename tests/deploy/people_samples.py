"""People who use an application day by day: each is shown a version, gets an answer and says whether it was good.

For the twin house: no wire, no model. What a version is worth is a number; chance comes from a seed.
"""

import random
from dataclasses import dataclass, field
from datetime import timedelta

from house_samples import World

from connectors.memory import Call
from optimizer.rollouts import PRODUCTION, point


@dataclass
class People:
    """New users of one prompt.

    Attributes:
        worth: chance of a good answer by version.
        a_day: new users a day; every one of them scores one answer an hour later.
    """

    world: World
    worth: dict[int, float]
    a_day: int = 150
    seed: int = 7
    numbered: int = 1000
    shown: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    async def live(self, days: int) -> None:
        """So many days go by."""
        for _ in range(days * 24):
            await self._hour()

    async def _hour(self) -> None:
        world = self.world
        split = await world.flags.read("support")
        production = (await world.registry.head("support")).production.version
        for _ in range(self.a_day // 24):
            self.numbered += 1
            key = f"user-{self.numbered}"
            chosen = split.at(point(split.salt, key)) if split else PRODUCTION
            version = production if chosen == PRODUCTION else chosen
            self.shown[version] = self.shown.get(version, 0) + 1
            made = world.answer(self.numbered, ago=timedelta(minutes=30), prompt_version=version)
            world.traces.all_calls[made.id] = Call(user=key, latency_s=1.0, cost_usd=0.001)
            good = self.random.random() < self.worth[version]
            world.judge_it(self.numbered, ago=timedelta(minutes=10), value=float(good), comment="")
        world.pass_time(hours=1)
