"""Numbers as people write them."""

import pytest

from gates.words import counted, inside, listed, plain, points


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0.01234, "0.0123"),
        (1.0, "1"),
        (55.5556, "55.6"),
        (999.4, "999"),
        (68_312.0, "68,300"),
        (999_999.0, "1,000,000"),
        (1e6, "more than a million"),
        (1e300, "more than a million"),
    ],
)
def test_plain_numbers(number: float, said: str) -> None:
    assert plain(number) == said


def test_the_rest() -> None:
    assert (points(0.0523), points(-0.5)) == ("+5.2", "-50.0")
    assert (counted(1, "case"), counted(0, "case"), counted(2, "slice has", "slices have")) == (
        "1 case",
        "0 cases",
        "2 slices have",
    )
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert [inside(text) for text in ("The end.", "A gain.", "PII was added.", "")] == [
        "the end.",
        "a gain.",
        "PII was added.",
        "",
    ]
