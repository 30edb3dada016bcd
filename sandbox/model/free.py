"""The simulated critic and rewriter for optimizers that ask in free text: the same competence in other clothes.

The ideas that it knows of, the evidence that it reads, the share of vague and wrong criticisms and of wordings that the
task model does not recognise are those of `sandbox.model.critic` and `rewriter`. Where the shapes differ, the other
optimizer gets the benefit:

- A criticism names every idea that the feedback points to; ours names one.
- One rewrite may add a line for every idea that it is told, and never more than one line for an idea.
- Slips of typed edits (an unknown line, a repeated line) have no counterpart in a whole rewrite: there are none.
- A whole rewrite keeps every other line word for word, and never restates what the prompt states already.
- An evaluation passes the grader's words on without error, and so does feedback on an answer; only the criticism of the
  prompt errs, once.
- A vague criticism adds a general line only when no other criticism says anything in particular.
- An update that shows its prompt shortened reads it whole from the conversations in the same request.
- From questions with expected phrases alone it takes the ideas as from graded examples, although nothing says that the
  prompt misses them. A summary of two or three sentences holds six ideas, the most frequent ones.
- The same request draws anew each time, as at a temperature above 0, whatever temperature was asked for.

It must not read anything but the request.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from sandbox.model.chance import draw, pick
from sandbox.model.critic import ALREADY, CONTENT, VAGUE_WORDS, another_trace, mistaken_for, pointed_at, worded
from sandbox.model.ideas import Idea, sentences, speaks_of, states
from sandbox.model.reading import Brief, Lab, Line
from sandbox.model.rewriter import GENERIC, UNRECOGNISED, settled, weak_line
from sandbox.model.shapes import Blame, Example, Reflection, Relay, Update, listed_examples, read_free
from sandbox.model.wire import Call

SUMMARY_IDEAS = 6
_OBSERVED = "Good answers often hold {}."
_DESCRIPTION = "It answers the questions of customers and visitors in a short text."


def free_reply(lab: Lab, call: Call, *, attempt: int) -> str:
    """The reply to a request of the critic's model that has no reply name."""
    asked = read_free(call)
    key = f"{call.digest}#{attempt}"
    if isinstance(asked, Reflection):
        return f"```\n{_reflected(lab, asked.prompt, asked.examples, key)}\n```"
    if isinstance(asked, Blame):
        return criticism(lab, asked.prompt, asked.example, key)
    if isinstance(asked, Update):
        return f"<IMPROVED_VARIABLE>{rewritten(lab, asked.prompt, asked.feedback, key)}</IMPROVED_VARIABLE>"
    if isinstance(asked, Relay):
        return asked.said
    values = {name: _FIELDS.get(name, _description)(lab, asked.given, key) for name in asked.wanted}
    if asked.as_json:
        return json.dumps(values, ensure_ascii=False)
    return "\n\n".join([*(f"[[ ## {name} ## ]]\n{value}" for name, value in values.items()), "[[ ## completed ## ]]"])


def criticism(lab: Lab, prompt: str, example: Example, key: str) -> str:
    """What the prompt should do better because of one graded example."""
    brief = _brief(prompt, example, key)
    lacking = pointed_at(lab, brief, example.feedback)
    if not lacking:
        return CONTENT
    chance = draw("critic", lab.seed, key)
    if chance < lab.world.traits.vague:
        return pick(VAGUE_WORDS, "critic", lab.seed, key, "vague")
    if chance < lab.world.traits.vague + lab.world.traits.wrong:
        lacking = [mistaken_for(lab, brief, lacking[0]), *lacking[1:]]
    stranger = another_trace(lab, brief)
    parts = sentences(prompt)
    return " ".join(
        ALREADY.format(idea.names[0]) if any(states(idea, part) for part in parts) else worded(lab, brief, idea)
        for idea in ([stranger] if stranger else lacking)
    )


def rewritten(lab: Lab, prompt: str, said: Iterable[str], key: str) -> str:
    """The whole prompt again, with a line for each idea that was criticised; nothing to say changes nothing."""
    lines = [Line(id=str(n), text=text) for n, text in enumerate(prompt.strip().split("\n"))]
    told = list(said)
    found = dict.fromkeys(idea for text in told for idea in _criticised(lab, text))
    for idea in found:
        if settled(lines, idea):
            continue
        odd = draw("rewriter", lab.seed, key, idea.key) > 1 - UNRECOGNISED
        text = pick(idea.odd_lines if odd else idea.lines, "rewriter", lab.seed, key, idea.key, "line")
        weak = weak_line(lab, lines, idea)
        if weak is None:
            lines.append(Line(id=str(len(lines)), text=text))
        else:
            lines = [Line(id=line.id, text=text) if line is weak else line for line in lines]
    if not found and any(words in text for text in told for words in VAGUE_WORDS):
        generic = pick(GENERIC, "rewriter", lab.seed, key, "generic")
        lines += [Line(id="generic", text=generic)] * all(line.text != generic for line in lines)
    return "\n".join(line.text for line in lines)


def _reflected(lab: Lab, prompt: str, examples: Sequence[Example], key: str) -> str:
    """Criticism and rewrite in one."""
    said = [criticism(lab, prompt, example, f"{key}/{number}") for number, example in enumerate(examples)]
    return rewritten(lab, prompt, said, key)


def _criticised(lab: Lab, text: str) -> list[Idea]:
    """The ideas that a criticism asks for, leaving out what it says is there already."""
    there, _, _ = ALREADY.partition("{}")
    parts = [part for part in sentences(text) if not part.startswith(there.strip())]
    return [idea for idea in lab.world.known if any(speaks_of(idea, part) for part in parts)]


def _description(_lab: Lab, _given: dict[str, str], _key: str) -> str:
    return _DESCRIPTION


def _new_instruction(lab: Lab, given: dict[str, str], key: str) -> str:
    examples = listed_examples(given.get("examples_with_feedback", ""))
    return _reflected(lab, given.get("current_instruction", ""), examples, key)


def _observations(lab: Lab, given: dict[str, str], key: str) -> str:
    """What a batch of rows has in common, row by row, with the critic's errors."""
    said = []
    for number, row in enumerate(given.get("examples", "").split("Example(")[1:]):
        brief = _brief("", Example(question=row, output="", feedback=""), f"{key}/{number}")
        shown = [idea for idea in lab.world.ideas if idea.phrase.lower() in row.lower()]
        chance = draw("critic", lab.seed, brief.key)
        if chance < lab.world.traits.vague or not shown:
            continue
        wrong = chance < lab.world.traits.vague + lab.world.traits.wrong
        said += [_observed(lab, mistaken_for(lab, brief, idea) if wrong else idea, brief.key) for idea in shown]
    return " ".join(said) or _DESCRIPTION


def _summary(lab: Lab, given: dict[str, str], key: str) -> str:
    parts = sentences(given.get("observations", ""))
    counts = Counter(idea for part in parts for idea in lab.world.known if speaks_of(idea, part))
    return " ".join(_observed(lab, idea, key) for idea, _ in counts.most_common(SUMMARY_IDEAS)) or _DESCRIPTION


def _instruction(lab: Lab, given: dict[str, str], key: str) -> str:
    """A new instruction from a description of the rows and from answers that were right."""
    demos = given.get("task_demos", "").lower()
    shown = [_observed(lab, idea, key) for idea in lab.world.ideas if idea.phrase.lower() in demos]
    return rewritten(lab, given.get("basic_instruction", ""), [given.get("dataset_description", ""), *shown], key)


_FIELDS: dict[str, Callable[[Lab, dict[str, str], str], str]] = {
    "observations": _observations,
    "summary": _summary,
    "proposed_instruction": _instruction,
    "new_instruction": _new_instruction,
}


def _observed(lab: Lab, idea: Idea, key: str) -> str:
    return _OBSERVED.format(pick(idea.names, "observed", lab.seed, key, idea.key))


def _brief(prompt: str, example: Example, key: str) -> Brief:
    data = {"input": example.question, "output": example.output, "kind": "feedback", "complaint": example.feedback}
    return Brief(lines=_lines(prompt), data=data, orders=(), max_edits=None, turn=1, key=key)


def _lines(prompt: str) -> tuple[Line, ...]:
    texts: Sequence[str] = prompt.split("\n")
    return tuple(Line(id=str(number), text=text) for number, text in enumerate(texts))
