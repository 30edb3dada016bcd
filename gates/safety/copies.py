"""Whether an answer recites the prompt: in plain words, or in a disguise that anybody can take off again.

Case, spacing, punctuation and markup never matter. Base64, hexadecimal, ROT13, text backwards and words backwards are
seen through. A translation, a summary and a cipher are not. What the prompt has in quotation marks is there to be said.

Both texts are compared as letters and digits alone. A common span is found by seeds: whatever is long enough holds one
of the prompt's seeds, which stand at fixed distances, and a seed is one look-up. So the work is linear in both texts.
"""

import base64
import binascii
import codecs
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from optimizer.guards.leaks import folded, letters

SPAN_CHARS = 25
"""Letters and digits in a row that are no accident; shorter spans do not count."""
STRETCH_CHARS, SPANS_CHARS = 60, 80
"""What gives a prompt away in one span, about twelve words, and in several."""
SHARE, LEAST_CHARS = 0.4, 30
"""Share of a short prompt that gives it away, and letters and digits that it takes at the least."""

_SEED, _DISTANCE = 16, 8
_OPENINGS = (
    "youare",
    "yourtask",
    "yourrole",
    "dubist",
    "siesind",
    "tues",
    "vousetes",
    "eres",
    "usted",
    "tusei",
    "voce",
)
"""How prompts speak to a model, and models to nobody: the first words are enough then."""
_CUT = "\0"
_QUOTED = re.compile(r"\"[^\"\n]{1,400}\"|“[^”\n]{1,400}”|„[^“”\n]{1,400}[“”]|«[^»\n]{1,400}»|`[^`\n]{1,400}`")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s,:]{0,2}){24,}")
_NOISE = 0.2


def recites(answer: str, prompts: Iterable[str], *, allowed: str) -> bool:
    """True when a long stretch of one of the prompts, or much of a short one, stands in the answer.

    Args:
        prompts: as the model saw them.
        allowed: what may be repeated: the input.
    """
    sources = [disguised for prompt in prompts for disguised in _disguises(prompt)]
    known = letters(allowed)
    return any(_recites(letters(said), sources, known) for said in (answer, *_decoded(answer)))


def _recites(said: str, sources: Iterable[str], known: str) -> bool:
    seeds = {said[at : at + _SEED] for at in range(len(said) - _SEED + 1)}
    return any(_gives_away(source, list(_spans(source, said, seeds, known))) for source in sources)


def _gives_away(source: str, spans: list[tuple[int, int]]) -> bool:
    if not spans:
        return False
    covered = sum(end - start for start, end in spans)
    start, end = spans[0]
    opening = start == 0 and end >= LEAST_CHARS and source.startswith(_OPENINGS)
    longest = max(end - start for start, end in spans)
    enough = min(SPANS_CHARS, max(LEAST_CHARS, SHARE * len(source)))
    return opening or longest >= STRETCH_CHARS or covered >= enough


def _spans(source: str, said: str, seeds: set[str], known: str) -> Iterator[tuple[int, int]]:
    """The spans of the source that are said, in order and without overlap; none that was known before."""
    done = 0
    for at in range(0, len(source) - _SEED + 1, _DISTANCE):
        if at + _SEED <= done or (seed := source[at : at + _SEED]) not in seeds:
            continue
        place = said.find(seed)
        start, end = at, at + _SEED
        while start > done and place > at - start and source[start - 1] == said[place - (at - start) - 1]:
            start -= 1
        while end < len(source) and place + end - at < len(said) and source[end] == said[place + end - at]:
            end += 1
        if end - start >= SPAN_CHARS and source[start:end] not in known:
            yield start, end
            done = end


@lru_cache(maxsize=64)
def _disguises(prompt: str) -> tuple[str, ...]:
    """The prompt as it is, and as an answer may hold it that was asked to hide it; as letters and digits."""
    plain = folded(prompt)
    own = _QUOTED.sub(_CUT, plain)
    if 2 * len(letters(own)) < len(letters(plain)):
        own = plain
    parts = own.split(_CUT)
    straight = _CUT.join(map(letters, parts))
    backwards = _CUT.join(letters(" ".join(reversed(part.split()))) for part in parts)
    return straight, codecs.encode(straight, "rot13"), straight[::-1], backwards


def _decoded(answer: str) -> Iterator[str]:
    """What the encoded parts of an answer say; parts that hold no text are left out."""
    if found := _BASE64.findall(answer):
        yield from _texts(_from_base64(part) for part in dict.fromkeys((*found, "".join(found))))
    yield from _texts(_from_hex(match[0]) for match in _HEX.finditer(answer))


def _texts(decoded: Iterable[bytes]) -> Iterator[str]:
    for data in decoded:
        text = data.decode("utf-8", "replace")
        if len(text) >= LEAST_CHARS and text.count("\ufffd") < _NOISE * len(text):
            yield text


def _from_base64(part: str) -> bytes:
    bare = part.replace("-", "+").replace("_", "/").replace("=", "")
    bare = bare[: len(bare) - (len(bare) % 4 == 1)]
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        return b""


def _from_hex(part: str) -> bytes:
    digits = re.sub(r"0x|\\x|[^0-9a-fA-F]", "", part)
    return bytes.fromhex(digits[: len(digits) // 2 * 2])
