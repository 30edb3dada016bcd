"""Characters that hide, steer a terminal or are half of one: whoever shows production text spells them out."""

import re

UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\u3164\ufeff"
    r"\ud800-\udfff\U000e0000-\U000e01ef]"
)


def visible(text: str) -> str:
    """The text with control and invisible characters spelled out, so that they can do nothing to who looks at it."""
    return UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def on_one_line(text: str) -> str:
    """The same, with every run of blanks and line breaks as one blank."""
    return visible(" ".join(text.split()))
