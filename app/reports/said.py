"""What a topic says, for reports that stand beside the flows: its messages, without those that are none of its model."""

from collections.abc import Iterator
from typing import TypeVar

from connectors.kafka.peek import Peek
from domain.messages.fields import Message
from domain.topics import Topic

M = TypeVar("M", bound=Message)


def said(peek: Peek, topic: Topic[M]) -> Iterator[M]:
    """Yield every message of a topic up to its present end."""
    for _, message in peek.everything(topic.name):
        read = read_or_none(topic.model, message.value)
        if read is not None:
            yield read


def read_or_none(model: type[M], raw: bytes) -> M | None:
    """Return a message, None for what is none."""
    try:
        return model.model_validate_json(raw)
    except ValueError:
        return None
