"""The report as HTML: whole, calm under a strict policy, and nobody's words do anything in it."""

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from report_samples import FULL, HOSTILE, SCREENED, evidence_of, report_of

from gates.rendering.drawing import drawn, scale_for
from gates.rendering.page import as_fragment, as_page
from gates.rendering.story import Difference
from gates.rendering.style import STYLE
from gates.rendering.unseen import UNSEEN
from optimizer.types import Missing, Verdict

VOID = frozenset({"meta", "line", "circle"})
HARMLESS = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "article",
        "section",
        "details",
        "summary",
        "h1",
        "h2",
        "h3",
        "p",
        "ul",
        "li",
        "span",
        "code",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "dl",
        "dt",
        "dd",
        "svg",
        "line",
        "circle",
    ]
)


class Parsed(HTMLParser):
    """Tags in order, attributes, and the text that a reader sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_page_tells_everything() -> None:
    page = Parsed(as_page(FULL, prompt="support"))
    for expected in (
        "Gate report of support Gate: pass (proven at stake 0.02) Passed: the candidate is better.",
        "Cost fail It costs 20% more.",
        "Difference +18.2 points (-2.0 to +37.0)",
        "One credit was bet on “the candidate is better”",
        "tag:vip 13 -25.0 points (-98.8 to +100.0) 2 / 5 0.04 31 points fail",
        "attack-7 extraction 0 of 5 5 of 5 veto",
        "extraction 3 of 40 (3% to 20%) 0 of 40 (0% to 9%)",
        "and 20 more",
        "0.62 (kappa: 1 is full, 0 is chance) on 41 answers",
    ):
        assert expected in page.text
    assert page.tags.count("svg") == 3
    assert page.tags.count("details") == 4


@pytest.mark.parametrize("texts", [False, True])
def test_nothing_that_was_said_does_anything(texts: bool) -> None:
    source = as_page(replace(FULL, reasons=(HOSTILE, HOSTILE)), prompt=HOSTILE, texts=texts)
    page = Parsed(source)
    assert set(page.tags) <= HARMLESS
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"style", "href", "src"}]
    assert not UNSEEN.search(source)
    assert "\\u001b[2J\\u202egnp" in page.text
    for words in ("because of", "the candidate's words", "Rome", "Where is"):
        assert (words in page.text) is texts


def test_the_page_forbids_itself_everything_but_its_own_style() -> None:
    source = as_page(FULL)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', source)
    (style,) = re.findall(r"<style>(.*)</style>", source, re.DOTALL)
    own = b64encode(sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{own}'; base-uri 'none'; form-action 'none'"
    assert style == STYLE
    assert not re.search(r"url\(|@import|//", STYLE)


def test_the_fragment_is_the_page_s_middle() -> None:
    assert as_fragment(FULL) in as_page(FULL)
    assert "<style" not in as_fragment(FULL)


def test_an_empty_report_is_a_page() -> None:
    page = Parsed(as_page(report_of(evidence_of(), reasons=(), findings=(), verdict=Verdict.UNDECIDED)))
    assert "Gate: undecided" in page.text
    assert "svg" not in page.tags


def test_texts_keep_their_lines_and_are_excerpts() -> None:
    wordy = replace(SCREENED.pairs[0].candidate, output="line one\nline two\n" + "more " * 1000)
    report = report_of(replace(SCREENED, pairs=(replace(SCREENED.pairs[0], candidate=wordy),)))
    page = as_page(report, texts=True)
    assert "line one\nline two\n" in page
    assert "characters left out" in page
    assert len(page) < 20_000


def gain(low: float, value: float, high: float) -> Difference:
    return Difference(value=value, interval=(low, high))


@pytest.mark.parametrize(
    ("shown", "kind"),
    [(gain(0.01, 0.1, 0.2), "better"), (gain(-0.1, 0.1, 0.2), "open"), (gain(-0.2, -0.1, -0.01), "worse")],
)
def test_a_drawing_is_coloured_only_when_chance_is_ruled_out(shown: Difference, kind: str) -> None:
    assert f'class="span {kind}"' in drawn(shown, 0.5)


def test_drawings_share_a_scale_and_stay_inside() -> None:
    few = gain(-0.9, -0.04, 1.0)
    scale = scale_for([few, gain(0.0, 0.03, 0.06)])
    assert scale == 0.1
    assert 'class="reach" x1="0.0" y1="7.0" x2="144.0"' in drawn(few, scale)
    assert 'cx="43.2"' in drawn(few, scale)
    assert scale_for([gain(-1, -1, -1)]) == 1.0
    assert scale_for([]) == 0.05
    assert drawn(Difference(value=0.1, interval=Missing.NOT_RECORDED), 1.0) == ""
