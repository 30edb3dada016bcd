"""Any split that a release can have comes back from each service as it went in, and its users with it."""

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from ldclient import Context
from ldclient.impl.evaluator_common import _bucket_context  # the SDK's own hash; there is no public way to it

from connectors.flags.langfuse import split_of, text_of
from connectors.flags.launchdarkly import LaunchDarkly, LaunchDarklyAccess
from connectors.flags.launchdarkly_flag import ALL, Shares, instruction, new_flag, read_flag, shares_of
from connectors.memory import MemoryRegistry
from optimizer.prompts import PromptVersion
from optimizer.rollouts import Band, Split, canary, holdback
from sandbox.flags.patching import patched
from sandbox.flags.shapes import created, shown
from sandbox.flags.store import Store

# nothing is sent
FLAGS = LaunchDarkly(LaunchDarklyAccess(base_url="http://127.0.0.1:9", token="t"), {}, MemoryRegistry())

# a machine that is busy with something else proves nothing
unhurried = settings(deadline=None)

weights = st.integers(min_value=1, max_value=ALL - 1)
versions = st.integers(min_value=1, max_value=10**6)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def releases(weight: int, version: int) -> list[tuple[Split, Shares]]:
    """Every shape of a release, and what LaunchDarkly is told of it."""
    return [
        (Split(prompt="p", salt="s"), Shares()),
        (canary("p", "s", version=version, share=weight / ALL), Shares(canary=weight)),
        (holdback("p", "s", version=version, share=weight / ALL), Shares(holdback=weight)),
    ]


@unhurried
@given(weights, versions)
def test_every_share_comes_back_from_a_flag(weight: int, version: int):
    made = created(Store(folder=Path("nowhere")), new_flag("f", "p", "production"), now_ms=0)
    ids = [item["_id"] for item in made["variations"]]
    for split, shares in releases(weight, version):
        assert shares_of(split) == shares
        changed = patched(made, "production", [instruction(shares, ids)], now_ms=1)
        body = json.dumps(shown(changed, "production")).encode()
        reading = read_flag(body, environment="production", production="production")
        assert (reading.shares, reading.version) == (shares, 2)


@unhurried
@given(weights, versions)
def test_a_share_is_the_same_number_again(weight: int, version: int):
    for split, shares in releases(weight, version):
        again = canary("p", "s", version=version, share=shares.canary / ALL)
        if shares.holdback:
            again = holdback("p", "s", version=version, share=shares.holdback / ALL)
        assert not shares.label or again == split


@unhurried
@given(st.floats(min_value=1e-5, max_value=1 - 1e-5), versions)
def test_a_finer_share_is_rounded_to_the_nearest_weight(share: float, version: int):
    for split in (canary("p", "s", version=version, share=share), holdback("p", "s", version=version, share=share)):
        shares = shares_of(split)
        assert abs((shares.canary or shares.holdback) - share * ALL) <= 0.5 + 1e-6


@unhurried
@given(text, text.filter(bool))
def test_users_stand_where_the_sdk_puts_them(salt: str, key: str):
    place = FLAGS.place(Split(prompt="p", salt=f"flag.{salt}"), key)
    assert place == _bucket_context(None, Context.create(key), "user", "flag", salt, None)


bands = st.lists(
    st.tuples(st.floats(min_value=0, max_value=1, exclude_max=True), st.integers(0, 10**6)),
    max_size=5,
    unique_by=lambda band: band[0],
)


@unhurried
@given(text, bands, versions)
def test_any_split_comes_back_from_a_prompt(salt: str, inner: list[tuple[float, int]], last: int):
    dealt = [Band(below=below, version=version) for below, version in sorted(inner)]
    split = Split(prompt="p", salt=salt, bands=(*dealt, Band(below=1.0, version=last)))
    assert split_of("p", PromptVersion(name="rollouts/p", version=1, body=text_of(split))) == split
