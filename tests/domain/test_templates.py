"""The templates: entries as the reference system books them, ids from the business key, reversals that cancel."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import templates
from domain.accounts import BY_CODE
from domain.books import Books, Origin
from domain.causes import moved
from domain.fold import fold
from domain.journal import Outcome, Transaction
from domain.memory_ledger import MemoryLedger
from domain.messages import CashFlow

AT: dict[str, Any] = {"effective_at_ms": 1_700_000_000_000, "source": "test/0", "source_offset": 7}
TRADE: dict[str, Any] = AT | {"pairing_key": "key", "btc_leg": {"id": "b1"}, "usd_leg": {"id": "u1"}}
FLOW: dict[str, Any] = AT | {"venue": "okx", "flow_id": "f1"}
POSITION: dict[str, Any] = AT | {"venue": "okx", "instrument": "BTC-USD-SWAP", "sequence": 9}
AMOUNTS = st.integers(-(10**15), 10**15)

Build = Callable[..., Transaction | None]


def drawn(transaction: Transaction | None) -> list[str]:
    """The entries in the notation of the reference tables."""
    assert transaction is not None
    side = {1: "DR", -1: "CR"}
    return [f"{e.currency} {side[e.side]} {e.account} {e.amount}" for e in transaction.entries]


TABLE: list[tuple[str, Transaction | None, list[str]]] = [
    (
        "USER_BUYS_USD",
        templates.user_buys_usd(100, 5, **TRADE),
        [
            "BTC CR STABLESATS_BTC_WALLET 100",
            "BTC DR EXTERNAL_OMNIBUS 100",
            "USD CR STABLESATS_LIABILITY 5",
            "USD DR STABLESATS_OMNIBUS 5",
        ],
    ),
    (
        "USER_SELLS_USD",
        templates.user_sells_usd(100, 5, **TRADE),
        [
            "BTC DR STABLESATS_BTC_WALLET 100",
            "BTC CR EXTERNAL_OMNIBUS 100",
            "USD DR STABLESATS_LIABILITY 5",
            "USD CR STABLESATS_OMNIBUS 5",
        ],
    ),
    (
        "REVERT_USER_BUYS_USD",
        templates.revert_user_buys_usd(100, 5, reverses="x", **TRADE),
        [
            "BTC CR STABLESATS_BTC_WALLET -100",
            "BTC DR EXTERNAL_OMNIBUS -100",
            "USD CR STABLESATS_LIABILITY -5",
            "USD DR STABLESATS_OMNIBUS -5",
        ],
    ),
    (
        "REVERT_USER_SELLS_USD",
        templates.revert_user_sells_usd(100, 5, reverses="x", **TRADE),
        [
            "BTC DR STABLESATS_BTC_WALLET -100",
            "BTC CR EXTERNAL_OMNIBUS -100",
            "USD DR STABLESATS_LIABILITY -5",
            "USD CR STABLESATS_OMNIBUS -5",
        ],
    ),
    (
        "INCREASE_EXCHANGE_POSITION",
        templates.increase_exchange_position(5, **POSITION),
        ["USD CR OKEX_POSITION 5", "USD DR EXCHANGE_POSITION_OMNIBUS 5"],
    ),
    (
        "DECREASE_EXCHANGE_POSITION",
        templates.decrease_exchange_position(5, **POSITION),
        ["USD DR OKEX_POSITION 5", "USD CR EXCHANGE_POSITION_OMNIBUS 5"],
    ),
    (
        "BUY_USD_QUOTE_ACCEPTED",
        templates.buy_usd_quote_accepted(100, 5, quote_id="q", **AT),
        [
            "BTC DR QUOTES_ASSETS 100",
            "BTC CR QUOTES_OMNIBUS 100",
            "USD CR QUOTES_LIABILITIES 5",
            "USD DR QUOTES_OMNIBUS 5",
        ],
    ),
    (
        "SELL_USD_QUOTE_ACCEPTED",
        templates.sell_usd_quote_accepted(100, 5, quote_id="q", **AT),
        [
            "BTC CR QUOTES_ASSETS 100",
            "BTC DR QUOTES_OMNIBUS 100",
            "USD DR QUOTES_LIABILITIES 5",
            "USD CR QUOTES_OMNIBUS 5",
        ],
    ),
    (
        "ADJUST_EXCHANGE_ALLOCATION",
        templates.adjust_exchange_allocation(8, -3, caused_by="c", **AT),
        ["USD DR STABLESATS_LIABILITY 5", "USD CR OKEX_ALLOCATION 8", "USD DR BITFINEX_ALLOCATION 3"],
    ),
    (
        "ADJUST_EXCHANGE_ALLOCATION",
        templates.adjust_exchange_allocation(8, caused_by="c", **AT),
        ["USD DR STABLESATS_LIABILITY 8", "USD CR OKEX_ALLOCATION 8"],
    ),
    (
        "COLLATERAL_MOVED",
        templates.collateral_moved(5, **FLOW),
        ["BTC DR EXCHANGE_TRADING 5", "BTC CR EXCHANGE_FUNDING 5"],
    ),
    (
        "COLLATERAL_MOVED",
        templates.collateral_moved(-5, **FLOW),
        ["BTC DR EXCHANGE_FUNDING 5", "BTC CR EXCHANGE_TRADING 5"],
    ),
    ("TRADING_FEE", templates.trading_fee(-5, **FLOW), ["BTC DR TRADING_FEES 5", "BTC CR EXCHANGE_TRADING 5"]),
    ("REALISED_PNL", templates.realised_pnl(5, **FLOW), ["BTC DR EXCHANGE_TRADING 5", "BTC CR TRADING_PNL 5"]),
    ("REALISED_PNL", templates.realised_pnl(-5, **FLOW), ["BTC DR TRADING_PNL 5", "BTC CR EXCHANGE_TRADING 5"]),
    (
        "FUNDING_PAYMENT",
        templates.funding_payment(5, **FLOW),
        ["BTC DR EXCHANGE_TRADING 5", "BTC CR FUNDING_PAYMENTS 5"],
    ),
    ("DEPOSIT", templates.deposit(5, **FLOW), ["BTC DR EXCHANGE_FUNDING 5", "BTC CR TREASURY_WALLET 5"]),
    ("WITHDRAWAL", templates.withdrawal(-5, **FLOW), ["BTC DR TREASURY_WALLET 5", "BTC CR EXCHANGE_FUNDING 5"]),
    ("WITHDRAWAL_FEE", templates.withdrawal_fee(-5, **FLOW), ["BTC DR NETWORK_FEES 5", "BTC CR EXCHANGE_FUNDING 5"]),
]


@pytest.mark.parametrize(("name", "transaction", "entries"), TABLE)
def test_entries_are_those_of_the_table(name: str, transaction: Transaction | None, entries: list[str]) -> None:
    """Accounts, sides, amounts and order of the entries are as specified."""
    assert entries == drawn(transaction)
    assert transaction is not None
    assert name == transaction.template


@pytest.mark.parametrize(("name", "transaction", "entries"), TABLE)
def test_every_template_is_one_that_the_ledger_takes(name: str, transaction: Transaction | None, entries: list[str]) -> None:
    """What a template makes balances, over accounts of the chart in their currencies."""
    assert transaction is not None
    original = Origin(0, None, {key: -net for key, net in moved(transaction.entries).items()}, {})
    assert Outcome.POSTED is fold(Books(BY_CODE, origins={"x": original}), [transaction]).verdicts[0].outcome


@given(AMOUNTS, AMOUNTS)
def test_zero_entries_are_left_out_and_nothing_is_booked_for_nothing(sats: int, cents: int) -> None:
    """A trade has two entries for each amount that is not zero, and there is none without any."""
    built = templates.user_buys_usd(sats, cents, **TRADE)
    assert 2 * ((sats != 0) + (cents != 0)) == len(built.entries if built else ())
    assert templates.user_buys_usd(0, 0, **TRADE) is None
    assert templates.adjust_exchange_allocation(0, 0, caused_by="c", **AT) is None
    assert templates.deposit(0, **FLOW) is None


@given(AMOUNTS, AMOUNTS)
def test_a_reversal_cancels_what_it_reverses(sats: int, cents: int) -> None:
    """Trade and reversal leave every settled balance at zero, and the reversal names the trade."""
    pairs: list[tuple[Build, Build]] = [
        (templates.user_buys_usd, templates.revert_user_buys_usd),
        (templates.user_sells_usd, templates.revert_user_sells_usd),
    ]
    for book, revert in pairs:
        trade = book(sats, cents, **TRADE)
        if trade is None:
            continue
        back = revert(sats, cents, reverses=trade.id, **TRADE | {"effective_at_ms": 1_700_000_000_500})
        assert back is not None
        assert (trade.id, trade.correlation_id) == (back.reverses, back.correlation_id)
        ledger = MemoryLedger()
        assert [verdict.outcome for verdict in ledger.post([trade, back]).verdicts] == ["posted", "posted"]
        assert {0} == {balance.settled for balance in ledger.balances()}


@given(st.lists(AMOUNTS, max_size=8))
def test_the_mirror_shows_the_position_whatever_came_before(exposures: list[int]) -> None:
    """After each mirroring the position account is minus the exposure; an unchanged position books nothing."""
    ledger = MemoryLedger()
    for sequence, exposure in enumerate([*exposures, *exposures[-1:]]):
        posted = -sum(one.settled for one in ledger.balances() if one.account == "OKEX_POSITION")
        booked = templates.mirror_position(posted, exposure, **POSITION | {"sequence": sequence})
        assert (booked is None) == (posted == exposure)
        ledger.post([booked] if booked else [])
        assert -exposure == sum(one.settled for one in ledger.balances() if one.account == "OKEX_POSITION")


def test_a_growing_short_is_a_decrease() -> None:
    """The names follow the signed exposure, as in the reference system."""
    down, up = (templates.mirror_position(-10_000, to, **POSITION) for to in (-12_000, -9_000))
    assert down is not None
    assert up is not None
    assert (down.template, down.entries[0].amount) == ("DECREASE_EXCHANGE_POSITION", 2_000)
    assert (up.template, up.entries[0].amount) == ("INCREASE_EXCHANGE_POSITION", 1_000)


def test_ids_come_from_the_business_key_alone() -> None:
    """Another offset or memo gives the same id; another leg, generation, time or template another one."""
    base = templates.user_buys_usd(100, 5, **TRADE)
    assert base is not None
    same = TRADE | {"source_offset": 8, "btc_leg": {"id": "b1", "memo": "m"}}
    others: list[dict[str, Any]] = [{"btc_leg": {"id": "b2"}}, {"generation": 1}, {"effective_at_ms": 1}]
    built = [templates.user_buys_usd(100, 5, **TRADE | other) for other in others]
    ids = [one.id for one in [base, templates.user_sells_usd(100, 5, **TRADE), *built] if one]
    again = templates.user_buys_usd(100, 5, **same)
    assert again is not None
    assert base.id == again.id == templates.trade_id("USER_BUYS_USD", AT["effective_at_ms"], "b1", "u1")
    assert len(set(ids)) == 5
    assert templates.trade_correlation("key") == base.correlation_id


def test_lines_of_one_order_or_transfer_are_joined() -> None:
    """Flows that carry our own id share a correlation; others stand for themselves."""
    fee, pnl = (build(5, client_id="c1", **FLOW) for build in (templates.trading_fee, templates.realised_pnl))
    alone = templates.trading_fee(5, **FLOW)
    assert fee is not None
    assert pnl is not None
    assert alone is not None
    assert fee.correlation_id == pnl.correlation_id != alone.correlation_id


def test_every_kind_of_cash_flow_has_a_template() -> None:
    """All kinds of lines in an exchange's history can be booked, and move money in or out of a pocket."""

    kinds = CashFlow.model_fields["kind"].annotation
    assert set(getattr(kinds, "__args__", ())) == set(templates.CASH_FLOWS)
