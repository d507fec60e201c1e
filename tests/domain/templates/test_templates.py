"""The templates: entries as the reference system books them, ids from the business key, reversals that cancel."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import content_id
from domain.ledger.accounts import chart, opened
from domain.ledger.books import Books, Origin
from domain.ledger.causes import moved
from domain.ledger.fold import fold
from domain.ledger.journal import Outcome, Transaction
from domain.ledger.memory import MemoryLedger
from domain.messages.venue import CashFlow
from domain.templates import settlement
from domain.templates.adjust_exchange_allocation import adjust_exchange_allocation
from domain.templates.buffers import Converted, buffer_flow, conversion, revert_conversion
from domain.templates.cash_flows import (
    CASH_FLOWS,
    collateral_moved,
    deposit,
    funding_payment,
    realised_pnl,
    trading_fee,
    withdrawal,
    withdrawal_fee,
)
from domain.templates.exchange_position import (
    SUSPENSE,
    decrease_exchange_position,
    fill_bought,
    fill_sold,
    increase_exchange_position,
    mirror_position,
)
from domain.templates.holds import hold
from domain.templates.quotes import buy_usd_quote_accepted, sell_usd_quote_accepted
from domain.templates.rebooking import rebooking
from domain.templates.reconciliation import Correction, reconciliation
from domain.templates.transfer import transfer
from domain.templates.user_trades import (
    revert_user_buys_usd,
    revert_user_sells_usd,
    trade_correlation,
    trade_id,
    user_buys_usd,
    user_sells_usd,
)


def told(leg_id: str) -> tuple[str, str]:
    """A leg of which no more is told than its id and amount."""
    return leg_id, f'{{"amount":1,"id":"{leg_id}"}}'


AT: dict[str, Any] = {"effective_at_ms": 1_700_000_000_000, "source": "test/0", "source_offset": 7}
TRADE: dict[str, Any] = AT | {"pairing_key": "key", "btc_leg": told("b1"), "usd_leg": told("u1")}
FLOW: dict[str, Any] = AT | {"venue": "okx", "flow_id": "f1"}
POSITION: dict[str, Any] = AT | {"venue": "okx", "instrument": "BTC-USD-SWAP", "sequence": 9}
FILL: dict[str, Any] = POSITION | {"event_id": "fill-9"}
ACCOUNTS = {account.code: account for account in chart(["okx"], ["main", "other"])}
CORRECTION = Correction(
    "c1", "b1", "TREASURY_WALLET", "NETWORK_FEES", "BTC", 5, 1_700_000_000_000, ["s/1"], [], "a fee", "anna", "bo"
)
AMOUNTS = st.integers(-(10**15), 10**15)

Build = Callable[..., Transaction | None]


def drawn(transaction: Transaction | None) -> list[str]:
    """The entries in the notation of the reference tables."""
    assert transaction is not None
    side = {1: "DR", -1: "CR"}
    return [f"{e.currency} {side[e.side]} {e.account} {e.amount}" for e in transaction.entries]


ON_CHAIN = Converted("due", "P1", "c", "j", "system_buffer_fiat", "USD", 100, "system_buffer_usdc", "USDC", 995_000, 5_000)
TO_BROKER = ON_CHAIN._replace(destination="broker_operational", destination_currency="USD", destination_amount=99, fee=1)
IN, OUT = "system_buffer_usdc", "system_buffer_fiat"

TOLD = settlement.Told(**AT)
SIDES = settlement.Sides("b", "s", "BTC", "USDT", 7, 1_050, 40, 995, 15)
TERMS = settlement.Terms("142", "seller", "o1", "o2", 10, 5, "0" * 32)
TABLE: list[tuple[str, Transaction | None, list[str]]] = [
    (
        "BUFFER_FLOW",
        buffer_flow("f", IN, "USDC", 5, "deposit", reverts=None, **AT),
        ["USDC DR SYSTEM_BUFFER_USDC 5", "USDC CR CUSTOMER_FUNDS 5"],
    ),
    (
        "BUFFER_FLOW",
        buffer_flow("f", OUT, "USD", -5, "withdrawal", reverts=None, **AT),
        ["USD DR CUSTOMER_FUNDS 5", "USD CR SYSTEM_BUFFER_FIAT 5"],
    ),
    (
        "BUFFER_FLOW",
        buffer_flow("f", "broker_operational", "USD", 5, "funding", reverts=None, **AT),
        ["USD DR BROKER_OPERATIONAL 5", "USD CR TREASURY_CAPITAL 5"],
    ),
    (
        "REVERT_BUFFER_FLOW",
        buffer_flow("g", IN, "USDC", -5, "deposit", reverts="f", **AT),
        ["USDC DR CUSTOMER_FUNDS 5", "USDC CR SYSTEM_BUFFER_USDC 5"],
    ),
    (
        "CONVERSION",
        conversion(ON_CHAIN, **AT),
        [
            "USD CR SYSTEM_BUFFER_FIAT 100",
            "USD DR FX_CLEARING 100",
            "USDC CR FX_CLEARING 1000000",
            "USDC DR SYSTEM_BUFFER_USDC 995000",
            "USDC DR CONVERSION_FEES 5000",
        ],
    ),
    (
        "REVERT_CONVERSION",
        revert_conversion(ON_CHAIN, "it was returned", **AT),
        [
            "USD DR SYSTEM_BUFFER_FIAT 100",
            "USD CR FX_CLEARING 100",
            "USDC DR FX_CLEARING 1000000",
            "USDC CR SYSTEM_BUFFER_USDC 995000",
            "USDC CR CONVERSION_FEES 5000",
        ],
    ),
    (
        "BUFFER_TRANSFER",
        conversion(TO_BROKER, **AT),
        ["USD CR SYSTEM_BUFFER_FIAT 100", "USD DR BROKER_OPERATIONAL 99", "USD DR CONVERSION_FEES 1"],
    ),
    (
        "REVERT_BUFFER_TRANSFER",
        revert_conversion(TO_BROKER, "it was returned", **AT),
        ["USD DR SYSTEM_BUFFER_FIAT 100", "USD CR BROKER_OPERATIONAL 99", "USD CR CONVERSION_FEES 1"],
    ),
    (
        "CUSTOMER_DEPOSIT",
        settlement.customer_deposit("d", "u", "USDT", 7, 2, TOLD),
        ["USDT DR CUSTODY 7", "USDT CR CUSTOMER/u 5", "USDT CR CUSTOMER_DEBT/u 2"],
    ),
    (
        "CUSTOMER_WITHDRAWAL",
        settlement.customer_withdrawal("w", "u", "USDT", 7, TOLD),
        ["USDT DR CUSTOMER/u 7", "USDT CR CUSTODY 7"],
    ),
    (
        "CUSTOMER_DEBIT",
        settlement.customer_debit("x", "u", "USDT", 7, 2, TOLD),
        ["USDT DR CUSTOMER/u 5", "USDT DR CUSTOMER_DEBT/u 2", "USDT CR CUSTODY 7"],
    ),
    (
        "CUSTOMER_TRANSFER",
        settlement.customer_transfer("t", "u", "v", "USDT", 7, TOLD),
        ["USDT DR CUSTOMER/u 7", "USDT CR CUSTOMER/v 7"],
    ),
    (
        "CUSTOMER_CORRECTED",
        settlement.customer_corrected("c", "u", "USDT", -7, 2, TOLD),
        ["USDT DR CUSTOMER/u 5", "USDT DR CUSTOMER_DEBT/u 2", "USDT CR CUSTOMER_CORRECTIONS 7"],
    ),
    (
        "ORDER_LOCKED",
        settlement.order_locked("o", "u", "USDT", 7, TOLD),
        ["USDT DR CUSTOMER/u 7", "USDT CR CUSTOMER_LOCKED/u 7"],
    ),
    (
        "ORDER_UNLOCKED",
        settlement.order_unlocked("o", "u", "USDT", 7, TOLD),
        ["USDT DR CUSTOMER_LOCKED/u 7", "USDT CR CUSTOMER/u 7"],
    ),
    (
        "TRADE_SETTLED",
        settlement.trade_settled("t", "BTC_USDT", 1, SIDES, TERMS, TOLD),
        [
            "USDT DR CUSTOMER_LOCKED/b 1050",
            "USDT CR CUSTOMER/s 995",
            "USDT CR CUSTOMER/b 40",
            "USDT CR TRADING_REVENUE 15",
            "BTC DR CUSTOMER_LOCKED/s 7",
            "BTC CR CUSTOMER/b 7",
        ],
    ),
    ("RECONCILIATION", reconciliation(CORRECTION), ["BTC DR TREASURY_WALLET 5", "BTC CR NETWORK_FEES 5"]),
    (
        "RECONCILIATION",
        reconciliation(CORRECTION._replace(amount=-5)),
        ["BTC DR NETWORK_FEES 5", "BTC CR TREASURY_WALLET 5"],
    ),
    (
        "USER_BUYS_USD",
        user_buys_usd(100, 5, **TRADE),
        [
            "BTC CR STABLESATS_BTC_WALLET 100",
            "BTC DR EXTERNAL_OMNIBUS 100",
            "USD CR STABLESATS_LIABILITY 5",
            "USD DR STABLESATS_OMNIBUS 5",
        ],
    ),
    (
        "USER_SELLS_USD",
        user_sells_usd(100, 5, **TRADE),
        [
            "BTC DR STABLESATS_BTC_WALLET 100",
            "BTC CR EXTERNAL_OMNIBUS 100",
            "USD DR STABLESATS_LIABILITY 5",
            "USD CR STABLESATS_OMNIBUS 5",
        ],
    ),
    (
        "REVERT_USER_BUYS_USD",
        revert_user_buys_usd(100, 5, reverses="x", **TRADE),
        [
            "BTC CR STABLESATS_BTC_WALLET -100",
            "BTC DR EXTERNAL_OMNIBUS -100",
            "USD CR STABLESATS_LIABILITY -5",
            "USD DR STABLESATS_OMNIBUS -5",
        ],
    ),
    (
        "REVERT_USER_SELLS_USD",
        revert_user_sells_usd(100, 5, reverses="x", **TRADE),
        [
            "BTC DR STABLESATS_BTC_WALLET -100",
            "BTC CR EXTERNAL_OMNIBUS -100",
            "USD DR STABLESATS_LIABILITY -5",
            "USD CR STABLESATS_OMNIBUS -5",
        ],
    ),
    (
        "INCREASE_EXCHANGE_POSITION",
        increase_exchange_position(5, against=SUSPENSE, **FILL),
        ["USD CR POSITION/okx 5", "USD DR POSITION_SUSPENSE/okx 5"],
    ),
    (
        "DECREASE_EXCHANGE_POSITION",
        decrease_exchange_position(5, against=SUSPENSE, **FILL),
        ["USD DR POSITION/okx 5", "USD CR POSITION_SUSPENSE/okx 5"],
    ),
    (
        "INCREASE_EXCHANGE_POSITION",
        increase_exchange_position(5, **FILL),
        ["USD CR POSITION/okx 5", "USD DR EXCHANGE_POSITION_OMNIBUS 5"],
    ),
    (
        "DECREASE_EXCHANGE_POSITION",
        decrease_exchange_position(5, **FILL),
        ["USD DR POSITION/okx 5", "USD CR EXCHANGE_POSITION_OMNIBUS 5"],
    ),
    ("FILL_BOUGHT", fill_bought(5, **FILL), ["USD CR POSITION_SUSPENSE/okx 5", "USD DR EXCHANGE_POSITION_OMNIBUS 5"]),
    ("FILL_SOLD", fill_sold(5, **FILL), ["USD DR POSITION_SUSPENSE/okx 5", "USD CR EXCHANGE_POSITION_OMNIBUS 5"]),
    (
        "BUY_USD_QUOTE_ACCEPTED",
        buy_usd_quote_accepted(100, 5, quote_id="q", **AT),
        [
            "BTC DR QUOTES_ASSETS 100",
            "BTC CR QUOTES_OMNIBUS 100",
            "USD CR QUOTES_LIABILITIES 5",
            "USD DR QUOTES_OMNIBUS 5",
        ],
    ),
    (
        "SELL_USD_QUOTE_ACCEPTED",
        sell_usd_quote_accepted(100, 5, quote_id="q", **AT),
        [
            "BTC CR QUOTES_ASSETS 100",
            "BTC DR QUOTES_OMNIBUS 100",
            "USD DR QUOTES_LIABILITIES 5",
            "USD CR QUOTES_OMNIBUS 5",
        ],
    ),
    (
        "ADJUST_EXCHANGE_ALLOCATION",
        adjust_exchange_allocation({"main": 8, "other": -3}, caused_by="c", **AT),
        ["USD DR STABLESATS_LIABILITY 5", "USD CR ALLOCATION/main 8", "USD DR ALLOCATION/other 3"],
    ),
    (
        "ADJUST_EXCHANGE_ALLOCATION",
        adjust_exchange_allocation({"main": 8}, caused_by="c", **AT),
        ["USD DR STABLESATS_LIABILITY 8", "USD CR ALLOCATION/main 8"],
    ),
    (
        "COLLATERAL_MOVED",
        collateral_moved(5, **FLOW),
        ["BTC DR TRADING_ACCOUNT/okx 5", "BTC CR FUNDING_ACCOUNT/okx 5"],
    ),
    (
        "COLLATERAL_MOVED",
        collateral_moved(-5, **FLOW),
        ["BTC DR FUNDING_ACCOUNT/okx 5", "BTC CR TRADING_ACCOUNT/okx 5"],
    ),
    ("TRADING_FEE", trading_fee(-5, **FLOW), ["BTC DR TRADING_FEES/okx 5", "BTC CR TRADING_ACCOUNT/okx 5"]),
    ("REALISED_PNL", realised_pnl(5, **FLOW), ["BTC DR TRADING_ACCOUNT/okx 5", "BTC CR TRADING_PNL/okx 5"]),
    ("REALISED_PNL", realised_pnl(-5, **FLOW), ["BTC DR TRADING_PNL/okx 5", "BTC CR TRADING_ACCOUNT/okx 5"]),
    (
        "FUNDING_PAYMENT",
        funding_payment(5, **FLOW),
        ["BTC DR TRADING_ACCOUNT/okx 5", "BTC CR FUNDING_RATE_PAYMENTS/okx 5"],
    ),
    ("DEPOSIT", deposit(5, **FLOW), ["BTC DR FUNDING_ACCOUNT/okx 5", "BTC CR TREASURY_WALLET 5"]),
    ("WITHDRAWAL", withdrawal(-5, **FLOW), ["BTC DR TREASURY_WALLET 5", "BTC CR FUNDING_ACCOUNT/okx 5"]),
    ("WITHDRAWAL_FEE", withdrawal_fee(-5, **FLOW), ["BTC DR NETWORK_FEES 5", "BTC CR FUNDING_ACCOUNT/okx 5"]),
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
    customers = [account for entry in transaction.entries if (account := opened(entry.account))]
    unlimited = {one.code: one._replace(min_available=None) for one in (*ACCOUNTS.values(), *customers)}
    books = Books(unlimited, origins={transaction.reverses or "x": original})
    assert Outcome.POSTED is fold(books, [transaction]).verdicts[0].outcome


@given(AMOUNTS, AMOUNTS)
def test_zero_entries_are_left_out_and_nothing_is_booked_for_nothing(sats: int, cents: int) -> None:
    """A trade has two entries for each amount that is not zero, and there is none without any."""
    built = user_buys_usd(sats, cents, **TRADE)
    assert 2 * ((sats != 0) + (cents != 0)) == len(built.entries if built else ())
    assert user_buys_usd(0, 0, **TRADE) is None
    assert adjust_exchange_allocation({"main": 0, "other": 0}, caused_by="c", **AT) is None
    assert deposit(0, **FLOW) is None


@given(AMOUNTS, AMOUNTS)
def test_a_reversal_cancels_what_it_reverses(sats: int, cents: int) -> None:
    """Trade and reversal leave every settled balance at zero, and the reversal names the trade."""
    pairs: list[tuple[Build, Build]] = [
        (user_buys_usd, revert_user_buys_usd),
        (user_sells_usd, revert_user_sells_usd),
    ]
    for book, revert in pairs:
        trade = book(sats, cents, **TRADE)
        if trade is None:
            continue
        back = revert(sats, cents, reverses=trade.id, **TRADE | {"effective_at_ms": 1_700_000_000_500})
        assert back is not None
        assert (trade.id, trade.correlation_id) == (back.reverses, back.correlation_id)
        ledger = MemoryLedger(ACCOUNTS.values())
        assert [verdict.outcome for verdict in ledger.post([trade, back]).verdicts] == ["posted", "posted"]
        assert {0} == {balance.settled for balance in ledger.balances()}


@given(st.lists(AMOUNTS, max_size=8))
def test_the_mirror_shows_the_position_whatever_came_before(exposures: list[int]) -> None:
    """After each mirroring the position account is minus the exposure; an unchanged position books nothing."""
    ledger = MemoryLedger(ACCOUNTS.values())
    for sequence, exposure in enumerate([*exposures, *exposures[-1:]]):
        posted = -sum(one.settled for one in ledger.balances() if one.account == "POSITION/okx")
        booked = mirror_position(posted, exposure, **POSITION | {"sequence": sequence})
        assert (booked is None) == (posted == exposure)
        ledger.post([booked] if booked else [])
        assert -exposure == sum(one.settled for one in ledger.balances() if one.account == "POSITION/okx")


def test_a_growing_short_is_a_decrease() -> None:
    """The names follow the signed exposure, as in the reference system."""
    down, up = (mirror_position(-10_000, to, **POSITION) for to in (-12_000, -9_000))
    assert down is not None
    assert up is not None
    assert (down.template, down.entries[0].amount) == ("DECREASE_EXCHANGE_POSITION", 2_000)
    assert (up.template, up.entries[0].amount) == ("INCREASE_EXCHANGE_POSITION", 1_000)


def test_ids_come_from_the_business_key_alone() -> None:
    """Another offset or memo gives the same id; another leg, generation, time or template another one."""
    base = user_buys_usd(100, 5, **TRADE)
    assert base is not None
    same = TRADE | {"source_offset": 8, "btc_leg": ("b1", '{"id":"b1","memo":"m"}')}
    others: list[dict[str, Any]] = [{"btc_leg": told("b2")}, {"generation": 1}, {"effective_at_ms": 1}]
    built = [user_buys_usd(100, 5, **TRADE | other) for other in others]
    ids = [one.id for one in [base, user_sells_usd(100, 5, **TRADE), *built] if one]
    again = user_buys_usd(100, 5, **same)
    assert again is not None
    assert base.id == again.id == trade_id("USER_BUYS_USD", AT["effective_at_ms"], "b1", "u1")
    assert len(set(ids)) == 5
    assert trade_correlation("key") == base.correlation_id


OTHERWISE: dict[str, Any] = {"effective_at_ms": 1, "source": "elsewhere/1", "source_offset": 8}
NAMED_OUTSIDE: list[tuple[str, Transaction | None, list[Transaction | None], list[Transaction | None]]] = [
    (
        "a fill that was executed, by venue and id",
        fill_bought(5, **FILL),
        [fill_sold(7, **FILL | OTHERWISE), fill_bought(5, **FILL | {"sequence": 10, "instrument": "other"})],
        [fill_bought(5, **FILL | {"venue": "x"}), increase_exchange_position(5, **FILL)],
    ),
    (
        "a fill that is ours, by venue and id",
        increase_exchange_position(5, **FILL),
        [
            decrease_exchange_position(7, **FILL | OTHERWISE),
            increase_exchange_position(5, **FILL | {"sequence": 10, "instrument": "other"}),
        ],
        [increase_exchange_position(5, **FILL | other) for other in ({"event_id": "fill-10"}, {"venue": "x"})],
    ),
    (
        "a line of cash by venue and id",
        trading_fee(5, **FLOW),
        [realised_pnl(7, client_id="c", **FLOW | OTHERWISE), trading_fee(-5, **FLOW)],
        [trading_fee(5, **FLOW | other) for other in ({"flow_id": "f2"}, {"venue": "x"})],
    ),
    (
        "a transfer by its key",
        transfer("k", "A", "B", "BTC", 5, **AT),
        [transfer("k", "B", "C", "USD", 7, memo="m", **AT | OTHERWISE)],
        [transfer("l", "A", "B", "BTC", 5, **AT)],
    ),
    (
        "a flow of a buffer by its id",
        buffer_flow("f", IN, "USDC", 5, "deposit", reverts=None, **AT),
        [buffer_flow("f", OUT, "USD", -7, "withdrawal", reverts=None, **AT | OTHERWISE)],
        [
            buffer_flow("g", IN, "USDC", 5, "deposit", reverts=None, **AT),
            buffer_flow("f", IN, "USDC", -5, "deposit", reverts="g", **AT),
        ],
    ),
    (
        "a conversion by its provider, our id and its own",
        conversion(ON_CHAIN, **AT),
        [conversion(ON_CHAIN._replace(source_amount=7, fee=9), **AT | OTHERWISE)],
        [
            conversion(ON_CHAIN._replace(**other), **AT)
            for other in ({"provider": "x"}, {"provider_tx_id": "P2"}, {"client_conversion_id": "d"})
        ],
    ),
    (
        "a trade of customers by its id",
        settlement.trade_settled("t", "BTC_USDT", 1, SIDES, TERMS, TOLD),
        [settlement.trade_settled("t", "ETH_USDT", 2, SIDES._replace(quantity=9), TERMS, TOLD._replace(effective_at_ms=9))],
        [settlement.trade_settled("u", "BTC_USDT", 1, SIDES, TERMS, TOLD)],
    ),
    (
        "money of a customer by its id",
        settlement.customer_deposit("d", "u", "USDT", 7, 0, TOLD),
        [settlement.customer_deposit("d", "v", "BTC", 9, 1, TOLD)],
        [
            settlement.customer_deposit("e", "u", "USDT", 7, 0, TOLD),
            settlement.customer_withdrawal("d", "u", "USDT", 7, TOLD),
        ],
    ),
    (
        "a hold by its key",
        hold("k", "A", "B", "BTC", 5, correlation_id="c", **AT),
        [hold("k", "B", "A", "USD", 7, correlation_id="d", expires_at_ms=9, **AT | OTHERWISE)],
        [hold("l", "A", "B", "BTC", 5, correlation_id="c", **AT)],
    ),
]


@pytest.mark.parametrize(
    ("told", "same", "others"), [row[1:] for row in NAMED_OUTSIDE], ids=[row[0] for row in NAMED_OUTSIDE]
)
def test_what_is_named_outside_is_one_thing_whatever_is_told_of_it(
    told: Transaction | None, same: list[Transaction | None], others: list[Transaction | None]
) -> None:
    """Time, kind, side, amount and sequence are no part of the id that a name outside makes; another name is another id."""
    assert told is not None
    assert {told.id} == {one.id for one in same if one}
    ids = [one.id for one in others if one]
    assert len({told.id, *ids}) == len(others) + 1
    rejected = told._replace(id=content_id("rejected"))
    assert rebooking(rejected, 1).id == rebooking(rejected, 2, "told twice").id != rebooking(told, 1).id


def test_lines_of_one_order_or_transfer_are_joined() -> None:
    """Flows that carry our own id share a correlation; others stand for themselves."""
    fee, pnl = (build(5, client_id="c1", **FLOW) for build in (trading_fee, realised_pnl))
    alone = trading_fee(5, **FLOW)
    assert fee is not None
    assert pnl is not None
    assert alone is not None
    assert fee.correlation_id == pnl.correlation_id != alone.correlation_id


def test_every_kind_of_cash_flow_has_a_template() -> None:
    """All kinds of lines in an exchange's history can be booked, and move money in or out of a pocket."""

    kinds = CashFlow.model_fields["kind"].annotation
    assert set(getattr(kinds, "__args__", ())) == set(CASH_FLOWS)
