"""The chain of what customers trade, both ways: from the lock of an order to its trades, and what was refused with what to do."""

from collections.abc import Iterator

import pytest

from app.reports.explain.chain import explain
from app.reports.explain.graph import Explained
from app.reports.explain.settlement import REMEDIES, remedy
from app.reports.explain.story import story
from domain.ids import timeless_id
from domain.templates.settlement import ORDER_LOCKED, ORDER_UNLOCKED, trade_id
from sinks.migrations import migrate
from tests.app.reports.audit.settled import BROKEN, LATE, fill_settlement, told
from tests.app.surroundings import open_database

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def books(server: str) -> Iterator[str]:
    """A settlement that was played."""
    with open_database(server) as dsn:
        migrate(dsn)
        fill_settlement(dsn)
        yield dsn


def asked(dsn: str, name: str) -> Explained:
    """The chain of one id."""
    return explain(dsn, {}, name)


@pytest.mark.parametrize("name", ["BTC_USDT-14", "BTC_USDT/14", trade_id("BTC_USDT-14")])
def test_a_settled_trade_is_told_with_the_locks_that_pay_for_it(name: str, books: str) -> None:
    """By its own id, by its number, and by that of its posting; with every entry and what it came to."""
    explained = asked(books, name)
    tx_id = ("transaction", trade_id("BTC_USDT-14"))
    assert (tx_id,) == tuple(explained.asked)
    paid = {edge.start for edge in explained.edges if (edge.word, edge.end) == ("pays for", tx_id)}
    assert {("transaction", timeless_id(ORDER_LOCKED, order)) for order in ("o63", "o118")} == paid
    assert "credit TRADING_REVENUE" in story(explained)


def test_an_order_is_told_from_its_lock_to_the_end(books: str) -> None:
    """Its lock, each trade that took a part, and what was unlocked."""
    explained = asked(books, "o79")
    lock = ("transaction", timeless_id(ORDER_LOCKED, "o79"))
    words = {(edge.word, edge.end) for edge in explained.edges if edge.start == lock}
    assert {
        ("pays for", ("transaction", trade_id("ETH_USDT-14"))),
        ("pays for", ("transaction", trade_id("ETH_USDT-15"))),
        ("is unlocked by", ("transaction", timeless_id(ORDER_UNLOCKED, "o79"))),
    } == words
    assert "unlocks what is left of" in story(asked(books, timeless_id(ORDER_UNLOCKED, "o79")))


def test_a_refused_trade_says_why_and_what_to_do(books: str) -> None:
    """And by what it was settled after all."""
    text = story(asked(books, LATE))
    assert "the trade was refused as unknown_order, DOT_ETH 1" in text
    assert "to do: look on orders.locks for the order; once it is locked, have the trade settled" in text
    assert f"→ is settled after all by transaction {trade_id(LATE)}" in text
    assert "the symbol stands until then" in story(asked(books, BROKEN))
    assert ["refusal"] == [kind for kind, _ in asked(books, "BTC_USDT/15").asked]


def test_a_flow_of_a_customer_is_told_whatever_became_of_it(books: str) -> None:
    """Booked, or refused by so much."""
    assert "CUSTOMER_DEPOSIT" in story(asked(books, "f4"))
    assert "insufficient, 400752714430 smallest units too little" in story(asked(books, "f101"))
    assert "CUSTOMER_CORRECTED" in story(asked(books, "fix:f1"))


def test_everything_that_was_refused_has_something_to_do() -> None:
    """No reason of the desk is without a sentence."""
    reasons = {put.refusal.reason for put in told().refused}
    assert reasons <= REMEDIES.keys()
    assert "look it up in docs/runbook.md" == remedy("of another version")
