"""What runs, in numbers: from the ledger, the records and the topics."""

import json
from decimal import Decimal
from typing import Any

from app.peek import Partition, Peek, Tail, counts, newest_json
from app.places import Places
from connectors.clock import now_ms
from domain.accounts import LIABILITY
from sinks.connecting import Connection, connect

TRADES = """
SELECT count(*) FILTER (WHERE template LIKE 'USER\\_%') - count(*) FILTER (WHERE template LIKE 'REVERT\\_%'), count(*)
FROM ledger.tx
"""
BALANCE = "SELECT coalesce((SELECT settled FROM ledger.balances WHERE account = %s AND currency = %s), 0)"
LAST_DECISIONS = """
SELECT DISTINCT ON (kind) kind, action, rule, reason FROM treasury.decision ORDER BY kind, as_of DESC, recorded_at DESC
"""
HOLDS = "SELECT rule, count(*) FROM treasury.decision WHERE action = 'hold' GROUP BY rule ORDER BY rule"
FACTS = ("venue.positions", "venue.balances", "market.ticks")


def read_status(places: Places) -> dict[str, Any]:
    """One report; amounts in minor units, ratios as decimal strings with four places."""
    peek = Peek(places.kafka)
    try:
        with connect(places.dsn, "reader", "status") as connection:
            tails = peek.tails()
            waiting = {"waiting_legs": waiting_legs(peek)}
            return {
                **_booked(connection),
                **_hedged(connection, tails),
                **_asked(connection),
                **waiting,
                **_topics(connection, tails),
            }
    finally:
        peek.close()


def _booked(connection: Connection) -> dict[str, Any]:
    trades, transactions = connection.execute(TRADES).fetchone() or (0, 0)
    rejected = _count(connection, "SELECT count(*) FROM ledger.reject")
    conflicts = _count(connection, "SELECT count(*) FROM ledger.conflict")
    return {
        "trades": trades,
        "transactions": transactions,
        "postings_rejected": rejected,
        "postings_in_conflict": conflicts,
    }


def _hedged(connection: Connection, tails: dict[Partition, Tail]) -> dict[str, Any]:
    liability_cents = _count(connection, BALANCE, *LIABILITY)
    position, balance, tick = (newest_json(tails, name) for name in FACTS)
    exposure_cents = position["exposure_cents"] if position else 0
    collateral_sats = balance["trading_equity_sats"] if balance else 0
    price_usd = Decimal(tick["price_usd"]) if tick else None
    return {
        "liability_cents": liability_cents,
        "exposure_cents": exposure_cents,
        "hedge_ratio": ratio(-exposure_cents, liability_cents),
        "collateral_sats": collateral_sats,
        "funding_sats": balance["funding_sats"] if balance else 0,
        "leverage": leverage(exposure_cents, collateral_sats, price_usd),
        "books_less_exchange": _books_less_exchange(connection, position, balance),
        "price_usd": str(price_usd) if price_usd else None,
        "price_age_ms": now_ms() - tick["as_of"] if tick else None,
    }


def _books_less_exchange(
    connection: Connection, position: dict[str, Any] | None, balance: dict[str, Any] | None
) -> dict[str, int]:
    """What the ledger's mirror has more than the exchange says; zero but for what is on its way."""
    mirrored_cents = -_count(connection, BALANCE, "OKEX_POSITION", "USD")
    funding_sats = _count(connection, BALANCE, "EXCHANGE_FUNDING", "BTC")
    return {
        "exposure_cents": mirrored_cents - (position["exposure_cents"] if position else 0),
        "funding_sats": funding_sats - (balance["funding_sats"] if balance else 0),
    }


def ratio(part: int, whole: int) -> str | None:
    """A ratio with four places, None when there is nothing to compare with."""
    return None if whole == 0 else str((Decimal(part) / whole).quantize(Decimal("0.0001")))


def leverage(exposure_cents: int, collateral_sats: int, price_usd: Decimal | None) -> str | None:
    """Exposure over collateral, both in bitcoin at this price."""
    if price_usd is None or collateral_sats <= 0:
        return None
    collateral_cents = Decimal(collateral_sats) * price_usd / 1_000_000
    return str((abs(exposure_cents) / collateral_cents).quantize(Decimal("0.0001")))


def _asked(connection: Connection) -> dict[str, Any]:
    return {
        "orders": dict(_pairs(connection, "SELECT state, count(*) FROM treasury.venue_order GROUP BY state ORDER BY state")),
        "transfers": dict(
            _pairs(connection, "SELECT state, count(*) FROM treasury.venue_transfer GROUP BY state ORDER BY state")
        ),
        "decisions": _count(connection, "SELECT count(*) FROM treasury.decision"),
        "holds": dict(_pairs(connection, HOLDS)),
        "last_decisions": {
            kind: {"action": action, "rule": rule, "reason": reason}
            for kind, action, rule, reason in connection.execute(LAST_DECISIONS)
        },
    }


def _topics(connection: Connection, tails: dict[Partition, Tail]) -> dict[str, Any]:
    quarantined = "SELECT topic, count(*) FROM treasury.quarantine GROUP BY topic ORDER BY topic"
    return {
        "quarantined": dict(_pairs(connection, quarantined)),
        "messages": counts(tails),
    }


def waiting_legs(peek: Peek) -> dict[str, int]:
    """How many legs wait for their other half, what they are worth, and since when the oldest does."""
    newest = {leg["leg_id"]: leg for leg in _messages(peek, "legs.waiting")}
    waiting = [leg for leg in newest.values() if leg["state"] in ("waiting", "pending", "too_old")]
    ages = [now_ms() - leg["as_of"] + leg["age_seconds"] * 1000 for leg in waiting]
    return {
        "count": len(waiting),
        "worth_cents": sum(leg["worth_cents"] for leg in waiting),
        "oldest_seconds": max(ages, default=0) // 1000,
    }


def _messages(peek: Peek, topic: str) -> list[dict[str, Any]]:
    return [json.loads(message.value) for _, message in peek.everything(topic)]


def _count(connection: Connection, query: str, *parameters: object) -> int:
    row = connection.execute(query, parameters).fetchone()
    return int(row[0]) if row else 0


def _pairs(connection: Connection, query: str) -> list[tuple[str, int]]:
    return [(str(name), int(count)) for name, count in connection.execute(query)]
