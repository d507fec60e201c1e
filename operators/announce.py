"""What is said about a value on which topic: a key and a message, or None when the topic is not for it."""

from typing import Any

from pydantic_core import to_json

from domain.ids import content_id
from domain.journal import Outcome
from domain.messages import (
    Alert,
    CollateralTransfer,
    Decision,
    HedgeOrder,
    LedgerBalance,
    LedgerVerdict,
    LegRefusal,
    Message,
    OrderReport,
    TransferReport,
    WaitingLeg,
)
from domain.pairing_effects import LegRefused, LegTooOld, LegWaits
from domain.streams import Outgoing, Record
from operators.booking import Judged
from operators.publish import encode

Said = tuple[str, Message | bytes] | None
BUYS = frozenset(("USER_BUYS_USD", "REVERT_USER_BUYS_USD"))
TRADES = BUYS | {"USER_SELLS_USD", "REVERT_USER_SELLS_USD"}


def decision(record: Record) -> Said:
    """Decisions, by kind."""
    return (record.value.kind, record.value) if isinstance(record.value, Decision) else None


def order(record: Record) -> Said:
    """Orders, by their own id."""
    return (record.value.client_order_id, record.value) if isinstance(record.value, HedgeOrder) else None


def transfer(record: Record) -> Said:
    """Transfers, by their own id."""
    return (record.value.client_transfer_id, record.value) if isinstance(record.value, CollateralTransfer) else None


def order_report(record: Record) -> Said:
    """What became of orders."""
    return (record.value.client_order_id, record.value) if isinstance(record.value, OrderReport) else None


def transfer_report(record: Record) -> Said:
    """What became of transfers."""
    return (record.value.client_transfer_id, record.value) if isinstance(record.value, TransferReport) else None


def from_venue(said: tuple[str, Message]) -> Outgoing:
    """A message of the gateway, for the topic that it names."""
    topic, message = said
    fields: Any = message
    return Outgoing(topic, fields.as_of, fields.venue.encode(), encode(message))


def balance(record: Record) -> Said:
    """A balance, keyed by account and currency, so that a compacted topic keeps the newest."""
    said = record.value
    return (f"{said.account}/{said.currency}", said) if isinstance(said, LedgerBalance) else None


def user_trade(record: Record) -> Said:
    """A trade once it is booked; said again when a replay finds it booked, so that nobody downstream misses it."""
    judged = record.value
    if not isinstance(judged, Judged) or judged.transaction.template not in TRADES:
        return None
    if judged.verdict.outcome not in (Outcome.POSTED, Outcome.DUPLICATE):
        return None
    transaction = judged.transaction
    btc, usd = transaction.meta["btc_leg"], transaction.meta["usd_leg"]
    # By far the most frequent message: written from its fields, which were validated when the legs were read.
    trade = {
        "schema_version": 1,
        "transaction_id": transaction.id,
        "buys": "USD" if transaction.template in BUYS else "BTC",
        "amount_sats": btc["amount"],
        "amount_cents": usd["amount"],
        "btc_leg_id": btc["id"],
        "usd_leg_id": usd["id"],
        "created_at": transaction.effective_at_ms,
        "reverses": transaction.reverses,
    }
    return transaction.id, to_json(trade)


def rejection(record: Record) -> Said:
    """A posting that was not posted, and why."""
    judged = record.value
    if not isinstance(judged, Judged) or judged.verdict.outcome in (Outcome.POSTED, Outcome.DUPLICATE):
        return None
    transaction, verdict = judged
    said = LedgerVerdict(
        transaction_id=transaction.id,
        template=transaction.template,
        outcome=verdict.outcome.value,
        reason=verdict.reason,
        account=verdict.account,
        currency=verdict.currency,
        shortfall=verdict.shortfall,
        source=transaction.source,
        source_offset=transaction.source_offset,
        as_of=record.at_ms,
    )
    return transaction.id, said


def conflict(record: Record) -> Said:
    """The same id with another body: somebody has to look."""
    judged = record.value
    if not isinstance(judged, Judged) or judged.verdict.outcome is not Outcome.CONFLICT:
        return None
    name = judged.transaction.id
    text = f"posting {name} ({judged.transaction.template}) came again with another body, from {judged.transaction.source}"
    return _alert("conflict", "critical", name, text, record.at_ms)


def too_old(record: Record) -> Said:
    """A leg that waits longer than it should."""
    if not isinstance(record.value, LegTooOld):
        return None
    leg, since_ms = record.value.leg, record.value.since_ms
    text = f"leg {leg.id}, worth {leg.cents} cents, has waited for its other half for {(record.at_ms - since_ms) // 1000} s"
    return _alert("leg_too_old", "warning", leg.id, text, record.at_ms)


def waiting(record: Record) -> Said:
    """A leg without a partner, or one that waits no longer."""
    if not isinstance(record.value, LegWaits):
        return None
    leg, state, since_ms, at_ms = record.value.leg, record.value.state, record.value.since_ms, record.value.at_ms
    said = WaitingLeg(
        leg_id=leg.id,
        state=state,
        worth_cents=leg.cents,
        created_at=leg.created_at_ms,
        age_seconds=max(0, at_ms - since_ms) // 1000,
        as_of=at_ms,
    )
    return leg.id, said


def refused(record: Record) -> Said:
    """A leg that will not be paired."""
    refusal = record.value
    if not isinstance(refusal, LegRefused):
        return None
    said = LegRefusal(
        leg_id=refusal.leg_id,
        reason=refusal.reason,
        detail=refusal.detail,
        source=refusal.source,
        source_offset=refusal.source_offset,
        as_of=record.at_ms,
    )
    return refusal.leg_id, said


def alert(record: Record) -> Said:
    """An alert as it is."""
    return (record.value.id, record.value) if isinstance(record.value, Alert) else None


def _alert(subject: str, severity: Any, name: str, text: str, at_ms: int) -> Said:
    said = Alert(id=content_id(subject, name), severity=severity, subject=subject, text=text, as_of=at_ms)
    return said.id, said
