"""Books to audit, the same every time: the recorded demo as the flows book it, with the orders that it tells of, the holds of an
office beside it, buffers, a settlement, what a person took back, what was refused, and a closed period; and the topics that all
came from."""

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from app.replay.replay import Replayed, replay
from app.reports.ledger import reverse
from app.settings import Settings
from connectors.recorded import Recorded, read_folder
from domain.errors import Rejection
from domain.hedging.policy import Policy
from domain.ledger.accounts import CHART, Account
from domain.ledger.journal import CREDIT, DEBIT, Transaction
from domain.messages.decisions import Decision
from domain.messages.hedging import CollateralTransfer, HedgeOrder
from domain.messages.ledger import Posting
from domain.messages.ops import Quarantined
from domain.messages.venue import OrderReport
from domain.outbox.kinds import CONVERSION, ORDER, TRANSFER
from domain.outbox.lifecycle import Kind, Request
from domain.postings.single import post_single
from domain.postings.venue import post_fill
from domain.streams.gauges import Gauge
from domain.streams.records import FOREVER_MS, RawMessage
from domain.templates.holds import capture
from domain.times import datetime_of
from domain.venue.fills import FillHeard
from flows import everything
from sinks.archive.snapshot import About, Topics, take
from sinks.decisions import Decisions
from sinks.ledger.writer import PostgresLedger
from sinks.migrations import migrate
from sinks.outbox import PostgresOutbox
from sinks.quarantine import QuarantineSink
from tests.app.gauges import say
from tests.app.reports.audit import buffers, settled
from tests.app.surroundings import open_database
from tests.sinks.ledger.product import DEMO
from tests.sinks.ledger.story import CHAIN_AGAIN, as_superuser
from tests.words import fill, record

ABOUT = About("cluster", "2026-11-27T00:00:00Z", "closest")
NEXT_DAY_MS = 1_795_683_600_000
"""2026-11-26, at nine in the morning."""

BANK, BUDGET, WAGES = "OFFICE_BANK", "OFFICE_BUDGET", "OFFICE_WAGES"
OFFICE = (
    Account(0, BANK, DEBIT, "Office", "BTC", "what the office has", shard=1),
    Account(0, BUDGET, CREDIT, "Office", "BTC", "what the office may spend", min_available=0, shard=1),
    Account(0, WAGES, CREDIT, "Office", "BTC", "what is owed for work", shard=1),
)
POSTINGS = "ledger.postings"
SEALED_UNTIL_MS = 1_795_613_670_000
BATCH = 100
STEPS = ("pair", "explain", "book", "book_singles", "explain_conversions", "book_buffers", "settle", "book_settlement")

_TIMES = (
    b"""
    UPDATE ledger.batch b SET recorded_at = (
        SELECT max(t.effective_at) FROM ledger.tx t WHERE t.batch_id <= b.batch_id
    ) + INTERVAL '1 second'
    """,
    b"UPDATE treasury.decision SET recorded_at = as_of",
    b"UPDATE treasury.conversion_job SET recorded_at = as_of",
    b"UPDATE treasury.conversion_job_change SET recorded_at = as_of",
    b"UPDATE treasury.gauge SET as_of = '2026-11-26 23:59Z'",
    CHAIN_AGAIN,
)
_SEAL = b"""
    INSERT INTO ledger.closed_period (closed_until, closed_at, closed_by, manifest)
    SELECT s.until, s.until + INTERVAL '1 hour', 'anna', jsonb_build_object(
        'since', NULL, 'until', s.until, 'days', ledger.manifest_days('-infinity', s.until), 'batches', ledger.chain_ends()
    )
    FROM (SELECT to_timestamp(%(until)s) AS until) s
"""


@cache
def recorded() -> Recorded:
    """The messages of the demo, as they were recorded."""
    return read_folder(DEMO, everything.INPUTS)


@cache
def replayed() -> Replayed:
    """What the flows make of them."""
    return replay(Settings(), recorded())


@contextmanager
def open_books(server: str) -> Iterator[str]:
    """The DSN of a new database with books that are in order."""
    with open_database(server) as dsn:
        migrate(dsn)
        fill_books(dsn)
        yield dsn


def fill_books(dsn: str) -> None:
    """Fill a migrated database."""
    booked = replayed().ledger.transactions()
    batches = [booked[start : start + BATCH] for start in range(0, len(booked), BATCH)]
    _post(dsn, 0, *batches, [_not_ours(), _contradicting(next(one for one in booked if one.template == "DEPOSIT"))])
    _post(dsn, 1, *([one] for one in _of_office()))
    reverse(dsn, booked[0].id, datetime_of(NEXT_DAY_MS), "was refunded")
    _keep_quarantined(dsn)
    _decide(dsn)
    buffers.fill_buffers(dsn)
    settled.fill_settlement(dsn)
    for request, words in buffers.requests():
        _live(dsn, CONVERSION, request, words)
    say(dsn, *(Gauge(step, f"{step}-00", "watermark_ms", FOREVER_MS) for step in STEPS))
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in _TIMES:
            as_superuser(connection, statement)
        as_superuser(connection, _SEAL, {"until": SEALED_UNTIL_MS // 1000})


def _post(dsn: str, shard: int, *batches: list[Transaction]) -> None:
    with closing(PostgresLedger(dsn, shard, accounts=[*CHART, *OFFICE], batch_max=10 * BATCH)) as ledger:
        for batch in batches:
            ledger.post(batch)


def _not_ours() -> Transaction:
    """A fill of a venue that has no accounts here, which is rejected."""
    heard = FillHeard(fill(-5, at_ms=NEXT_DAY_MS).model_copy(update={"venue": "elsewhere"}), "venue.fills/0", 9)
    posting = post_fill(record(heard, NEXT_DAY_MS, 9, "explain/explain-00"))
    assert posting is not None
    return posting


def _contradicting(told: Transaction) -> Transaction:
    """The same by its name, with another amount: a conflict."""
    return told._replace(entries=tuple(entry._replace(amount=entry.amount + 1) for entry in told.entries))


def _of_office() -> Iterator[Transaction]:
    """Money comes in; a hold that stays, one that is captured in two parts, one that is given up, and one that is captured."""
    asked = [_single(number, posting) for number, posting in enumerate(office_postings())]
    _, _, rent, trip, _, _ = asked
    yield from asked[:4]
    place = {"effective_at_ms": NEXT_DAY_MS, "source": f"{POSTINGS}/0"}
    yield capture("first half", rent, 400_000, source_offset=4, is_final=False, **place)  # type: ignore[arg-type]
    yield capture("the rest", rent, 300_000, source_offset=5, **place)  # type: ignore[arg-type]
    yield _single(6, _asked("no trip", BUDGET, WAGES, trip.entries[0].amount, voids=trip.id))


def office_postings() -> list[Posting]:
    """What the office asks for."""
    return [
        _asked("budget", BANK, BUDGET, 5_000_000),
        _asked("wages", BUDGET, WAGES, 3_000_000, expires_at="2026-12-24T00:00:00Z"),
        _asked("rent", BUDGET, WAGES, 900_000, expires_at="2026-12-24T00:00:00Z"),
        _asked("trip", BUDGET, WAGES, 100_000, expires_at="2026-12-24T00:00:00Z"),
        _asked("half of the rent", BUDGET, WAGES, 400_000),
        _asked("rest of the rent", BUDGET, WAGES, 300_000),
    ]


def _asked(key: str, debit: str, credit: str, amount: int, **more: Any) -> Posting:
    facts = {"key": key, "debit": debit, "credit": credit, "amount": amount, "currency": "BTC", "effective_at": NEXT_DAY_MS}
    return Posting.model_validate(facts | more)


def _single(offset: int, posting: Posting) -> Transaction:
    return post_single(record(posting, NEXT_DAY_MS, offset, f"{POSTINGS}/0"))


def _keep_quarantined(dsn: str) -> None:
    """Keep what the flows could not read."""
    told = [Quarantined.model_validate_json(value) for value in _said("quarantine.dealer.transactions")]
    keeping = QuarantineSink(dsn).build_part("to_quarantine", "quarantine-0", None)
    with closing(keeping):
        keeping.write_batch([_rejection(one) for one in told])


def _rejection(told: Quarantined) -> Rejection:
    key = None if told.key_base64 is None else b64decode(told.key_base64)
    return Rejection(told.reason, told.detail, told.topic, told.partition, told.offset, key, b64decode(told.raw_base64))


def _said(topic: str) -> list[bytes]:
    return [message.value for message in replayed().outgoing if message.topic == topic]


def _decide(dsn: str) -> None:
    """Keep what was decided, and what was asked for then: what the flows asked for, and the orders that the demo told of."""
    decided = [Decision.model_validate_json(value) for value in _said("hedging.decisions")]
    sale = next(one for one in decided if one.action == "sell")
    (order,) = map(HedgeOrder.model_validate_json, _said("hedging.orders"))
    (deposit,) = map(CollateralTransfer.model_validate_json, _said("hedging.transfers"))
    lives = _lives()
    orders = [_as_told(order, reports) for reports in lives]
    with closing(Decisions(dsn, [Policy()])) as decisions:
        decisions.record([*decided, *(_decision(sale, one) for one in orders)])
    _live(dsn, TRANSFER, deposit, [("sent", 0, 0), ("pending", 0, 1), ("done", 0, 2)])
    _live(dsn, ORDER, order, [("sent", 0, 0), ("unknown", 0, 0), ("not_placed", 0, 0)])
    for one, reports in zip(orders, lives, strict=True):
        _live(dsn, ORDER, one, [(report.state, report.filled_contracts, report.sequence) for report in reports[1:]])


def _lives() -> list[list[OrderReport]]:
    """What the demo told of each order, in the order of the orders; each begins as reserved."""
    reports: dict[str, list[OrderReport]] = {}
    for message in recorded()["venue.orders", 0]:
        report = OrderReport.model_validate_json(message.value)
        reports.setdefault(report.client_order_id, []).append(report)
    return [told for told in reports.values() if told[0].state == "reserved"]


def _as_told(order: HedgeOrder, reports: list[OrderReport]) -> HedgeOrder:
    """The order that these reports are about; that of the flows was another one."""
    first, contracts = reports[0], max(1, *(report.filled_contracts for report in reports))
    told = {"decision_id": first.decision_id, "client_order_id": first.client_order_id, "as_of": first.as_of}
    return order.model_copy(update={**told, "contracts": -contracts, "based_on_sequence": 10**6})


def _decision(sale: Decision, order: HedgeOrder) -> Decision:
    return sale.model_copy(update={"id": order.decision_id, "amount": order.contracts, "as_of": order.as_of})


def _live(dsn: str, kind: Kind, request: Request, words: Iterable[tuple[str, int, int]]) -> None:
    """Reserve a request, and follow it from state to state, a millisecond apart."""
    now_ms = request.as_of
    with closing(PostgresOutbox(dsn, lambda: now_ms)) as outbox:
        outbox.reserve(request)
        for state, filled, sequence in words:
            now_ms += 1
            row = outbox.row(kind, kind.client_id_of(request))
            assert row is not None
            sent_at_ms = now_ms if state == "sent" else row.sent_at_ms
            outbox.record(row._replace(state=state, filled=filled, sequence=sequence, sent_at_ms=sent_at_ms), now_ms)


def topics() -> Topics:
    """What reads the topics: those that were recorded, those that came out, and what the office asked for."""
    told: dict[str, dict[int, list[RawMessage]]] = {}
    for (topic, partition), messages in recorded().items():
        told.setdefault(topic, {})[partition] = list(messages)
    said = [(one.topic, RawMessage(0, one.at_ms, one.key, one.value)) for one in replayed().outgoing]
    for topic, message in (*said, *buffers.messages()):
        kept = told.setdefault(topic, {}).setdefault(0, [])
        kept.append(message._replace(offset=len(kept)))
    for (topic, number), message in settled.messages():
        told.setdefault(topic, {}).setdefault(number, []).append(message)
    asked = [*office_postings(), _asked("no trip", BUDGET, WAGES, 100_000)]
    lines = [posting.model_dump_json().encode() for posting in asked]
    told[POSTINGS] = {0: [RawMessage(number, NEXT_DAY_MS, None, line) for number, line in enumerate(lines)]}
    return {topic: _reader(topic, partitions) for topic, partitions in told.items()}


def _reader(topic: str, partitions: Mapping[int, list[RawMessage]]) -> Any:
    return lambda: (((topic, number), message) for number, messages in partitions.items() for message in messages)


def take_books(dsn: str, folder: Path) -> Path:
    """Take a snapshot of such books, with the topics."""
    take(dsn, topics(), folder, ABOUT)
    return folder
