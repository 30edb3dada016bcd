"""Quarantine: gradient texts that give orders or dictate prompt text instead of criticising.

A critic that was talked into something repeats what it was told, and its words reach the rewriter. This is a net with
holes, blunt on purpose and in English only, the critic's language; what slips through still meets the quorum, the
fence and the guard. It must never be used on complaints: strangers may say what they like, the critic may not.
"""

import re
from collections.abc import Mapping

_TEXT = r"(?:lines?|sentences?|texts?|words?|phrases?|instructions?|paragraphs?|rules?)\b"

_SIGNS: Mapping[str, str] = {
    "it dictates prompt text": (
        r"\badd (?:the|this|these) (?:following )?lines?\b"
        r"|\b(?:add|insert|append|include|put|write|paste|copy|replace)\b[^.!?\n]{0,40}"
        r"\b(?:the|this|these|following)(?: following| exact| new| extra)* " + _TEXT + r"\s*(?:[:\"'“”«`]|verbatim\b)"
    ),
    "it tells somebody to ignore instructions": (
        r"\b(?:ignore|disregard|forget|override|bypass)\b[^.!?\n]{0,30}"
        r"\b(?:above|instructions?|prompts?|rules|guidelines|directions)\b"
    ),
    "it gives somebody a new part to play": (
        r"\byou are now\b|\bfrom now on,? you\b|\bnew (?:system )?instructions?\s*:|\bpretend (?:to be|that you)\b"
    ),
    "it imitates the marks of a request": (
        r"</?data-|<\|[a-z_]+\|>|^[^\S\n]*(?:system|assistant|developer)\s*:|^[^\S\n]*PROMPT[^\S\n]*$"
    ),
    "it holds a link": r"\b(?:https?|ftp|file|javascript)://|\bwww\.",
    "it holds encoded text": r"[A-Za-z0-9+/]{60,}",
    "it holds invisible characters": "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]",
}

_HINTS: Mapping[str, tuple[str, ...]] = {
    "it dictates prompt text": ("add ", ":", '"', "'", "“", "”", "«", "`", "verbatim"),
    "it tells somebody to ignore instructions": ("ignore", "disregard", "forget", "override", "bypass"),
    "it gives somebody a new part to play": ("you are now", "from now on", "new ", "pretend"),
    "it imitates the marks of a request": ("data-", "<|", ":", "prompt"),
    "it holds a link": ("://", "www."),
}
"""What a text must hold for a sign to be in it, in small letters: most criticisms hold none, and are read once."""

_NETS = {reason: re.compile(sign, re.IGNORECASE | re.MULTILINE) for reason, sign in _SIGNS.items()}


def reason_against(text: str) -> str:
    """Why the text is kept from the rewriter; empty when nothing speaks against it."""
    small = text.casefold()
    return next(
        (reason for reason, net in _NETS.items() if _hinted(small, _HINTS.get(reason)) and net.search(text)), ""
    )


def _hinted(small: str, hints: tuple[str, ...] | None) -> bool:
    return hints is None or any(hint in small for hint in hints)
