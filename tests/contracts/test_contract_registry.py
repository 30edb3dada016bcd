"""What every PromptRegistry promises."""

import pytest

from optimizer.errors import NotFound
from optimizer.prompts import Message, Placeholder, Published, Superseded

TEXT = "Answer {{question}} in\none line."
CHAT = (
    Message(role="system", content="You help {{company}}."),
    Placeholder(name="history"),
    Message(role="user", content="{{question}}"),
)


def start(shelf, body=TEXT):
    config = {"model": "m", "temperature": 0.2, "nested": {"b": [1, None], "a": "ä"}}
    return shelf.add(shelf.name, body, labels=("production",), config=config)


def publish(shelf, base, body="Answer better.", run_id="run-1"):
    return shelf.registry.publish(shelf.name, body, base=base, run_id=run_id, note="Because of c1.")


async def test_the_head_is_the_labelled_version_and_the_newest_number(shelf):
    start(shelf)
    shelf.add(shelf.name, "A draft.")
    head = await shelf.registry.head(shelf.name)
    assert (head.production.version, head.newest, head.production.body) == (1, 2, TEXT)
    assert "production" in head.production.labels
    assert (await shelf.registry.head(shelf.name, label="latest")).production.body == "A draft."


async def test_composition_tags_stay_unresolved(shelf):
    part = f"{shelf.name} part"
    shelf.add(part, "Be brief.", labels=("production",))
    body = f"Answer.\n@@@langfusePrompt:name={part}|label=production@@@"
    start(shelf, body)
    assert (await shelf.registry.head(shelf.name)).production.body == body
    assert (await shelf.registry.get(shelf.name, 1)).body == body


@pytest.mark.parametrize("name", ["", "no such prompt"])
async def test_what_does_not_exist_is_not_found(shelf, name):
    start(shelf, "Answer.")
    with pytest.raises(NotFound):
        await shelf.registry.head(name or shelf.name, label="nowhere")
    with pytest.raises(NotFound):
        await shelf.registry.get(name or shelf.name, 7)


async def test_chat_prompts_keep_their_placeholders(shelf):
    start(shelf, CHAT)
    assert (await shelf.registry.get(shelf.name, 1)).body == CHAT
    changed = (Message(role="system", content="You help {{company}} well."), *CHAT[1:])
    published = await publish(shelf, await shelf.registry.head(shelf.name), body=changed)
    assert published.version.body == changed
    assert await shelf.registry.get(shelf.name, 2) == published.version


async def test_a_published_version_comes_next_with_the_config_and_without_labels(shelf):
    start(shelf, "Answer.")
    base = await shelf.registry.head(shelf.name)
    published = await publish(shelf, base)
    assert isinstance(published, Published)
    assert (published.version.version, published.version.body) == (2, "Answer better.")
    assert published.version.config_json == base.production.config_json
    assert set(published.version.labels) <= {"latest"}
    assert "Because of c1." in published.version.commit_message
    assert "run-1" in published.version.commit_message
    head = await shelf.registry.head(shelf.name)
    assert (head.production, head.newest) == (await shelf.registry.get(shelf.name, 1), 2)


async def test_one_run_publishes_one_version_however_often_it_asks(shelf):
    start(shelf, "Answer.")
    base = await shelf.registry.head(shelf.name)
    assert [(await publish(shelf, base)).version.version for _ in range(3)] == [2, 2, 2]
    shelf.label(shelf.name, "production", 2)
    assert isinstance(await publish(shelf, base), Published)
    assert (await shelf.registry.head(shelf.name)).newest == 2


async def test_another_run_is_another_run_even_when_its_name_begins_alike(shelf):
    start(shelf, "Answer.")
    await publish(shelf, await shelf.registry.head(shelf.name), run_id="run-11")
    published = await publish(shelf, await shelf.registry.head(shelf.name), body="Other.", run_id="run-1")
    assert published.version.version == 3


async def test_a_draft_that_a_person_made_meanwhile_stands(shelf):
    start(shelf, "Answer.")
    base = await shelf.registry.head(shelf.name)
    shelf.add(shelf.name, "A person's draft.")
    refused = await publish(shelf, base)
    assert isinstance(refused, Superseded)
    assert (refused.stray, refused.latest_is_stray, refused.head.newest) == (0, False, 2)
    with pytest.raises(NotFound):
        await shelf.registry.get(shelf.name, 3)


async def test_a_promotion_that_a_person_made_meanwhile_stands(shelf):
    start(shelf, "Answer.")
    shelf.add(shelf.name, "A draft.")
    base = await shelf.registry.head(shelf.name)
    shelf.label(shelf.name, "production", 2)
    refused = await publish(shelf, base)
    assert isinstance(refused, Superseded)
    assert (refused.stray, refused.head.production.version) == (0, 2)


async def test_a_promotion_after_our_version_makes_it_a_stray(shelf):
    start(shelf, "Answer.")
    shelf.add(shelf.name, "A draft.")
    base = await shelf.registry.head(shelf.name)
    assert isinstance(await publish(shelf, base), Published)
    shelf.label(shelf.name, "production", 2)
    refused = await publish(shelf, base)
    assert isinstance(refused, Superseded)
    assert (refused.stray, refused.latest_is_stray) == (3, True)


async def test_a_base_may_hang_on_another_label(shelf):
    start(shelf, "Answer.")
    shelf.add(shelf.name, "Antworte.", labels=("german",))
    base = await shelf.registry.head(shelf.name, label="german")
    assert base.production.version == 2
    assert (await publish(shelf, base)).version.version == 3
    shelf.label(shelf.name, "german", 1)
    assert isinstance(await publish(shelf, base, run_id="run-2"), Superseded)


async def test_a_label_moves_from_where_it_is_expected(shelf):
    start(shelf, "Answer.")
    shelf.add(shelf.name, "Better.")
    assert await shelf.registry.move_label(shelf.name, "production", to=2, expect=1)
    assert (await shelf.registry.head(shelf.name)).production.version == 2
    assert await shelf.registry.move_label(shelf.name, "production", to=2, expect=1), "already there counts as moved"
    assert "production" not in (await shelf.registry.get(shelf.name, 1)).labels


async def test_a_label_that_is_elsewhere_stays_there(shelf):
    start(shelf, "Answer.")
    shelf.add(shelf.name, "Better.")
    shelf.add(shelf.name, "Best.")
    assert not await shelf.registry.move_label(shelf.name, "production", to=3, expect=2)
    assert (await shelf.registry.head(shelf.name)).production.version == 1


async def test_a_new_label_is_expected_nowhere(shelf):
    start(shelf, "Answer.")
    assert not await shelf.registry.move_label(shelf.name, "canary", to=1, expect=1)
    assert await shelf.registry.move_label(shelf.name, "canary", to=1, expect=0)
    assert (await shelf.registry.head(shelf.name, label="canary")).production.version == 1


async def test_a_label_cannot_move_to_a_version_that_does_not_exist(shelf):
    start(shelf, "Answer.")
    with pytest.raises(NotFound):
        await shelf.registry.move_label(shelf.name, "production", to=9, expect=1)
    assert (await shelf.registry.head(shelf.name)).production.version == 1


async def labels(shelf, version: int) -> set[str]:
    return set((await shelf.registry.get(shelf.name, version)).labels) - {"latest"}


async def released(shelf):
    """Version 1 in production, version 2 as its canary."""
    start(shelf, "Answer.")
    shelf.add(shelf.name, "Better.")
    assert await shelf.registry.move_label(shelf.name, "canary", to=2, expect=0)


async def test_a_canary_is_retired_by_moving_its_label_onto_productions_version(shelf):
    await released(shelf)
    assert await shelf.registry.move_label(shelf.name, "canary", to=1, expect=2)
    assert (await shelf.registry.head(shelf.name, label="canary")).production.version == 1
    assert await labels(shelf, 1) == {"production", "canary"}
    assert await labels(shelf, 2) == set()


async def test_promotion_leaves_the_other_labels_where_they_are(shelf):
    await released(shelf)
    assert await shelf.registry.move_label(shelf.name, "holdback", to=1, expect=0)
    assert await shelf.registry.move_label(shelf.name, "production", to=2, expect=1)
    assert await labels(shelf, 2) == {"production", "canary"}
    assert await labels(shelf, 1) == {"holdback"}
    assert await shelf.registry.move_label(shelf.name, "production", to=1, expect=2), "and back again"
    assert await labels(shelf, 1) == {"production", "holdback"}
    assert await labels(shelf, 2) == {"canary"}


async def test_a_label_that_a_person_moved_back_is_not_moved_again(shelf):
    await released(shelf)
    shelf.add(shelf.name, "Best.")
    shelf.label(shelf.name, "canary", 1)
    assert not await shelf.registry.move_label(shelf.name, "canary", to=3, expect=2)
    assert (await shelf.registry.head(shelf.name, label="canary")).production.version == 1


async def test_a_version_that_was_deleted_takes_its_labels_with_it(shelf):
    await released(shelf)
    shelf.delete(shelf.name, 2)
    with pytest.raises(NotFound):
        await shelf.registry.get(shelf.name, 2)
    with pytest.raises(NotFound):
        await shelf.registry.head(shelf.name, label="canary")
    with pytest.raises(NotFound):
        await shelf.registry.move_label(shelf.name, "production", to=2, expect=1)
    assert (await shelf.registry.head(shelf.name)).newest == 1
    assert not await shelf.registry.move_label(shelf.name, "canary", to=1, expect=2), "it is not where it was"
    assert await shelf.registry.move_label(shelf.name, "canary", to=1, expect=0)


async def test_nothing_is_published_on_a_base_that_was_deleted(shelf):
    start(shelf, "Answer.")
    shelf.add(shelf.name, "Other.")
    base = await shelf.registry.head(shelf.name)
    shelf.delete(shelf.name, 1)
    with pytest.raises(NotFound):
        await publish(shelf, base)
    assert (await shelf.registry.head(shelf.name, label="latest")).newest == 2


async def test_the_number_of_a_deleted_version_may_come_back_with_another_text(shelf):
    await released(shelf)
    shelf.delete(shelf.name, 2)
    shelf.add(shelf.name, "Quite another.")
    assert (await shelf.registry.get(shelf.name, 2)).body == "Quite another.", "a number alone is no proof of a text"
    assert await labels(shelf, 2) == set()


async def test_the_first_version_of_a_prompt_is_made_once_and_without_labels(shelf):
    made = await shelf.registry.ensure(shelf.name, "{}", note="The first.")
    assert (made.version, made.body, made.commit_message) == (1, "{}", "The first.")
    assert await labels(shelf, 1) == set()
    assert await shelf.registry.ensure(shelf.name, "Another.", note="Again.") == made
    shelf.add(shelf.name, "A person's.")
    assert (await shelf.registry.ensure(shelf.name, "{}", note="Again.")).body == "A person's."
