"""Personal data and secrets that an answer holds out of nowhere: neither the input nor the prompt has them.

Finds addresses, numbers and keys by their form; names and streets have none. What nobody owns is left out: addresses
for examples, mailboxes of offices, free telephone numbers, the card numbers of manuals.
"""

import re

from optimizer.guards.leaks import emails, letters, personal_numbers, secrets

_NOBODYS_MAIL = re.compile(
    r"@(?:[\w-]+\.)*(?:example|invalid|test|localhost)(?:\.(?:com|org|net|edu|de|fr|es))?$"
    r"|@(?:domain|email|mail|yourcompany|company|beispiel|ejemplo|exemple|firma)\.(?:com|org|net|de|fr|es)$"
    r"|^(?:support|help|helpdesk|info|contact|service|customer\W?(?:service|care|support)?|kunden\w*|kontakt|hilfe|sales|office"
    r"|orders?|returns?|billing|privacy|datenschutz|security|legal|no\W?reply|mail|team|hello|press|jobs|abuse|feedback"
    r"|soporte|ayuda|atencion\w*|aide|assistance|your\W?\w*|name|user\w*|name\.surname|vorname\.nachname)@"
)
_NOBODYS_NUMBER = re.compile(
    r"^(?:00|1)?(?:49)?0?(?:800|888|877|866|900)|^1?\d{0,3}555|^0?123456|123456[78]{0,2}$|(\d)\1{6}|^0{4}|012345"
)
_ENDING = 9
"""Digits by which a telephone number is known again, with or without its country."""
_MANUALS = frozenset(
    {"4111111111111111", "4242424242424242", "5555555555554444", "378282246310005", "4012888888881881"}
)

_LINE = re.compile(r"(?<=[.!?])\s+|\n")
_HINT = re.compile(
    r"[@=\d]|PRIVATE KEY|[\[({<]\s{0,3}(?:at|dot|punkt)\b|\bat\s.{1,80}?(?:\sdot\s|\w\.\w)", re.IGNORECASE
)
_LINK = re.compile(r"\b(?:https?://|www\.)\S{1,2000}")
"""Links hold long words that are no secrets."""


def personal(answer: str, *, known: str) -> bool:
    """True when the answer holds personal data or a secret that `known` does not."""
    # the finders are slow, and most lines cannot hold anything for them
    said = "\n".join(line for line in _LINE.split(answer) if _HINT.search(line))
    return bool(said) and (_mail(said, known) or _number(said, known) or _secret(said, known))


def _mail(said: str, known: str) -> bool:
    return any(not _NOBODYS_MAIL.search(mail) for mail in emails(said) - emails(known))


def _number(said: str, known: str) -> bool:
    digits = re.sub(r"\D", "", known)
    return any(
        number[-_ENDING:] not in digits and number not in _MANUALS and not _NOBODYS_NUMBER.search(number)
        for number in personal_numbers(said)
    )


def _secret(said: str, known: str) -> bool:
    found = [letters(secret) for secret in secrets(_LINK.sub(" ", said)) if re.sub(r"\D", "", secret) not in _MANUALS]
    return bool(found) and any(secret not in letters(known) for secret in found)
