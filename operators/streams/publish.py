"""Messages on their way out: what each value of a feed says, as bytes on the topic that its message belongs to."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Stream

from domain.errors import Rejection
from domain.messages.fields import Message
from domain.messages.ops import Quarantined
from domain.streams.gauges import Gauge
from domain.streams.records import Outgoing, Progress, Record
from domain.topics import TOPIC_OF, quarantine

RAW_BYTES_MAX = 2 * 1024 * 1024
"""A larger message is kept in the database only: in base64 no broker would take it."""

Makers = Mapping[type, Callable[[Record[Any]], Iterable[Message | Outgoing]]]
"""By the type of a value: what it says. A message that is a value itself says itself, and any other value nothing."""


def publish(step_id: str, up: Stream[Progress[Any]], makers: Makers) -> Stream[Outgoing]:
    """Put what the values of a feed say on the topics that it belongs to."""
    return op.flat_map_batch(step_id, up, lambda batch: [one for p in batch for r in p.records for one in said(r, makers)])


def said(record: Record[Any], makers: Makers) -> Iterator[Outgoing]:
    """Yield what one record says; an Outgoing is left as it was made."""
    make = makers.get(type(record.value))
    made = make(record) if make is not None else (record.value,) if type(record.value) in TOPIC_OF else ()
    for message in made:
        yield message if isinstance(message, Outgoing) else outgoing(message, record.at_ms)


def outgoing(message: Message, at_ms: int) -> Outgoing:
    """Return a message as it leaves, on its own topic under its own key."""
    topic = TOPIC_OF[type(message)]
    return Outgoing(topic.name, at_ms, topic.key_of(message), encode(message))


def refused(record: Record[Rejection]) -> Outgoing:
    """Return what could not be read, as it is kept on the quarantine topic of where it came from."""
    rejection = record.value
    is_kept = len(rejection.raw) <= RAW_BYTES_MAX
    message = Quarantined(
        reason=rejection.reason,
        detail=rejection.detail if is_kept else f"{rejection.detail}; its bytes are in the table treasury.quarantine",
        topic=rejection.topic,
        partition=rejection.partition,
        offset=rejection.offset,
        key_base64=None if rejection.key is None else b64encode(rejection.key).decode(),
        raw_base64=b64encode(rejection.raw if is_kept else b"").decode(),
        as_of=record.at_ms,
    )
    return Outgoing(quarantine(rejection.topic).name, record.at_ms, rejection.key, encode(message))


def measured(step_id: str, up: Stream[Progress[Any]]) -> Stream[Gauge]:
    """Return what the steps behind a feed measure of themselves."""
    return op.flat_map_batch(step_id, up, lambda batch: [gauge for progress in batch for gauge in progress.gauges])


def encode(message: Message) -> bytes:
    """Return a message as one line of JSON, the same bytes for the same message."""
    return message.__pydantic_serializer__.to_json(message)
