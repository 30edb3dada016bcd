"""What an idea is: one thing that a good system prompt says, and how the simulated world recognises it.

Recognition is by keywords and therefore blunt: that is part of the simulation. It must never look at anything but the
text that it is given.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

_SENTENCES = re.compile(r"\n+|(?<=[.!?;])\s+")
_NEGATED = re.compile(
    r"\b(never|do not|don't|cannot|can't|must not|should not|avoid|no|not|refuse|without|rather than)\b", re.IGNORECASE
)
_FORBIDS = re.compile(
    r"^\W*(please\s+)?(never|do not|don't|avoid|stop|refrain)\b|\b(must|should|shall|may) (not|never)\b",
    re.IGNORECASE,
)
_FORBIDS_OMISSION = re.compile(
    r"\b(never|do not|don't|avoid|not)\s+(forget|omit|omitting|leav|skip|fail)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Idea:
    """One hidden rule of a simulated task.

    Attributes:
        phrase: the checkable words that an answer contains when it follows the idea.
        answer: the sentence around `phrase`. `vague` is what stands there otherwise.
        cues: groups of keywords; a sentence speaks of the idea when each group has a keyword in it.
        topics: keywords by which a question is known to need the idea.
        questions: what customers ask who need it.
        complaints: what they say when the answer lacks it. `signs` are the keywords in these.
        names: noun phrases with which the simulated critic speaks of it.
        lines: prompt lines that state it. `odd_lines` mean it, but are not recognised.
        prohibition: the idea is that something must *not* be done, so a sentence states it only with a negation.
    """

    key: str
    phrase: str
    answer: str
    vague: str
    cues: tuple[tuple[str, ...], ...]
    topics: tuple[str, ...]
    questions: tuple[str, ...]
    complaints: tuple[str, ...]
    signs: tuple[str, ...]
    names: tuple[str, ...]
    lines: tuple[str, ...]
    odd_lines: tuple[str, ...]
    prohibition: bool = False


def mentions(text: str, keywords: tuple[str, ...]) -> bool:
    """True when one of the keywords begins at the start of a word, in any case."""
    return _pattern(keywords).search(text) is not None


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text."""
    return [part for part in _SENTENCES.split(text) if part.strip()]


def speaks_of(idea: Idea, sentence: str) -> bool:
    """True when the sentence is about the idea, for or against it."""
    return all(mentions(sentence, group) for group in idea.cues)


def states(idea: Idea, sentence: str) -> bool:
    """True when the sentence asks for what the idea asks for."""
    return speaks_of(idea, sentence) and not _against(idea, sentence)


def contradicts(idea: Idea, sentence: str) -> bool:
    """True when the sentence asks for the opposite."""
    return speaks_of(idea, sentence) and _against(idea, sentence)


def _against(idea: Idea, sentence: str) -> bool:
    if idea.prohibition:
        return _NEGATED.search(sentence) is None
    return _FORBIDS.search(sentence) is not None and _FORBIDS_OMISSION.search(sentence) is None


@lru_cache(maxsize=1024)
def _pattern(keywords: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(re.escape(word) for word in keywords) + ")", re.IGNORECASE)
