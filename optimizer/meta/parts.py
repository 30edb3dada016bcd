"""A meta-prompt in parts: what always stands, and the instructions between, which an owner may replace or optimize.

What a model is given, that a data block is never an instruction, the rules of safety and the form of the reply stand
before and after the instructions, byte for byte. No text for the instructions may change them.
"""

from dataclasses import dataclass

from optimizer.identity import digest

_DIGEST_CHARS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaPrompt:
    """A system message to a model that optimizes.

    Attributes:
        version: of all parts together; names them in lineage.
        given: stands first: the task, and what the model is shown.
        instructions: how to do it; the part that may be replaced.
        contract: stands last: the rules of safety, which come before any instructions, and the form of the reply.
    """

    version: int
    given: str
    instructions: str
    contract: str

    def system(self, instructions: str = "") -> str:
        """The whole message, with these instructions; with our own when there are none."""
        return f"{self.given}{instructions.strip() or self.instructions}\n{self.contract}"

    def named(self, instructions: str = "") -> int | str:
        """What lineage calls it: our version, and a digest of instructions that are not ours."""
        said = instructions.strip()
        if said in ("", self.instructions):
            return self.version
        return f"{self.version} with instructions {digest('instructions', said)[:_DIGEST_CHARS]}"
