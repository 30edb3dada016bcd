"""The port FlagService in memory: for tests, for simulations, and as the plainest reading of the contract."""

from optimizer.rollouts import PRODUCTION, Split, point


class MemoryFlags:
    """FlagService over a dictionary. `by_hand` is what a person does in the service's own interface.

    Attributes:
        writes: every change of ours with its reason, oldest first; a repeated one that changed nothing is not in it.
    """

    def __init__(self) -> None:
        self._splits: dict[str, Split] = {}
        self.writes: list[tuple[Split, str]] = []

    @property
    def name(self) -> str:
        """See FlagService."""
        return "memory"

    def by_hand(self, split: Split) -> None:
        """Serve a split, whatever is served now."""
        self._splits[split.prompt] = split

    async def read(self, prompt: str) -> Split | None:
        """See FlagService."""
        return self._splits.get(prompt)

    async def start(self, prompt: str, salt: str) -> Split:
        """See FlagService; the salt is the one that was asked for, unless a rollout stands."""
        stands = self._splits.get(prompt)
        if stands is not None and any(band.version != PRODUCTION for band in stands.bands):
            return stands
        wanted = Split(prompt=prompt, salt=salt)
        if stands != wanted:
            self._put(wanted, "a new release begins")
        return wanted

    async def write(self, split: Split, *, expect: Split, why: str) -> bool:
        """See FlagService."""
        stands = self._splits.get(split.prompt)
        if stands != split and stands == expect:
            self._put(split, why)
        return stands in (split, expect)

    def place(self, split: Split, key: str) -> float:
        """See FlagService."""
        return point(split.salt, key)

    def _put(self, split: Split, why: str) -> None:
        self._splits[split.prompt] = split
        self.writes.append((split, why))
