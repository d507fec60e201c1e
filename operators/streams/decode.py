"""Bytes in, messages or rejections out; nothing that a producer can write makes a step raise.

A message is refused when it is not UTF-8, is not JSON, is too large, repeats a key, is of a schema version that is not
known, or does not fit its model. What is refused keeps its bytes and its coordinates.
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import bytewax.operators as op
from bytewax.dataflow import Stream, operator
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from domain.errors import Rejection
from domain.messages import Message
from domain.streams import Progress, RawBatch, RawMessage, Record, source_name
from domain.topics import Topic

MESSAGE_BYTES_MAX = 64 * 1024
DETAIL_MAX = 500
"""A detail may quote what a producer wrote, so it is cut after so many characters."""
_WHITE = b" \t\r\n"

M = TypeVar("M", bound=Message)
Parse = Callable[[bytes], Message]


class Refused(ValueError):  # noqa: N818 - the word of the field
    """Carries the code and the sentence of a rejection from the check to the one place that builds it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail[:DETAIL_MAX])
        self.reason = reason


def parser(model: type[M]) -> Callable[[bytes], M]:
    """A function from bytes to `model`; it raises Refused with a code and a sentence, and nothing else."""
    validate = model.__pydantic_validator__.validate_json

    def parse(raw: bytes) -> M:
        if len(raw) > MESSAGE_BYTES_MAX:
            reason, detail = "too_large", f"{len(raw)} bytes; the limit is {MESSAGE_BYTES_MAX}"
            raise Refused(reason, detail)
        try:
            message: M = validate(raw)
        except ValidationError as error:
            raise _why(raw, error.errors(include_url=False)) from error
        # JSON readers disagree about which of two equal keys holds. Counting costs less than a second reading, and errs
        # on one side only: what looks like one key too many may stand inside a text.
        if raw.translate(None, _WHITE).count(b'":') > len(message.model_fields_set) and _repeats_a_key(raw):
            reason, detail = "duplicate_key", "a key stands twice in the message"
            raise Refused(reason, detail)
        return message

    return parse


def _why(raw: bytes, errors: list[ErrorDetails]) -> Refused:
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        return _why_not_json(raw, first["msg"])
    if where == "schema_version":
        return Refused(
            "unknown_schema_version", f"schema_version {first['input']!r} is not known; leave it out for the newest"
        )
    if first["type"] == "extra_forbidden":
        return Refused("unknown_field", f"{where} is not a field of this message")
    if first["type"] == "missing":
        return Refused("missing_field", f"{where} is missing")
    return Refused("invalid", f"{where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}")


def _why_not_json(raw: bytes, text: str) -> Refused:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return Refused("not_utf8", f"byte {error.start} is not UTF-8")
    return Refused("not_json", text)


def _repeats_a_key(raw: bytes) -> bool:
    repeated: list[int] = []

    def count(pairs: list[tuple[str, Any]]) -> None:
        repeated.append(len(pairs) - len({key for key, _ in pairs}))

    json.loads(raw, object_pairs_hook=count)
    return any(repeated)


def decoder(topic: Topic, convert: Callable[[Any], Any] | None = None) -> Callable[[RawBatch], Progress]:
    """A function from a batch of bytes to records of messages, or what `convert` makes of them, or Rejections."""
    parse = parser(topic.model)

    def decode(batch: RawBatch) -> Progress:
        source = source_name(batch.topic, batch.partition)
        records = [Record(raw.at_ms, source, raw.offset, value_of(batch, raw)) for raw in batch.messages]
        return Progress(source, batch.watermark_ms, records)

    def value_of(batch: RawBatch, raw: RawMessage) -> Any:
        try:
            message = parse(raw.value)
        except Refused as refused:
            return Rejection(refused.reason, str(refused), batch.topic, batch.partition, raw.offset, raw.key, raw.value)
        return message if convert is None else convert(message)

    return decode


@operator
def decode_topic(
    step_id: str, up: Stream[RawBatch], topic: Topic, convert: Callable[[Any], Any] | None = None
) -> Stream[Progress]:
    """Decode the batches of one topic; batches of other topics pass by."""
    decode = decoder(topic, convert)
    own = op.filter("own", up, lambda batch: batch.topic == topic.name)
    return op.map("decode", own, decode)
