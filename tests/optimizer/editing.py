"""Short ways to write edits down, and strategies for prompts and for chains of edits of them."""

from collections.abc import Callable, Sequence
from itertools import count

from hypothesis import strategies as st

from optimizer.documents.document import Document
from optimizer.documents.rows import texts_of
from optimizer.prompts import Body, Message, Placeholder
from optimizer.types import Edit, EditOp, RootCause

CAUSE = RootCause(label="c1", summary="too long", gradients=())


def edit(op: str, line: str, text: str = "", reason: str = "because") -> Edit:
    return Edit(op=EditOp(op), line=line, text=text, reason=reason, cause=CAUSE)


def brief(edits: Sequence[Edit]) -> list[tuple[str, str, str]]:
    """What edits do, without why."""
    return [(str(edit.op), edit.line, edit.text) for edit in edits]


def shown(document: Document) -> list[str]:
    """Every line as `id:text`."""
    return [f"{line.id}:{line.text}" for line in document.lines]


_WORDS = (
    "a",
    "b",
    " c",
    "{{x}}",
    "{",
    "}}",
    "# T",
    "<r>",
    "</r>",
    "```",
    "<s>",
    "</s>",
    "שלום",
    "\u200b",
    "\u2028",
    "\x85",
    "\x0c",
)
_ENDINGS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", ""])
texts = st.lists(st.one_of(st.tuples(st.sampled_from(_WORDS), _ENDINGS).map("".join), _ENDINGS), max_size=10).map(
    "".join
)
"""Texts with every ending, empty ones, and characters that other tools take for the end of a line."""

chats = st.lists(
    st.one_of(
        st.builds(Message, role=st.sampled_from(["system", "developer", "user"]), content=texts),
        st.just(Placeholder(name="past")),
    ),
    max_size=4,
).map(tuple)
bodies: st.SearchStrategy[Body] = st.one_of(texts, texts, chats)

_NEW = st.lists(st.sampled_from(["a", "b", "x", "new ", "# N", "\n", "{{x}}", "עוד"]), min_size=1, max_size=3)
_new_texts = _NEW.map("".join)


@st.composite
def edits_of(
    draw: st.DrawFn, document: Document, *, reasons: Callable[[], str] = lambda: "because", most: int = 4
) -> list[Edit]:
    """Sound edits of a document: at most one that changes each line, any number that add."""
    lines = {line.id: line.text for line in document.lines}
    places = [*lines, *(block.start for block in document.blocks)]
    made: list[Edit] = []
    for line in draw(st.lists(st.sampled_from(places), max_size=most)) if places else []:
        op = draw(st.sampled_from(["add", "replace", "remove"]))
        text = "" if op == "remove" else draw(_new_texts)
        taken = any(other.line == line and other.op is not EditOp.ADD for other in made)
        if op != "add" and (taken or line not in lines or texts_of(text) == (lines[line],)):
            continue
        made.append(edit(op, line, text, reasons()))
    return made


@st.composite
def chains(draw: st.DrawFn, *, of: st.SearchStrategy[Body] = bodies, most: int = 4) -> list[Document]:
    """A document and what became of it step by step, the first one first. No two edits have the same reason."""
    numbers = count(1)
    chain = [Document.of(draw(of))]
    for _ in range(draw(st.integers(0, most))):
        chain.append(chain[-1].apply(draw(edits_of(chain[-1], reasons=lambda: f"reason {next(numbers)}"))))
    return chain


@st.composite
def twins(draw: st.DrawFn) -> tuple[Document, Document]:
    """Two documents of the same base, each with a past of its own."""
    base = draw(bodies)
    ours, theirs = draw(chains(of=st.just(base), most=2)), draw(chains(of=st.just(base), most=2))
    return ours[-1], theirs[-1]
