"""The product's own ledger, the same every time: what the recorded demo booked, and what people and others add the day after.

Examples are told over it, so that whoever copies one finds the accounts that a demo has.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from bytewax.outputs import StatefulSinkPartition

from app.replay.replay import replay
from app.reports.ledger import reverse
from app.settings import Settings
from connectors.recorded import read_folder
from domain.errors import Rejection
from domain.hedging.policy import Policy
from domain.ledger.accounts import CHART, Account
from domain.ledger.clearing import clearing_accounts, home_part
from domain.ledger.journal import CREDIT, Transaction
from domain.messages.decisions import Decision
from domain.messages.hedging import HedgeOrder
from domain.messages.ledger import Posting
from domain.messages.legs import LegRefusal
from domain.messages.ops import Alert
from domain.messages.recon import Statement, StatementLine
from domain.postings.single import post_single
from domain.postings.venue import post_fill
from domain.reconciling.breaks import Occasion
from domain.reconciling.records import scope_of
from domain.streams.gauges import Gauge
from domain.streams.records import Outgoing
from domain.times import datetime_of
from domain.venue.fills import FillHeard
from flows import everything
from operators.reconciling import compare_now
from operators.streams.publish import outgoing
from sinks.decisions import Decisions
from sinks.ledger.writer import PostgresLedger
from sinks.notices import NoticeSink
from sinks.outbox import PostgresOutbox
from sinks.quarantine import QuarantineSink
from sinks.reconciling import PostgresRecords
from tests.app.gauges import say
from tests.sinks.ledger.story import CHAIN_AGAIN, as_superuser
from tests.words import fill, record

DEMO = Path(__file__).parents[2] / "app" / "replay" / "recorded_demo" / "topics"
NEXT_DAY_MS = 1_795_683_600_000
"""2026-11-26, at nine in the morning."""

BUDGET, WAGES = "OFFICE_BUDGET", "WAGES"
OFFICE = (
    Account(0, BUDGET, CREDIT, "Office", "BTC", "what the office may spend", min_available=0, shard=1),
    Account(0, WAGES, CREDIT, "Office", "BTC", "what is owed for work", shard=1),
)
"""Accounts that were opened while the system runs."""

NOT_OURS = "elsewhere"
"""A venue that the settings do not name."""

NOTICES = (
    Alert(id="old", severity="warning", subject="leg_too_old", text="leg b-1 has waited for 600 s", as_of=NEXT_DAY_MS),
    LegRefusal(
        leg_id="b-2", reason="failed", detail="it failed", source="dealer.transactions/0", source_offset=7, as_of=NEXT_DAY_MS
    ),
)
UNKNOWN = Rejection("not_json", "expected value at line 1 column 1", "dealer.transactions", 0, 7, None, b"hello")
BATCH = 100

_RECORD = b"""
    UPDATE ledger.batch b SET recorded_at = CASE
        WHEN b.batch_id <= %(demo)s THEN
            (SELECT max(t.effective_at) FROM ledger.tx t WHERE t.batch_id <= b.batch_id) + INTERVAL '1 second'
        ELSE TIMESTAMPTZ '2026-11-26 09:00Z' + b.batch_id * INTERVAL '1 minute'
    END
"""


def tell_product(dsn: str) -> None:
    """Fill a migrated database."""
    replayed = replay(Settings(), read_folder(DEMO, everything.INPUTS))
    booked = replayed.ledger.transactions()
    late = next(_of(booked[::-1], "USER_BUYS_USD"))
    in_time = [transaction for transaction in booked if transaction.id != late.id]
    batches = [in_time[start : start + BATCH] for start in range(0, len(in_time), BATCH)]
    _post(
        dsn, 0, *batches, [late], [_executed(NOT_OURS), _executed("simulated"), _contradicting(next(_of(booked, "DEPOSIT")))]
    )
    _post(dsn, 1, *([home_part(asked, _shard_of, 1)] for asked in _asked()))
    reverse(dsn, in_time[0].id, datetime_of(NEXT_DAY_MS), "was refunded")
    with psycopg.connect(dsn, autocommit=True) as connection:
        as_superuser(connection, _RECORD, {"demo": len(batches)})
        as_superuser(connection, CHAIN_AGAIN)
    say(dsn, Gauge("pair", "pair-00", "late", 0))
    keep(QuarantineSink(dsn).build_part("to_quarantine", "quarantine-0", None), [UNKNOWN])
    notices = [outgoing(notice, NEXT_DAY_MS) for notice in NOTICES]
    keep(NoticeSink(dsn).build_part("to_notices", "notices-0", None), notices)
    _decide(dsn, replayed.outgoing)
    _compare(dsn, next(_of(booked, "DEPOSIT")))


def _compare(dsn: str, deposit: Transaction) -> None:
    """Compare the exchange's pocket with a statement that has a deposit, and a line that nobody booked."""
    at_ms, hour_ms = deposit.effective_at_ms, 3_600_000
    pocket = next(entry for entry in deposit.entries if entry.account.startswith("FUNDING_ACCOUNT"))
    amounts = {"deposit": pocket.side * pocket.amount, "gift": 5}
    told = Statement(
        statement_id="s",
        source="venue:simulated",
        account=pocket.account,
        currency=pocket.currency,
        since=at_ms - hour_ms,
        until=at_ms + hour_ms,
        opening=0,
        closing=sum(amounts.values()),
        lines=tuple(StatementLine(line_id=name, at=at_ms, amount=amount) for name, amount in amounts.items()),
    )
    with closing(PostgresRecords(dsn)) as records:
        assert records.keep(told) is None
        compare_now(scope_of(told), records, Settings().reconciling.how, Occasion(NEXT_DAY_MS + 30 * 24 * hour_ms, "test"))


def _decide(dsn: str, outgoing: Iterable[Outgoing]) -> None:
    """Keep what was decided, and the order that followed."""
    told = {
        name: [message.value for message in outgoing if message.topic == name]
        for name in ("hedging.decisions", "hedging.orders")
    }
    with closing(Decisions(dsn, [Policy()])) as decisions:
        decisions.record([Decision.model_validate_json(value) for value in told["hedging.decisions"]])
    (order,) = map(HedgeOrder.model_validate_json, told["hedging.orders"])
    with closing(PostgresOutbox(dsn, lambda: order.as_of)) as outbox:
        outbox.reserve(order)


def _of(transactions: list[Transaction], template: str) -> Iterator[Transaction]:
    return (transaction for transaction in transactions if transaction.template == template)


def _post(dsn: str, shard: int, *batches: list[Transaction]) -> None:
    accounts = [*CHART, *clearing_accounts((0, 1)), *OFFICE]
    with closing(PostgresLedger(dsn, shard, accounts=accounts, batch_max=10 * BATCH)) as ledger:
        for batch in batches:
            ledger.post(batch)


def _executed(venue: str) -> Transaction:
    """A fill that no order explains."""
    heard = FillHeard(fill(-5, at_ms=NEXT_DAY_MS).model_copy(update={"venue": venue}), "venue.fills/0", 9)
    posting = post_fill(record(heard, NEXT_DAY_MS, 9, "explain/explain-00"))
    assert posting is not None
    return posting


def _contradicting(told: Transaction) -> Transaction:
    """The same by its name, with another amount."""
    return told._replace(entries=tuple(entry._replace(amount=entry.amount + 1) for entry in told.entries))


def _asked() -> Iterator[Transaction]:
    """What the office asks for: money from the wallet, which crosses shards, and two holds, of which one is captured."""
    yield _single("budget", "TREASURY_WALLET", BUDGET, 5_000_000)
    yield _single("wages", BUDGET, WAGES, 3_000_000, expires_at="2026-12-24T00:00:00Z")
    rent = _single("rent", BUDGET, WAGES, 900_000, expires_at="2026-12-24T00:00:00Z")
    yield rent
    yield _single("rent is paid", BUDGET, WAGES, 900_000, captures=rent.id)


def _single(key: str, debit: str, credit: str, amount: int, **more: Any) -> Transaction:
    facts = {"key": key, "debit": debit, "credit": credit, "amount": amount, "currency": "BTC", "effective_at": NEXT_DAY_MS}
    return post_single(record(Posting.model_validate(facts | more), NEXT_DAY_MS, amount, "ledger.postings/0"))


def _shard_of(code: str) -> int:
    return 1 if code in (BUDGET, WAGES) else 0


def keep(keeping: StatefulSinkPartition[Any, None], values: list[Any]) -> None:
    """Keep these by a sink, as in an epoch."""
    try:
        keeping.write_batch(values)
        keeping.snapshot()
    finally:
        keeping.close()
