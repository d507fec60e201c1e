"""Simulated traders and their exchange: the same seed gives the same people, and what is matched can be paid."""

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.demo.traders import CUSTOMERS, TRADED, Order, Traders, is_poor
from app.demo.trading import Exchange
from domain.messages.fields import Message
from domain.messages.settlement import CustomerFlow, MatchedTrade, OrderLock, SettlementResult
from domain.settlement.answers import key_of
from domain.settlement.desk import Effect, LockAsked, MoneyAsked, Refused, TradeAsked
from domain.settlement.trade import Refusal, cost_of
from operators.streams.publish import encode
from tests.domain.settlement.played import AT_MS, Played, is_booked

BEATS = 300


def said(seed: int, run: str = "r") -> list[bytes]:
    """What customers say by themselves."""
    traders, found = Traders(seed, run), []
    for number in range(BEATS):
        order, flow = traders.beat(), traders.flow(AT_MS + number)
        found += [encode(order.lock(AT_MS + number)), *([] if flow is None else [encode(flow)])]
    return [*map(encode, traders.opening(AT_MS)), *found]


class Market:
    """Traders and their exchange before a settlement that answers at once."""

    def __init__(self, seed: int) -> None:
        self.traders, self.exchange, self.played = Traders(seed, "r"), Exchange("r"), Played()
        self.told: list[Message] = []
        self._offsets = count()
        self.tell(self.traders.opening(AT_MS))

    def beat(self, at_ms: int) -> Order:
        """One order, and what goes with it."""
        order = self.traders.beat()
        self.tell(self.exchange.take(order, at_ms))
        if (flow := self.traders.flow(at_ms)) is not None:
            self.tell([flow])
        if (which := self.traders.cancels()) is not None:
            self.tell(self.exchange.cancel(which, at_ms))
        return order

    def tell(self, words: Iterator[Message] | list[Message]) -> None:
        """Have words settled, and the exchange hear what came of them."""
        for word in list(words):
            self.told.append(word)
            for effect in self.played.tell(word, first=next(self._offsets)):
                if (result := result_of(effect)) is not None:
                    self.tell(self.exchange.hear(result, AT_MS))


def result_of(effect: Effect) -> SettlementResult | None:
    """What is told of an effect of the desk."""
    if not isinstance(effect, LockAsked | MoneyAsked | TradeAsked | Refused):
        return None
    kind, name = key_of(effect.word)
    refusal = None if isinstance(effect, TradeAsked) else effect.refusal
    outcome, reason = ("booked", None) if refusal is None else ("refused", refusal.reason)
    return SettlementResult(kind=kind, id=name, outcome=outcome, reason=reason, as_of=AT_MS)  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_people() -> None:
    """Words are equal byte for byte under one seed, and differ under another."""
    assert said(1) == said(1)
    assert said(1) != said(2)


def test_runs_have_ids_of_their_own() -> None:
    """Two runs of the same people can be told into one ledger: orders, money and trades."""
    ids = []
    for run in ("a", "b"):
        traders = Traders(1, run)
        flows = {one.id for one in traders.opening(AT_MS) if isinstance(one, CustomerFlow)}
        exchange, orders = Exchange(run), [traders.beat() for _ in range(BEATS)]
        words = [word for order in orders for word in exchange.take(order._replace(is_hasty=True), AT_MS)]
        ids.append(flows | {word.trade_id if isinstance(word, MatchedTrade) else key_of(word)[1] for word in words})  # type: ignore[arg-type]
    assert not ids[0] & ids[1]


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_what_is_matched_with_its_lock_held_settles(seed: int) -> None:
    """Only trades of hasty orders are refused, and then their orders end: exchange and settlement know the same open orders."""
    market = Market(seed)
    hasty = {order.order_id for number in range(BEATS) if (order := market.beat(AT_MS + number)).is_hasty}
    refused = [effect for effect in market.played.effects if isinstance(effect, Refused)]
    trades = [one.word for one in refused if isinstance(one.word, MatchedTrade)]
    assert [] == [one for one in trades if not {one.buy_order_id, one.sell_order_id} & hasty]
    assert all(is_booked(verdict) for _, verdict in market.played.verdicts)
    assert market.played.desk.gauges()["open_orders"] == len(market.exchange.open_orders)


def test_what_should_be_seen_is_seen() -> None:
    """Trades in both symbols and parts of orders, refused locks and trades, cancels, debts."""
    market = Market(1)
    for number in range(10 * BEATS):
        market.beat(AT_MS + number)
    settled = [one.word for one in market.played.effects if isinstance(one, TradeAsked)]
    assert {one.symbol for one in TRADED} == {one.symbol for one in settled}
    assert len(settled) > len({one.buy_order_id for one in settled})
    refusals = {
        (type(one.word), one.refusal.reason)
        for one in market.played.effects
        if isinstance(one, LockAsked | Refused) and one.refusal
    }
    assert {(OrderLock, "insufficient"), (MatchedTrade, "unknown_order")} <= refusals
    assert any(isinstance(word, OrderLock) and word.command == "unlock" for word in market.told)
    assert any(isinstance(one, MoneyAsked) and one.part for one in market.played.effects)


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_every_order_is_one_that_can_be_paid_exactly(seed: int) -> None:
    """Of lots, at a price of cents, near where its symbol began; only the poor are hasty."""
    traders, traded = Traders(seed, "r"), {one.symbol: one for one in TRADED}
    for order in (traders.beat() for _ in range(BEATS)):
        one = traded[order.symbol]
        assert not isinstance(cost_of(order.limit, order.quantity, one.decimals, 6), Refusal)
        assert 0 == order.quantity % one.lot == order.limit * 100 % 1
        assert one.price_cents // 2 < order.limit * 100 < one.price_cents * 2
        assert is_poor(order.customer) or not order.is_hasty


@pytest.mark.parametrize("outcome", ["booked", "refused"])
def test_an_order_waits_for_its_lock(outcome: str) -> None:
    """Two orders that cross are matched when both locks hold, and never if one was refused."""
    exchange, traders = Exchange("r"), Traders(1, "r")
    buys = traders.beat()._replace(customer=CUSTOMERS[1], side="buy", is_hasty=False)
    sells = buys._replace(order_id="s", customer=CUSTOMERS[2], side="sell")
    assert [OrderLock, OrderLock] == [type(word) for order in (buys, sells) for word in exchange.take(order, AT_MS)]
    held = SettlementResult(kind="lock", id="s", outcome="booked", as_of=AT_MS)
    assert [] == [*exchange.hear(held, AT_MS)]
    told = SettlementResult(kind="lock", id=buys.order_id, outcome=outcome, as_of=AT_MS)  # type: ignore[arg-type]
    assert (1 if outcome == "booked" else 0) == len([*exchange.hear(told, AT_MS)])
