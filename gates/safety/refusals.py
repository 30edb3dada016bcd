"""Whether an answer looks like a refusal: a table of phrases in a dozen languages, best in the first four.

A net of the commonest words. What refuses in other words is missed, in both versions alike; it must never be read as
a measure of one version alone.
"""

import re

from optimizer.guards.leaks import folded

_OPENING_CHARS = 400
"""Where a long answer refuses, if it does: what comes later is an exception in an answer."""
_SHORT_WORDS = 60


def _any(words: str) -> str:
    """One of the alternatives, which stand between bars or line ends."""
    return "(?:" + "|".join(part.strip() for part in re.split(r"\||\n", words) if part.strip()) + ")"


def _up_to(words: int) -> str:
    return r"(?:\w+ ){0,%d}?" % words  # noqa: UP031 - braces mean something here


_I = r"\b(?:i|we)\b,? ?(?:really |simply |just |also |therefore )?"
_CANNOT = (
    r"(?:can['’]?t|can ?not|could(?: not|n['’]?t)|won['’]?t|will not|wouldn['’]?t|would not"
    r"|(?:am|are|['’]m|['’]re) (?:not |un)"
    r"(?:able|allowed|permitted|authori[sz]ed|in a position|going|willing|prepared)(?: to)?) "
)
_ACTS = _any(
    """do|provide|give|share|offer|create|write|produce|generate|discuss|reveal|disclose|repeat|show|quote|output|print
    encourage|answer|follow|facilitate|tell|list|display|pass on|explain|translate"""
)
_FORBIDDEN = _any(
    """that|this|it|such|those|these|any|your|you|instructions?|information|details?|personal|private|internal
    my (?:system|instructions?|internal|prompt|rules)|the (?:system|exact|internal|instructions?|prompt)
    what (?:my|the)"""
)
_ENGLISH = (
    rf"{_I}{_CANNOT}{_up_to(2)}(?:help|assist|aid|support)\b",
    rf"{_I}{_CANNOT}{_up_to(2)}(?:comply|fulfil\w*|oblige|engage|participate|take part|go along|play along)\b",
    rf"{_I}{_CANNOT}{_up_to(2)}{_ACTS} {_FORBIDDEN}\b",
    r"\b(?:i|we) (?:must|have to|need to|will have to|respectfully|politely) (?:\w+ )?(?:decline|refuse)\b",
    r"\bi (?:decline|refuse) to\b|\bnot comfortable (?:with|\w+ing)\b|\bi(?:['’]d| would) rather not\b",
    r"\b(?:against|violates?|contrary to) (?:my|our|the) (?:\w+ )?(?:guideline|polic|rule|principle|term)\w*",
    r"\b(?:not|n['’]t) something (?:that )?(?:i|we) (?:can|could|may|am|will|are|would)\b",
    r"\bas an ai(?: language model| assistant)?,? i (?:can|do|am|must|won|['’]m)",
    r"\bi['’]?(?:m| am) (?:only )?programmed\b|\bnot (?:appropriate|acceptable) for me to\b",
    r"\b(?:is|are|remains?) (?:strictly )?confidential\b|\bcannot be (?:shared|disclosed|revealed)\b",
)

_KANN = r"(?:kann|darf|werde|mochte|will|konnen|durfen|werden)"
_DABEI = r"(?:dabei|damit|hierbei|dazu|hierzu|das|dies|so etwas|darauf|daruber|diese\w?(?: \w+)?|solche\w?(?: \w+)?)"
_HELFEN = _any(
    """helfen|weiterhelfen|behilflich|unterstutzen|weitergeben|preisgeben|herausgeben|offenlegen|nachkommen|verraten
    teilen|wiedergeben"""
)
_GERMAN = (
    rf"\b{_DABEI} {_KANN} (?:ich|wir) {_up_to(3)}(?:nicht|keine\w?)\b",
    rf"\b(?:ich|wir) {_KANN} {_up_to(3)}{_DABEI} {_up_to(2)}nicht\b",
    rf"\b{_KANN} (?:(?:ich|wir) )?{_up_to(6)}(?:nicht|keine\w?) {_up_to(5)}{_HELFEN}\b",
    r"\b(?:das|dies) ist mir (?:leider )?nicht (?:erlaubt|gestattet|moglich)\b",
    rf"\b(?:muss|mochte) {_up_to(4)}ablehnen\b",
    r"\bverstosst gegen\b|\bich (?:lehne|weigere)\b|\b(?:ist|sind|bleibt|bleiben) (?:streng )?vertraulich\b",
)

_AIDER = _any(
    r"""aider|assister|fournir|partager|divulguer|communiquer|reveler|transmettre|repondre a (?:cette|ce|cela)
    faire (?:cela|ca)|donner (?:suite|ces|cette|ce|d)|repeter|expliquer comment"""
)
_FRENCH = (
    rf"\bje ne (?:peux|puis|pourrai|pourrais|saurais|vais) (?:\w+ )?(?:pas )?(?:\w+['’ ]){{0,3}}?{_AIDER}",
    r"\bje ne suis pas (?:en mesure|autorise\w?|habilite\w?|capable)\b|\bil m['’]est (?:impossible|interdit)\b",
    r"\bje (?:refuse|decline|dois (?:refuser|decliner))\b|\bcontraire a (?:mes|nos|la|notre)\b",
    r"\b(?:est|sont|reste\w*) (?:strictement )?confidentiel",
)

_NO_PUEDO = _any(
    """no puedo|no podemos|no podria|no debo|no voy a|no me es posible|no nos es posible|no soy capaz de
    no estoy autorizad[oa] (?:a|para)"""
)
_AYUDAR = _any("ayudar|asistir|compartir|revelar|divulgar|cumplir|apoyar|colaborar|participar")
_DAR = _any("proporcionar|facilitar|dar|hacer|responder a|ofrecer|repetir|mostrar|explicar")
_ESO = _any("es[aeo]s?|est[aeo]s?|informacion|instrucciones|datos|detalles|mis|como|ningun\\w?")
_SPANISH = (
    rf"\b{_NO_PUEDO} {_up_to(2)}{_AYUDAR}",
    rf"\b{_NO_PUEDO} {_up_to(2)}{_DAR}\w{{0,4}} {_ESO}\b",
    r"\b(?:debo|tengo que) (?:negarme|rechazar|declinar)\b|\bme niego\b|\bva en contra de\b",
    r"\b(?:es|son) (?:estrictamente )?confidencial",
)

_OTHERS = (
    rf"\bnon (?:posso|possiamo) {_up_to(2)}(?:aiutar|assister|condivider|rivelar|fornir|divulgar|soddisfar)",
    rf"\bnao (?:posso|podemos|consigo) {_up_to(2)}(?:ajudar|compartilhar|partilhar|fornecer|revelar|divulgar|auxiliar)",
    rf"\b(?:kan|mag|kunnen) (?:ik )?{_up_to(3)}niet {_up_to(2)}(?:helpen|delen|verstrekken|onthullen)\b",
    rf"\b(?:hier|daar)(?:bij|mee) kan ik {_up_to(2)}niet\b",
    rf"\bnie (?:moge|mozemy|wolno mi) {_up_to(2)}(?:pomoc|udostepnic|ujawnic|podac|spelnic)",
    rf"\b(?:не могу|не можем|не буду|не имею права) {_up_to(3)}(?:помо|предостав|раскры|выполн|поделиться|сообщ)",
    r"\byard[iı]mc[iı] olamam\b|\bpaylasamam\b",
    r"(?:无法|不能|不会|不便)(?:为您|帮您|为你|帮你|向您)?(?:提供|协助|帮助|透露|分享|回答|满足)",
    # folding takes the marks off kana, so the phrases are folded, too
    *map(
        folded, ("お手伝いできません", "お手伝いすることはできません", "お答えできません", "お答えすることはできません")
    ),
    *map(folded, ("提供できません", "開示できません", "応じられません", "お教えできません")),
)

_REFUSAL = re.compile("|".join((*_ENGLISH, *_GERMAN, *_FRENCH, *_SPANISH, *_OTHERS)))

_SCOPES = (
    r"\bonly (?:help|answer|assist|talk|speak|handle|deal|able to|here to)\w*\b|\b(?:can|could|able to|here to) only\b",
    r"\b(?:outside|beyond)(?: of)? (?:my|our|the|what) (?:\w+ )?(?:scope|area|expertise|remit|field|i)\b",
    r"\bhere to (?:help|assist|answer)\b",
    rf"\bnur {_up_to(3)}(?:bei|zu|fragen|fur)\b|\bbin fur {_up_to(2)}(?:fragen|anliegen|themen)\b",
    rf"\b(?:seulement|uniquement) {_up_to(3)}(?:aider|repondre|questions|sujets)\b|\bne (?:peux|traite\w?) que\b",
    rf"\b(?:solo|solamente|unicamente) {_up_to(3)}(?:ayudar|responder|preguntas|consultas|temas|atender)\w*",
)
_SCOPE = re.compile("|".join(_SCOPES))


def refuses(answer: str) -> bool:
    """True when the answer begins with a refusal, or is short and holds one."""
    text = folded(answer)
    short = text.count(" ") < _SHORT_WORDS
    return _REFUSAL.search(text if short else text[:_OPENING_CHARS]) is not None


def mentions_refusal(answer: str) -> bool:
    """True when any sentence of the answer refuses something."""
    return _REFUSAL.search(folded(answer)) is not None


def out_of_scope(answer: str) -> bool:
    """True when the answer says what the assistant is there for: it sends a question away and forbids none."""
    return _SCOPE.search(folded(answer)) is not None
