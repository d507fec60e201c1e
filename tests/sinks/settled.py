"""A settlement in Postgres for whoever reads one: what a crowd traded, and then each trouble that people have to look at."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from connectors.clock import now_ms
from connectors.recorded import Recorded
from domain.ledger.accounts import FIXED, SETTLEMENT_SHARD
from domain.messages.fields import Message
from domain.messages.gov import Vote
from domain.messages.ops import Alert
from domain.messages.settlement import CustomerCorrection, CustomerFlow, CustomerTerms, Instrument, MatchedTrade
from domain.settlement.links import GENESIS, linked
from domain.streams.records import Outgoing
from domain.templates.settlement import Told, customer_withdrawal
from domain.topics import ALERTS
from flows import ledger, settlement
from operators.ledger import at_once
from operators.streams.publish import outgoing
from sinks.ledger.writer import PostgresLedger
from sinks.notices import NoticeSink
from sinks.settlement import PostgresBooks, PostgresRecords
from tests.domain.settlement.played import AT_MS, BTC_USDT, crowd
from tests.flows.runs import run_built
from tests.flows.settlement_runs import flow_over, fresh, recorded
from tests.sinks.ledger.product import keep
from tests.words import START_MS

AFTER_MS = AT_MS + 1_000
CROWD = [*crowd(11, 200)]
BTC_TRADES = [one for one in CROWD if isinstance(one, MatchedTrade) and one.symbol == "BTC_USDT"]


def trade(symbol: str, sequence: int, **more: Any) -> MatchedTrade:
    """A trade of orders that nobody has locked."""
    told = {
        "symbol": symbol,
        "sequence": sequence,
        "trade_id": f"{symbol}-{sequence}",
        "price": Decimal(100),
        "quantity": 10**8,
        "buyer": "u1",
        "buy_order_id": "b",
        "seller": "u2",
        "sell_order_id": "s",
        "maker": "seller",
        "as_of": AFTER_MS,
        "previous_hash": GENESIS,
        "hash": GENESIS,
    }
    return linked(MatchedTrade.model_validate(told | more))


def flow(name: str, kind: str, amount: int) -> CustomerFlow:
    """Money of one who has nothing to do with the crowd."""
    return CustomerFlow.model_validate(
        {"id": name, "customer": "poor", "asset": "USDT", "amount": amount, "kind": kind, "as_of": AFTER_MS}
    )


UNKNOWN = trade("SOL_USDT", 1)
"""Refused since nobody has told of its symbol."""

FORGED = trade("SOL_USDT", 2).model_copy(update={"hash": "f" * 32})
"""Refused before its turn."""

FIX = CustomerCorrection(id="fix:1", customer="poor", asset="USDT", amount=-1, by="anna", reason="r", as_of=AFTER_MS)
LAST = BTC_TRADES[-1]
TROUBLES: list[Message] = [
    UNKNOWN,
    FORGED,
    trade("SOL_USDT", 2, previous_hash="e" * 32),
    trade("BTC_USDT", LAST.sequence + 2),
    flow("too much", "withdrawal", 5),
    flow("p1", "deposit", 70),
    flow("p2", "debit", 100),
    flow("while it owes", "withdrawal", 1),
    BTC_USDT.model_copy(update={"base": "WBTC", "as_of": AFTER_MS}),
    CustomerTerms(customer="poor", level=0, status="frozen", by="anna", reason="r", as_of=AFTER_MS),
    FIX,
    Vote(subject=FIX.id, vote="deny", by="ben", reason="no", as_of=AFTER_MS),
]
WORDS = [*CROWD, *TROUBLES]


def settle(dsn: str, words: Iterable[Message]) -> list[Outgoing]:
    """Settle words in Postgres, in the order in which they are told; return what the flow said."""
    return settle_tapes(dsn, recorded(timed(words)))


def settle_tapes(
    dsn: str, tapes: Recorded, batch_size: int = 50, crash_at: int | None = None, recovery: Path | None = None
) -> list[Outgoing]:
    """Settle what tapes say in Postgres, to their end or to where one crashes; return what the flow said."""
    with ExitStack() as stack:

        def opened(one: Any) -> Any:
            return stack.enter_context(closing(one))

        books, told = opened(PostgresLedger(dsn, SETTLEMENT_SHARD, accounts=FIXED)), fresh()
        setup = ledger.Setup(SETTLEMENT_SHARD, lambda: at_once(books), (), 1000)
        own = settlement.Setup(setup, lambda: opened(PostgresBooks(dsn)), lambda: opened(PostgresRecords(dsn)))
        run_built(flow_over(tapes, own, told, batch_size, crash_at), 1, recovery)
    return told.outgoing


def timed(words: Iterable[Message]) -> Iterator[tuple[int, Message]]:
    """Words with their times after the start, in order, none of them before it says that it happened."""
    at_ms = 0
    for word in words:
        at_ms = max(at_ms + 1, getattr(word, "as_of", START_MS) - START_MS)
        yield at_ms, word


def tell_settlement(dsn: str, words: Iterable[Message] = WORDS) -> list[Outgoing]:
    """Settle in a migrated database, and keep the alerts, as told just now; return what the flow said."""
    said = settle(dsn, words)
    told = [Alert.model_validate_json(one.value) for one in said if one.topic == ALERTS.name]
    at_ms = now_ms()
    alerts = [outgoing(one.model_copy(update={"as_of": at_ms}), at_ms) for one in told]
    keep(NoticeSink(dsn).build_part("to_notices", "notices-0", None), alerts)
    return said


def instrument(symbol: str) -> Instrument:
    """A first word on a symbol."""
    return BTC_USDT.model_copy(update={"symbol": symbol, "base": symbol.split("_", maxsplit=1)[0], "as_of": AFTER_MS})


def refuse_posting(dsn: str) -> None:
    """Have the books refuse what the settlement would never ask for: somebody takes out what is not there."""
    asked = customer_withdrawal("by hand", "poor", "USDT", 10**6, Told(AFTER_MS, "settlement.flows/0", 99))
    with closing(PostgresLedger(dsn, SETTLEMENT_SHARD, accounts=FIXED)) as books:
        assert ["rejected"] == [str(verdict.outcome) for verdict in books.post([asked]).verdicts]


_JOB = """
INSERT INTO settlement.reconciliation_job (kind, started_at, customers, last_customer, trades, errors)
VALUES ('hourly', now(), 1, 'poor', 0, 1) RETURNING id
"""
_ERROR = """
INSERT INTO settlement.reconciliation_error (job_id, customer, asset, account_kind, found_in, expected, actual, correction_id)
VALUES (%s, 'poor', 'USDT', 'debt', 'entries', 30, 31, 'fix:poor')
"""


def tell_mismatch(dsn: str) -> None:
    """Record that the debt of the poor one is not what its history comes to."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_ERROR, connection.execute(_JOB).fetchone())
