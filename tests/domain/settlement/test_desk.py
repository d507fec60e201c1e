"""The settlement desk: it knows what the books will say, loses nothing, and refuses by name."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.messages.gov import Vote
from domain.messages.settlement import (
    CustomerCorrection,
    CustomerFlow,
    CustomerTerms,
    MatchedTrade,
    OrderLock,
    TradeReplay,
)
from domain.settlement.desk import Effect, LockAsked, MoneyAsked, Refused, TradeAsked, Trouble
from domain.settlement.holdings import Holding
from domain.settlement.links import GENESIS, linked
from domain.settlement.trade import Refusal
from tests.domain.settlement.played import AT_MS, BTC_USDT, CUSTOMERS, ETH_USDT, UNITS, Played, crowd, is_booked

BTC, USDT = UNITS["BTC"], UNITS["USDT"]


def flow(name: str, customer: str, asset: str, amount: int, kind: Any = "deposit", to: str | None = None) -> CustomerFlow:
    """Money of a customer."""
    return CustomerFlow(id=name, customer=customer, asset=asset, amount=amount, kind=kind, to=to, as_of=AT_MS)


def lock(name: str, customer: str, side: Any, limit: int = 50_000, quantity: int = BTC) -> OrderLock:
    """An order for bitcoins."""
    placed = {"side": side, "limit": Decimal(limit), "quantity": quantity}
    return OrderLock(order_id=name, customer=customer, symbol="BTC_USDT", command="lock", as_of=AT_MS, **placed)


def unlock(name: str, customer: str) -> OrderLock:
    """The end of an order."""
    return OrderLock(order_id=name, customer=customer, symbol="BTC_USDT", command="unlock", as_of=AT_MS)


def trade(sequence: int = 1, previous: str = GENESIS, **other: Any) -> MatchedTrade:
    """A trade of the buyer's order b and the seller's order s."""
    said: dict[str, Any] = {
        "trade_id": f"t{sequence}",
        "price": Decimal(50_000),
        "quantity": BTC,
        "buyer": "u1",
        "buy_order_id": "b",
        "seller": "u2",
        "sell_order_id": "s",
        "maker": "seller",
    }
    place = {"symbol": "BTC_USDT", "sequence": sequence, "previous_hash": previous, "hash": GENESIS, "as_of": AT_MS}
    return linked(MatchedTrade(**place | said | other))


def said_yes(effect: Effect) -> bool:
    """Whether the desk lets it happen."""
    return isinstance(effect, LockAsked | MoneyAsked | TradeAsked) and getattr(effect, "refusal", None) is None


def begun() -> Played:
    """Two customers who have something, and an order of each."""
    played = Played()
    played.tell(BTC_USDT, flow("d1", "u1", "USDT", 100_000 * USDT), flow("d2", "u2", "BTC", 2 * BTC))
    played.tell(lock("b", "u1", "buy"), lock("s", "u2", "sell", 40_000))
    return played


def test_a_trade_settles_all_sides() -> None:
    """The document's numbers: seller rested at 0.10 %, buyer took at 0.15 %."""
    played = begun()
    assert Holding(49_925 * USDT, 50_075 * USDT) == played.has("u1", "USDT")
    (asked,) = played.tell(trade())
    assert isinstance(asked, TradeAsked)
    assert (50_000 * USDT, 75 * USDT, 50 * USDT) == (asked.cost, asked.buyer_fee, asked.seller_fee)
    assert (Holding(49_925 * USDT), Holding(BTC)) == (played.has("u1", "USDT"), played.has("u1", "BTC"))
    assert (Holding(49_950 * USDT), Holding(BTC)) == (played.has("u2", "USDT"), played.has("u2", "BTC"))


def replay(word: MatchedTrade) -> TradeReplay:
    """A person has a trade settled after all."""
    return TradeReplay(trade=word, by="anna", reason="mended", as_of=AT_MS)


def correction(amount: int = -BTC) -> CustomerCorrection:
    """Anna asks to correct what the seller has."""
    return CustomerCorrection(id="c1", customer="u2", asset="BTC", amount=amount, by="anna", reason="twice", as_of=AT_MS)


def vote(by: str, said: Any = "approve") -> Vote:
    """A person votes on the correction."""
    return Vote(subject="c1", vote=said, by=by, reason="seen", as_of=AT_MS)


FROZEN = CustomerTerms(customer="u2", level=0, status="frozen", by="a", reason="r", as_of=AT_MS)
FINE = BTC_USDT.model_copy(update={"tick": Decimal("0.01")})
LITTLE: dict[str, Any] = {"price": Decimal(40_000), "quantity": 1000}

REFUSED: list[tuple[str, list[Any], str]] = [
    ("an order that nobody placed", [trade(buy_order_id="x")], "unknown_order"),
    ("an order of another customer", [trade(buyer="u3")], "unknown_order"),
    ("an order of the other side", [trade(buy_order_id="s", buyer="u2")], "unknown_order"),
    ("a price over the limit", [trade(price=Decimal(50_001))], "beyond_limit"),
    ("more than was ordered", [trade(quantity=BTC + 1)], "beyond_order"),
    ("a symbol that nobody knows", [trade(symbol="X_Y")], "unknown_symbol"),
    ("a price between ticks", [trade(price=Decimal("49999.5"))], "off_tick"),
    ("another hash", [trade().model_copy(update={"hash": "f" * 32})], "wrong_hash"),
    ("a broken link", [trade(previous="f" * 32)], "broken_link"),
    ("another trade under its number", [trade(), trade(trade_id="t1b")], "sequence_taken"),
    ("a halted symbol", [BTC_USDT.model_copy(update={"status": "halted"}), trade()], "symbol_halted"),
    ("an order that is known", [lock("b", "u1", "buy")], "known_order"),
    ("an order that has ended", [unlock("b", "u1"), unlock("b", "u1")], "unknown_order"),
    ("somebody else's order", [unlock("b", "u2")], "unknown_order"),
    (
        "an order of the past told again",
        [lock("o", "u1", "buy", 1), unlock("o", "u1"), lock("o", "u1", "buy", 1)],
        "known_order",
    ),
    ("a withdrawal of a frozen customer", [FROZEN, flow("w", "u2", "BTC", 1, "withdrawal")], "customer_frozen"),
    ("more than is available by one", [flow("w", "u2", "BTC", BTC + 1, "withdrawal")], "insufficient"),
    ("a customer whom nobody knows", [flow("w", "u5", "BTC", 1, "withdrawal")], "unknown_customer"),
    ("an asset that a customer never had", [flow("w", "u2", "ETH", 1, "withdrawal")], "unknown_asset"),
    ("a deposit told again", [flow("d2", "u2", "BTC", 2 * BTC)], "booked_before"),
    ("another deposit under its name", [flow("d2", "u1", "ETH", 1)], "booked_before"),
    (
        "a trade with oneself",
        [flow("d", "u2", "USDT", BTC), lock("c", "u2", "buy", 40_000, 1000), trade(buyer="u2", buy_order_id="c", **LITTLE)],
        "self_trade",
    ),
    ("a quantity between whole units of the quote", [FINE, trade(quantity=BTC - 1, price=Decimal("49999.99"))], "inexact"),
    ("what was never refused settled after all", [replay(trade())], "never_in_turn"),
    (
        "what was never in its turn settled after all",
        [trade(previous="f" * 32), replay(trade(previous="f" * 32))],
        "never_in_turn",
    ),
    ("a correction that another person denies", [correction(), vote("ben", "deny")], "denied"),
    ("another correction under its name", [correction(), correction(5)], "asked_before"),
    (
        "a frozen customer",
        [FROZEN, trade()],
        "customer_frozen",
    ),
    ("a level too low", [BTC_USDT.model_copy(update={"level_min": 1}), lock("o", "u1", "buy")], "level_too_low"),
    ("a fee schedule that nobody told", [BTC_USDT.model_copy(update={"fees": "x"}), lock("o", "u1", "buy")], "unknown_fees"),
]


@pytest.mark.parametrize(("words", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_does_not_fit_is_refused_by_name(words: list[Any], reason: str) -> None:
    """Nothing moves, and the next trade of its symbol goes on."""
    played = begun()
    found = [effect for effect in played.tell(*words) if not isinstance(effect, Trouble)]
    refusal = getattr(found[-1], "refusal", None)
    assert isinstance(refusal, Refusal)
    assert reason == refusal.reason


def test_what_is_told_again_moves_nothing() -> None:
    """Each word a second time: the same books, and no order is open that has ended."""
    played = begun()
    words = [lock("o", "u1", "buy", 1), unlock("o", "u1"), trade(), flow("x", "u1", "USDT", 60_000 * USDT, "debit")]
    played.tell(*words)
    before = played.ledger.transaction_rows()
    assert not [effect for effect in played.tell(*words, first=50) if said_yes(effect)]
    assert before == played.ledger.transaction_rows()


def test_a_trade_has_its_id_whatever_symbol_tells_it() -> None:
    """Told under another symbol it is refused, and that symbol goes on."""
    played = begun()
    eth = {"symbol": "ETH_USDT", "buy_order_id": "eb", "sell_order_id": "es", "quantity": 10**18, "price": Decimal(10)}
    played.tell(trade(), ETH_USDT, flow("d3", "u2", "ETH", 10**19))
    order = {"symbol": "ETH_USDT", "limit": Decimal(10), "quantity": 2 * 10**18}
    played.tell(lock("eb", "u1", "buy").model_copy(update=order), lock("es", "u2", "sell").model_copy(update=order))
    taken = trade(trade_id="t1", **eth)
    (refused, settled) = played.tell(taken, trade(2, taken.hash, **eth), first=60)
    assert isinstance(refused, Refused)
    assert ("trade_id_taken", True) == (refused.refusal.reason, isinstance(settled, TradeAsked))


def test_a_refused_trade_settles_after_all_once() -> None:
    """When what was wrong is mended and a person says so; said again it is refused."""
    played = begun()
    (refused,) = played.tell(FROZEN, trade())
    assert isinstance(refused, Refused)
    played.tell(FROZEN.model_copy(update={"status": "active"}), replay(trade()), first=70)
    assert Holding(BTC) == played.has("u1", "BTC")
    (again,) = played.tell(replay(trade()), first=90)
    assert isinstance(again, Refused)


def test_a_correction_takes_two_people() -> None:
    """The one who asked has no vote; the second one books it, once, and what is not there is owed."""
    played = begun()
    assert [] == played.tell(correction(-3 * BTC), vote("anna"))
    (asked,) = played.tell(vote("ben"), first=30)
    assert isinstance(asked, MoneyAsked)
    assert Holding(0, BTC, 2 * BTC) == played.has("u2", "BTC")
    assert [] == played.tell(vote("cleo"), first=40)


def test_a_lock_is_for_its_own_order() -> None:
    """A lock that is too small by one unit is refused, and trades of that order spend nobody's."""
    played = begun()
    (refused, unknown) = played.tell(lock("b2", "u1", "buy", 49_851), trade(buy_order_id="b2"))
    assert isinstance(refused, LockAsked)
    assert refused.refusal is not None
    assert isinstance(unknown, Refused)
    assert Holding(49_925 * USDT, 50_075 * USDT) == played.has("u1", "USDT")


def test_the_last_part_takes_what_is_left() -> None:
    """After all parts nothing is locked, and price improvement is back."""
    played = begun()
    part = BTC // 3
    first = trade(1, quantity=part, price=Decimal(40_000))
    second = trade(2, first.hash, quantity=part)
    played.tell(first, second, trade(3, second.hash, quantity=BTC - 2 * part))
    assert 0 == played.has("u1", "USDT").locked
    (over,) = played.tell(unlock("b", "u1"))
    assert isinstance(over, Refused)


def test_a_debt_keeps_everything_in_until_it_is_paid() -> None:
    """What is taken by force beyond what is there is owed; what is locked stays; the next deposit pays first."""
    played = begun()
    played.tell(flow("x", "u1", "USDT", 50_000 * USDT, "debit"))
    assert Holding(0, 50_075 * USDT, 75 * USDT) == played.has("u1", "USDT")
    played.tell(flow("d3", "u1", "BTC", BTC))
    (held,) = played.tell(flow("w1", "u1", "BTC", BTC, "withdrawal"))
    assert isinstance(held, MoneyAsked)
    assert held.refusal is not None
    assert "debt_open" == held.refusal.reason
    played.tell(flow("d4", "u1", "USDT", 100 * USDT))
    assert Holding(25 * USDT, 50_075 * USDT) == played.has("u1", "USDT")
    (paid,) = played.tell(flow("w2", "u1", "BTC", BTC, "withdrawal"))
    assert isinstance(paid, MoneyAsked)
    assert paid.refusal is None


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 300))
def test_the_desk_knows_what_the_books_will_say(seed: int, steps: int) -> None:
    """Whatever customers do: what it lets happen is booked, what it does not is not, and nothing comes from nowhere."""
    played = Played()
    played.tell(*crowd(seed, steps))
    assert [] == [effect for effect, verdict in played.verdicts if said_yes(effect) != is_booked(verdict)]
    for asset in UNITS:
        total = sum(one.settled for one in played.ledger.balances() if one.currency == asset)
        assert 0 == total
    for customer in CUSTOMERS:
        for asset in UNITS:
            assert played.desk._of(customer).get(asset, Holding()) == played.has(customer, asset)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.data())
def test_a_crash_at_any_word_changes_nothing(seed: int, data: st.DataObject) -> None:
    """Whatever was saved last and whatever of it came to the books: read again, all is decided as it was."""
    words = list(crowd(seed, 150))
    saved = data.draw(st.integers(0, len(words)))
    read = data.draw(st.integers(saved, len(words)))
    lost = data.draw(st.integers(0, read - saved))
    whole, broken = Played(), Played()
    whole.tell(*words)
    broken.tell(*words[:saved])
    snapshot = broken.desk.snapshot()
    broken.tell(*words[saved:read], first=saved, lost=lost)
    broken.restart(snapshot)
    broken.tell(*words[saved:], first=saved)
    assert whole.ledger.transaction_rows() == broken.ledger.transaction_rows()
    assert whole.kept.booked == broken.kept.booked
    assert whole.kept.refused == broken.kept.refused
