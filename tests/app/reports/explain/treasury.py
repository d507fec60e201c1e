"""The smallest treasury in which there is something of every kind, the same every time: run by the flows, kept by the sinks.

A user buys 20,000 dollars. Its hedge waits for collateral, which a transfer brings; then an order sells, and is filled in two
parts with a fee. Another user sells 5,000, which is taken back. A third trade is rejected by the ledger and booked
after all, a leg is refused, and of three messages in quarantine two are the same, and one was used later.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import psycopg

from app.reports.ledger import rebook, reverse
from domain.errors import Rejection
from domain.hedging.policy import Policy
from domain.ids import content_id
from domain.ledger.accounts import CHART, LIABILITY, Account
from domain.ledger.journal import DEBIT, Transaction
from domain.messages.decisions import Decision
from domain.messages.fields import Message
from domain.messages.hedging import CollateralTransfer, HedgeOrder
from domain.outbox.kinds import ORDER, TRANSFER
from domain.outbox.lifecycle import Row
from domain.times import datetime_of
from sinks.decisions import Decisions
from sinks.ledger.writer import PostgresLedger
from sinks.notices import NoticeSink
from sinks.outbox import PostgresOutbox
from sinks.quarantine import QuarantineSink
from tests.flows.runs import Run, recorded, run
from tests.sinks.ledger.story import as_superuser
from tests.words import START_MS, cash_flow, fill, leg, order_report, pair, pockets, position, tick, transfer_report

Told = tuple[int, Message | bytes]
WATCHED = {"main": LIABILITY}
TOPIC = "dealer.transactions"
LATE = Account(990, "LATE", DEBIT, "Late", "BTC")
USED, HELLO = leg("b1", 2_000_000).model_dump_json().encode(), b"hello"
KEPT = tuple(
    Rejection("invalid", "it was not usable then", TOPIC, 0, offset, None, raw)
    for offset, raw in ((90, USED), (91, HELLO), (92, HELLO))
)

_RECORD = b"UPDATE ledger.batch SET recorded_at = to_timestamp(%(start_ms)s / 1000) + batch_id * INTERVAL '1 second'"
_KEEP = b"UPDATE treasury.quarantine SET recorded_at = to_timestamp(%(start_ms)s / 1000)"


class Treasury(NamedTuple):
    """The ids of what is in it."""

    bought: str
    sold: str
    rejected: str
    decision: str
    order: str
    transfer: str


def tapes(order: str | None, transfer: str | None) -> dict[str, list[Told]]:
    """What was heard: of an order and a transfer only once they were asked for."""
    refused = leg("b3", 100, second=1, status="FAILURE")
    facts: dict[str, list[Told]] = {
        f"{TOPIC}/0": [(10, one) for one in pair("1", 2_000_000)] + [(20, refused)],
        "market.ticks": [(0, tick()), (3_000, tick("40000.5", START_MS + 3_000))],
        "venue.positions": [(0, position())],
        "venue.balances": [(0, pockets(0, 116_666_667))],
    }
    if transfer is not None:
        facts["venue.transfers"] = [(500, transfer_report(transfer, "done", 2, START_MS + 500))]
        moved = cash_flow("pocket_transfer", 16_666_667, at_ms=START_MS + 450).model_copy(update={"client_id": transfer})
        facts["venue.cashflows"] = [(500, moved)]
        facts["venue.balances"] += [(500, pockets(16_666_667, 100_000_000, 2, START_MS + 500))]
    if order is not None:
        facts["venue.orders"] = [(1_000, order_report(order, "filled", 6, START_MS + 1_000))]
        facts["venue.fills"] = [(1_000, fill(-100, 5, START_MS + 900, order)), (1_000, fill(-96, 6, START_MS + 950, order))]
        fee = cash_flow("fee", -2_450, "c2", START_MS + 950).model_copy(update={"client_id": order})
        facts["venue.cashflows"] += [(1_000, fee)]
        facts["venue.positions"] += [(1_000, position(-1_960_000, 6, START_MS + 1_000))]
        facts[f"{TOPIC}/0"] += [(2_000, one) for one in pair("2", 500_000, buys=False, second=2)]
    return facts


def said_on(said: Run, topic: str) -> list[bytes]:
    """What the flows said on a topic."""
    return [message.value for message in said.outgoing if message.topic == topic]


def lived() -> tuple[Run, list[HedgeOrder], list[CollateralTransfer]]:
    """What the flows made of it: told once more whenever they have asked for something, as an exchange would tell."""
    order = transfer = None
    while True:
        said = run(recorded(tapes(order, transfer)))
        orders = [HedgeOrder.model_validate_json(one) for one in said_on(said, "hedging.orders")]
        transfers = [CollateralTransfer.model_validate_json(one) for one in said_on(said, "hedging.transfers")]
        if (order is not None or not orders) and (transfer is not None or not transfers):
            return said, orders, transfers
        order = orders[0].client_order_id if orders else None
        transfer = transfers[0].client_transfer_id


def tell_treasury(dsn: str) -> Treasury:
    """Fill a migrated database."""
    said, orders, transfers = lived()
    booked = said.ledger.transactions()
    bought, sold = (one for one in booked if "btc_leg" in one.meta)
    rejected = _rejected(bought)
    for transaction in booked:
        _post(dsn, transaction)
    reverse(dsn, sold.id, datetime_of(START_MS + 5_000), "was refunded")
    _post(dsn, rejected)
    PostgresLedger(dsn, 0, accounts=[LATE]).close()
    rebook(dsn, rejected.id, None, "the account was opened")
    decisions = [Decision.model_validate_json(one) for one in said_on(said, "hedging.decisions")]
    with closing(Decisions(dsn, [Policy()])) as keeping:
        keeping.record(decisions)
    _ask(dsn, orders, transfers)
    _keep(dsn, said)
    with psycopg.connect(dsn, autocommit=True) as connection:
        as_superuser(connection, _RECORD, {"start_ms": START_MS})
        as_superuser(connection, _KEEP, {"start_ms": START_MS})
    asked = (orders[0].decision_id, orders[0].client_order_id, transfers[0].client_transfer_id)
    return Treasury(bought.id, sold.id, rejected.id, *asked)


def _rejected(like: Transaction) -> Transaction:
    """A trade on an account that is not there yet."""
    legs = {side: json.loads(like.meta)[side] | {"id": f"{side[0]}4"} for side in ("btc_leg", "usd_leg")}
    entries = tuple([e._replace(account="LATE") if e.account == "EXTERNAL_OMNIBUS" else e for e in like.entries])
    meta = json.dumps({"btc_leg": legs["btc_leg"], "generation": 0, "usd_leg": legs["usd_leg"]}, separators=(",", ":"))
    return like._replace(
        id=content_id("late"), correlation_id=content_id("late"), entries=entries, meta=meta, source_offset=7
    )


def _post(dsn: str, transaction: Transaction) -> None:
    with closing(PostgresLedger(dsn, 0, accounts=CHART)) as ledger:
        ledger.post([transaction])


def _ask(dsn: str, orders: list[HedgeOrder], transfers: list[CollateralTransfer]) -> None:
    """Reserve what was asked for; the first of each was done, the second order is under way."""
    now_ms = 0
    with closing(PostgresOutbox(dsn, lambda: now_ms)) as outbox:
        for row, end in _rows(orders, transfers):
            now_ms = row.reserved_at_ms
            outbox.reserve(row.request)
            if end is not None:
                outbox.record(row._replace(state="sent", sent_at_ms=now_ms + 10), now_ms + 10)
                outbox.record(end, now_ms + 400)


def _rows(orders: list[HedgeOrder], transfers: list[CollateralTransfer]) -> Iterator[tuple[Row, Row | None]]:
    (transfer,), (sold, bought) = transfers, orders
    row = Row(TRANSFER, transfer, "reserved", transfer.as_of)
    yield row, row._replace(state="done", sequence=2, sent_at_ms=transfer.as_of + 10)
    row = Row(ORDER, sold, "reserved", sold.as_of)
    yield row, row._replace(state="filled", filled=196, sequence=6, sent_at_ms=sold.as_of + 10)
    yield Row(ORDER, bought, "reserved", bought.as_of), None


def _keep(dsn: str, said: Run) -> None:
    quarantine = QuarantineSink(dsn).build_part("to_quarantine", "quarantine-0", None)
    notices = NoticeSink(dsn).build_part("to_notices", "notices-0", None)
    refused: list[Any] = [message for message in said.outgoing if message.topic == "legs.refused"]
    for part, values in ((quarantine, list(KEPT)), (notices, refused)):
        part.write_batch(values)
        part.snapshot()
        part.close()
