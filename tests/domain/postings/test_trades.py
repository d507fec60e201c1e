"""Posting: each kind of fact becomes its transaction, and nothing else becomes one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger.accounts import chart
from domain.ledger.body import meta_text
from domain.ledger.journal import Transaction
from domain.ledger.memory import MemoryLedger
from domain.messages.dealer import DealerTransaction
from domain.messages.venue import Fill
from domain.pairing.effects import LegRefused, LegWaits, TradePaired, TradeUnpaired
from domain.pairing.legs import Leg, leg_from, pairing_key
from domain.postings.trades import post_effect
from domain.postings.venue import post_cash_flow, post_fill
from domain.venue.fills import FillExplained, FillHeard, FillOfNobody
from tests.domain.pairing.test_legs import ANY_LEGS
from tests.words import START_MS, cash_flow, fill, leg, pair, record, settled

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


@pytest.mark.parametrize("kind", [TradePaired, TradeUnpaired])
@given(ANY_LEGS, ANY_LEGS, st.integers(0, 9))
def test_a_trade_keeps_both_legs_whole(kind: Turn, btc: Leg, usd: Leg, generation: int) -> None:
    """Its metadata is what the general way to write metadata makes of legs and generation, whatever the legs say."""
    made = post_effect(record(kind(btc, usd, generation, "k", "dealer.transactions/0", 1)))
    told = {"btc_leg": btc._asdict(), "generation": generation, "usd_leg": usd._asdict()}
    assert (made and made.meta) == (meta_text(told) if btc.amount or usd.amount else None)


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


def executed(word: Fill) -> list[Transaction]:
    """Both postings of a fill of ours: that it was executed, and that it is ours."""
    heard = FillHeard(word, "venue.fills/0", 7)
    return [posted for effect in (heard, FillExplained(heard)) if (posted := post_fill(record(effect)))]


def at(venue: str, contracts: int) -> Fill:
    """A fill of some venue."""
    return fill(contracts).model_copy(update={"venue": venue})


@pytest.mark.parametrize(("contracts", "mirrored"), [(-3, 30_000), (3, -30_000)])
def test_a_fill_moves_the_mirror_once_it_is_explained(contracts: int, mirrored: int) -> None:
    """What was sold makes the short larger, by 100 dollars per contract, and is of the fill's own time; before that it is in
    suspense, and a person who is told of a fill of nobody moves nothing."""
    heard, explained = executed(fill(contracts, at_ms=START_MS + 9))
    ledger = MemoryLedger()
    ledger.post([heard])
    omnibus = {("EXCHANGE_POSITION_OMNIBUS", "USD"): -mirrored}
    assert {("POSITION_SUSPENSE/simulated", "USD"): mirrored} | omnibus == settled(ledger)
    ledger.post([explained])
    assert {("POSITION/simulated", "USD"): mirrored} | omnibus == settled(ledger)
    assert {(START_MS + 9, "venue.fills/0", 7)} == {
        (t.effective_at_ms, t.source, t.source_offset) for t in (heard, explained)
    }
    assert post_fill(record(FillOfNobody(fill(contracts)))) is None


@pytest.mark.parametrize(
    ("kind", "account", "change"),
    [
        ("fee", "TRADING_FEES/simulated", 7),
        ("realised_pnl", "TRADING_PNL/simulated", 7),
        ("funding_payment", "FUNDING_RATE_PAYMENTS/simulated", 7),
        ("pocket_transfer", "FUNDING_ACCOUNT/simulated", 7),
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


def test_each_venue_has_a_mirror_of_its_own() -> None:
    """What was executed at one venue moves nothing of another one."""
    ledger = MemoryLedger(chart(["one", "other"], []))
    ledger.post([posted for venue, sold in (("one", -3), ("other", -4)) for posted in executed(at(venue, sold))])
    mirrored = {account: cents for (account, _), cents in settled(ledger).items() if cents > 0}
    assert {"POSITION/one": 30_000, "POSITION/other": 40_000} == mirrored


@pytest.mark.parametrize("venue", ["elsewhere", "v" * 64, "simulated/sub"])
def test_a_venue_that_nobody_named_is_refused(venue: str) -> None:
    """Its fills and cash flows are postings on unknown accounts, like any other."""
    filled = executed(at(venue, -3))
    paid = post_cash_flow(record(cash_flow("fee", -7).model_copy(update={"venue": venue})))
    assert paid is not None
    told = [(one.outcome, one.reason, one.account) for one in MemoryLedger().post([*filled, paid]).verdicts]
    accounts = (f"POSITION_SUSPENSE/{venue}", f"POSITION/{venue}", f"TRADING_FEES/{venue}")
    assert [("rejected", "unknown_account", account) for account in accounts] == told
