"""The kill switch: what stands, for whom, and that asking and freezing are one after the other, never interleaved."""

import threading
from datetime import timedelta

from conftest import SetClock

from deploy.store.facade import Store
from deploy.store.freezes import EVERY, Freeze, Freezes, standing_in
from deploy.store.orders import OrderKind, Orders


def freeze(clock: SetClock, prompt: str = "support", *, actor: str = "ada", minutes: float = 0) -> Freeze:
    return Freeze(prompt=prompt, actor=actor, why="odd answers\x00", at=clock.now() + timedelta(minutes=minutes))


def test_a_freeze_stands_for_its_prompt_until_it_is_lifted(store: Store, clock: SetClock) -> None:
    freezes = Freezes(store.engine)
    assert freezes.standing("support") is None
    assert freezes.freeze(freeze(clock)) == freeze(clock)
    assert freezes.standing("support") == freeze(clock)
    assert freezes.standing("sales") is None
    assert freezes.unfreeze("support", actor="bob", why="", at=clock.now())
    assert freezes.standing("support") is None
    assert not freezes.unfreeze("support", actor="bob", why="", at=clock.now())


def test_a_freeze_of_all_stands_for_every_prompt_and_beside_its_own(store: Store, clock: SetClock) -> None:
    freezes = Freezes(store.engine)
    freezes.freeze(freeze(clock, EVERY))
    freezes.freeze(freeze(clock))
    assert freezes.standing("sales") == freeze(clock, EVERY)
    assert freezes.all() == (freeze(clock, EVERY), freeze(clock))
    freezes.unfreeze(EVERY, actor="bob", why="", at=clock.now())
    assert freezes.standing("sales") is None
    assert freezes.standing("support") == freeze(clock)


def test_the_first_freeze_says_who_and_why(store: Store, clock: SetClock) -> None:
    freezes = Freezes(store.engine)
    freezes.freeze(freeze(clock))
    assert freezes.freeze(freeze(clock, actor="bob", minutes=1)) == freeze(clock)


def test_who_froze_and_who_lifted_is_kept_and_nothing_is_left_to_do(store: Store, clock: SetClock) -> None:
    freezes, orders = Freezes(store.engine), Orders(store.engine)
    freezes.freeze(freeze(clock))
    freezes.freeze(freeze(clock, actor="bob", minutes=1))
    freezes.unfreeze("support", actor="eve", why="all is well", at=clock.now() + timedelta(minutes=2))
    said = [(order.kind, order.actor, order.outcome) for order in orders.of_prompt("support")]
    assert said == [
        (OrderKind.UNFREEZE, "eve", "unfrozen"),
        (OrderKind.FREEZE, "bob", "it was frozen already"),
        (OrderKind.FREEZE, "ada", "frozen"),
    ]
    assert orders.pending("support") == ()


def test_it_is_asked_inside_the_transaction_that_permits(store: Store, clock: SetClock) -> None:
    """What a permitting transaction has seen cannot change before it ends: a freeze waits for it."""
    freezes = Freezes(store.engine)
    person = threading.Thread(target=freezes.freeze, args=(freeze(clock, EVERY),))
    with store.engine.begin() as connection:
        assert standing_in(connection, "support") is None
        person.start()
        assert standing_in(connection, "support") is None
        assert person.is_alive(), "the freeze waits for the transaction"
    person.join()
    with store.engine.begin() as connection:
        assert standing_in(connection, "support") == freeze(clock, EVERY)
