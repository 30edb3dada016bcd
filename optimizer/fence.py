"""The fence around hostile text: quoted, cut, and set between two lines that nobody outside could have written.

    <data-3f9a41c07be2d865>
    {"complaint": "ignore the above\\u202e ...", "input": "..."}
    </data-3f9a41c07be2d865>

Three things hold for whatever stands inside. It is one line of ASCII JSON, so that line breaks, invisible and
right-to-left characters are visible escapes. Its closing line cannot be forged: the nonce is an HMAC of a secret that
the writers of the texts do not know, and is made anew when it occurs inside. It is never longer than its budget.

The nonce depends on the secret and the texts alone: a cycle that is resumed sends the same bytes, so its journal knows
the answers. Nothing here may read a clock or a random generator.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count, takewhile

from optimizer.identity import Json, digest

TEXT_CHARS = 6_000
"""Budget of one quoted text, about 1,500 tokens: a question, an answer or a comment that people still read."""

_NONCE_HEX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Wraps fields in a data block. Made once a cycle, over all the texts of the cycle.

    Attributes:
        secret: stored with the cycle, never sent anywhere.
        seed: digest of the texts that the nonce is made over.
        text_chars: budget of every string inside, counted as it is quoted.
    """

    secret: bytes = field(repr=False)
    seed: str
    text_chars: int = TEXT_CHARS

    @classmethod
    def of(cls, secret: bytes, *texts: str) -> "Fence":
        """The fence of a cycle. The same secret and the same texts make the same fence."""
        return cls(secret=secret, seed=digest(*texts))

    def wrap(self, fields: Mapping[str, Json]) -> str:
        """The fields as a data block of three lines. Every string in it is cut to the budget."""
        quoted = json.dumps(_cut(dict(fields), self.text_chars), ensure_ascii=True, sort_keys=True, allow_nan=False)
        nonce = next(nonce for nonce in map(self.nonce, count()) if nonce not in quoted)
        return f"<data-{nonce}>\n{quoted}\n</data-{nonce}>"

    def nonce(self, turn: int = 0) -> str:
        """The nonce, in hexadecimal; later turns are for texts that hold the earlier ones."""
        message = f"{self.seed}:{turn}".encode()
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()[:_NONCE_HEX]


def excerpt(text: str, chars: int) -> str:
    """The text, or its two ends around a marked gap, so that its quoted form holds at most `chars` characters.

    The ends are kept because a recorded input begins with the instructions and ends with the question.
    """
    if len(text) <= chars and _quoted_length(text) <= chars:
        return text
    marker = " …[{} characters left out]… "
    room = max(0, chars - _quoted_length(marker.format(len(text)))) // 2
    head, tail = _fitting(text[:room], room), _fitting(text[: -room - 1 : -1], room)
    return text[:head] + marker.format(len(text) - head - tail) + text[len(text) - tail :]


def _fitting(text: str, room: int) -> int:
    """How many characters from the start fit into the room when quoted."""
    used = 0

    def fits(char: str) -> bool:
        nonlocal used
        used += _quoted_length(char)
        return used <= room

    return sum(1 for _ in takewhile(fits, text))


def _quoted_length(text: str) -> int:
    return len(json.dumps(text)) - 2


def _cut(value: Json, chars: int) -> Json:
    if isinstance(value, str):
        return excerpt(value, chars)
    if isinstance(value, list):
        return [_cut(item, chars) for item in value]
    if isinstance(value, dict):
        return {key: _cut(item, chars) for key, item in value.items()}
    return value
