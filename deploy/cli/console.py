"""What a person at a terminal sees, and what a script gets instead.

Results go to standard output, progress and complaints to standard error. With `--json` standard output holds one JSON
document and nothing else. There is no colour and no moving bar when the output is not a terminal.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Characters that steer a terminal or hide: production text may hold them on purpose."""

Advance = Callable[[int, int], None]
"""Called with (done, total); a total of 0 means that nobody knows yet."""


def visible(text: str) -> str:
    """The text with control and invisible characters spelled out, so that they can do nothing to a terminal."""
    return UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """The two streams and how to write to them."""

    as_json: bool = False

    @property
    def out(self) -> Console:
        """Standard output. Markup is off: prompt texts hold brackets."""
        return Console(file=sys.stdout, markup=False, highlight=False, emoji=False, soft_wrap=True)

    @property
    def err(self) -> Console:
        """Standard error, for progress."""
        return Console(file=sys.stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def say(self, text: str = "", style: str = "") -> None:
        """A line for a person; silent when a script is listening."""
        if not self.as_json:
            self.out.print(visible(text), style=style or None)

    def give(self, document: Any) -> None:
        """The result for a script; silent otherwise."""
        if self.as_json:
            print(json.dumps(document, indent=2, ensure_ascii=False, default=str))

    @contextmanager
    def progress(self, what: str) -> Iterator[Advance]:
        """A bar for anything that may take over two seconds; plain lines when nobody is watching a terminal."""
        if self.as_json or not sys.stderr.isatty():
            if not self.as_json:
                self.err.print(f"{what} ...")
            yield lambda _done, _total: None
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.err, transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total or None)
