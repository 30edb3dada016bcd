"""What a person at a terminal sees, and what a script gets instead.

Results go to standard output, progress and complaints to standard error. With `--json` standard output holds one JSON
document and nothing else. There is no colour, no moving bar and no wrapping when the output is not a terminal.
"""

import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gates.rendering.unseen import visible

PIPED_WIDTH = 200
"""Columns of a table that nobody looks at in a terminal: enough to leave ids in one piece."""

Advance = Callable[[int, int], None]
"""Called with (done, total); a total of 0 means that nobody knows yet."""


def wrapped(text: str, width: int, hang: int | None = None) -> str:
    """The text in lines of that width, broken between words; further lines stand `hang` columns deeper.

    By default that is 2 for a text that is indented itself, and 0 for one that is not.

    A word that is too long, such as an address or an id, stays in one piece.
    """
    indent = len(text) - len(text.lstrip(" "))
    indent += (2 if indent else 0) if hang is None else hang
    return "\n".join(
        textwrap.fill(line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )


class Plain(Console):
    """A console that leaves a closed pipe to `main`, instead of ending with an exit code of its own."""

    def on_broken_pipe(self) -> NoReturn:
        """Called by rich while it handles a BrokenPipeError."""
        raise BrokenPipeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """The two streams and how to write to them."""

    as_json: bool = False

    @property
    def out(self) -> Console:
        """Standard output. Markup is off: prompt texts hold brackets."""
        width = None if sys.stdout.isatty() else PIPED_WIDTH
        return Plain(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False, soft_wrap=True)

    @property
    def err(self) -> Console:
        """Standard error, for progress."""
        return Plain(file=sys.stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def say(self, text: str = "", style: str = "", *, hang: int | None = None, whole: bool = False) -> None:
        """A line for a person; silent when a script is listening. `whole` keeps in one piece what may be copied."""
        if self.as_json:
            return
        out = self.out
        shown = visible(text)
        out.print(wrapped(shown, out.width, hang) if out.is_terminal and not whole else shown, style=style or None)

    def give(self, document: Any) -> None:
        """The result for a script; silent otherwise."""
        if self.as_json:
            print(json.dumps(document, indent=2, default=str))

    @contextmanager
    def progress(self, what: str, *, announced: bool = True) -> Iterator[Advance]:
        """A bar for anything that may take over two seconds.

        Args:
            announced: print a plain line instead when nobody is watching a terminal.
        """
        if self.as_json or not sys.stderr.isatty():
            if announced and not self.as_json:
                self.err.print(f"{what} ...")
            yield lambda _done, _total: None
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.err, transient=True) as bar:
            task = bar.add_task(what, total=None, count="")

            def advance(done: int, total: int) -> None:
                count = f"{done}/{total}" if total else str(done or "")
                bar.update(task, completed=done, total=total or None, count=count)

            yield advance
