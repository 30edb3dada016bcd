"""The commands for releases: what may be ordered, by whom, what is shown, and what works with the database alone."""

import shlex
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import SetClock
from release_samples import (
    PATHS,
    Command,
    R,
    commands,
    cycle_with,
    judged,
    look,
    released,
    settle,
)

from deploy.lifecycle import RELEASE_TRANSITIONS, ReleaseState
from deploy.ordering import LEADS_TO, of_release
from deploy.settings import Settings
from deploy.store.facade import Store
from deploy.store.orders import Order, OrderKind
from optimizer.errors import BadInput
from optimizer.types import Verdict
from sandbox.langfuse.app import create_app
from sandbox.serving import serve

DONE, USAGE, OUTSIDE, COULD_NOT_RUN = 0, 2, 3, 12
HOSTILE = "<b>\x1b[31m\u202e &amp; {{x}}"


@pytest.fixture
def tracegrad(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    assert str(store.engine.url.database) == str(tmp_path / "tracegrad.db")
    settle(tmp_path)
    for name in ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "grace")
    return commands(tmp_path, monkeypatch, capfd)


@pytest.mark.parametrize("kind", LEADS_TO)
@pytest.mark.parametrize("state", PATHS)
def test_an_order_is_made_exactly_where_the_table_lets_the_release_go_there(
    store: Store, clock: SetClock, kind: OrderKind, state: ReleaseState
) -> None:
    id_ = released(store, state, at=clock.now()).run_id

    def order(target: str) -> Order:
        return of_release(store, Settings(), kind, target, actor="ada", why="a reason", at=clock.now())

    if LEADS_TO[kind] in RELEASE_TRANSITIONS[state] - {state}:
        by_id, by_prompt = order(id_), order("support")
        assert by_id.id != by_prompt.id
        assert replace(by_id, id="") == replace(by_prompt, id="")
        assert (by_id.kind, by_id.run_id, by_id.prompt) == (kind, id_, "support")
    else:
        with pytest.raises(BadInput, match=f"^release {id_} is {state}; "):
            order(id_)
        with pytest.raises(BadInput, match=f"^there is nothing of support to {kind}; its newest release, {id_}, is "):
            order("support")


def test_an_order_is_written_down_with_who_and_why(tracegrad: Command, store: Store, clock: SetClock) -> None:
    id_ = released(store, R.PROPOSED, at=clock.now()).run_id
    ended = tracegrad("--json", "approve", id_, "--why", "a reason")
    assert ended.code == DONE, ended.err
    [order] = store.orders.pending("support")
    assert (order.kind, order.run_id, order.actor, order.why) == (OrderKind.APPROVE, id_, "grace", "a reason")
    assert ended.document["order"] == order.id
    assert ended.document["release_now"]["state"] == "proposed"


def test_a_refusal_says_what_can_be_done_instead(tracegrad: Command, store: Store, clock: SetClock) -> None:
    id_ = released(store, R.PROPOSED, at=clock.now()).run_id
    said = tracegrad("rollback", id_).sentence
    assert said == f"release {id_} is proposed; what can be done now is `tracegrad approve` or `tracegrad reject`."
    ended = released(store, R.SUPERSEDED, at=clock.now(), slot="s2", prompt="sales").run_id
    said = tracegrad("rollback", ended).sentence
    assert said.endswith("name the version to go back to: `tracegrad rollback sales --to VERSION`.")
    assert tracegrad("approve", ended).sentence.endswith("so make another with `tracegrad once sales`.")


def test_a_prompt_means_its_newest_release_that_can_do_it(tracegrad: Command, store: Store, clock: SetClock) -> None:
    for number, state in enumerate((R.PROMOTED, R.REJECTED, R.PROGRESSING, R.PROPOSED)):
        released(store, state, at=clock.now() + timedelta(days=number), slot=f"s{number}")
    for kind, slot in (("approve", "s3"), ("rollback", "s2"), ("promote", "s2")):
        assert tracegrad("--json", kind, "support").document["release"] == f"support@{slot}"


def test_what_is_not_there_is_named_in_a_sentence(tracegrad: Command, store: Store, clock: SetClock) -> None:
    assert tracegrad("approve", "suport").sentence == (
        "there is no prompt and no release 'suport'; list them with `tracegrad releases`."
    )
    assert tracegrad("approve", "support").sentence == (
        "there is no release of support; make one with `tracegrad once support`."
    )
    released(store, R.RETIRED, at=clock.now())
    assert tracegrad("promote", "support").sentence.startswith(
        "there is nothing of support to promote; its newest release, support@s1, is retired; "
    )
    assert tracegrad("releases", "suport").code == USAGE
    assert tracegrad("accept-unproven", "support@never", "--why", "x").code == OUTSIDE
    assert store.orders.of_prompt("support") == ()


def test_a_rollback_may_name_a_version_even_without_a_release(tracegrad: Command, store: Store) -> None:
    assert tracegrad("rollback", "support", "--to", "0").code == USAGE
    assert tracegrad("rollback", "support", "--to", "2", "--as", "ada").code == DONE
    [order] = store.orders.pending("support")
    assert (order.run_id, order.argument, order.actor) == ("", 2, "ada")


def test_a_reason_is_required_where_it_is_remembered(tracegrad: Command, store: Store, clock: SetClock) -> None:
    released(store, R.PROPOSED, at=clock.now())
    assert tracegrad("reject", "support").code == USAGE
    assert tracegrad("reject", "support", "--why", "  ").sentence.endswith("say why with --why.")
    assert tracegrad("reject", "support@s1", "--why", "").code == USAGE
    assert store.orders.of_prompt("support") == ()


@pytest.mark.parametrize("name", ["x" * 121, "ada\x1b[31m", "a\u202eb"])
def test_nobody_is_recorded_by_an_unprintable_name(
    tracegrad: Command, store: Store, clock: SetClock, name: str
) -> None:
    released(store, R.PROPOSED, at=clock.now())
    assert tracegrad("approve", "support", "--as", name).sentence.endswith("printable letters with --as.")
    assert tracegrad("freeze", "--as", name).code == USAGE
    assert store.orders.of_prompt("support") == ()


# ---- what comes of an order ------------------------------------------------------------------------------------------


def settings_of_all(folder: Path, langfuse: str) -> None:
    model = {"task": "t", "critic": "c", "judge": "j", "base_url": "http://127.0.0.1:9/v1", "api_key": "k"}
    keys = {"public_key": "pk-lf-sandbox", "secret_key": "sk-lf-sandbox", "requests_per_minute": 0}
    settle(folder, role="all", langfuse={"host": langfuse, **keys}, model=model)


def test_an_order_is_carried_out_at_once_and_says_what_came_of_it(
    tracegrad: Command, store: Store, clock: SetClock, tmp_path: Path
) -> None:
    released(store, R.PROPOSED, at=clock.now())
    with serve(create_app(tmp_path / "langfuse.db")) as langfuse:
        settings_of_all(tmp_path, langfuse)
        ended = tracegrad("--json", "reject", "support", "--why", "too long", "--as", "ada")
    assert ended.code == DONE, ended.err
    assert (ended.document["outcome"], ended.document["said"]) == ("rejected: too long", "rejected: too long")
    assert ended.document["release_now"]["state"] == "rejected"
    assert store.releases.events("support@s1")[-1].actor == "ada"


def test_an_order_that_came_too_late_changes_nothing_and_says_so(
    tracegrad: Command, store: Store, clock: SetClock, tmp_path: Path
) -> None:
    released(store, R.PROPOSED, at=clock.now())
    tracegrad("reject", "support", "--why", "too long")
    with serve(create_app(tmp_path / "langfuse.db")) as langfuse:
        settings_of_all(tmp_path, langfuse)
        ended = tracegrad("approve", "support")
    assert ended.code == COULD_NOT_RUN
    assert "not done: " in ended.out
    assert "rejected, not published" in ended.out
    assert store.orders.pending("support") == ()


def test_an_order_is_kept_while_langfuse_is_away(
    tracegrad: Command, store: Store, clock: SetClock, tmp_path: Path
) -> None:
    released(store, R.PROPOSED, at=clock.now())
    settings_of_all(tmp_path, "http://127.0.0.1:9")
    ended = tracegrad("approve", "support")
    assert ended.code == OUTSIDE
    assert "not carried out yet: " in ended.out
    assert "The order is kept, and the daemon carries it out as soon as it can." in ended.out
    [order] = store.orders.pending("support")
    assert order.kind is OrderKind.APPROVE


# ---- what a gate could not prove -------------------------------------------------------------------------------------


def gated(store: Store, clock: SetClock, verdict: Verdict, *, veto: bool = False) -> str:
    made = cycle_with(store, "s1", at=clock.now())
    store.reports.save("support@s1", made.id, judged(verdict, veto=veto), at=clock.now())
    return "support@s1"


def test_an_undecided_candidate_can_be_accepted(tracegrad: Command, store: Store, clock: SetClock) -> None:
    cycle = gated(store, clock, Verdict.UNDECIDED)
    assert tracegrad("accept-unproven", cycle, "--why", "we need it today").code == DONE
    [order] = store.orders.pending("support")
    assert (order.kind, order.run_id, order.why) == (OrderKind.ACCEPT_UNPROVEN, cycle, "we need it today")


@pytest.mark.parametrize(
    ("verdict", "veto", "said"),
    [
        (Verdict.FAIL, False, "its verdict is fail"),
        (Verdict.PASS, False, "its verdict is pass"),
        (Verdict.UNDECIDED, True, "the gate speaks against it: German answers got worse"),
    ],
)
def test_what_a_gate_speaks_against_cannot_be_accepted(
    tracegrad: Command, store: Store, clock: SetClock, verdict: Verdict, veto: bool, said: str
) -> None:
    ended = tracegrad("accept-unproven", gated(store, clock, verdict, veto=veto), "--why", "please")
    assert (ended.code, store.orders.of_prompt("support")) == (USAGE, ())
    assert said in ended.sentence


def test_nor_can_what_has_no_verdict_or_is_a_release_or_is_only_observed(
    tracegrad: Command, store: Store, clock: SetClock, tmp_path: Path
) -> None:
    cycle_with(store, "s1", at=clock.now())
    assert "has no candidate with a verdict" in tracegrad("accept-unproven", "support@s1", "--why", "x").sentence
    released(store, R.REJECTED, at=clock.now(), slot="s2")
    assert (
        "is a release already, which is rejected" in tracegrad("accept-unproven", "support@s2", "--why", "x").sentence
    )
    (tmp_path / "tracegrad.yaml").write_text(
        f"state_dir: {tmp_path}\nrole: proposer\nprompts: [{{name: support, release: {{policy: observe}}}}]\n"
    )
    assert "support is only observed" in tracegrad("accept-unproven", "support@s1", "--why", "x").sentence


# ---- the kill switch -------------------------------------------------------------------------------------------------


def test_a_freeze_needs_nothing_but_the_database(tracegrad: Command, store: Store, tmp_path: Path) -> None:
    """No key, no model, no forge, and a Langfuse that is not there."""
    (tmp_path / "tracegrad.yaml").write_text(f"state_dir: {tmp_path}\nlangfuse: {{host: 'http://127.0.0.1:9'}}\n")
    assert tracegrad("freeze", "--why", "odd answers").code == DONE
    stands = store.freezes.standing("anything")
    assert stands
    assert (stands.prompt, stands.actor, stands.why) == ("", "grace", "odd answers")
    ended = tracegrad("--json", "unfreeze")
    assert (ended.code, ended.document["lifted"], store.freezes.all()) == (DONE, True, ())


def test_a_freeze_does_not_begin_a_database_of_its_own(tracegrad: Command, tmp_path: Path) -> None:
    """One that the daemon does not read would stop nothing."""
    (tmp_path / "tracegrad.yaml").write_text(f"state_dir: {tmp_path}/elsewhere\n")
    assert tracegrad("freeze").sentence == (
        f"there is no database at {tmp_path}/elsewhere/tracegrad.db; correct `state_dir`, or run it from its place."
    )
    assert not (tmp_path / "elsewhere").exists()


def test_the_kill_switch_imports_no_connector() -> None:
    code = "import sys, deploy.cli.freeze; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "sqlalchemy" in loaded
    assert not {"connectors", "langfuse", "openai", "dbos", "aiohttp", "httpx", "starlette"} & set(loaded)


def test_one_prompt_is_frozen_and_a_misspelt_one_is_refused(tracegrad: Command, store: Store) -> None:
    assert tracegrad("freeze", "suport").sentence.startswith("there is no prompt 'suport'; ")
    assert "support is frozen, by grace" in tracegrad("freeze", "support").out
    assert "support is frozen, by grace" in tracegrad("freeze", "support", "--as", "ada").out
    assert store.freezes.standing("sales") is None
    tracegrad("freeze")
    said = tracegrad("unfreeze", "support").out
    assert "support is no longer frozen." in said
    assert "All prompts are still frozen, by grace" in said
    assert "sales is not frozen." in tracegrad("unfreeze", "sales").out


# ---- what is shown ---------------------------------------------------------------------------------------------------


def test_the_list_says_where_each_release_stands_and_what_it_waits_for(
    tracegrad: Command, store: Store, clock: SetClock
) -> None:
    assert "No release yet" in tracegrad("releases").out
    released(store, R.PROPOSED, at=clock.now())
    running = released(store, R.PROGRESSING, at=clock.now(), prompt="sales").run_id
    store.looks.keep(running, look(clock.now()))
    tracegrad("freeze", "sales", "--why", "odd answers")
    said = tracegrad("releases").out
    assert "proposed, not published\n" in said
    assert "waits for a person, until 2026-12-05 02:30 UTC: `tracegrad approve` or `tracegrad reject --why`" in said
    assert "progressing, version 4, shown to 10%, FROZEN" in said
    assert (
        "waits for production: promotes at evidence 50, now 12; 70 of at least 100 users have had their time; "
        "not before 2026-11-28 05:30 UTC" in said
    )
    assert "sales is frozen, by grace at " in said
    assert "odd answers" in said
    lines = tracegrad("--json", "releases", "sales").document["releases"]
    assert [(line["id"], line["share"], line["frozen"]["prompt"]) for line in lines] == [(running, 0.1, "sales")]


def test_a_holdback_and_a_halt_say_what_they_wait_for(tracegrad: Command, store: Store, clock: SetClock) -> None:
    released(store, R.PROMOTED, at=clock.now())
    released(store, R.HALTED, at=clock.now(), prompt="sales")
    said = tracegrad("releases").out
    assert "promoted, version 4, shown to 90%" in said
    assert "waits for the end of its holdback: 10% keep the old version until 2026-12-19 06:30 UTC" in said
    assert "waits for a person: `tracegrad rollback` or `tracegrad promote`" in said


def test_after_its_holdback_everybody_has_a_release(tracegrad: Command, store: Store, clock: SetClock) -> None:
    id_ = released(store, R.PROMOTED, at=clock.now()).run_id
    store.releases.advance(id_, R.PROMOTED, at=clock.now(), reason="over", evidence={"finished": "finish"})
    [line] = tracegrad("--json", "releases").document["releases"]
    assert (line["share"], line["waits_for"]) == (1.0, "")


def test_one_release_is_shown_with_its_history_looks_and_orders(
    tracegrad: Command, store: Store, clock: SetClock
) -> None:
    id_ = released(store, R.PROGRESSING, at=clock.now(), actor="ada").run_id
    store.looks.keep(id_, look(clock.now(), scored=False))
    store.looks.keep(id_, look(clock.now() + timedelta(days=1)))
    tracegrad("rollback", id_, "--as", "bob", "--why", "odd answers")
    said = tracegrad("releases", id_).out
    for expected in (
        "+ Give steps.",
        "2026-11-21 05:30:00  progressing, by ada: because progressing (share 10%)",
        "no score (70 of 130)",
        "82.0 (70 of 130)",
        "+6.0 (-1.0 to +13.0)",
        "12 of 50",
        "The candidate looks better; the evidence is 12 of 50.",
        "better: luck alone gets there once in 12 times at most",
        "worse: none",
        "rollback, by bob (odd answers)",
        "not handled yet",
    ):
        assert expected in said
    shown = tracegrad("--json", "releases", id_).document
    assert shown["looks"][1]["evidence"]["better"] == {
        "e_value": 12.0,
        "limit": 50.0,
        "said": "luck alone gets there once in 12 times at most",
    }
    assert shown["looks"][0]["effect"] is None
    assert [event["evidence"] for event in shown["events"]] == [{}, {}, {}, {"share": 0.1}]


def test_hostile_words_stay_words(tracegrad: Command, store: Store, clock: SetClock) -> None:
    id_ = released(store, R.REJECTED, at=clock.now(), said=HOSTILE, reason=HOSTILE).run_id
    for target in ("support", id_):
        said = tracegrad("releases", target).out
        assert "\x1b" not in said
        assert "\u202e" not in said
        assert "\\u001b[31m\\u202e" in said


def test_what_is_to_be_typed_is_quoted(tracegrad: Command, store: Store, clock: SetClock, tmp_path: Path) -> None:
    name = "folder/a prompt"
    (tmp_path / "tracegrad.yaml").write_text(f"state_dir: {tmp_path}\nprompts: [{{name: '{name}'}}]\nrole: proposer\n")
    released(store, R.RETIRED, at=clock.now(), prompt=name)
    assert f"`tracegrad once {shlex.quote(name)}`" in tracegrad("approve", name).sentence
    assert f"`tracegrad unfreeze {shlex.quote(name)}`" in tracegrad("freeze", name).out
