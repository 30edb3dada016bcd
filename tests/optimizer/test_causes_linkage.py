"""Average linkage, against the definition carried out word for word; and how much work it does at most."""

import random
from itertools import combinations

import pytest

from optimizer.causes.likeness import unit
from optimizer.causes.linkage import WORK, Voice, linked

ALIKE = 0.3
PEOPLE = 50
"""Behind every voice, so that no one of them matters."""


def voice(number: int, draw: random.Random) -> Voice:
    vector = unit({key: draw.random() for key in draw.sample("abcdefghijkl", 4)})
    return Voice(vector=vector, shares={f"{number}-{person}": 1.0 for person in range(draw.randrange(1, 3) * PEOPLE)})


def mean(voices: list[Voice], one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """The mean likeness of two clusters, over all pairs of what was said."""
    weight = total = 0.0
    for i in one:
        for j in other:
            pairs = len(voices[i].shares) * len(voices[j].shares)
            weight += pairs
            total += pairs * sum(value * voices[j].vector.get(key, 0.0) for key, value in voices[i].vector.items())
    return total / weight


def by_definition(voices: list[Voice]) -> list[list[int]]:
    clusters = [(number,) for number in range(len(voices))]
    while len(clusters) > 1:
        best, one, other = max((mean(voices, a, b), a, b) for a, b in combinations(clusters, 2))
        if best < ALIKE:
            break
        clusters = [c for c in clusters if c not in (one, other)] + [one + other]
    return sorted(sorted(cluster) for cluster in clusters)


@pytest.mark.parametrize("seed", range(12))
def test_it_is_average_linkage(seed: int) -> None:
    draw = random.Random(seed)
    voices = [voice(number, draw) for number in range(24)]
    found = linked(voices, ALIKE)
    assert sorted(map(sorted, found.clusters)) == by_definition(voices)
    assert found.left == ()
    for cluster in found.clusters:
        assert all(found.typical[number] == pytest.approx(mean(voices, (number,), cluster)) for number in cluster)


def test_when_there_are_too_many_to_compare_the_first_found_the_clusters_and_the_others_join() -> None:
    shared = [{"cats": 1.0, f"own {number}": 0.4} for number in range(1_200)]
    voices = [Voice(vector=unit(vector), shares={str(number): 1.0}) for number, vector in enumerate(shared)]
    stranger = Voice(vector={"dogs": 1.0}, shares={"x": 1.0})
    assert sum(range(len(voices))) > WORK, "every pair has a product"
    found = linked([*voices, stranger], ALIKE)
    assert [len(cluster) for cluster in found.clusters] == [len(voices)]
    assert found.left == (len(voices),)


def test_no_voices_no_clusters() -> None:
    assert linked([], ALIKE).clusters == ()
