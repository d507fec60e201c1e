"""Reading: whatever bytes a producer writes become a message or a rejection, and never an exception."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import topics
from domain.errors import Rejection
from domain.messages.dealer import DealerTransaction
from domain.messages.fields import MESSAGE_BYTES_MAX, Message
from domain.messages.ledger import Crossing
from domain.messages.recon import Statement
from domain.outbox.kinds import CANCEL, CONVERSION
from domain.streams.records import Progress, RawBatch, RawMessage
from domain.times import BITCOIN_BEGAN_MS
from domain.topics import TOPICS, Topic
from operators.streams.decode import DETAIL_MAX, Refused, decoder, parser
from operators.streams.publish import encode
from tests.domain.outbox.test_lifecycle import REQUESTS
from tests.operators.test_announce import ORDER, TRANSFER
from tests.words import (
    START_MS,
    VENUE,
    cash_flow,
    correction,
    fill,
    leg,
    liability,
    order_report,
    pockets,
    position,
    raw,
    tick,
    transfer_report,
)

DOLLARS: dict[str, Any] = {
    "id": "u1",
    "created_at": START_MS,
    "direction": "SEND",
    "settlement_currency": "USD",
    "settlement_amount": -2_000,
}
READ = tuple(topic for topic in TOPICS if topic.direction != "out")


def written(**changes: Any) -> bytes:
    """A leg as a person types it, with some fields changed; None leaves a field out."""
    fields = {name: value for name, value in (DOLLARS | changes).items() if value is not None}
    return json.dumps(fields).encode()


def amount(text: str) -> bytes:
    """A leg with this text for an amount."""
    return written(settlement_amount="AMOUNT").replace(b'"AMOUNT"', text.encode())


def read(value: bytes, topic: Topic[Any] = topics.DEALER_TRANSACTIONS) -> Any:
    """What one message of a topic becomes."""
    progress, *bad = decoded(RawBatch(topic.name, 2, START_MS, [RawMessage(7, START_MS, b"key", value)]), topic)
    (record,) = (*progress.records, *bad)
    return record.value


def decoded(batch: RawBatch, topic: Topic[Any] = topics.MARKET_TICKS) -> Any:
    """A batch as progress and rejections."""
    return decoder(topic, lambda message: message)(batch)


BAD = {
    "empty": (b"", "not_json"),
    "blank": (b" \n", "not_json"),
    "not JSON": (b"not json", "not_json"),
    "cut off": (written()[:-1], "not_json"),
    "two messages": (written() + written(), "not_json"),
    "byte order mark": (b"\xef\xbb\xbf" + written(), "not_json"),
    "half a surrogate pair": (written(id="ID").replace(b"ID", b"\\ud800"), "not_json"),
    "invalid UTF-8": (b"\xff\xfe", "not_utf8"),
    "invalid UTF-8 in a text": (written(memo="MEMO").replace(b"MEMO", b"\xff"), "not_utf8"),
    "1 MiB": (b"x" * 2**20, "too_large"),
    "1 MiB of JSON": (written(memo="x" * 2**20), "too_large"),
    "a byte too many": (written() + b" " * (MESSAGE_BYTES_MAX + 1 - len(written())), "too_large"),
    "100,000 deep": (b"[" * 100_000, "too_large"),
    "as deep as fits": (b"[" * MESSAGE_BYTES_MAX, "not_json"),
    "deep objects in a field": (written(memo="MEMO").replace(b'"MEMO"', b'{"a":' * 10_000), "not_json"),
    "null": (b"null", "invalid"),
    "a list": (b"[]", "invalid"),
    "a number": (b"7", "invalid"),
    "a text": (b'"u1"', "invalid"),
    "nothing in it": (b"{}", "missing_field"),
    "no amount": (written(settlement_amount=None), "missing_field"),
    "unknown field": (written(colour="red"), "unknown_field"),
    "unknown field with a long name": (written(**{"x" * 60_000: 1}), "unknown_field"),
    "unknown version": (written(schema_version=2), "unknown_schema_version"),
    "version as text": (written(schema_version="1"), "unknown_schema_version"),
    "version of many digits": (written(schema_version=int("9" * 4_200)), "unknown_schema_version"),
    "repeated key": (written()[:-1] + b',"id":"u2"}', "duplicate_key"),
    "repeated key of the same value": (written()[:-1] + b',"id":"u1"}', "duplicate_key"),
    "repeated key in other letters": (written()[:-1] + b',"\\u0069d":"u2"}', "duplicate_key"),
    "unknown currency": (written(settlement_currency="EUR"), "invalid"),
    "currency in small letters": (written(settlement_currency="usd"), "invalid"),
    "unknown status": (written(status="DONE"), "invalid"),
    "sign against direction": (written(settlement_amount=2_000), "invalid"),
    "id as number": (written(id=7), "invalid"),
    "no id": (written(id=""), "invalid"),
    "id too long": (written(id="x" * 65), "invalid"),
    "amount as text": (written(settlement_amount="-2000"), "invalid"),
    "amount as truth": (written(settlement_amount=True), "invalid"),
    "zero": (amount("0"), "invalid"),
    "zero with a sign": (amount("-0"), "invalid"),
    "40 digits": (amount("-" + "9" * 40), "invalid"),
    "5,000 digits": (amount("-" + "9" * 5_000), "not_json"),
    "a fraction": (amount("-2000.5"), "invalid"),
    "a whole fraction": (amount("-2000.0"), "invalid"),
    "an exponent": (amount("-2e3"), "invalid"),
    "past any float": (amount("-1e400"), "invalid"),
    "NaN": (amount("NaN"), "invalid"),
    "infinite": (amount("-Infinity"), "invalid"),
    "bitcoin without a price": (written(settlement_currency="BTC"), "invalid"),
    "price as number": (written(settlement_currency="BTC", cents_per_unit=0.04), "invalid"),
    "price NaN": (written(settlement_currency="BTC", cents_per_unit="NaN"), "invalid"),
    "price infinite": (written(settlement_currency="BTC", cents_per_unit="Infinity"), "invalid"),
    "price with exponent": (written(settlement_currency="BTC", cents_per_unit="4e-2"), "invalid"),
    "price zero": (written(settlement_currency="BTC", cents_per_unit="0.0"), "invalid"),
    "price below zero": (written(settlement_currency="BTC", cents_per_unit="-0.04"), "invalid"),
    "time without zone": (written(created_at="2026-01-31T12:00:00"), "invalid"),
    "no time": (written(created_at="yesterday"), "invalid"),
    "time as fraction": (written(created_at=1.5), "invalid"),
    "time as truth": (written(created_at=True), "invalid"),
    "before 1970": (written(created_at=-1), "invalid"),
    "before the year 1": (written(created_at="0001-01-01T00:00:00+23:59"), "invalid"),
    "after the year 9999": (written(created_at="9999-12-31T23:59:59-23:59"), "invalid"),
    "time of 30 digits": (written(created_at=10**30), "invalid"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_rejection(name: str) -> None:
    """Every bad message is refused under its reason, with its coordinates, its key and its bytes."""
    value, reason = BAD[name]
    rejection = read(value)
    assert isinstance(rejection, Rejection)
    assert (reason, "dealer.transactions", 2, 7, b"key", value) == (
        rejection.reason,
        rejection.topic,
        rejection.partition,
        rejection.offset,
        rejection.key,
        rejection.raw,
    )
    assert 0 < len(rejection.detail) <= DETAIL_MAX


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (written(settlement_amount="x"), "settlement_amount"),
        (written(settlement_currency="EUR"), "'BTC' or 'USD'"),
        (written(colour="red"), "colour"),
        (written(id=None), "id is missing"),
        (written(schema_version=9), "9"),
        (written(created_at="2026-01-31T12:00:00"), "put a Z behind it"),
        (written(settlement_currency="BTC"), "cents_per_unit"),
    ],
)
def test_a_rejection_says_what_to_mend(value: bytes, word: str) -> None:
    """The sentence names the field or the value that is wrong."""
    assert word in read(value).detail


@pytest.mark.parametrize(
    "value",
    [
        written(),
        written(schema_version=1),
        written(created_at="2023-11-14T22:13:20Z"),
        written(created_at="2023-11-14T23:13:20+01:00"),
        written(memo='he said "id": and "id": again'),
        written(memo='{"id":"u1","id":"u1"}'),
        written(settlement_amount=-(10**30)),
        b"\n " + written() + b" \n",
    ],
)
def test_good_input_is_a_message(value: bytes) -> None:
    """What a person may type is read, also where a text looks like keys."""
    assert isinstance(read(value), DealerTransaction)


CROSSING = Crossing(
    id="c",
    shard=0,
    home=1,
    transaction_id="t",
    template="TRANSFER",
    effective_at=START_MS,
    entries=(("A", "USD", 1, 1, 5), ("B", "USD", 1, -1, 5)),
    correlation_id="m",
    source="ledger.postings/0",
    source_offset=3,
)


def position_told(**changes: Any) -> bytes:
    """A position with some fields changed."""
    fields = {"venue": "v", "exposure_cents": -1_000_000, "contracts": -100, "sequence": 1, "as_of": START_MS}
    return json.dumps(fields | changes).encode()


FILLED = {"venue": "v", "id": "f", "client_order_id": "o", "contracts": -5, "price_usd": "40000", "sequence": 1}
CONTRADICTIONS = {
    "another sign": (topics.VENUE_POSITIONS, position_told(exposure_cents=1_000_000), "-100 contracts are -1000000 cents"),
    "another size": (topics.VENUE_POSITIONS, position_told(contracts=-10_000), "-10000 contracts are -100000000 cents"),
    "another sign of what nobody can value": (
        topics.VENUE_POSITIONS,
        position_told(instrument="ETH-USD-SWAP", exposure_cents=5),
        "different signs",
    ),
    "a fill that nobody can value": (
        topics.VENUE_FILLS,
        json.dumps(FILLED | {"instrument": "ETH-USD-SWAP", "as_of": START_MS}).encode(),
        "not an instrument of ours",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_contradicts_itself_is_refused_where_it_is_read(name: str) -> None:
    """What a message says twice has to agree, and what is booked has to have a worth."""
    topic, value, words = CONTRADICTIONS[name]
    rejection = read(value, topic)
    assert "invalid" == rejection.reason
    assert words in rejection.detail


MESSAGES: dict[str, Message] = {
    "dealer.transactions": leg("b1", memo="JournalId:1"),
    "market.ticks": tick(),
    "venue.positions": position(-1_000_000),
    "venue.balances": pockets(),
    "venue.orders": order_report("o", "filled", 3),
    "venue.transfers": transfer_report("t", "done", 3),
    "venue.fills": fill(-3),
    "venue.cashflows": cash_flow("fee", -7),
    "ledger.balances": liability(5),
    "hedging.orders": ORDER,
    "ledger.crossings": CROSSING,
    "hedging.transfers": TRANSFER,
    "facts.corrections": correction("venue.positions", VENUE),
    "recon.statements": Statement(
        statement_id="s",
        source="bank",
        account="CASH",
        currency="USD",
        since=START_MS,
        until=2**41,
        opening=5,
        closing=5,
        lines=(),
    ),
    "treasury.conversions": REQUESTS[CONVERSION],
    "treasury.cancels": REQUESTS[CANCEL],
}


def typed(topic: Topic[Any]) -> Message:
    """The first example of what people type on a topic, as if it had happened at the start."""
    message: Message = topic.model.model_validate_json(topic.model.examples[0])
    return message.model_copy(update={topic.model.happened: START_MS})


MESSAGES |= {topic.name: typed(topic) for topic in READ if topic.name not in MESSAGES}


@pytest.mark.parametrize("topic", READ, ids=lambda topic: topic.name)
def test_messages_survive_the_wire(topic: Topic[Any]) -> None:
    """A message of every topic that is read is the same after it was written and read."""
    message = MESSAGES[topic.name]
    assert message == read(encode(message), topic)


@pytest.mark.parametrize("topic", READ, ids=lambda topic: topic.name)
@given(value=st.binary(max_size=200))
def test_arbitrary_bytes_never_raise(topic: Topic[Any], value: bytes) -> None:
    """Any bytes at all on any topic become a message or a rejection."""
    assert isinstance(read(value, topic), Rejection | topic.model)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("topic", READ, ids=lambda topic: topic.name)
@given(data=st.data())
def test_mutated_messages_never_raise(topic: Topic[Any], data: st.DataObject) -> None:
    """A valid message with a field replaced by any JSON, left out, or with bytes changed, is read or refused."""
    fields = json.loads(encode(MESSAGES[topic.name]))
    name = data.draw(st.sampled_from([*fields, "another"]))
    fields[name] = data.draw(JSON)
    value = bytearray(json.dumps(fields).encode(errors="surrogatepass"))
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(value) - 1), st.integers(0, 255)), max_size=2)):
        value[place] = byte
    assert isinstance(read(bytes(value), topic), Rejection | topic.model)


@given(st.lists(st.sampled_from(("id", "memo", "status", "colour")), max_size=5))
def test_a_repeated_key_never_gets_through(extra: list[str]) -> None:
    """A message is read only if every key stands in it once."""
    keys = [*DOLLARS, *extra]
    members = [f'"{key}":{json.dumps(DOLLARS.get(key, "SUCCESS"))}' for key in keys]
    is_message = isinstance(read(("{" + ",".join(members) + "}").encode()), DealerTransaction)
    assert (len(keys) == len(set(keys)) and "colour" not in keys) == is_message


def test_a_batch_keeps_its_order_and_its_watermark() -> None:
    """Every message becomes one record with its own coordinates, good and bad each in the order in which they came."""
    told = tick(at_ms=BITCOIN_BEGAN_MS)
    first_ms, second_ms, third_ms = (BITCOIN_BEGAN_MS + n for n in range(3))
    batch = RawBatch("market.ticks", 3, 99, [raw(told, 5, first_ms), raw(b"bad", 6, second_ms), raw(told, 8, third_ms)])
    progress, *bad = decoded(batch)
    assert ("market.ticks/3", 99) == progress[:2]
    assert [(first_ms, "market.ticks/3", 5), (third_ms, "market.ticks/3", 8)] == [one[:3] for one in progress.records]
    assert [(second_ms, "market.ticks/3", 6)] == [record[:3] for record in bad]


DAY_MS = 86_400_000


@pytest.mark.parametrize("name", [name for name, topic in topics.BY_NAME.items() if topic.model.happened])
@pytest.mark.parametrize(
    ("at_ms", "words"),
    [
        (START_MS // 1000, "a thousand times the seconds"),
        (BITCOIN_BEGAN_MS - 1, "2009-01-02T23:59:59Z"),
        (BITCOIN_BEGAN_MS, None),
        (START_MS + DAY_MS, None),
        (START_MS + DAY_MS + 1, "cannot have happened yet"),
    ],
)
def test_times_are_those_of_what_has_happened(name: str, at_ms: int, words: str | None) -> None:
    """What comes from outside happened after the first block, and no more than a day ahead of when it came."""
    message = MESSAGES[name].model_copy(update={MESSAGES[name].happened: at_ms})
    progress, *bad = decoded(RawBatch(name, 0, 99, [raw(message, 5, START_MS)]), topics.BY_NAME[name])
    assert (words is None) == bool(progress.records)
    assert [words in one.value.detail for one in bad] == [True] * (words is not None)


def test_an_empty_batch_is_a_watermark() -> None:
    """A heartbeat passes through."""
    assert [Progress("market.ticks/0", 5, [])] == decoded(RawBatch("market.ticks", 0, 5, []))


def test_a_message_can_be_converted_on_the_way() -> None:
    """What `convert` makes of a message is the record's value."""
    decode = decoder(topics.MARKET_TICKS, lambda message: message.price_usd)
    (progress,) = decode(RawBatch("market.ticks", 0, 5, [raw(tick())]))
    assert ["40000"] == [str(record.value) for record in progress.records]


def test_the_parser_raises_one_thing_only() -> None:
    """Whoever parses by hand, as the console producer does, has one error to catch."""
    with pytest.raises(Refused, match="id is missing") as refused:
        parser(DealerTransaction)(written(id=None))
    assert "missing_field" == refused.value.reason
