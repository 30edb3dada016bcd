"""Markdown for a pull request: complete, private, within GitHub's limit, and nothing quoted becomes markup."""

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from report_samples import FULL, HOSTILE, report_of

from gates.rendering.markdown import LIMIT, as_markdown, escaped, marker
from optimizer.proof import Finding, Gate, Rerun, SliceReading
from optimizer.types import Verdict

GITHUB = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

REFERENCES = re.compile(r"@\w|(?<!&)#\d|\w://|www\.|\bGH-\d|(?:mailto|xmpp):", re.IGNORECASE)
"""What GitHub makes mentions, links and references of, wherever a reader would see it."""

ATTACKS = [
    HOSTILE,
    "<img src=x onerror=alert(1)> <!-- --> </details>",
    "[a](javascript:alert(1)) ![b](http://evil.example/b.png) [c]: http://evil.example",
    "http://evil.example HTTPS://evil.example ftp://evil.example www.evil.example WWW.evil.example",
    "@octocat someone@evil.example mailto:someone@evil.example xmpp:a@evil.example",
    "#1 org/repo#2 GH-3 gh-4",
    "# heading\n\n---\n\n1. one\n2. two\n\n> quoted",
    "- [x] done",
    "`code` ```\nfence\n``` **bold** __bold__ ~~gone~~ $x^2$ $$y$$",
    "&lt;b&gt; &#64;octocat &commat;octocat &amp;#35;1",
    "a | b | c\n|---|---|",
    "\\[escaped\\](http://evil.example) \\<b\\>",
    "<!-- tracegrad-gate -->",
    "\u202e right \u200b to \x1b[2J left",
]


def shown(markdown: str) -> str:
    return GITHUB.render(markdown)


def test_the_report_is_complete_and_has_our_tables() -> None:
    page = shown(as_markdown(FULL, prompt="support"))
    assert page.startswith("<!-- tracegrad-gate support -->\n<h3>Gate of support: pass (proven at stake 0.02)</h3>")
    assert page.count("<table>") == 9
    assert page.count("<details>") == page.count("</details>") == 4
    assert "<td>+18.2 points (-2.0 to +37.0)</td>" in page
    assert "<td><strong>fail</strong></td>" in page
    assert "<code>replay-0000</code>" in page
    assert "<p>and 20 more</p>" in page


def test_nobody_s_words_are_in_it() -> None:
    markdown = as_markdown(FULL)
    for words in ("because of", "the candidate's words", "Rome", "Where is"):
        assert words not in markdown


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_sentence_quotes_stays_words(attack: str) -> None:
    calm, wild = (
        as_markdown(
            report_of(reasons=(f"Failed: it broke ({words}).", f"{words} first."), findings=finding(words)),
            prompt=words,
        )
        for words in ("calm", attack)
    )
    assert tags(shown(wild)) == tags(shown(calm))
    assert not REFERENCES.search(re.sub("<[^>]+>", "", shown(wild)).replace("&amp;", "&").replace("&lt;", "<"))
    assert len(re.findall(r"(?<!\\)<!--", wild)) == 1
    assert not re.search("[\x00-\x09\x0b-\x1f\u200b\u202a-\u202e]", wild)


def finding(sentence: str) -> tuple[Finding, ...]:
    return (Finding(gate=Gate.EVIDENCE, verdict=Verdict.UNDECIDED, sentence=sentence),)


def tags(page: str) -> list[str]:
    return [tag for tag in re.findall(r"<[^>]+>", page) if not tag.startswith("<!--")]


def test_a_reader_still_reads_what_was_quoted() -> None:
    page = shown(escaped("a < b & c | d_e *f* (http://host) @all"))
    assert page == "<p>a &lt; b &amp; c | d_e *f* (http:\u200b//host) @\u200ball</p>\n"


def test_the_marker_finds_one_prompt_s_comment() -> None:
    assert as_markdown(report_of(), prompt="a/b").startswith(marker("a/b") + "\n")
    assert marker("a/b") == "<!-- tracegrad-gate a%2Fb -->"
    assert marker("a--> <b>").count(">") == 1
    assert as_markdown(report_of()).startswith("<!-- tracegrad-gate -->\n")
    assert len({marker(), marker("a"), marker("a/b"), marker("a%2Fb")}) == 4


def test_a_report_of_any_size_fits_into_a_comment() -> None:
    slices = tuple(
        SliceReading(
            name=f"tenant:{n}{'x' * 300}",
            cases=30,
            effect=-n / 1000,
            better=1,
            worse=2,
            p_worse=0.5,
            smallest_loss=0.2,
            verdict=Verdict.PASS,
        )
        for n in range(500)
    )
    reruns = tuple(
        Rerun(case_id=f"c{n}", why="anchor", tries=5, baseline_failed=0, candidate_failed=1, veto=False)
        for n in range(500)
    )
    large = as_markdown(replace(FULL, slices=slices, reruns=reruns))
    assert "and 490 more" in large
    assert "and 480 more" in large
    assert "tenant:499" in large, "the worst slice is shown"
    assert len(large) < LIMIT
    findings = tuple(Finding(gate=Gate.PROMPTFOO, verdict=Verdict.UNDECIDED, sentence="@ " * 900) for _ in range(20))
    reasons = ("Undecided.", *(f"{n} {'<&' * 2000}" for n in range(30)))
    endless = as_markdown(replace(FULL, reasons=reasons, findings=findings))
    assert len(endless) <= LIMIT
    assert endless.startswith("<!-- tracegrad-gate -->\n### Gate: pass")
    assert endless.rstrip().endswith("shows the rest.")
    assert shown(endless).count("<details>") == shown(endless).count("</details>")


def test_one_endless_sentence_is_cut() -> None:
    assert len(as_markdown(report_of(reasons=("word " * 100_000,), findings=()))) < 5_000
