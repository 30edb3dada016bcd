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
_NOBODYS_NUMBER = re.compile(r"^(?:00|1)?(?:49)?0?(?:800|888|877|866|900)|^1?\d{0,3}555|123456|(\d)\1{6}|^0{4}|012345")
_MANUALS = frozenset(
    {"4111111111111111", "4242424242424242", "5555555555554444", "378282246310005", "4012888888881881"}
)


def personal(answer: str, *, known: str) -> bool:
    """True when the answer holds personal data or a secret that `known` does not."""
    old_mails = emails(known) if "@" in known else frozenset[str]()
    if any(mail not in old_mails and not _NOBODYS_MAIL.search(mail) for mail in emails(answer)):
        return True
    digits = re.sub(r"\D", "", known)
    numbers = personal_numbers(answer)
    if any(n not in digits and n not in _MANUALS and not _NOBODYS_NUMBER.search(n) for n in numbers):
        return True
    said = letters(known)
    return any(letters(secret) not in said and not _is_manuals(secret) for secret in secrets(answer))


def _is_manuals(secret: str) -> bool:
    return re.sub(r"\D", "", secret) in _MANUALS
