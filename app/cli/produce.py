"""A console producer: lines in, messages on a topic, each checked first and each acknowledged by the broker."""

from codecs import BOM_UTF8
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, get_args

from confluent_kafka import KafkaError, Message, Producer
from pydantic_core import to_json

from app.settings import Settings
from connectors.clock import now_ms
from connectors.kafka.source import KafkaSettings, client_options
from domain.errors import ConfigError
from domain.messages.facts import Correction
from domain.streams.records import Outgoing
from domain.topics import BY_NAME, MARKET_TICKS, TOPICS, VENUE_BALANCES, VENUE_POSITIONS, Topic
from operators.streams.decode import Refused, check_time, parser

DELIVERY_TIMEOUT_SECONDS = 120.0
CORRECTABLE = [BY_NAME[name] for name in get_args(Correction.model_fields["topic"].annotation)]


@dataclass
class Produced:
    """What became of the lines: how many were sent, and what was wrong with the others, by line number."""

    sent: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def topic_named(name: str) -> Topic[Any]:
    """The topic, or a ConfigError that lists the topics there are."""
    if name not in BY_NAME:
        msg = f"there is no topic {name}; there are {', '.join(sorted(BY_NAME))}"
        raise ConfigError(msg)
    return BY_NAME[name]


def examples_of(topic: Topic[Any]) -> tuple[str, ...]:
    """Lines that can be typed; ConfigError for a topic that only Ballast itself writes to."""
    if not topic.model.examples:
        written = sorted(one.name for one in TOPICS if one.model.examples)
        msg = f"{topic.name} is written by Ballast itself; people write to {', '.join(written)}"
        raise ConfigError(msg)
    examples: tuple[str, ...] = topic.model.examples
    return examples


def correction(settings: Settings, topic: str, key: str, why: str, by: str | None) -> bytes:
    """Return the line that makes desks forget a fact; ConfigError when nothing of that name is remembered."""
    if topic_named(topic) not in CORRECTABLE:
        remembered = ", ".join(one.name for one in CORRECTABLE)
        way = "what is booked is taken back by: ballast ledger reverse TX_ID --effective-at TIME"
        msg = f"what {topic} tells is not remembered by the desks, as {remembered} are; {way}"
        raise ConfigError(msg)
    keys = _keys_of(settings, topic)
    if keys is not None and key not in keys:
        msg = f"no book hears of {key} on {topic}; there are {', '.join(sorted(keys))}"
        raise ConfigError(msg)
    return to_json({"topic": topic, "key": key, "why": why, "by": by, "as_of": now_ms()})


def _keys_of(settings: Settings, topic: str) -> set[str] | None:
    """What a topic tells of as far as the settings know; orders and transfers have ids of their own."""
    books = settings.books.values()
    if topic == MARKET_TICKS.name:
        return {book.instrument for book in books}
    return {book.venue for book in books} if topic in (VENUE_POSITIONS.name, VENUE_BALANCES.name) else None


def tell(kafka: KafkaSettings, messages: Iterable[Outgoing]) -> None:
    """Send messages of our own, each under its key. ConfigError when the broker does not take them."""
    producer = Producer(client_options(kafka) | {"enable.idempotence": True, "message.max.bytes": 4 * 1024 * 1024})
    failed: list[KafkaError] = []
    for message in messages:
        _send(producer, message.topic, message.value, failed, message.key)
    _finish(producer, failed, kafka)


def produce(kafka: KafkaSettings, topic: Topic[Any], lines: Iterable[bytes], *, check: bool, each: bool) -> Produced:
    """Send lines as messages. With `check` a line that does not fit is refused, not sent; with `each` every line is on its
    way at once, as at a console. ConfigError when the broker does not take them."""
    producer = Producer(client_options(kafka) | {"enable.idempotence": True, "message.max.bytes": 4 * 1024 * 1024})
    parse = parser(topic.model)
    failed: list[KafkaError] = []
    produced = Produced()
    for number, raw in enumerate(lines, 1):
        line = (raw.removeprefix(BOM_UTF8) if number == 1 else raw).rstrip(b"\r\n")
        if not line.strip():
            continue
        try:
            if check:
                check_time(parse(line), now_ms())
        except Refused as refused:
            produced.refused.append((number, f"{refused.reason}: {refused}"))
            continue
        _send(producer, topic.name, line, failed)
        produced.sent += 1
        if each:
            producer.flush(DELIVERY_TIMEOUT_SECONDS)
    _finish(producer, failed, kafka)
    return produced


def _send(producer: Producer, topic: str, line: bytes, failed: list[KafkaError], key: bytes | None = None) -> None:
    def reported(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(error)

    while True:
        try:
            producer.produce(topic, line, key=key, on_delivery=reported)
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
