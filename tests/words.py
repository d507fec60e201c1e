"""Small words to write tests with: legs, facts of an exchange account, records, raw messages, and what books come to."""

import json
from typing import Any

from domain.ledger.memory import MemoryLedger
from domain.messages.dealer import DealerTransaction
from domain.messages.facts import Correction
from domain.messages.fields import Message
from domain.messages.ledger import LedgerBalance
from domain.messages.market import Tick
from domain.messages.venue import CashFlow, Fill, OrderReport, TransferReport, VenueBalance, VenuePosition
from domain.streams.records import RawMessage, Record

START_MS = 1_700_000_000_000
VENUE = "simulated"
CENTS_PER_SAT = "0.04"


def leg(
    leg_id: str,
    cents: int = 2_000,
    *,
    buys: bool = True,
    second: int = 0,
    status: str = "SUCCESS",
    memo: str | None = None,
) -> DealerTransaction:
    """A leg of a user who buys dollars, or sells them; an id that begins with b is the bitcoin leg."""
    is_btc = leg_id.startswith("b")
    received = buys == is_btc
    amount = cents * 25 if is_btc else cents
    fields: dict[str, Any] = {
        "id": leg_id,
        "created_at": START_MS + second * 1000,
        "status": status,
        "direction": "RECEIVE" if received else "SEND",
        "settlement_currency": "BTC" if is_btc else "USD",
        "settlement_amount": amount if received else -amount,
        "memo": memo,
    }
    return DealerTransaction.model_validate_json(json.dumps(fields | ({"cents_per_unit": CENTS_PER_SAT} if is_btc else {})))


def pair(name: str, cents: int = 2_000, **said: Any) -> list[DealerTransaction]:
    """Both legs of a trade."""
    return [leg(f"b{name}", cents, **said), leg(f"u{name}", cents, **said)]


def tick(price_usd: str = "40000", at_ms: int = START_MS) -> Tick:
    """A price."""
    return Tick.model_validate_json(json.dumps({"price_usd": price_usd, "as_of": at_ms}))


def position(exposure_cents: int = 0, sequence: int = 1, at_ms: int = START_MS, venue: str = VENUE) -> VenuePosition:
    """What we hold at the exchange."""
    return VenuePosition(
        venue=venue, exposure_cents=exposure_cents, contracts=exposure_cents // 10_000, sequence=sequence, as_of=at_ms
    )


def pockets(
    trading_sats: int = 100_000_000_000, funding_sats: int = 200_000_000, sequence: int = 1, at_ms: int = START_MS
) -> VenueBalance:
    """The money in both pockets."""
    return VenueBalance(
        venue=VENUE,
        trading_equity_sats=trading_sats,
        trading_used_sats=0,
        funding_sats=funding_sats,
        sequence=sequence,
        as_of=at_ms,
    )


def liability(settled: int, version: int = 1, at_ms: int = START_MS) -> LedgerBalance:
    """What users are owed, in cents."""
    return LedgerBalance(
        account="STABLESATS_OMNIBUS",
        currency="USD",
        version=version,
        settled=settled,
        pending=0,
        encumbered=0,
        as_of=at_ms,
    )


def order_report(name: str, state: Any, sequence: int = 0, at_ms: int = START_MS) -> OrderReport:
    """What became of an order."""
    return OrderReport(venue=VENUE, client_order_id=name, decision_id="d", state=state, sequence=sequence, as_of=at_ms)


def transfer_report(name: str, state: Any, sequence: int = 0, at_ms: int = START_MS) -> TransferReport:
    """What became of a transfer."""
    return TransferReport(venue=VENUE, client_transfer_id=name, decision_id="d", state=state, sequence=sequence, as_of=at_ms)


def fill(contracts: int, sequence: int = 1, at_ms: int = START_MS, order: str = "o") -> Fill:
    """Contracts executed, negative sold."""
    fields = {"venue": VENUE, "id": f"f{sequence}", "client_order_id": order, "contracts": contracts}
    return Fill.model_validate_json(json.dumps(fields | {"price_usd": "40000", "sequence": sequence, "as_of": at_ms}))


def cash_flow(kind: Any, amount_sats: int, flow_id: str = "c1", at_ms: int = START_MS) -> CashFlow:
    """A line of the exchange's own history."""
    return CashFlow(venue=VENUE, id=flow_id, kind=kind, amount_sats=amount_sats, sequence=1, as_of=at_ms)


def correction(topic: Any, key: str, at_ms: int = START_MS) -> Correction:
    """What a topic told of a key is wrong."""
    return Correction(topic=topic, key=key, why="a slip", by="anna", as_of=at_ms)


def record(value: Any, at_ms: int = START_MS, offset: int = 0, source: str = "dealer.transactions/0") -> Record[Any]:
    """A value with coordinates."""
    return Record(at_ms, source, offset, value)


def raw(message: Message | bytes, offset: int = 0, at_ms: int = START_MS) -> RawMessage:
    """A message as the broker gives it."""
    return RawMessage(offset, at_ms, None, message if isinstance(message, bytes) else message.model_dump_json().encode())


def live_trades(ledger: MemoryLedger) -> list[tuple[str, str]]:
    """The pairs that are booked and not taken back, as leg ids."""
    transactions = ledger.transactions()
    taken_back = {transaction.reverses for transaction in transactions}
    booked = [t for t in transactions if "btc_leg" in t.meta and not t.reverses and t.id not in taken_back]
    legs = [json.loads(t.meta) for t in booked]
    return sorted((told["btc_leg"]["id"], told["usd_leg"]["id"]) for told in legs)


def settled(ledger: MemoryLedger) -> dict[tuple[str, str], int]:
    """What every account comes to, debits positive; accounts that come to nothing are left out."""
    return {(b.account, b.currency): b.settled for b in ledger.balances() if b.settled}
