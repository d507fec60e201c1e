"""The short way of the fold, held to the general one."""

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import content_id
from domain.ledger.accounts import CHART
from domain.ledger.books import Books, Known, Origin, Window
from domain.ledger.causes import origin_of
from domain.ledger.fold import advance, fold
from domain.ledger.journal import CREDIT, DEBIT, Entry, Layer, Transaction
from domain.ledger.judge import Folded, judge
from domain.templates.adjust_exchange_allocation import adjust_exchange_allocation
from domain.templates.cash_flows import CASH_FLOWS
from domain.templates.currency_exchange import currency_exchange
from domain.templates.exchange_position import fill_bought, fill_sold
from domain.templates.holds import hold
from domain.templates.quotes import buy_usd_quote_accepted
from domain.templates.transfer import transfer
from domain.templates.user_trades import revert_user_buys_usd, user_buys_usd, user_sells_usd
from sinks.ledger.rows import Rendered, render
from tests.domain.ledger.ledger_workloads import (
    ACCOUNTS,
    ASSETS,
    BITCOIN,
    CAPPED,
    CASH,
    FAST,
    FROZEN,
    LIMITED,
    START_MS,
    USER,
    WORKLOADS,
    posting,
)

AT = {"effective_at_ms": START_MS, "source": "test\t0", "source_offset": 7}
LEGS = {"pairing_key": "key", "btc_leg": ("b", '{"amount":1,"id":"b"}'), "usd_leg": ("u", '{"amount":1,"id":"u"}')}
TRADE = AT | LEGS
VENUE = AT | {"venue": "simulated"}
FILL = VENUE | {"instrument": "BTC-USD-SWAP", "event_id": "f", "sequence": 1}
ABOUT = AT | {"correlation_id": content_id("test")}

_number = st.integers(0, 9).map(str)
_code = st.sampled_from([CASH, USER] * 4 + [LIMITED, CAPPED, FROZEN, BITCOIN, FAST, ASSETS, "NOBODY"])
_amount = st.integers(-60, 60) | st.sampled_from([10**37, 10**38, -(10**38), 3 * 10**37])
_memo = st.none() | st.text() | st.text(st.characters()) | st.text('\\u0d8"\x00\t\n')
_any_currency = st.sampled_from(["USD", "BTC", "us\td"])
_from_template = st.one_of(
    st.builds(partial(transfer, **AT), _number, _code, _code, _any_currency, _amount, memo=_memo),
    st.builds(partial(hold, **ABOUT), _number, _code, _code, _any_currency, _amount),
    st.builds(partial(user_buys_usd, **TRADE), _amount, _amount, generation=st.integers(0, 3)),
    st.builds(partial(user_sells_usd, **TRADE), _amount, _amount, generation=st.integers(0, 3)),
    st.builds(partial(revert_user_buys_usd, reverses=user_buys_usd(1, 1, **TRADE).id, **TRADE), _amount, _amount),
    st.sampled_from(list(CASH_FLOWS.values())).flatmap(
        lambda flow: st.builds(partial(flow, **VENUE), st.integers(-9, 9), flow_id=_number)
    ),
    st.builds(partial(fill_bought, **FILL), st.integers(0, 9), price_usd=_memo),
    st.builds(partial(buy_usd_quote_accepted, **AT), _amount, _amount, quote_id=_number),
    st.builds(partial(adjust_exchange_allocation, **AT), st.just({"main": 5}), caused_by=_number),
)
_odd_amount = st.sampled_from([1, 2, -1, 0, 1.0, True, Decimal(1)])
_layer = st.sampled_from([*[Layer.SETTLED] * 6, Layer.PENDING, 1, 4])
_side = st.sampled_from([DEBIT] * 6 + [CREDIT, 0, 2])


@st.composite
def _pair(draw: st.DrawFn) -> list[Entry]:
    """Two entries that nearly always balance, and are nearly always as they should be."""
    currency, layer, amount = draw(st.sampled_from(["USD", "EUR"])), draw(_layer), draw(_odd_amount)
    last = amount if draw(st.integers(0, 9)) else 7
    return [Entry(CASH, currency, layer, draw(_side), amount), Entry(USER, currency, layer, -draw(_side), last)]


_pairs = st.lists(_pair(), min_size=1, max_size=3).map(lambda pairs: [entry for pair in pairs for entry in pair])
_entries = _pairs | _pairs.flatmap(st.permutations)
_malformed = st.builds(lambda number, entries: posting(100 + number, *entries), st.integers(0, 30), _entries)
_made = _from_template.filter(lambda made: made is not None)
_batches = st.lists(
    st.lists(_made, min_size=1, max_size=12) | st.lists(_malformed, min_size=1, max_size=12) | WORKLOADS,
    min_size=1,
    max_size=4,
)


def books(closed_until_ms: int = 0) -> Books:
    """Empty books over the accounts of tests and those that are there from the start."""
    by_code = {account.code: account for account in (*CHART, *ACCOUNTS)}
    return Books(by_code, closed_until_ms=closed_until_ms, summaries=frozenset([ASSETS]))


def judge_each(now: Books, folded: Folded, transactions: Sequence[Transaction]) -> None:
    """The general way for all."""
    folded.verdicts.extend([judge(now, folded, one) for one in transactions])


def written(batches: Sequence[Sequence[Transaction]], now: Books) -> list[tuple[Folded, Rendered]]:
    """All that is made of these batches, each on what the ones before it left."""
    known, origins, used = dict[str, Known](), dict[str, Origin](), dict[Window, int]()
    now.known, now.origins, now.used = known, origins, used
    made = []
    for batch in batches:
        folded = fold(now, batch)
        made.append((folded, render(now, folded)))
        advance(now, folded)
        known.update(folded.answered)
        origins.update({posted.transaction.id: origin_of(posted.transaction) for posted in folded.posted} | folded.origins)
        used.update(folded.used)
    return made


@given(_batches, st.sampled_from([0, 0, START_MS, START_MS + 1]))
def test_both_ways_write_the_same(batches: list[list[Transaction]], closed_until_ms: int) -> None:
    """Whatever comes, in whatever order, both ways give the same verdicts, rows, lines and hash."""
    short = written(batches, books(closed_until_ms))
    with patch("domain.ledger.fold.post_each", judge_each):
        assert written(batches, books(closed_until_ms)) == short


PLAIN = [
    transfer("1", CASH, USER, "USD", 5, memo='né "\\" \n', **AT),
    user_buys_usd(100, 5, **TRADE),
    user_sells_usd(100, 5, **TRADE),
    *[flow(5, flow_id=name, **VENUE) for name, flow in CASH_FLOWS.items()],
    fill_sold(5, **FILL),
    buy_usd_quote_accepted(100, 5, quote_id="q", **AT),
    currency_exchange("x", CASH, USER, ("BTC", 5), "USD", Decimal("1.3"), **ABOUT),
]


@pytest.mark.parametrize("made", [pytest.param(made, id=made.template) for made in PLAIN if made])
def test_a_plain_transaction_goes_the_short_way(made: Transaction) -> None:
    """Of every template, what has nothing odd about it is posted without being judged."""
    with patch("domain.ledger.plain.judge", None):
        assert ["posted"] == [verdict.outcome for verdict in fold(books(), [made]).verdicts]
