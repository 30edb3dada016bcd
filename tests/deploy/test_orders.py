"""Orders: written once, handled once, in order."""

from datetime import timedelta

from conftest import SetClock

from deploy.store.facade import Store
from deploy.store.orders import NOT_DONE, Order, OrderKind, Orders

HOSTILE = "nul \x00, a lone \ud800, <script>"


def order(clock: SetClock, id_: str = "o1", *, prompt: str = "support", minutes: float = 0, why: str = "good") -> Order:
    return Order(
        id=id_,
        prompt=prompt,
        run_id="support@s",
        kind=OrderKind.ROLLBACK,
        argument={"to": 3},
        actor="ada",
        why=why,
        at=clock.now() + timedelta(minutes=minutes),
    )


def test_an_order_comes_back_as_it_was_given(store: Store, clock: SetClock) -> None:
    orders, given = Orders(store.engine), order(clock, why=HOSTILE)
    assert orders.give(given) == given
    assert orders.get("o1") == given
    assert orders.pending("support") == (given,)


def test_an_order_that_is_given_twice_is_one(store: Store, clock: SetClock) -> None:
    orders = Orders(store.engine)
    orders.give(order(clock))
    again = orders.give(order(clock, minutes=5, why="other words"))
    assert again == order(clock)
    assert orders.pending("support") == (order(clock),)


def test_orders_are_handled_oldest_first_and_each_once(store: Store, clock: SetClock) -> None:
    orders = Orders(store.engine)
    for number in (3, 1, 2):
        orders.give(order(clock, f"o{number}", minutes=number))
    orders.give(order(clock, "another's", prompt="sales"))
    assert [each.id for each in orders.pending("support")] == ["o1", "o2", "o3"]
    orders.handled("o1", "approved", clock.now())
    orders.handled("o1", "something else", clock.now() + timedelta(days=1))
    assert [each.id for each in orders.pending("support")] == ["o2", "o3"]
    handled = orders.get("o1")
    assert (handled.outcome, handled.handled_at, handled.not_done) == ("approved", clock.now(), False)
    orders.handled("o2", f"{NOT_DONE}it was superseded meanwhile", clock.now())
    assert orders.get("o2").not_done


def test_the_newest_orders_of_a_prompt_are_listed_with_those_for_all(store: Store, clock: SetClock) -> None:
    orders = Orders(store.engine)
    for number, prompt in enumerate(("support", "sales", "", "support")):
        orders.give(order(clock, f"o{number}", prompt=prompt, minutes=number))
    assert [each.id for each in orders.of_prompt("support")] == ["o3", "o2", "o0"]
    assert [each.id for each in orders.of_prompt("support", limit=1)] == ["o3"]
