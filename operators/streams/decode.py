"""Bytes in, messages or rejections out; nothing that a producer can write makes a step raise.

A message is refused when it is not UTF-8, is not JSON, is too large, repeats a key, is of a schema version that is not
known, does not fit its model, or happened when it cannot have. What is refused keeps its bytes and its coordinates.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from domain.errors import Rejection
from domain.messages.fields import Message
from domain.streams.records import Progress, RawBatch, Record, new, source_name
from domain.times import BITCOIN_BEGAN_MS, datetime_of
from domain.topics import Topic

DETAIL_MAX = 500
"""A detail may quote what a producer wrote, so it is cut after so many characters."""
AHEAD_MAX_MS = 86_400_000
"""Clocks of producers differ, and some tell a time of their own zone as if it were UTC; no event is a day ahead."""

_WHITE = b" \t\r\n"

M = TypeVar("M", bound=Message)
T = TypeVar("T")


class Refused(ValueError):  # noqa: N818 - the word of the field
    """Carries the code and the sentence of a rejection from the check to the one place that builds it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail[:DETAIL_MAX])
        self.reason = reason


def parser(model: type[M]) -> Callable[[bytes], M]:
    """A function from bytes to `model`; it raises Refused with a code and a sentence, and nothing else."""
    validate = model.__pydantic_validator__.validate_json

    def parse(raw: bytes) -> M:
        if len(raw) > model.bytes_max:
            reason, detail = "too_large", f"{len(raw)} bytes; the limit is {model.bytes_max}"
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


def check_time(message: Message, came_ms: int) -> None:
    """Raise Refused if a message says that it happened before there was bitcoin, or long after it came."""
    if message.happened is None:
        return
    at_ms: int = getattr(message, message.happened)
    if BITCOIN_BEGAN_MS <= at_ms <= came_ms + AHEAD_MAX_MS:
        return
    reason, told = "invalid", f"{message.happened}: {at_ms} milliseconds are {datetime_of(at_ms):%Y-%m-%dT%H:%M:%SZ}"
    if at_ms < BITCOIN_BEGAN_MS:
        raise Refused(reason, f"{told}; a time is epoch milliseconds, a thousand times the seconds, or ISO 8601")
    raise Refused(reason, f"{told}, more than a day after the message came; it cannot have happened yet")


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


def decoder(
    topic: Topic[M], convert: Callable[[M], T], quick: Callable[[bytes, int], T | None] | None = None
) -> Callable[[RawBatch], Sequence[Progress[T] | Record[Rejection]]]:
    """Return a function from a batch of bytes to its progress, with what `convert` makes of messages, and its rejections.

    `quick`, where there is one, is asked first, with the bytes and when they came: what it makes of them is what `convert`
    would have made, or None.
    """
    parse = parser(topic.model)
    plainly = quick or _never

    def explained(raw: bytes, came_ms: int) -> T:
        message = parse(raw)
        check_time(message, came_ms)
        return convert(message)

    def decode(batch: RawBatch) -> Sequence[Progress[T] | Record[Rejection]]:
        source = source_name(batch.topic, batch.partition)
        good: list[Record[T]] = []
        bad: list[Record[Rejection]] = []
        for offset, at_ms, key, value in batch.messages:
            plain = plainly(value, at_ms)
            try:
                good.append(new(Record, (at_ms, source, offset, explained(value, at_ms) if plain is None else plain)))
            except Refused as refused:
                rejection = Rejection(refused.reason, str(refused), topic.name, batch.partition, offset, key, value)
                bad.append(Record(at_ms, source, offset, rejection))
        return [Progress(source, batch.watermark_ms, good), *bad]

    return decode


def _never(_raw: bytes, _came_ms: int) -> None:
    """Make nothing of any bytes."""
