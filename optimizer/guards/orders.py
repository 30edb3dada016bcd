"""What must not get into a prompt by its meaning or its form: orders, posing as somebody else, disguise.

Finders for the guard, as in `optimizer.guards.leaks`: what they return is for comparing only. A net of the commonest
words, mostly English; it must never be the only thing that stands between a stranger and a prompt.
"""

import re
import unicodedata

from optimizer.guards.leaks import folded, visible

# ---- form ------------------------------------------------------------------------------------------------------------

_SYNTAX = re.compile(
    r"\{%|%\}|\{#|#\}|<%|\$\{|@@@|%\(\w{1,40}\)s|\{\{-?\s*(?:env\b|[#>/^&!])|(?:file|langfuse|exec|package)://|\bfile:",
    re.IGNORECASE,
)


def template_syntax(text: str) -> list[str]:
    """Tags of template languages, and what promptfoo and Langfuse would resolve."""
    return [match.casefold() for match in _SYNTAX.findall(visible(text))]


def invisible(text: str) -> list[str]:
    """Characters that nobody sees, or that steer a terminal or the direction of writing."""
    # asked once for each different character, as texts are large and alphabets are not
    suspects = frozenset(filter(_is_invisible, set(text)))
    return [char for char in text if char in suspects] if suspects else []


def _is_invisible(char: str) -> bool:
    if char in "\n\t\r":
        return False
    # fillers and variation selectors are no format characters for Unicode, but hide text too; U+FE0F is emoji's
    return (
        unicodedata.category(char) in ("Cf", "Cc", "Cs", "Co", "Cn", "Zl", "Zp")
        or char in "\u115f\u1160\u3164\uffa0\u034f\u2800"
        or "\ufe00" <= char <= "\ufe0e"
        or "\U000e0100" <= char <= "\U000e01ef"
    )


_ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})
"""Alphabets whose letters pass for one another."""

_LETTERS = re.compile(r"[^\W\d_]+")


def mixed_scripts(text: str) -> list[str]:
    """Words that mix letters of alphabets that look alike: `pаypal` with a Cyrillic `а`."""
    return [match[0] for match in _LETTERS.finditer(text) if not match[0].isascii() and _mixed(match[0])]


def _mixed(word: str) -> bool:
    # the first word of a letter's name is its alphabet; units and symbols are short and may be Greek in part
    found = _ALIKE & {unicodedata.name(char, "").partition(" ")[0] for char in set(word)}
    return len(found - {"GREEK"} if len(word) <= 3 else found) > 1


_PART = r"(?:system|developer|assistant|user|human|ai|tool|function|instructions?|prompt)"
_MARKS = re.compile(
    rf"^(?:[^\w\n]|_){{0,12}}{_PART}(?:[^\w\n]|_){{0,3}}:|^[ \t]{{0,8}}#{{1,6}}[ \t]{{0,8}}{_PART}\b"
    rf"|</[a-z][\w-]{{0,40}}\s?>|<[a-z][\w-]{{0,40}}\s[^<>\n]{{0,400}}=[^<>\n]{{0,400}}>|<{_PART}\b"
    r"|<(?:script|img|iframe|svg|style|link|object|embed|form|input|base|meta|a)\b",
    re.IGNORECASE | re.MULTILINE,
)


def markup(text: str) -> list[str]:
    """HTML, closing tags, and lines that begin as if another speaker or section did."""
    return [" ".join(match[0].casefold().split()) for match in _MARKS.finditer(visible(text))]


# ---- meaning ---------------------------------------------------------------------------------------------------------

_ORDER = r"(?:instruct|prompt|rule|messag|direct|guidelin|context|command|constraint)\w{0,5}"
_DROP = r"\b(?:ignor|disregard|forget|overrid|overrul|bypass|discard|neglect)\w{0,5}"
_EARLIER = r"(?:previous|above|prior|earlier|preceding|foregoing|former|system|before|so far)"
_INJECTIONS = (
    rf"{_DROP}\b(?:\W+\w+){{0,5}}?\W+{_EARLIER}\b(?:\W+\w+){{0,3}}?\W+{_ORDER}\b",
    rf"{_DROP}\b(?:\W+\w+){{0,5}}?\W+{_ORDER}\b(?:\W+\w+){{0,4}}?\W+{_EARLIER}\b",
    rf"{_DROP}\W+(?:(?:all|any|every|the|your|these|those|my|our|its|other|of)\W+){{1,4}}{_ORDER}\b",
    rf"{_DROP}\W+(?:(?:all|everything|anything|whatever|what|of|the|is|was|stands?|you|were|told)\W+){{0,6}}{_EARLIER}\b",
    r"\b(?:new|updated|real|actual) (?:system )?(?:instructions?|prompt)\s?:",
    r"(?<!not )(?<!never )\b(?:reveal|print|repeat|output|show|leak|disclose)\b.{0,30}"
    r"\b(?:system|hidden|initial)\s(?:prompt|instruction)",
    r"\b(?:add|insert|append) (?:the|this|these) (?:following )?(?:line|edit|sentence|rule|text|instruction)s?\b",
    r"\b(?:dear|attention|note to|hey|hello|message to|for) (?:the )?(?:prompt )?(?:optimi[sz]er|rewriter|critic)\b",
    r"(?:^|[.!?:;] )(?:prompt )?(?:optimi[sz]er|rewriter|critic)\s?[:,]",
    r"\b(?:rewrite|replace|delete|change|edit) (?:the|this|your) (?:whole |entire |system )?prompt\b",
    r"\b(?:jailbreak|developer mode|dan mode|do anything now)\b",
    r"</?data-[0-9a-f]{4,}>|<\|(?:im_start|im_end|system|endoftext)\|>|\[/?inst\]",
    # to do away with the owner's rules, or to hand them to whoever asks
    rf"\b{_ORDER}\b[^.!?;]{{0,40}}\b(?:do|does|did|should|need)(?: not|n[’']t) (?:apply|hold|count|bind|matter)\b",
    rf"\b{_ORDER}\b[^.!?;]{{0,40}}\b(?:no longer|cease to) (?:apply|applies|hold|holds|count|counts|bind|binds)\b",
    r"(?<!not )(?<!never )\b(?:obey|comply with|carry out) (?:whatever|anything|everything|any|all|every)\b",
    r"(?<!not )(?<!never )\b(?:follow|do) (?:whatever|anything|everything)\b"
    r"[^.!?;]{0,40}\b(?:says?|wants?|demands?|commands?|tells?)\b",
    r"\byou are (?:now )?(?:an? )?(?:unrestricted|unfiltered|uncensored|unlimited)\b",
    # the same in other languages
    r"\b(?:ignorier|vergiss|vergesse|missachte)\w{0,3}\b[^.!?;]{0,40}\b(?:anweisung|regel|vorgabe|anleitung)\w{0,3}\b",
    r"\b(?:ignor|oubli|neglig)\w{0,5}\b[^.!?;]{0,40}\b(?:instruction|consigne|regle|directive)s?\b",
    r"\b(?:ignor|olvid|esquec|dimentic)\w{0,5}\b[^.!?;]{0,40}"
    r"\b(?:instruccion|instrucoe|istruzion|regla|regra|regol|indicacion)\w{0,3}\b",
    r"(?:忽略|无视|無視|忘记|忘記|不要理会)[^。！？]{0,12}(?:指令|指示|规则|規則|提示)",
    r"(?:игнориру|забуд)\w{0,4}\b[^.!?;]{0,40}(?:инструкци|правил|указани)",
)
_INJECTION = re.compile("|".join(_INJECTIONS))


def injections(text: str) -> list[str]:
    """Orders to drop, change or reveal instructions, or to let strangers give them."""
    return [match[0] for match in _INJECTION.finditer(folded(text))]


_PRIVATE = (
    r"(?:pass(?:word|code|phrase)s?|pins?|(?:card|account|social security|passport) (?:number|detail|data)s?"
    r"|(?:bank|card|login|payment) (?:detail|data)s?|cvv|cvc|credentials?|security codes?|one-time codes?|api keys?)"
)
_SPOKEN = re.compile(
    rf"(?P<denied>\b(?:never|not|nobody|without|refuse|avoid)\b|n[’']t\b)|(?P<private>\b{_PRIVATE}\b)"
    r"|(?P<asked>\b(?:ask|request|collect|demand|obtain|send|share|provid|submit|repeat|confirm)\w{0,3}\b)|(?P<end>[.!?;:])"
)
_NEAR = 80
"""Characters between a verb and what it is about."""


def soliciting(text: str) -> list[str]:
    """What people are asked for that no assistant should hold; to forbid it is fine."""
    found: list[str] = []
    denied = asked = -_NEAR
    for match in _SPOKEN.finditer(folded(text)):
        if match["denied"]:
            denied = match.end()
        elif match["asked"]:
            asked = -_NEAR if match.start() - denied < _NEAR // 3 else match.end()
        elif match["end"]:
            denied = asked = -_NEAR
        elif match.start() - asked < _NEAR:
            found.append(match[0])
    return found


_SENTENCE = re.compile(r"[^.!?;。！？\n]+[.!?;。！？]*")
_FORBIDS = re.compile(
    r"^no\b|\b(?:never|do not|don[’']?t|must not|mustn[’']?t|may not|cannot|can[’']?t|should not|shouldn[’']?t"
    r"|shall not|will not|won[’']?t|not allowed|no circumstances|forbid\w{0,4}|prohibit\w{0,3}|refuse|confidential"
    r"|niemals|nie|nicht|keine\w?|verboten|jamais|ne pas|interdit\w{0,2}|nunca|jamas|prohibid\w{1,2}|nao|vietat\w)\b"
    r"|绝不|不得|不要|禁止|ない|никогда|нельзя|запрещ"
)


def prohibitions(text: str) -> tuple[str, ...]:
    """The sentences that forbid something, folded, each to its own end."""
    parts = (folded(match[0]).strip(" -*•>#\t") for match in _SENTENCE.finditer(text))
    return tuple(part for part in parts if _FORBIDS.search(part))
