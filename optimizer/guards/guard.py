"""Invariants that every rewrite must keep. A body that breaks one is no candidate, whatever its scores.

Each rule is one small function in `RULES`. Messages fit into a repair request and hold nothing that a rule found: it
may be a stranger's text or a secret.

What a rewrite adds is judged by its words, and words can always be found that say the same and look harmless: these
rules are a net, not a wall. One thing is a wall. A sentence by which the owner forbids something ("never", "do not",
"must not", ...) stays word for word, however many people complain about it: moving it is allowed, an exception inside
it is not, and only a person takes it back. That freezes forbidding sentences about style as well. It does not find a
new line that allows elsewhere what the sentence forbids, nor rules that are put without such a word.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from optimizer.documents.document import Document
from optimizer.guards.leaks import Finder, addresses, copied_runs, emails, folded, letters, personal_numbers, secrets
from optimizer.guards.orders import (
    injections,
    invisible,
    markup,
    mixed_scripts,
    prohibitions,
    soliciting,
    template_syntax,
)
from optimizer.prompts import Body, Message
from optimizer.template import composition_tags, contents, placeholders, variable_uses
from optimizer.types import Edit, EditOp


class Rule(StrEnum):
    """What a violation is about."""

    VARIABLES = "variables"
    COMPOSITION = "composition"
    PLACEHOLDERS = "placeholders"
    MESSAGES = "messages"
    LENGTH = "length"
    EDIT_SIZE = "edit size"
    SECRET = "secret"
    EMAIL = "e-mail"
    PERSONAL_NUMBER = "personal number"
    ADDRESS = "address"
    COPIED = "copied text"
    TEMPLATE_SYNTAX = "template syntax"
    INVISIBLE = "invisible characters"
    MIXED_SCRIPT = "mixed script"
    INJECTION = "injection"
    MARKUP = "markup"
    SOLICITING = "soliciting"
    PROHIBITION = "prohibition"
    DUPLICATE = "already there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one step may change.

    Attributes:
        max_chars: absolute length of a body, all messages together.
        max_growth: length of a body relative to its parent's.
        free_growth_chars: growth that is always allowed, so that short prompts can grow at all.
        max_edits: edits in one step.
        max_edit_chars: length of one edit's text.
        max_lost_share: share of the parent's words that may go, in [0, 1].
        free_lost_words: words that may always go, so that a line of a short prompt can be replaced.
        copied_words: length of a run, in words, that counts as copied from a trace.
    """

    max_chars: int = 24_000
    max_growth: float = 1.5
    free_growth_chars: int = 600
    max_edits: int = 6
    max_edit_chars: int = 600
    max_lost_share: float = 0.4
    free_lost_words: int = 12
    copied_words: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A broken rule. `edit_id` is empty when no single edit broke it."""

    rule: Rule
    message: str
    edit_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rewrite:
    """What the rules look at. `lines` is what the parent's lines say, by id."""

    parent: Body
    lines: Mapping[str, str]
    body: Body
    edits: tuple[Edit, ...]
    source_texts: tuple[str, ...]
    limits: Limits
    before: str = field(init=False)
    after: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "before", "\n".join(contents(self.parent)))
        object.__setattr__(self, "after", "\n".join(contents(self.body)))

    def culprits(self, guilty: Callable[[str, str], bool]) -> tuple[str, ...]:
        """The ids of the edits that are guilty by their line's old and new text."""
        found = (
            edit.id
            for edit in self.edits
            if guilty(
                "" if edit.op is EditOp.ADD else self.lines.get(edit.line, ""),
                "" if edit.op is EditOp.REMOVE else edit.text,
            )
        )
        return tuple(dict.fromkeys(found))

    def blame(self, rule: Rule, message: str, guilty: Callable[[str, str], bool]) -> Iterator[Violation]:
        """One violation for each edit that is guilty; a common one if none is."""
        for edit_id in self.culprits(guilty) or ("",):
            yield Violation(rule=rule, message=message, edit_id=edit_id)


def check(
    parent: Body | Document,
    body: Body,
    edits: Sequence[Edit],
    source_texts: Sequence[str] = (),
    limits: Limits | None = None,
) -> tuple[Violation, ...]:
    """Every rule that the step from `parent` to `body` breaks, in the order of `RULES`; empty when the body is sound.

    A body or an edit that is too large is judged for its size alone.

    Args:
        parent: the prompt before the step; as a document when the edits name lines that earlier steps added.
        edits: what made `body`, for naming the culprit; the rules judge the bodies themselves.
        source_texts: inputs, outputs and comments of the traces behind the edits.
    """
    document = parent if isinstance(parent, Document) else Document.of(parent)
    rewrite = _Rewrite(
        parent=document.body,
        lines={line.id: line.text for line in document.lines},
        body=body,
        edits=tuple(edits),
        source_texts=tuple(source_texts),
        limits=limits or Limits(),
    )
    too_much = tuple(violation for rule in _SIZES for violation in rule(rewrite))
    return too_much or tuple(violation for rule in RULES[len(_SIZES) :] for violation in rule(rewrite))


# ---- the shape of the prompt -----------------------------------------------------------------------------------------


def _variables(rewrite: _Rewrite) -> Iterator[Violation]:
    before, after = Counter(variable_uses(rewrite.parent)), Counter(variable_uses(rewrite.body))
    if lost := sorted((before - after).keys()):
        names = ", ".join(f"{{{{{name}}}}}" for name in lost)
        message = f"The prompt lost a use of {names}; keep every variable."
        yield from rewrite.blame(
            Rule.VARIABLES, message, lambda old, new: bool(_uses(old, lost) - _uses(new, lost)) or _unclosed(new)
        )
    if added := after.keys() - before.keys():
        message = "The prompt uses a {{variable}} that it did not have; the application fills none but the old ones."
        yield from rewrite.blame(Rule.VARIABLES, message, lambda _, new: bool(_uses(new, added)) or _unclosed(new))


def _uses(text: str, names: Collection[str]) -> Counter[str]:
    return Counter(name for name in variable_uses(text) if name in names)


def _unclosed(text: str) -> bool:
    """True when a tag would swallow what follows the text."""
    return text.rfind("{{") > text.rfind("}}")


def _composition(rewrite: _Rewrite) -> Iterator[Violation]:
    if composition_tags(rewrite.parent) != composition_tags(rewrite.body):
        message = "The tags that pull other prompts in (@@@langfusePrompt:...@@@) must stay as they are, in order."
        yield from rewrite.blame(
            Rule.COMPOSITION, message, lambda old, new: composition_tags(old) != composition_tags(new)
        )


def _placeholders(rewrite: _Rewrite) -> Iterator[Violation]:
    if placeholders(rewrite.parent) != placeholders(rewrite.body):
        yield Violation(rule=Rule.PLACEHOLDERS, message="The placeholders must stay as they are, in order.")


def _messages(rewrite: _Rewrite) -> Iterator[Violation]:
    if _frozen(rewrite.parent) != _frozen(rewrite.body):
        message = "Only the text of system and developer messages may change, not roles, order or other messages."
        yield Violation(rule=Rule.MESSAGES, message=message)


def _frozen(body: Body) -> list[tuple[str, str]]:
    """All of a body that must not change, each part's role and text; a placeholder's name has a rule of its own."""
    if isinstance(body, str):
        return [("text", "")]
    messages = [part if isinstance(part, Message) else Message(role="placeholder", content="") for part in body]
    return [(m.role, "" if m.role in ("system", "developer") else m.content) for m in messages]


# ---- the size of the step --------------------------------------------------------------------------------------------


def _length(rewrite: _Rewrite) -> Iterator[Violation]:
    limits, before, after = rewrite.limits, len(rewrite.before), len(rewrite.after)
    allowed = int(min(limits.max_chars, max(before * limits.max_growth, before + limits.free_growth_chars)))
    # a parent that is too long already may still be improved, but not grow
    if after > max(allowed, min(before, after)):
        message = f"The prompt would have {after} characters; at most {allowed} are allowed."
        yield Violation(rule=Rule.LENGTH, message=message)
    if not rewrite.after.strip():
        yield Violation(rule=Rule.LENGTH, message="The prompt would be empty.")


def _edit_size(rewrite: _Rewrite) -> Iterator[Violation]:
    limits = rewrite.limits
    if len(rewrite.edits) > limits.max_edits:
        message = f"There are {len(rewrite.edits)} edits; make at most {limits.max_edits}, the most important ones."
        yield Violation(rule=Rule.EDIT_SIZE, message=message)
    for edit in rewrite.edits:
        if len(edit.text) > limits.max_edit_chars:
            message = f"The edit's text has {len(edit.text)} characters; at most {limits.max_edit_chars} are allowed."
            yield Violation(rule=Rule.EDIT_SIZE, message=message, edit_id=edit.id)
    before, after = Counter(folded(rewrite.before).split()), Counter(folded(rewrite.after).split())
    lost, allowed = (before - after).total(), before.total() * limits.max_lost_share
    if lost > max(allowed, limits.free_lost_words):
        message = f"The rewrite drops {lost} of {before.total()} words; keep what the feedback is not about."
        yield Violation(rule=Rule.EDIT_SIZE, message=message)


# ---- what may not come in --------------------------------------------------------------------------------------------


def _none_added(
    rule: Rule, finder: Finder, message: str, *, counted: bool = False
) -> Callable[[_Rewrite], Iterator[Violation]]:
    """A rule against all that the finder finds in the body and not in the parent; if `counted`, not as often there."""

    def none_added(rewrite: _Rewrite) -> Iterator[Violation]:
        before, after = Counter(finder(rewrite.before)), Counter(finder(rewrite.after))
        if new := set(after - before) if counted else set(after) - set(before):
            # what an edit holds may be found cut differently in the body, where the next line follows
            suspect = (lambda found: found in new) if counted else (lambda found: found not in before)
            yield from rewrite.blame(rule, message, lambda _, text: any(map(suspect, finder(text))))

    return none_added


def _copied(rewrite: _Rewrite) -> Iterator[Violation]:
    words = rewrite.limits.copied_words
    if runs := copied_runs(rewrite.after, rewrite.source_texts, words=words, allowed=rewrite.before):
        message = f"The text repeats {words} or more words of a trace; say it in general words of your own."
        yield from rewrite.blame(Rule.COPIED, message, lambda _, text: any(run in letters(text) for run in runs))


def _prohibitions(rewrite: _Rewrite) -> Iterator[Violation]:
    kept = set(prohibitions(rewrite.after))
    if lost := {found for found in prohibitions(rewrite.before) if found not in kept}:
        message = "A sentence that forbids something must stay word for word; only the owner takes one back."
        yield from rewrite.blame(
            Rule.PROHIBITION,
            message,
            lambda old, new: any(p in lost and p not in prohibitions(new) for p in prohibitions(old)),
        )


def _duplicates(rewrite: _Rewrite) -> Iterator[Violation]:
    before, after = Counter(_worded(rewrite.before)), Counter(_worded(rewrite.after))
    # a line that only moved, or that the owner wrote twice, is none of ours
    twice = {line for line in after - before if after[line] > 1}
    message = "The prompt already has a line that says just this; change that line, or leave this one out."
    for edit_id in rewrite.culprits(lambda old, new: not twice.isdisjoint({*_worded(new)} - {*_worded(old)})):
        yield Violation(rule=Rule.DUPLICATE, message=message, edit_id=edit_id)


def _worded(text: str) -> list[str]:
    """The lines with a letter or digit in them, folded: rules, fences and brackets may come as often as they like."""
    lines = (folded(line) for line in text.split("\n"))
    return [line for line in lines if any(map(str.isalnum, line))]


_SIZES: tuple[Callable[[_Rewrite], Iterator[Violation]], ...] = (_length, _edit_size)
"""Checked first, and alone when one is broken: the other rules read the texts word by word."""

RULES: tuple[Callable[[_Rewrite], Iterator[Violation]], ...] = (
    *_SIZES,
    _variables,
    _composition,
    _placeholders,
    _messages,
    _prohibitions,
    _duplicates,
    _none_added(Rule.SECRET, secrets, "The text holds something that looks like a key, a token or a password."),
    _none_added(Rule.EMAIL, emails, "The text holds an e-mail address; leave personal data out."),
    _none_added(
        Rule.PERSONAL_NUMBER, personal_numbers, "The text holds a telephone or card number; leave personal data out."
    ),
    _none_added(Rule.ADDRESS, addresses, "The text holds an address on the net that the prompt did not have."),
    _copied,
    _none_added(
        Rule.TEMPLATE_SYNTAX, template_syntax, "The text holds template or file syntax; use words.", counted=True
    ),
    _none_added(Rule.INVISIBLE, invisible, "The text holds invisible characters; use plain text.", counted=True),
    _none_added(Rule.MIXED_SCRIPT, mixed_scripts, "A word mixes letters of several alphabets; write it in one."),
    _none_added(
        Rule.INJECTION,
        injections,
        "The text reads like an order to ignore or change instructions; state the rule itself.",
    ),
    _none_added(
        Rule.MARKUP, markup, "The text holds HTML or marks of a speaker or a section, such as `System:`; use sentences."
    ),
    _none_added(
        Rule.SOLICITING,
        soliciting,
        "The text has people asked for passwords, card numbers or the like; leave that out.",
    ),
)
