"""Legs as a person types them, and what they lead to."""

import json
from collections.abc import Callable
from typing import Any

import psycopg

from app.places.places import Places
from connectors.clock import now_ms
from connectors.kafka.source import KafkaSettings
from tests.app.surroundings import Running, unused_name
from tests.app.trading import settle
from tests.waiting import until

TOPIC = "dealer.transactions"
CENTS = 2_000_000
TypeLines = Callable[[Running, list[str]], None]
BOOKED = "SELECT count(*) FROM ledger.tx WHERE template = 'USER_BUYS_USD' AND meta -> 'btc_leg' ->> 'id' = %s"


def legs_of_a_trade(name: str, cents: int = CENTS) -> list[str]:
    """Somebody buys dollars for bitcoin at 50,000 USD, as two lines without a key."""
    common = {"created_at": now_ms(), "memo": f"JournalId:{name}"}
    bitcoin = {
        "id": f"b-{name}",
        "direction": "RECEIVE",
        "settlement_currency": "BTC",
        "settlement_amount": cents * 20,
        "cents_per_unit": "0.05",
    }
    dollars = {"id": f"u-{name}", "direction": "SEND", "settlement_currency": "USD", "settlement_amount": -cents}
    return [json.dumps(leg | common) for leg in (bitcoin, dollars)]


def type_with_ballast(running: Running, lines: list[str]) -> None:
    """Lines as they are typed at `ballast produce`."""
    said = running.ballast("produce", TOPIC, "--json", stdin="\n".join(lines).encode())
    assert {"topic": TOPIC, "sent": len(lines), "refused": 0} == said.json()


def assert_hedged(running: Running, type_lines: TypeLines) -> None:
    """Type the legs of a trade, and see it booked and hedged in `ballast status`."""
    settle(places_of(running))
    before = _status(running)
    # Enough to leave the band, whatever is owed for trades that others have left on a broker that tests share.
    cents = max(CENTS, before["liability_cents"] // 5)
    type_lines(running, legs_of_a_trade(unused_name("typed"), cents))

    def is_hedged() -> bool:
        status = _status(running)
        has_filled = before["orders"].get("filled", 0) < status["orders"].get("filled", 0)
        return has_filled and _exposure_cents(running, status) < _exposure_cents(running, before)

    def waits_as_before() -> bool:
        return bool(before["waiting_legs"]["count"] == _status(running)["waiting_legs"]["count"])

    until(is_hedged, "the trade and its hedge")
    # The step says once a second of stream time how many wait, and may have said so between the two legs.
    until(waits_as_before, "the word that no leg of it waits")
    after = _status(running)
    assert before["trades"] + 1 == after["trades"]
    assert before["liability_cents"] + cents == after["liability_cents"]
    assert before["transactions"] < after["transactions"]
    assert before["waiting_legs"]["count"] == after["waiting_legs"]["count"]


def places_of(running: Running) -> Places:
    """Where a running worker has its broker and its database."""
    return Places(running.dsn, KafkaSettings(running.bootstrap), False)


def _status(running: Running) -> dict[str, Any]:
    return running.ballast("status", "--json").json()


def is_in_band(running: Running) -> bool:
    """Whether the short at its venue is what its ledger owes, within the band."""
    status = _status(running)
    return 0.95 * status["liability_cents"] <= -_exposure_cents(running, status) <= 1.03 * status["liability_cents"]


def _exposure_cents(running: Running, status: dict[str, Any]) -> int:
    """Of its own venue: on a broker that tests share others may have spoken of theirs not long ago."""
    (venue,) = json.loads(running.settings["BALLAST_VENUES"])
    return int(status["venues"].get(venue, {"exposure_cents": 0})["exposure_cents"])


def number(connection: psycopg.Connection[Any], query: str, *values: object) -> int:
    """What a query that counts gives."""
    row = connection.execute(query, values).fetchone()  # type: ignore[arg-type]
    return int(row[0]) if row else 0
