"""A console producer: lines in, messages on a topic, each checked first and each acknowledged by the broker."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, Message, Producer

from connectors.kafka import KafkaSettings, client_options
from domain.errors import ConfigError
from domain.topics import BY_NAME, Topic
from operators.decode import Refused, parser

DELIVERY_TIMEOUT_SECONDS = 30.0

EXAMPLES: dict[str, tuple[str, ...]] = {
    "dealer.transactions": (
        '{"id":"b-1","created_at":"2026-01-31T12:00:00Z","direction":"RECEIVE","settlement_currency":"BTC",'
        '"settlement_amount":1000000,"cents_per_unit":"0.05","memo":"JournalId:1"}',
        '{"id":"u-1","created_at":"2026-01-31T12:00:00Z","direction":"SEND","settlement_currency":"USD",'
        '"settlement_amount":-50000,"memo":"JournalId:1"}',
    ),
    "market.ticks": ('{"price_usd":"50000.5","as_of":"2026-01-31T12:00:00Z"}',),
    "venue.positions": (
        '{"venue":"simulated","exposure_cents":-50000,"contracts":-5,"sequence":7,"as_of":"2026-01-31T12:00:00Z"}',
    ),
    "venue.balances": (
        '{"venue":"simulated","trading_equity_sats":400000,"trading_used_sats":250000,"funding_sats":100000000,'
        '"sequence":7,"as_of":"2026-01-31T12:00:00Z"}',
    ),
    "venue.orders": (
        '{"venue":"simulated","client_order_id":"6e1bc1c4a5b14f6d8f3f0a9be2f3c7d1","decision_id":"019be2d3","state":"filled",'
        '"filled_contracts":5,"sequence":6,"as_of":"2026-01-31T12:00:00Z"}',
    ),
    "venue.transfers": (
        '{"venue":"simulated","client_transfer_id":"0d5b8a4c7e914dd0a2f1c3b4d5e6f708","decision_id":"019be2d4",'
        '"state":"done","sequence":5,"as_of":"2026-01-31T12:00:00Z"}',
    ),
    "venue.fills": (
        '{"venue":"simulated","id":"fill-6","client_order_id":"6e1bc1c4a5b14f6d8f3f0a9be2f3c7d1","contracts":-5,'
        '"price_usd":"50000.5","sequence":6,"as_of":"2026-01-31T12:00:00Z"}',
    ),
    "venue.cashflows": (
        '{"venue":"simulated","id":"flow-6","kind":"fee","amount_sats":-500,"sequence":6,"as_of":"2026-01-31T12:00:00Z"}',
    ),
}
"""Lines that can be typed as they are, for every topic that people write to."""


@dataclass
class Produced:
    """What became of the lines: how many were sent, and what was wrong with the others, by line number."""

    sent: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def topic_named(name: str) -> Topic:
    """The topic, or a ConfigError that lists the topics there are."""
    if name not in BY_NAME:
        msg = f"there is no topic {name}; there are {', '.join(sorted(BY_NAME))}"
        raise ConfigError(msg)
    return BY_NAME[name]


def examples_of(topic: Topic) -> tuple[str, ...]:
    """Lines that can be typed; ConfigError for a topic that only Ballast itself writes to."""
    if topic.name not in EXAMPLES:
        msg = f"{topic.name} is written by Ballast itself; people write to {', '.join(sorted(EXAMPLES))}"
        raise ConfigError(msg)
    return EXAMPLES[topic.name]


def produce(kafka: KafkaSettings, topic: Topic, lines: Iterable[bytes], *, check: bool, each: bool) -> Produced:
    """Send lines as messages. With `check` a line that does not fit is refused, not sent; with `each` every line is on its
    way at once, as at a console. ConfigError when the broker does not take them."""
    producer = Producer(client_options(kafka) | {"enable.idempotence": True, "message.max.bytes": 4 * 1024 * 1024})
    parse = parser(topic.model)
    failed: list[KafkaError] = []
    produced = Produced()
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip(b"\r\n")
        if not line.strip():
            continue
        try:
            if check:
                parse(line)
        except Refused as refused:
            produced.refused.append((number, f"{refused.reason}: {refused}"))
            continue
        _send(producer, topic.name, line, failed)
        produced.sent += 1
        if each:
            producer.flush(DELIVERY_TIMEOUT_SECONDS)
    _finish(producer, failed, kafka)
    return produced


def _send(producer: Producer, topic: str, line: bytes, failed: list[KafkaError]) -> None:
    def reported(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(error)

    while True:
        try:
            producer.produce(topic, line, on_delivery=reported)
        except BufferError:
            producer.poll(0.1)
        else:
            return


def _finish(producer: Producer, failed: list[KafkaError], kafka: KafkaSettings) -> None:
    left = producer.flush(DELIVERY_TIMEOUT_SECONDS)
    if failed or left:
        why = failed[0].str() if failed else f"{left} messages were not acknowledged within {DELIVERY_TIMEOUT_SECONDS:.0f} s"
        msg = f"the broker at {kafka.bootstrap} did not take every message: {why}"
        raise ConfigError(msg)
