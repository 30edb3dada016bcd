"""What the two texts alone say about a candidate: the guard's rules once more, and answers learned by heart.

Nothing is asked of a model. For the engine's candidates every rule of the guard is a veto. A person may write what the
engine may not, at any length: only what would break the application or cannot be reviewed is a veto then, and the rest
is told.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gates.words import counted
from optimizer.guards.guard import Limits, Rule, Violation, check
from optimizer.guards.leaks import copied_runs, letters, secrets
from optimizer.guards.orders import invisible
from optimizer.prompts import Body
from optimizer.proof import Finding, Gate
from optimizer.template import contents, variables
from optimizer.types import Case, Missing, Verdict

_ANY_SIZE = Limits(
    max_chars=10**9,
    max_growth=1e9,
    free_growth_chars=10**9,
    max_edits=10**9,
    max_edit_chars=10**9,
    max_lost_share=1.0,
)
_TOLD = {
    Rule.VARIABLES: "a variable is used less often",
    Rule.MESSAGES: "messages other than the system's changed",
    Rule.PROHIBITION: "a sentence that forbade something changed or is gone",
    Rule.SECRET: "there is a bank account number",
    Rule.EMAIL: "there is an e-mail address",
    Rule.PERSONAL_NUMBER: "there is a telephone or card number",
    Rule.ADDRESS: "there is an address on the net",
    Rule.COPIED: "words of a trace are repeated",
    Rule.TEMPLATE_SYNTAX: "there is template or file syntax",
    Rule.INVISIBLE: "there are characters that join others",
    Rule.MIXED_SCRIPT: "a word mixes letters of several alphabets",
    Rule.INJECTION: "something reads like an order to ignore or change instructions",
    Rule.MARKUP: "there is markup",
    Rule.SOLICITING: "people are asked for passwords, card numbers or the like",
}
"""What may be a person's intention, as it is told. Where it is not, `_is_veto` says so."""
_BANK_ACCOUNT = re.compile(r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{1,4}){3,8}")
_JOINERS = "\u200c\u200d\u00ad"
"""In emoji, in Persian and Indian writing, and where a long word may be cut."""


def guarded(parent: Body, body: Body, *, by_person: bool = False, source_texts: Sequence[str] = ()) -> Finding:
    """Fail when the step from `parent` to `body` breaks a rule of the guard that is a veto.

    Args:
        by_person: the change is hand-written, not the engine's.
        source_texts: inputs, outputs and comments of the traces behind the edits.
    """
    if isinstance(parent, str) != isinstance(body, str):
        kinds = "a chat prompt into a text prompt" if isinstance(body, str) else "a text prompt into a chat prompt"
        return _failed([f"The candidate makes {kinds}, and the application can fill only the old kind."])
    violations = check(parent, body, (), source_texts, _ANY_SIZE if by_person else None)
    vetoes = [violation for violation in violations if not by_person or _is_veto(violation, parent, body)]
    if vetoes:
        return _failed(violation.message for violation in vetoes)
    told = list(dict.fromkeys(_TOLD[violation.rule] for violation in violations))
    sentence = f"Worth a look before it ships: {'; '.join(told)}." if told else "No rule of the guard is broken."
    return Finding(gate=Gate.GUARD, verdict=Verdict.PASS, sentence=sentence)


def _failed(messages: Iterable[str]) -> Finding:
    sentence = " ".join((*dict.fromkeys(messages), "Change the candidate, and try it again."))
    return Finding(gate=Gate.GUARD, verdict=Verdict.FAIL, sentence=sentence)


def _is_veto(violation: Violation, parent: Body, body: Body) -> bool:
    """Whether a rule that a person's change breaks is a veto all the same."""
    before, after = "\n".join(contents(parent)), "\n".join(contents(body))
    match violation.rule:
        case Rule.VARIABLES:  # what the application fills must go somewhere, and what it does not fill stays a hole
            return variables(parent) != variables(body)
        case Rule.SECRET:
            return any(not _BANK_ACCOUNT.fullmatch(secret) for secret in secrets(after) - secrets(before))
        case Rule.INVISIBLE:
            return any(char not in _JOINERS for char in Counter(invisible(after)) - Counter(invisible(before)))
        case rule:
            return rule not in _TOLD


# ---- answers learned by heart ----------------------------------------------------------------------------------------

_RUNS = ((8, 30), (20, 0))
"""(words, letters): what is copied, not common knowledge. Where every character is a word, twenty of them."""
_OFTEN = 3
"""Cases whose references share a run: what so many say is knowledge, which a good prompt holds."""
_LEAST, _LEAST_SHARE = 2, 0.01
_NEAR = 300
"""Letters after a case's question in which its answer stands, where the prompt holds both."""


def leaked(body: Body, parent: Body, cases: Sequence[Case]) -> Finding | None:
    """Fail when the candidate holds the expected answers of several cases, and the parent does not.

    A short reference is found only behind the question that it answers: a good prompt says "30 days", too.
    """
    text, old = "\n".join(contents(body)), "\n".join(contents(parent))
    expected = [(case, case.reference) for case in cases if not isinstance(case.reference, Missing)]
    known = [(letters(_question(case)), letters(reference)) for case, reference in expected]
    answers = _copied(text, (reference for _, reference in expected), old)
    questions = _copied(text, (_question(case) for case, _ in expected), old)
    often = Counter(run for _, reference in known for run in answers if run in reference)
    rare = [run for run in answers if often[run] < _OFTEN]
    after = _after(letters(text), questions)
    learned = [any(run in r for run in rare) or _answered(question, r, after) for question, r in known]
    count = sum(learned)
    if count < max(_LEAST, _LEAST_SHARE * len(known)):
        return None
    return _failed(
        [
            f"The candidate holds the expected answers of {count} of {counted(len(known), 'case')}, so it would pass "
            "them without being any better; take the answers out of the prompt, or the cases out of the gate."
        ]
    )


def _copied(text: str, sources: Iterable[str], old: str) -> frozenset[str]:
    sources = tuple(dict.fromkeys(sources))
    found = (
        run
        for words, least in _RUNS
        for run in copied_runs(text, sources, words=words, allowed=old)
        if len(run) >= least
    )
    return frozenset(found)


def _after(said: str, runs: Iterable[str]) -> Mapping[str, str]:
    """What follows each run."""
    return {run: said[said.find(run) :][len(run) : len(run) + _NEAR] for run in runs}


def _answered(question: str, reference: str, after: Mapping[str, str]) -> bool:
    """True when the prompt holds a long piece of the question, and soon after it the answer."""
    return bool(reference) and any(run in question and reference in follows for run, follows in after.items())


def _question(case: Case) -> str:
    asked = [message.content for message in case.input.history if message.role == "user"]
    return asked[-1] if asked else "\n".join(value for _, value in case.input.variables)
