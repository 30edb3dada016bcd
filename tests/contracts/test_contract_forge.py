"""What a forge promises: one branch, one pull request and one report, always; a person's work stays."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from forge_places import PATH, START, InMemory, OnGit, OnGitHub, Place, Stage, new_repository

from connectors.forge.github.access import GitHubAccess
from connectors.forge.github.forge import GitHub
from optimizer.errors import BadInput, NotFound
from optimizer.ports import Change, PullReading, PullRequest, PullState
from sandbox.forge.app import TOKEN, create_app
from sandbox.serving import serve

META = f"{PATH}.tracegrad.json"
CHANGE = Change(
    key="support/ßupport bot@2026-11-21T02:30",
    title="Prompt support: 2 edits",
    body="Why, and what follows.",
    files=((PATH, "You help, and say how.\n"), (META, "{}\n")),
    report="### Gate: pass",
    passed=True,
    labels=("prompt",),
)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A remote and a person's clone of it, made once."""
    folder = tmp_path_factory.mktemp("repository")
    new_repository(folder)
    return folder


@pytest.fixture(scope="session")
def served() -> Iterator[tuple[Stage, str]]:
    """A server, and its address."""
    stage = Stage()
    with serve(stage) as url:
        yield stage, url


@pytest.fixture(params=["memory", "github", "git"])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, repository: Path, served: tuple[Stage, str]
) -> AsyncIterator[Place]:
    if request.param == "memory":
        yield InMemory()
    elif request.param == "git":
        shutil.copytree(repository, tmp_path / "git")
        yield OnGit(tmp_path / "git")
    else:
        stage, url = served
        stage.app = app = create_app(tmp_path, files=START)
        access = GitHubAccess(repository="acme/shop", token=TOKEN, base_url=url, labels=("tracegrad",))
        with httpx.Client(base_url=url, verify=False) as http:
            async with GitHub(access) as forge:
                yield OnGitHub(http, forge)
        app.state.forge.records.close()


async def test_a_proposal_is_one_branch_however_often_it_is_made(place: Place) -> None:
    first = await place.forge.propose(CHANGE)
    again = await place.forge.propose(CHANGE)
    assert first == again
    assert place.count() == 1
    assert place.told(first) == [CHANGE.report]
    assert await place.forge.text_at(PATH, first.branch) == "You help, and say how.\n"
    assert await place.forge.text_at(META, first.branch) == "{}\n"
    assert await place.forge.text_at(PATH, "main") == START[PATH]
    assert await place.forge.read(first) == PullReading(state=PullState.OPEN)
    assert bool(first.number) == place.numbered


async def test_a_proposal_is_brought_up_to_date_in_place(place: Place) -> None:
    request = await place.forge.propose(CHANGE)
    files = ((PATH, "You help, and say why.\n"), (META, "{}\n"))
    again = await place.forge.propose(replace(CHANGE, files=files, report="### Gate: fail", passed=False))
    assert again == request
    assert place.told(request) == ["### Gate: fail"]
    assert await place.forge.text_at(PATH, request.branch) == "You help, and say why.\n"
    assert (await place.forge.read(request)).touched is False


async def test_another_key_is_another_branch(place: Place) -> None:
    first = await place.forge.propose(CHANGE)
    second = await place.forge.propose(replace(CHANGE, key=CHANGE.key.replace("02:30", "03:30")))
    assert first.branch != second.branch
    assert place.count() == 2


async def test_what_a_person_changed_on_the_branch_stays(place: Place) -> None:
    request = await place.forge.propose(CHANGE)
    place.edit(request, PATH, "You help, says Ada.\n")
    assert (await place.forge.read(request)).touched is True
    await place.forge.propose(replace(CHANGE, report="### Gate: pass, again"))
    assert await place.forge.text_at(PATH, request.branch) == "You help, says Ada.\n"
    assert place.told(request) == ["### Gate: pass, again"]


async def test_merged_with_a_persons_change(place: Place) -> None:
    request = await place.forge.propose(CHANGE)
    place.edit(request, PATH, "You help, says Ada.\n")
    place.merge(request, "grace")
    reading = await place.forge.read(request)
    assert (reading.state, reading.by, reading.touched) == (PullState.MERGED, "grace", True)
    assert await place.forge.text_at(PATH, reading.revision) == "You help, says Ada.\n"
    assert await place.forge.propose(CHANGE) == request
    assert (await place.forge.read(request)).state is PullState.MERGED


async def test_turned_down_by_a_person(place: Place) -> None:
    request = await place.forge.propose(CHANGE)
    place.turn_down(request, "grace")
    reading = await place.forge.read(request)
    assert reading.state is PullState.CLOSED
    assert reading.revision == ""
    assert await place.forge.text_at(PATH, "main") == START[PATH]
    if place.numbered:
        assert reading.by == "grace"
        assert await place.forge.propose(CHANGE) == request
        assert (await place.forge.read(request)).state is PullState.CLOSED


async def test_closed_by_us_once_and_with_the_reason(place: Place) -> None:
    request = await place.forge.propose(CHANGE)
    await place.forge.close(request, "A newer proposal took its place.")
    await place.forge.close(request, "Said again.")
    assert (await place.forge.read(request)).state is PullState.CLOSED
    assert sorted(place.told(request)) == ["### Gate: pass", "A newer proposal took its place."]
    assert await place.forge.propose(CHANGE) == request
    assert (await place.forge.read(request)).state is PullState.CLOSED


async def test_closing_what_is_merged_changes_nothing(place: Place) -> None:
    request = await place.forge.propose(CHANGE)
    place.merge(request, "grace")
    await place.forge.close(request, "Too late.")
    assert (await place.forge.read(request)).state is PullState.MERGED
    assert place.told(request) == ["### Gate: pass"]


async def test_one_comment_per_topic_is_edited(place: Place) -> None:
    request = await place.forge.propose(CHANGE)
    await place.forge.tell(request, "progress", "10% of the users have it.")
    await place.forge.tell(request, "progress", "50% of the users have it.")
    assert sorted(place.told(request)) == ["### Gate: pass", "50% of the users have it."]


async def test_words_of_people_are_heard_in_order_and_our_own_are_not(place: Place) -> None:
    request = await place.forge.propose(CHANGE)
    place.say(request, "<!-- tracegrad:report --> I am the report")
    place.say(request, "Too long, says Ada.")
    assert (await place.forge.read(request)).words == (
        "<!-- tracegrad:report --> I am the report",
        "Too long, says Ada.",
    )
    await place.forge.propose(replace(CHANGE, report="### Gate: pass, again"))
    assert place.told(request) == ["### Gate: pass, again"]


async def test_a_file_that_is_not_there(place: Place) -> None:
    with pytest.raises(NotFound, match=r"nowhere\.md"):
        await place.forge.text_at("prompts/nowhere.md", "main")
    with pytest.raises(NotFound):
        await place.forge.text_at(PATH, "no-such-branch")
    with pytest.raises(NotFound):
        await place.forge.text_at(PATH, "0" * 39 + "1")


async def test_a_path_out_of_the_repository_is_refused(place: Place) -> None:
    for path in ("../x.md", "/etc/x", ".git/config", "a/.GIT/x", "a//b", "a\\b", "C:/x", "a/./b", "a/x\n", ""):
        with pytest.raises(BadInput, match="inside the repository"):
            await place.forge.propose(replace(CHANGE, files=((path, "x"),)))
        with pytest.raises(BadInput, match="inside the repository"):
            await place.forge.text_at(path, "main")
    assert place.count() == 0


async def test_a_pull_request_that_does_not_exist(place: Place) -> None:
    missing = PullRequest(number=77, url="", branch="tracegrad/none")
    if place.numbered:
        with pytest.raises(NotFound):
            await place.forge.read(missing)
    else:
        assert (await place.forge.read(missing)).state is PullState.CLOSED


async def test_two_at_once_make_one(place: Place) -> None:
    if isinstance(place, OnGitHub):
        place.act("faults", slow_s=0.01)
    first, second = await asyncio.gather(place.forge.propose(CHANGE), place.forge.propose(CHANGE))
    assert first == second
    assert place.count() == 1
