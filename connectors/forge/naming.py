"""How our branches, commits and comments are named, so that they are found again, and which paths we may write.

A key is never used as it is: it holds the name of a prompt, and a name may hold anything.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from optimizer.errors import BadInput, BadSettings
from optimizer.identity import digest

TRAILER = "Tracegrad-Key"
LIMIT = 65_536
"""Characters that a forge takes in one description or comment."""

_CUT = "\n\n(cut: it is longer than a forge takes)"
_AUTHOR = re.compile(r"\s*([^<>\r\n\0]*[^<>\s\0])\s*<([^<>\s\0]+)>\s*")


def slug(key: str) -> str:
    """A key as small letters, digits and dashes, told apart from all others by a digest."""
    plain = unicodedata.normalize("NFKD", key).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain)[:40].strip("-")
    return f"{words}-{digest('branch', key)[:10]}".lstrip("-")


def branch_of(key: str) -> str:
    """The branch of a change."""
    return f"tracegrad/{slug(key)}"


def marker(topic: str) -> str:
    """The invisible first line of our comment about a topic."""
    return f"<!-- tracegrad:{slug(topic)} -->"


def marked(topic: str, text: str) -> str:
    """A comment that will be found again, cut to what a forge takes."""
    return capped(f"{marker(topic)}\n{text}")


def capped(text: str) -> str:
    """A text that fits into one description or comment."""
    return text if len(text) <= LIMIT else text[: LIMIT - len(_CUT)] + _CUT


def message_of(title: str, branch: str) -> str:
    """The message of one of our commits."""
    return f"{title}\n\n{TRAILER}: {branch}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who our commits are by."""

    name: str
    email: str

    @classmethod
    def of(cls, said: str) -> Self:
        """From `Name <address>`. Raises BadSettings."""
        found = _AUTHOR.fullmatch(said)
        if found is None:
            raise BadSettings("`forge.author` names nobody", "write it as in `Tracegrad <tracegrad@example.com>`")
        return cls(name=found[1], email=found[2])

    def made(self, branch: str, message: str, *emails: str) -> bool:
        """Whether a commit is ours: by us in every respect, and for this branch."""
        trailers = [line.strip() for line in message.splitlines()]
        return {email.lower() for email in emails} == {self.email.lower()} and f"{TRAILER}: {branch}" in trailers


def checked_path(path: str) -> str:
    """A path inside the repository, as it is. Raises BadInput for any that leads out of it or into git's own files."""
    parts = path.split("/")
    bad = (
        path != str(PurePosixPath(path))
        or path.startswith("/")
        or any(part in ("", ".", "..") or part.rstrip(". ") != part for part in parts)
        or any(part.lower() in (".git", "git~1") for part in parts)
        or any(char in "\\:" or not char.isprintable() for char in path)
    )
    if bad:
        raise BadInput(
            "the path of the prompt's file does not stay inside the repository",
            "give a relative path without `..`, `:`, backslashes and `.git`, such as `prompts/support.md`",
        )
    return path
