"""The budget of task calls: taken before a call is made, at declared points, never exceeded.

What is granted to one activity is set aside at once, so that two that run at the same time cannot race for the last
call. What it does not use comes back when it is closed.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Budget:
    """Task calls that may be made.

    Attributes:
        limit: calls in all.
        left: calls that are neither made nor set aside.
    """

    limit: int
    left: int

    @classmethod
    def of(cls, limit: int) -> "Budget":
        """A budget of which nothing is used."""
        return cls(limit=limit, left=limit)

    def grant(self, wanted: int) -> "Purse":
        """Set calls aside: as many as are wanted, or as many as there are."""
        granted = max(0, min(wanted, self.left))
        self.left -= granted
        return Purse(budget=self, left=granted)


@dataclass(slots=True)
class Purse:
    """Calls that one activity may make."""

    budget: Budget
    left: int

    def take(self, wanted: int) -> int:
        """How many of the wanted calls may be made now; they count as made."""
        taken = max(0, min(wanted, self.left))
        self.left -= taken
        return taken

    def close(self) -> None:
        """Give back what was not used."""
        self.budget.left += self.left
        self.left = 0
