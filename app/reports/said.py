"""What a topic says, for reports that stand beside the flows: its messages, without those that are none of its model; and what
people say on one, as it will be read."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from pydantic_core import to_json

from connectors.clock import now_ms
from connectors.kafka.peek import Peek
from domain.errors import ConfigError
from domain.messages.fields import Message
from domain.topics import Topic
from operators.streams.decode import Refused, check_time, parser

M = TypeVar("M", bound=Message)


def said(peek: Peek, topic: Topic[M]) -> Iterator[M]:
    """Yield every message of a topic up to its present end."""
    for _, told in peek.everything(topic.name):
        read = read_or_none(topic.model, told.value)
        if read is not None:
            yield read


def read_or_none(model: type[M], raw: bytes) -> M | None:
    """Return a message, None for what is none."""
    try:
        return model.model_validate_json(raw)
    except ValueError:
        return None


def message(model: type[M], told: Mapping[str, object]) -> M:
    """Return the message that somebody has typed, said now; ConfigError with what is wrong in it."""
    at_ms = now_ms()
    try:
        read = parser(model)(to_json({**told, "as_of": at_ms}))
        check_time(read, at_ms)
    except Refused as refused:
        msg = f"this was not sent: {refused}"
        raise ConfigError(msg) from refused
    return read
