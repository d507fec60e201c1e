"""The templates of holds, the timers that let them expire, and exchanges of currencies."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import content_id
from domain.ledger.accounts import CHART, Account
from domain.ledger.journal import CREDIT, Outcome, Transaction, Verdict
from domain.ledger.memory import MemoryLedger
from domain.templates.currency_exchange import currency_exchange
from domain.templates.hold_expiry import HoldTimers
from domain.templates.holds import capture, hold, void

AT_MS = 1_700_000_000_000
ACCOUNTS = [*CHART, Account(1000, "GIVER", CREDIT, "Test", min_available=0), Account(1001, "TAKER", CREDIT, "Test")]
FROM = {"source": "test/0", "source_offset": 0}


def held(key: str, expires_at_ms: int | None = None, amount: int = 10) -> Transaction:
    """A hold of the giver's money."""
    about = {"effective_at_ms": AT_MS, "correlation_id": content_id(key), **FROM}
    return hold(key, "TAKER", "GIVER", "USD", amount, expires_at_ms=expires_at_ms, **about)


POSTED = Verdict("", Outcome.POSTED)


def test_a_hold_is_made_captured_in_part_and_voided() -> None:
    """What was captured has moved, the rest is back, and nothing is held."""
    ledger = MemoryLedger(ACCOUNTS)
    promise = held("a")
    part = capture("1", promise, 4, effective_at_ms=AT_MS + 1, is_final=False, **FROM)
    steps = [promise, part, void(promise, effective_at_ms=AT_MS + 2, **FROM)]
    assert ["posted"] * 3 == [verdict.outcome for verdict in ledger.post(steps).verdicts]
    assert {"GIVER": (-4, 0), "TAKER": (4, 0)} == {
        one.account: (one.settled, one.pending_debit + one.pending_credit) for one in ledger.balances()
    }


def test_holds_expire_in_order_of_their_end_and_once() -> None:
    """Each open hold expires when the watermark has passed its end, whatever was watched before."""
    timers = HoldTimers()
    for key, ends in (("late", 30), ("soon", 10), ("never", None), ("ended", 20), ("parted", 25)):
        timers.add(held(key, ends and AT_MS + ends), POSTED)
    timers.add(void(held("ended", AT_MS + 20), effective_at_ms=AT_MS, **FROM), POSTED)
    timers.add(capture("1", held("parted", AT_MS + 25), 1, effective_at_ms=AT_MS, is_final=False, **FROM), POSTED)
    assert AT_MS + 10 == timers.next_ms()
    assert [] == timers.due(AT_MS + 9)
    due = timers.due(AT_MS + 30)
    causes = [one.cause.transaction_id for one in due if one.cause]
    assert [held(key, AT_MS + ends).id for key, ends in (("soon", 10), ("parted", 25), ("late", 30))] == causes
    assert ([], None) == (timers.due(AT_MS + 99), timers.next_ms())


def test_a_hold_that_was_refused_is_not_watched() -> None:
    """Only what was posted expires."""
    timers = HoldTimers()
    timers.add(held("a", AT_MS + 1), Verdict("", Outcome.REJECTED, "over_limit"))
    assert (None, []) == (timers.next_ms(), timers.due(AT_MS + 9))


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 9)), max_size=12), st.integers(0, 60))
def test_expiries_are_posted_and_free_what_they_held(holds: list[tuple[int, int]], watermark: int) -> None:
    """After all due expiries the ledger holds what is not yet due, and each is a duplicate when it is posted again."""
    ledger, timers = MemoryLedger([one._replace(min_available=None) for one in ACCOUNTS]), HoldTimers()
    for number, (ends, amount) in enumerate(holds):
        promise = held(str(number), AT_MS + ends, amount + 1)
        timers.add(promise, ledger.post([promise]).verdicts[0])
    due = timers.due(AT_MS + watermark)
    assert {"posted"} >= {verdict.outcome for verdict in ledger.post(due).verdicts}
    assert {"duplicate"} >= {verdict.outcome for verdict in ledger.post(due).verdicts}
    open_amount = sum(amount + 1 for ends, amount in holds if ends > watermark)
    assert {open_amount} >= {one.pending_debit + one.pending_credit for one in ledger.balances()}


@pytest.mark.parametrize(
    ("amount", "rate", "paid", "rounded"),
    [
        (100, "2.5", 250, 0),
        (3, "0.5", 1, 1),
        (5, "0.5", 2, 0),
        (7, "0.26", 1, 1),
        (10**30, "1.000000000000000000001", 10**30 + 10**9, 0),
    ],
)
def test_an_exchange_pays_rounded_down_and_books_the_rest(amount: int, rate: str, paid: int, rounded: int) -> None:
    """The customer gets whole units, the position moves by half-even, and ROUNDING has the difference."""
    made = exchanged(amount, rate)
    assert made is not None
    ledger = MemoryLedger([one._replace(min_available=None) for one in ACCOUNTS])
    assert ["posted"] == [verdict.outcome for verdict in ledger.post([made]).verdicts]
    settled = {(one.account, one.currency): one.settled for one in ledger.balances()}
    assert (amount, -paid) == (settled["GIVER", "BTC"], settled["TAKER", "USD"])
    assert (-amount, paid + rounded) == (settled["FX_POSITION", "BTC"], settled["FX_POSITION", "USD"])
    assert -rounded == settled.get(("ROUNDING", "USD"), 0)
    assert f'{{"rate":"{rate}"}}' == made.meta


def exchanged(amount: int, rate: str) -> Transaction | None:
    """The giver sells bitcoin to us for the taker's dollars."""
    about = {"effective_at_ms": AT_MS, "correlation_id": content_id("fx"), **FROM}
    return currency_exchange("fx", "GIVER", "TAKER", ("BTC", amount), "USD", Decimal(rate), **about)


def test_an_exchange_that_buys_nothing_is_none() -> None:
    """Too little, nothing, or less than nothing is not booked."""
    assert [None, None, None] == [exchanged(1, "0.9"), exchanged(0, "2"), exchanged(-5, "2")]
