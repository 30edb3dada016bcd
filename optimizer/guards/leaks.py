"""What must not slip from traces into a prompt: finders of secrets, personal data, addresses and copied text.

Finders see through the cheap disguises: invisible characters, compatibility forms, case, spacing and punctuation inside
copied text, defanged addresses. What they return is for comparing only: it may be a secret, so it must never be shown
or logged.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable

Finder = Callable[[str], Iterable[str]]


def visible(text: str) -> str:
    """The text as it reads: compatibility forms unified, invisible characters gone."""
    if text.isascii():  # most texts are, and have nothing to unify or hide
        return text
    return _without(unicodedata.normalize("NFKC", text), lambda char: unicodedata.category(char) == "Cf")


def folded(text: str) -> str:
    """`visible`, without case and accents, every run of white space one space."""
    bare = visible(text)
    if not bare.isascii():
        bare = _without(unicodedata.normalize("NFKD", bare), lambda char: unicodedata.combining(char) > 0)
    return " ".join(bare.casefold().split())


def _without(text: str, unwanted: Callable[[str], bool]) -> str:
    # asked once for each different character: texts are large, alphabets are not
    return text.translate({ord(char): None for char in set(text) if unwanted(char)})


# ---- secrets ---------------------------------------------------------------------------------------------------------

_SECRETS = (
    re.compile(r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}"),
    re.compile(r"\b(?:gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{20,})"),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"\bAIza[\w-]{30,}"),
    re.compile(r"\bxox[a-z]-[A-Za-z0-9-]{10,}"),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),
    re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"),
    re.compile(r"\b[0-9a-fA-F]{32,}\b"),
    re.compile(r"(?i:\bbearer\s+)[\w.~+/-]{16,}"),
    re.compile(r"\b0x[0-9a-fA-F]{8,}\b"),
)
_ASSIGNED = re.compile(
    r"(?i)\b[\w-]{0,40}(?:api[_-]?key|secret|token|passw(?:or)?d|pwd|access[_-]?key|credentials?)[\"']?\s{0,3}"
    r"(?P<op>[:=])\s{0,3}[\"']?(?P<value>[^\s\"'{}<>,;]{6,})"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{40,}")
# an account, a wallet, a token: no word of any language has letters and digits in one run of this length
_RUN = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9+/]{20,}={0,2}")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")


def secrets(text: str) -> frozenset[str]:
    """Keys, tokens, account numbers, long runs of letters with digits, and assignments to words like `password`."""
    seen = visible(text)
    found = {match[0] for pattern in _SECRETS for match in pattern.finditer(seen)}
    # "token: required" is prose, "token: x8f2..." and "token=required" are not
    found |= {m[0] for m in _ASSIGNED.finditer(seen) if m["op"] == "=" or re.search(r"\d", m["value"])}
    found |= {m[0] for m in _BASE64.finditer(seen) if all(re.search(p, m[0]) for p in ("[A-Z]", "[a-z]", "[0-9]"))}
    found |= {match[0] for pattern in (_RUN, _IBAN) for match in pattern.finditer(seen)}
    return frozenset(found)


# ---- personal data ---------------------------------------------------------------------------------------------------

_DOT = re.compile(r"\s{0,3}[\[({<]\s{0,3}(?:\.|dot|punkt)\s{0,3}[\])}>]\s{0,3}", re.IGNORECASE)
_AT = re.compile(r"\s{0,3}[\[({<]\s{0,3}(?:@|at)\s{0,3}[\])}>]\s{0,3}", re.IGNORECASE)
_SPELLED_DOT = re.compile(r"(?<=\w)\s{1,3}dot\s{1,3}(?=[a-z]{2,12}\b)", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+%-]{1,64}\s{0,2}@\s{0,2}\w[\w-]{0,62}(?:\.\w[\w-]{0,62}){0,4}")
_SPELLED_EMAIL = re.compile(r"\b[\w.+%-]{1,64}\s{1,3}at\s{1,3}(?:\w[\w-]{0,62}\.){1,4}[a-z]{2,12}\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])\+?\(?\d(?:[ ()./\u2010-\u2015-]{0,2}\d){6,24}(?!\w)")
_DATE = re.compile(r"\b(?:\d{4}-\d{2}-\d{2}|\d{4}/\d{2}/\d{2}|\d{1,2}[/.]\d{1,2}[/.]\d{4})\b")


def _undisguised(text: str) -> str:
    # browsers take the ideographic full stop for a dot
    return _SPELLED_DOT.sub(".", _DOT.sub(".", _AT.sub("@", visible(text).replace("\u3002", "."))))


def emails(text: str) -> frozenset[str]:
    """E-mail addresses, `name (at) host dot tld` included."""
    seen = _undisguised(text)
    return frozenset(m[0].casefold() for pattern in (_EMAIL, _SPELLED_EMAIL) for m in pattern.finditer(seen))


def personal_numbers(text: str) -> frozenset[str]:
    """Digits of numbers that look like telephone numbers or payment cards."""
    undated = _DATE.sub("date", visible(text))
    found = ((match[0], re.sub(r"\D", "", match[0])) for match in _NUMBER.finditer(undated))
    return frozenset(digits for raw, digits in found if _telephone(raw, digits) or _card(digits))


def _telephone(raw: str, digits: str) -> bool:
    return len(digits) <= 15 and (raw.startswith("+") or len(digits) >= 9)


def _card(digits: str) -> bool:
    """13 to 19 digits with a valid Luhn check digit."""
    doubled = (int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits)))
    return 13 <= len(digits) <= 19 and sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


# ---- addresses on the net --------------------------------------------------------------------------------------------

# top-level domains that are no English words, so that "end.The" is not one; others count when a path or port follows
_TLD = (
    "com|net|org|edu|gov|mil|int|info|biz|io|ai|dev|app|co|xyz|eu|de|uk|fr|ru|cn|jp|ca|au|nl|ch|es|pl|se|br|kr|tv|gg|ly|cc"
    "|site|online|shop|store|tech|cloud|link|click|top|live|club|zip|mov|page|test|example|local|internal|onion"
)
# names of files and formats, which prompts speak of
_SUFFIX = (
    "js|ts|py|md|rs|go|rb|sh|c|h|cpp|java|json|jsonl|yaml|yml|toml|xml|csv|tsv|txt|pdf|html|css|png|jpg|jpeg|gif|svg"
    "|doc|docx|xls|xlsx|ppt|pptx|log|ini|sql|exe|wav|mp3|mp4|net"
)
_ADDRESSES = (
    re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s<>\"'`]{1,2000}", re.IGNORECASE),
    re.compile(r"\bwww\.[^\s<>\"'`]{1,2000}", re.IGNORECASE),
    re.compile(rf"(?<![\w@.-])(?:\w[\w-]{{0,62}}\.){{1,6}}(?:{_TLD})\b(?:[:/?#][^\s<>\"'`]{{0,2000}})?", re.IGNORECASE),
    re.compile(r"(?<![\w@.-])(?:\w[\w-]{0,62}\.){1,6}[a-z]{2,24}(?:/|:\d)[^\s<>\"'`]{0,2000}", re.IGNORECASE),
    re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)"),
    re.compile(r"\blocalhost(?::\d+|/)[^\s<>\"'`]{0,2000}", re.IGNORECASE),
    re.compile(r"\b(?:mailto:|tel:|sms:|javascript:|data:\w{1,20}/)[^\s<>\"'`]{1,2000}", re.IGNORECASE),
    # any other top-level domain, when all of it is written small or large: `end.The` has forgotten a space
    re.compile(rf"(?<![\w@.-])(?:\w[\w-]{{1,62}}\.){{1,6}}(?!(?:{_SUFFIX})\b)(?:[a-z]{{2,24}}|[A-Z]{{2,24}})\b"),
    re.compile(r"(?<![\w@.-])(?:\w[\w-]{1,62}\.){1,6}[^\W\d_\x00-\x7f]{2,24}(?!\w)"),
    re.compile(
        r"(?<![\w:])(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}\b|(?<![\w:])(?:[0-9a-f]{1,4}:){1,6}:(?:[0-9a-f]{1,4}:?){1,6}",
        re.I,
    ),
    re.compile(r"\\\\[\w.-]{1,63}\\\w"),
    re.compile(r"\[[^\[\]\n]{0,200}\]\([^()\n]{0,2000}\)|\[[^\[\]\n]{1,200}\]\[[^\[\]\n]{0,200}\]"),
)


def addresses(text: str) -> frozenset[str]:
    """URLs, links, host names and IP addresses, defanged ones (`hxxp`, `[.]`, ` dot `) included."""
    seen = _undisguised(text)
    found = (match[0] for pattern in _ADDRESSES for match in pattern.finditer(seen))
    return frozenset(address.casefold().rstrip(".,;:!?)]}*_") for address in found)


# ---- copied text -----------------------------------------------------------------------------------------------------

# scripts without spaces between words: every character counts as a word
_UNSPACED = "\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3040-\\u30ff\\u3400-\\u9fff"
_WORD = re.compile(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+")


def letters(text: str) -> str:
    """Letters and digits only, folded: how copies are compared, so that spacing and punctuation cannot hide one."""
    return "".join(_WORD.findall(folded(text)))


def copied_runs(text: str, source_texts: Iterable[str], *, words: int, allowed: str) -> frozenset[str]:
    """Runs of at least `words` words of a source that stand in `text` and not in `allowed`, as `letters`.

    Linear in the sources: a run is looked up in the text only if a hash of its first letters occurs there.
    """
    haystack, known = letters(text), letters(allowed)
    grams = {haystack[i : i + words] for i in range(len(haystack) - words + 1)}
    found: set[str] = set()
    for source in source_texts:
        parts = _WORD.findall(folded(source))
        starts = [0]
        for part in parts:
            starts.append(starts[-1] + len(part))
        joined = "".join(parts)
        for start, end in zip(starts, starts[words:], strict=False):
            # a run has at least one letter a word, so its first letters are one of the grams if it is there
            if joined[start : start + words] in grams:
                run = joined[start:end]
                if run in haystack and run not in known:
                    found.add(run)
    return frozenset(found)
