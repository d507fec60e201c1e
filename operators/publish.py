"""Messages on their way out, as bytes with the key that decides their partition."""

from base64 import b64encode
from collections.abc import Callable

import bytewax.operators as op
from bytewax.dataflow import Stream, operator

from domain import topics
from domain.errors import Rejection
from domain.messages import Message, Quarantined
from domain.streams import Outgoing, Progress, Record
from domain.topics import Topic

RAW_BYTES_MAX = 2 * 1024 * 1024
"""A larger message is kept in the database only: in base64 no broker would take it."""

Say = Callable[[Record], tuple[str, Message | bytes] | None]
"""Makes a key and a message (or the bytes of one) of a record, or None when its value is not for this topic."""


@operator
def publish(step_id: str, up: Stream[Progress], topic: Topic, say: Say) -> Stream[Outgoing]:
    """Put on `topic` what `say` makes of each record."""
    name = topic.name

    def outgoing(batch: list[Progress]) -> list[Outgoing]:
        made = ((record.at_ms, say(record)) for progress in batch for record in progress.records)
        return [Outgoing(name, at_ms, pair[0].encode(), encode(pair[1])) for at_ms, pair in made if pair is not None]

    return op.flat_map_batch("outgoing", up, outgoing)


@operator
def publish_rejections(step_id: str, up: Stream[Progress], topic: Topic) -> Stream[Outgoing]:
    """Put what could not be read of `topic` on its quarantine topic."""

    def outgoing(batch: list[Progress]) -> list[Outgoing]:
        return [
            Outgoing(topics.quarantine(topic).name, record.at_ms, record.value.key, encode(quarantined(record)))
            for progress in batch
            for record in progress.records
            if isinstance(record.value, Rejection)
        ]

    return op.flat_map_batch("outgoing", up, outgoing)


def quarantined(record: Record) -> Quarantined:
    """A rejection as a message, its bytes in base64; without them where they are too many, which `detail` says."""
    rejection: Rejection = record.value
    is_kept = len(rejection.raw) <= RAW_BYTES_MAX
    return Quarantined(
        reason=rejection.reason,
        detail=rejection.detail if is_kept else f"{rejection.detail}; its bytes are in the table treasury.quarantine",
        topic=rejection.topic,
        partition=rejection.partition,
        offset=rejection.offset,
        key_base64=None if rejection.key is None else b64encode(rejection.key).decode(),
        raw_base64=b64encode(rejection.raw if is_kept else b"").decode(),
        as_of=record.at_ms,
    )


def encode(message: Message | bytes) -> bytes:
    """A message as one line of JSON, the same bytes for the same message."""
    return message if isinstance(message, bytes) else message.__pydantic_serializer__.to_json(message)
