"""What a webhook says of a conversion, and what is not read."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers import due
from connectors.providers.webhooks import Kind, Unreadable, due_sent_ms, read
from domain.messages.provider import ProviderEvent

AT = "2026-02-02T02:40:00Z"
AT_MS = 1_770_000_000_000

HTTP: dict[str, Any] = {
    "id": "evt-9",
    "client_conversion_id": "c1",
    "provider_tx_id": "P1",
    "state": "completed",
    "sequence": 3,
    "source_amount": 4_000_000,
    "destination_amount": 39_800_000_000,
    "fee_amount": 200_000_000,
    "rate": "1",
    "error": None,
    "at_ms": AT_MS,
}
TRANSFER: dict[str, Any] = {
    "id": "tf_1",
    "status": "payment_processed",
    "source": {"amount": "150.00", "fee": "2.50", "currency": "USDC"},
    "destination": {"amount": "147.50", "fee": "2.50", "currency": "USD", "memo": "c1"},
    "fxRate": 1,
}
DUE: dict[str, Any] = {
    "id": "wh_1",
    "type": "transfer.status_changed",
    "data": TRANSFER,
    "occurredAt": AT,
    "attemptedAt": AT,
}
ZEROHASH: dict[str, Any] = {"trade_id": "T1", "client_trade_id": "c1", "trade_state": "terminated", "timestamp": AT_MS}


def _transfer(destination: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return DUE | {"data": TRANSFER | {"destination": destination} | fields}


def _side(**fields: Any) -> dict[str, Any]:
    side: dict[str, Any] = TRANSFER["destination"]
    return side | fields


SAID: list[tuple[Kind, dict[str, Any], dict[str, Any]]] = [
    ("http", HTTP, {"id": "evt-9", "source_amount": 4_000_000, "fee_amount": 200_000_000, "rate": Decimal(1)}),
    ("http", HTTP | {"state": "failed", "error": "no_funds"}, {"state": "failed", "error": "no_funds"}),
    ("due", DUE, {"id": "wh_1", "source_amount": 150_000_000, "destination_amount": 14_750, "fee_amount": 250}),
    ("due", DUE | {"data": TRANSFER | {"fxRate": "0.99"}}, {"rate": Decimal("0.99")}),
    ("due", DUE | {"data": TRANSFER | {"status": "awaiting_funds"}}, {"state": "processing"}),
    ("due", DUE | {"data": TRANSFER | {"status": "failed"}}, {"state": "failed", "error": "failed"}),
    ("due", DUE | {"data": TRANSFER | {"status": "canceled"}}, {"state": "cancelled", "source_amount": None}),
    ("due", _transfer(_side(fee=None, totalFee="1.25")), {"fee_amount": 125}),
    ("due", _transfer(_side(memo=None), source=TRANSFER["source"] | {"memo": "c1"}), {"provider_tx_id": "tf_1"}),
    ("zerohash", ZEROHASH, {"id": "T1/terminated", "provider_tx_id": "T1", "state": "processing"}),
    ("zerohash", ZEROHASH | {"trade_state": "accepted"}, {"id": "T1/accepted"}),
]


@pytest.mark.parametrize(("kind", "body", "said"), SAID)
def test_what_is_said(kind: Kind, body: dict[str, Any], said: dict[str, Any]) -> None:
    """Each dialect comes to the one word, under our id, in minor units, with the time at which it happened."""
    event = read(kind, "due", json.dumps(body).encode())
    assert isinstance(event, ProviderEvent), event
    common = {"provider": "due", "client_conversion_id": "c1", "via": "webhook", "as_of": AT_MS}
    assert common | said == {name: getattr(event, name) for name in common | said}


def _due_side(currency: str, amount: str, fee: str) -> dict[str, str]:
    return {"currency": currency, "amount": amount, "fee": fee}


@pytest.mark.parametrize(
    ("source", "destination", "moved"),
    [
        (("USDC", "150.00", "2.50"), ("USD", "147.50", "2.50"), (150_000_000, 14_750, 250)),
        (("USDC", "150.00", "0"), ("USD", "147.50", "2.50"), (150_000_000, 14_750, 250)),
        (("USD", "100.00", "1.00"), ("USDC", "99.00", "0"), (10_000, 99_000_000, 1_000_000)),
        (("USD", "1.00", "0"), ("USDC", "1.000000", "0"), (100, 1_000_000, 0)),
    ],
)
def test_one_fee_counts_once(
    source: tuple[str, str, str], destination: tuple[str, str, str], moved: tuple[int, ...]
) -> None:
    """On whichever sides Due tells its fee, it is one, in the currency of the destination, and a dollar was a dollar."""
    transfer = {"source": _due_side(*source), "destination": _due_side(*destination)}
    assert (*moved, Decimal(1)) == due.moved(transfer)


UNREAD: list[tuple[Kind, object, str]] = [
    ("http", HTTP | {"state": "done"}, "invalid"),
    ("http", HTTP | {"fee_amount": None}, "invalid"),
    ("http", HTTP | {"source_amount": 1.5}, "invalid"),
    ("http", HTTP | {"id": "x" * 65}, "invalid"),
    ("http", HTTP | {"at_ms": -1}, "invalid"),
    ("http", [HTTP], "invalid"),
    ("due", DUE | {"type": "kyc.status_changed"}, "unknown_event"),
    ("due", DUE | {"data": None}, "missing_field"),
    ("due", DUE | {"occurredAt": "yesterday"}, "invalid"),
    ("due", _transfer(_side(), status="paid"), "unknown_state"),
    ("due", _transfer(_side(memo=None)), "missing_field"),
    ("due", _transfer(_side(amount="147.505")), "invalid"),
    ("due", _transfer(_side(currency="EUR")), "invalid"),
    ("due", _transfer(_side(amount="1e3")), "invalid"),
    ("due", _transfer(_side(amount=147)), "invalid"),
    ("due", _transfer(_side(), fxRate="NaN"), "invalid"),
    ("due", _transfer(_side(), fxRate=0), "invalid"),
    ("zerohash", ZEROHASH | {"trade_state": "defaulted"}, "unknown_state"),
    ("zerohash", ZEROHASH | {"timestamp": True}, "invalid"),
    ("zerohash", ZEROHASH | {"trade_id": None}, "missing_field"),
]


@pytest.mark.parametrize(("kind", "body", "reason"), UNREAD)
def test_what_is_not_read(kind: Kind, body: object, reason: str) -> None:
    """What is not known, missing, finer than money or of another matter says why, and is never guessed."""
    found = read(kind, "due", json.dumps(body).encode())
    assert isinstance(found, Unreadable), found
    assert reason == found.reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"\xff", "not_utf8"),
        (b"[" * 60_000, "not_json"),
        (b'{"id":' * 10_000, "not_json"),
        (b'{"at_ms":' + b"9" * 5_000 + b"}", "not_json"),
        (b'{"at_ms":NaN}', "not_json"),
        (b'{"id":"a","id":"b"}', "duplicate_key"),
        (b'{"id":"\\ud800"}', "invalid"),
        (b'{"fxRate":1e999999999}', "invalid"),
    ],
)
def test_no_bytes_break_it(body: bytes, reason: str) -> None:
    """Bytes that are no JSON, or JSON that is made to hurt, are told apart and cost nothing."""
    found = read("http", "p", body)
    assert isinstance(found, Unreadable)
    assert reason == found.reason


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=70)
JSON = LEAVES | st.dictionaries(st.sampled_from(["id", "memo", "status", "source", "amount"]), LEAVES, max_size=3)


@given(kind=st.sampled_from(["http", "due", "zerohash"]), base=st.sampled_from([HTTP, DUE, ZEROHASH]), data=st.data())
def test_any_body_is_a_word_or_a_reason(kind: Kind, base: dict[str, Any], data: st.DataObject) -> None:
    """Whatever stands in place of a field, nothing is raised, and what is read can be read again as it is sent."""
    name = data.draw(st.sampled_from(sorted(base)))
    body = json.dumps(base | {name: data.draw(JSON)}).encode()
    due_sent_ms(body)
    found = read(kind, "p", body)
    if isinstance(found, ProviderEvent):
        assert found == ProviderEvent.model_validate_json(found.model_dump_json())
