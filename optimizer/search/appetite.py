"""How many causes a step may answer: more after steps that were kept, fewer after steps that were not.

A step with many edits is cheap to prove when all of them are good, and tells little when it is rejected: then the next
one is half as large, down to one edit whose effect is plain.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Appetite:
    """The size of the next step, in root causes, between 1 and `most`."""

    most: int
    size: int

    @classmethod
    def of(cls, most: int) -> "Appetite":
        """Begin with as much as is allowed."""
        return cls(most=most, size=most)

    def after(self, *, kept: bool, asked: int) -> "Appetite":
        """The appetite after one more step, which was because of so many causes."""
        size = min(self.most, self.size * 2) if kept else max(1, min(self.size, asked) // 2)
        return Appetite(most=self.most, size=size)
