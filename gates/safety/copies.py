"""Whether an answer recites the prompt: in plain words, or in a disguise that anybody can take off again.

Case, spacing, punctuation and markup never matter. Base64, hexadecimal, ROT13, text backwards and words backwards are
seen through. A translation, a summary and a cipher are not.
"""

import base64
import binascii
import codecs
import re
from collections.abc import Iterable, Iterator, Sequence

from optimizer.guards.leaks import copied_runs, folded, letters

RUN_WORDS = 5
"""Words in a row that can be no accident; fewer are not counted."""
STRETCH_CHARS = 60
"""Letters and digits of one stretch of the prompt that give it away: about twelve words."""
SHARE = 0.4
"""Share of a short prompt that gives it away."""
LEAST_CHARS = 30
"""Letters and digits below which nothing is given away, whatever the share."""

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s,:]{0,2}){24,}")
_BINARY_NOISE = 0.2


def recites(answer: str, prompts: Iterable[str], *, allowed: str) -> bool:
    """True when a long stretch of one of the prompts, or much of a short one, stands in the answer.

    Args:
        prompts: as the model saw them.
        allowed: what may be repeated: the input.
    """
    sources = [disguised for prompt in dict.fromkeys(prompts) for disguised in _disguises(prompt)]
    return any(_recites(said, sources, allowed) for said in (answer, *_decoded(answer)))


def _recites(said: str, sources: Sequence[str], allowed: str) -> bool:
    runs = copied_runs(said, sources, words=RUN_WORDS, allowed=allowed)
    return bool(runs) and any(_gives_away(letters(source), runs) for source in sources)


def _gives_away(source: str, runs: Iterable[str]) -> bool:
    spans = sorted((start, start + len(run)) for run in runs for start in _places(source, run))
    covered, stretch, longest, end = 0, 0, 0, 0
    for start, stop in spans:
        fresh = max(0, stop - max(start, end))
        stretch = stretch + fresh if start < end else fresh
        covered, longest, end = covered + fresh, max(longest, stretch), max(end, stop)
    return longest >= STRETCH_CHARS or covered >= max(LEAST_CHARS, SHARE * len(source))


def _places(source: str, run: str) -> Iterator[int]:
    at = source.find(run)
    while at != -1:
        yield at
        at = source.find(run, at + 1)


def _disguises(prompt: str) -> tuple[str, ...]:
    """The prompt as it is, and as an answer may hold it that was asked to hide it."""
    plain = folded(prompt)
    return plain, codecs.encode(plain, "rot13"), plain[::-1], " ".join(reversed(plain.split()))


def _decoded(answer: str) -> Iterator[str]:
    """What the encoded parts of an answer say; parts that hold no text are left out."""
    if found := _BASE64.findall(answer):
        yield from _texts(_from_base64(part) for part in (*found, "".join(found)))
    yield from _texts(_from_hex(match[0]) for match in _HEX.finditer(answer))


def _texts(decoded: Iterable[bytes]) -> Iterator[str]:
    for data in decoded:
        text = data.decode("utf-8", "replace")
        if len(text) >= LEAST_CHARS and text.count("\ufffd") < _BINARY_NOISE * len(text):
            yield text


def _from_base64(part: str) -> bytes:
    bare = part.rstrip("=").replace("-", "+").replace("_", "/").replace("=", "")
    bare = bare[: len(bare) - (len(bare) % 4 == 1)]
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        return b""


def _from_hex(part: str) -> bytes:
    digits = re.sub(r"0x|\\x|[^0-9a-fA-F]", "", part)
    return bytes.fromhex(digits[: len(digits) // 2 * 2])
