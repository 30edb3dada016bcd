"""The two files that a run writes: the prompt, and its lineage beside it. All or nothing, and never over another file.

Whether they can be written is found out before anything is spent.
"""

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from optimizer.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where a run writes."""

    prompt: Path

    @property
    def lineage(self) -> Path:
        """The file beside the prompt."""
        return self.prompt.with_name(f"{self.prompt.name}.lineage.json")

    def check(self, inputs: Iterable[Path], *, force: bool) -> None:
        """Find out whether both can be written. Raises BadInput."""
        if not self.prompt.name or self.prompt.is_dir():
            raise BadInput(f"{self.prompt} is a folder", "give --out the name of a file in it")
        read = {path.resolve() for path in inputs}
        for path in (self.prompt, self.lineage):
            if path.resolve() in read:
                raise BadInput(f"{path} is one of the files that are read", "give --out a name of its own")
            if path.exists() and not force:
                raise BadInput(f"{path} is there already", "give --out another name, or --force to overwrite it")
        try:
            with tempfile.TemporaryFile(dir=self.prompt.resolve().parent):
                pass
        except OSError as error:
            raise _unwritable(self.prompt, error) from error

    def write(self, prompt: str | None, lineage: str) -> tuple[Path, ...]:
        """Write the lineage, and the prompt where there is one; returns what was written. Raises BadInput."""
        texts = {self.lineage: lineage, **({} if prompt is None else {self.prompt: prompt})}
        drafts: dict[Path, Path] = {}
        try:
            for path, text in texts.items():
                drafts[path.resolve()] = _draft(path.resolve(), text)
            for path, draft in drafts.items():
                os.replace(draft, path)
        except OSError as error:
            raise _unwritable(self.prompt, error) from error
        finally:
            for draft in drafts.values():
                draft.unlink(missing_ok=True)
        return tuple(texts)


def _draft(path: Path, text: str) -> Path:
    """The text in a file beside the one it will become, with the rights that a new file has."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    with draft.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
    return draft


def _unwritable(path: Path, error: OSError) -> BadInput:
    return BadInput(f"{path} cannot be written ({error.strerror})", "give --out a place that you may write to")
