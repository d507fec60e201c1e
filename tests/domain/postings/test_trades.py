"""Posting: each kind of fact becomes its transaction, and nothing else becomes one."""

import pytest

from domain.journal import Transaction
from domain.legs import leg_from, pairing_key
from domain.memory_ledger import MemoryLedger
from domain.messages import DealerTransaction
from domain.pairing_effects import Arrival, LegRefused, LegWaits, TradePaired, TradeUnpaired
from operators.posting import post_cash_flow, post_effect, post_fill, second_of
from tests.flows.streams import START_MS, cash_flow, fill, leg, pair, record, settled

Turn = type[TradePaired] | type[TradeUnpaired]


def trade(kind: Turn, legs: list[DealerTransaction], generation: int = 0) -> Transaction:
    """The transaction of an effect on a pair."""
    btc, usd = map(leg_from, legs)
    transaction = post_effect(record(kind(btc, usd, generation, pairing_key(btc), "dealer.transactions/3", 7)))
    assert transaction is not None
    return transaction


@pytest.mark.parametrize(("buys", "sign", "template"), [(True, 1, "USER_BUYS_USD"), (False, -1, "USER_SELLS_USD")])
def test_a_trade_is_booked_and_taken_back(buys: bool, sign: int, template: str) -> None:
    """A trade moves bitcoin and liability by its legs' amounts; its reversal names it and leaves nothing."""
    legs = pair("1", 2_000, buys=buys)
    booked, back = trade(TradePaired, legs), trade(TradeUnpaired, legs)
    ledger = MemoryLedger()
    ledger.post([booked])
    assert {
        ("EXTERNAL_OMNIBUS", "BTC"): 50_000 * sign,
        ("STABLESATS_BTC_WALLET", "BTC"): -50_000 * sign,
        ("STABLESATS_OMNIBUS", "USD"): 2_000 * sign,
        ("STABLESATS_LIABILITY", "USD"): -2_000 * sign,
    } == settled(ledger)
    ledger.post([back])
    assert {} == settled(ledger)
    assert (template, f"REVERT_{template}", booked.id) == (booked.template, back.template, back.reverses)
    assert (START_MS, START_MS) == (booked.effective_at_ms, back.effective_at_ms)
    assert ("dealer.transactions/3", 7) == (booked.source, booked.source_offset)


def test_a_pair_that_is_booked_again_is_another_transaction() -> None:
    """Each generation has ids of its own, all of them one matter."""
    kinds: list[tuple[Turn, int]] = [(TradePaired, 0), (TradeUnpaired, 0), (TradePaired, 1), (TradeUnpaired, 1)]
    made = [trade(kind, pair("1"), generation) for kind, generation in kinds]
    assert 4 == len({transaction.id for transaction in made})
    assert 1 == len({transaction.correlation_id for transaction in made})
    assert made[2].id == made[3].reverses


def test_where_a_leg_was_read_is_not_in_the_id() -> None:
    """The same pair read from another partition, at another time, is the same posting."""
    btc, usd = map(leg_from, pair("1"))
    one = post_effect(record(TradePaired(btc, usd, 0, "k", "dealer.transactions/0", 1), 5))
    other = post_effect(record(TradePaired(btc, usd, 0, "k", "dealer.transactions/1", 9), 8))
    assert one is not None
    assert other is not None
    assert one._replace(source=other.source, source_offset=other.source_offset) == other


@pytest.mark.parametrize(
    "effect",
    [
        LegWaits(leg_from(leg("b1")), "waiting", 0, 0),
        LegRefused("b1", "failed", "", "dealer.transactions/0", 0),
    ],
)
def test_nothing_else_is_booked(effect: object) -> None:
    """Legs that wait or are refused move no money."""
    assert post_effect(record(effect)) is None


@pytest.mark.parametrize(("contracts", "mirrored"), [(-3, 30_000), (3, -30_000)])
def test_a_fill_moves_the_mirror(contracts: int, mirrored: int) -> None:
    """What was sold makes the short larger, by 100 dollars per contract, and is of the fill's own time."""
    transaction = post_fill(record(fill(contracts, at_ms=START_MS + 9)))
    assert transaction is not None
    ledger = MemoryLedger()
    ledger.post([transaction])
    assert mirrored == settled(ledger)["OKEX_POSITION", "USD"]
    assert START_MS + 9 == transaction.effective_at_ms


@pytest.mark.parametrize(
    ("kind", "account", "change"),
    [
        ("fee", "TRADING_FEES", 7),
        ("realised_pnl", "TRADING_PNL", 7),
        ("funding_payment", "FUNDING_PAYMENTS", 7),
        ("pocket_transfer", "EXCHANGE_FUNDING", 7),
        ("deposit", "TREASURY_WALLET", 7),
        ("withdrawal", "TREASURY_WALLET", 7),
        ("withdrawal_fee", "NETWORK_FEES", 7),
    ],
)
def test_a_cash_flow_is_booked_by_its_kind(kind: str, account: str, change: int) -> None:
    """Money that leaves our account at the exchange arrives where its kind says."""
    transaction = post_cash_flow(record(cash_flow(kind, -7)))
    assert transaction is not None
    ledger = MemoryLedger()
    ledger.post([transaction])
    assert change == settled(ledger)[account, "BTC"]


def test_legs_of_a_second_meet() -> None:
    """Legs whose time differs by less than a second's fraction go to one shard, whatever else they say."""
    one, other = leg_from(leg("b1")), leg_from(leg("u9", buys=False, memo="x"))._replace(created_at_ms=START_MS + 999)
    assert "1700000000" == second_of(Arrival(one)) == second_of(Arrival(other))
    assert "1700000001" == second_of(Arrival(leg_from(leg("b1", second=1))))
