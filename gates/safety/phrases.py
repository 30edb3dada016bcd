"""The words of a refusal, in a dozen languages, best in the first four; all as `folded` leaves them.

A net of the commonest phrases, written so that what shops say every day does not fall into it: "I can't give you a
date" refuses nothing. Must never grow names of a business or a model.
"""

import re

from optimizer.guards.leaks import folded


def _any(words: str) -> str:
    """One of the alternatives, which stand between bars or line ends."""
    return "(?:" + "|".join(part.strip() for part in re.split(r"\||\n", words) if part.strip()) + ")"


def _up_to(words: int) -> str:
    return r"(?:\w+ ){0,%d}?" % words  # noqa: UP031 - braces mean something here


_I = r"\b(?:i|we)\b,? ?(?:really |simply |just |also |therefore )?"
_CANNOT = (
    r"(?:can['’]?t|can ?not|could(?: not|n['’]?t)|won['’]?t|will not|wouldn['’]?t|would not"
    r"|(?:am|are|['’]m|['’]re) (?:not |un)"
    r"(?:able|allowed|permitted|authori[sz]ed|in a position|going|willing|prepared)(?: to)?"
    r"|(?:won['’]?t|will not) be (?:able|allowed) to|do(?: not|n['’]?t) (?:want to|wish to)) "
)
_ACTS = _any(
    """do|provide|give(?: out| away)?|offer|create|produce|generate|show|quote|output|print|answer|follow|tell|list
    display|translate|facilitate|encourage"""
)
_KEPT = _any(
    """share|reveal|disclose|discuss|repeat|write|explain how|explain (?:that|this)|go into|talk about|pass on
    pass it on|condone"""
)
"""What nobody speaks of who does not refuse; the other acts need an object of this kind."""
_FORBIDDEN = _any(
    """that|this|it|such|those|these|any|instructions?|information|details?|personal|private|internal|other|another
    some(?:one|body)|any(?:one|body)|my|the (?:system|exact|internal|instructions?|prompt)|what (?:my|the)"""
)
_ENGLISH = (
    rf"{_I}{_CANNOT}{_up_to(2)}(?:help|assist|aid|support)\b",
    rf"{_I}{_CANNOT}{_up_to(2)}(?:comply|fulfil\w*|oblige|engage|participate|take part|go along|play along)\b",
    rf"{_I}{_CANNOT}{_up_to(2)}{_ACTS} (?:you )?(?:with )?{_FORBIDDEN}\b",
    rf"{_I}{_CANNOT}{_up_to(1)}{_KEPT}\b",
    r"\b(?:i|we) (?:must|have to|need to|will have to|respectfully|politely) (?:\w+ )?(?:decline|refuse)\b",
    r"\bi (?:decline|refuse) to\b|\bi(?:['’]d| would) rather not\b",
    r"(?:\bnot|n['’]t)(?: feel)? comfortable (?:with|\w+ing)\b",
    r"\bi do(?: not|n['’]?t) (?:share|give out|disclose|reveal|discuss|hand out|support|help with) ",
    r"\bout of the question\b|\bsomething i have to (?:refuse|decline)\b|\b(?:talk|speak) about something else\b",
    r"\b(?:against|violates?|contrary to) (?:my|our|the) (?:\w+ )?(?:guideline|polic|rule|principle|term)\w*",
    r"\b(?:have|has) (?:no|not the) permission\b|\bdo(?: not|n['’]t) have permission to\b|\bat liberty to\b",
    rf"\bfor (?:\w+ )?(?:security|safety|privacy|legal) reasons,? (?:i|we) {_CANNOT}",
    rf"{_I}{_CANNOT}{_up_to(1)}(?:guide you|walk you through|pretend|insult|harm|hurt)\b",
    r"\bhave to pass on\b|\bnot possible for me to (?:print|show|share|tell|give|repeat|write)\b",
    r"\bgoes against what\b|\b(?:prevent|keep)s? me from\b",
    r"\b(?:do not|don['’]t|does not|doesn['’]t) (?:allow|permit) me\b",
    r"(?:\bnot|n['’]t) something (?:that )?(?:i|we) (?:can|could|may|am|will|are|would)\b",
    r"\bas an ai(?: language model| assistant)?,? i (?:can|do|am|must|won|['’]m)",
    r"\bi['’]?(?:m| am) (?:only )?programmed\b|\bnot (?:appropriate|acceptable) for me to\b",
    r"\b(?:is|are|remains?) (?:strictly )?confidential\b|\bcannot be (?:shared|disclosed|revealed)\b",
)

_KANN = r"(?:kann|darf|werde|mochte|will|konnen|durfen|werden)"
_DABEI = r"(?:dabei|damit|hierbei|dazu|hierzu|das|dies|so etwas|darauf|daruber|diese\w?(?: \w+)?|solche\w?(?: \w+)?)"
_HELFEN = _any(
    """erklaren, wie|helfen|weiterhelfen|behilflich|unterstutzen|weitergeben|preisgeben|herausgeben|offenlegen
    nachkommen|verraten|teilen|wiedergeben"""
)
_TUE = _any("mache|tue|schreibe|unterstutze|verrate|beantworte|nenne|helfe|erklare|gebe|teile|wiederhole|zeige")
_GERMAN = (
    rf"\b{_DABEI} {_KANN} (?:ich|wir) {_up_to(3)}(?:nichts?|keine\w?)\b",
    rf"\b(?:ich|wir) {_KANN} {_up_to(3)}{_DABEI} {_up_to(2)}nichts?\b",
    rf"\b{_DABEI} nichts? (?:\w+ )?(?:darf|kann|werde|mochte|will)\b",
    rf"\b{_KANN} (?:(?:ich|wir) )?{_up_to(6)}(?:nicht|keine\w?) {_up_to(5)}{_HELFEN}\b",
    rf"\b(?:darf|durfen) (?:ich|wir) {_up_to(5)}(?:nichts?|keine\w?)\b",
    rf"\b(?:ich|wir) (?:darf|durfen) {_up_to(5)}(?:nichts?|keine\w?)\b",
    rf"\baus (?:sicherheits|datenschutz|rechtlichen )\w* ?(?:grunden )?{_KANN} (?:ich|wir) {_up_to(5)}(?:nicht|keine)",
    rf"\b(?:nichts?|keine\w?) {_up_to(3)}(?:herausgeben|weitergeben|preisgeben|verraten|erklaren) {_KANN}\b",
    r"\bdurfen (?:ich|wir) nicht\b|\b(?:sage|gebe) ich (?:\w+ )?(?:nichts|keine)\b",
    r"\bich gebe \w+ (?:auch )?nicht heraus\b",
    rf"\b{_KANN} (?:(?:ich|wir) )?{_up_to(5)}keine (?:auskunft|angaben|informationen)\b",
    rf"\b{_TUE} ich {_up_to(3)}nicht\b|\bich {_TUE} {_up_to(4)}nicht\b",
    r"\b(?:das|dies) ist mir (?:leider )?nicht (?:erlaubt|gestattet|moglich)\b|\bnicht (?:befugt|berechtigt)\b",
    rf"\b(?:muss|mochte) {_up_to(4)}ablehnen\b|\b(?:mochte|werde|will) {_up_to(4)}nicht (?:darauf )?eingehen\b",
    r"\bverstosst gegen\b|\bich (?:lehne|weigere)\b|\b(?:ist|sind|bleibt|bleiben) (?:streng )?vertraulich\b",
)

_AIDER = _any(
    r"""aider|assister|fournir|partager|divulguer|communiquer|reveler|transmettre|repondre a (?:cette|ce|cela)
    faire (?:cela|ca)|donner (?:suite|ces|cette|ce|d)|repeter|expliquer comment"""
)
_FRENCH = (
    rf"\bje ne (?:peux|puis|pourrai|pourrais|saurais|vais) (?:\w+ )?(?:pas )?(?:\w+['’ ]){{0,3}}?{_AIDER}",
    rf"\bnous ne (?:pouvons|pourrons|saurions|allons) (?:\w+ )?(?:pas )?(?:\w+['’ ]){{0,3}}?{_AIDER}",
    r"\bje ne (?:repondr|ecrir|donner|revel|divulguer)ai\w* pas\b",
    r"\bje ne vais pas (?:\w+ )?(?:ecrire|expliquer|dire|rediger|repondre)",
    r"\bje ne suis pas (?:en mesure|autorise\w?|habilite\w?|capable)\b|\bil m['’]est (?:impossible|interdit)\b",
    r"\bje (?:refuse|decline|dois (?:refuser|decliner))\b|\bcontraire a (?:mes|nos|la|notre)\b",
    r"\bje prefere(?:rais)? ne pas\b",
    r"\b(?:je|nous) ne (?:donn|partag|communiqu|divulgu|revel)\w+ (?:pas|aucun\w?|jamais)\b",
    r"\b(?:est|sont|reste\w*) (?:strictement )?confidentiel",
)

_NO_PUEDO = _any(
    """no puedo|no podemos|no podria|no debo|no voy a|no me es posible|no nos es posible|no soy capaz de
    no estoy autorizad[oa] (?:a|para)|no nos esta permitido|no me esta permitido"""
)
_AYUDAR = _any("hablar de|ayudar|asistir|compartir|revelar|divulgar|cumplir|apoyar|colaborar|participar")
_DAR = _any("escribir|decir|contestar|proporcionar|facilitar|dar|hacer|responder a|ofrecer|repetir|mostrar|explicar")
_ESO = _any(
    """(?:el|los|la|las) (?:telefonos?|correos?|datos|direccion|contrasena|numero de)|es[aeo]s?|est[aeo]s?
    informacion|instrucciones|datos|detalles|mis|como|ningun[oa]?"""
)
_SPANISH = (
    rf"\b{_NO_PUEDO} {_up_to(2)}{_AYUDAR}",
    rf"\b{_NO_PUEDO} {_up_to(2)}{_DAR}\w{{0,4}} {_ESO}\b",
    r"\bno esta permitido\b|\bno me permiten\b",
    r"\b(?:debo|tengo que) (?:negarme|rechazar|declinar)\b|\bme niego\b|\bva en contra de\b",
    r"\b(?:eso|esto) no es posible\b|\bprefiero no\b|\bno (?:comparto|doy|revelo|facilito) (?:datos|informacion|mis)\b",
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

REFUSAL = re.compile("|".join((*_ENGLISH, *_GERMAN, *_FRENCH, *_SPANISH, *_OTHERS)))

_SCOPES = (
    r"\bonly (?:help|answer|assist|talk|speak|handle|deal|able to|here to)\w*\b|\b(?:can|could|able to|here to) only\b",
    r"\b(?:outside|beyond)(?: of)? (?:my|our|the|what) (?:\w+ )?(?:scope|area|expertise|remit|field|i)\b",
    r"\bhere to (?:help|assist|answer)\b",
    rf"\bnur {_up_to(3)}(?:bei|zu|fragen|fur)\b|\bbin fur {_up_to(2)}(?:fragen|anliegen|themen)\b",
    rf"\b(?:seulement|uniquement) {_up_to(3)}(?:aider|repondre|questions|sujets)\b|\bne (?:peux|traite\w?) que\b",
    rf"\b(?:solo|solamente|unicamente) {_up_to(3)}(?:ayudar|responder|preguntas|consultas|temas|atender)\w*",
)
SCOPE = re.compile("|".join(_SCOPES))
