"""What goes between a flow and the process of its ledger's writer: frames of bytes, which msgspec writes and reads by type.

A frame is a byte that says which question it asks, or what it answers, one that says how the rest is written, and one value.
Both ends are of one program, so a frame needs no version. MessagePack has whole numbers of 64 bits; a frame with a larger one in
it, as amounts of tokens with 18 decimals are, is pickled instead.
"""

import pickle
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, TypeVar, cast

from msgspec import msgpack

from domain.ledger.accounts import Account

T = TypeVar("T")


class Question(IntEnum):
    """What the writer is asked: the methods of a `Ledger`, and between them a sign of life that has no answer."""

    POST = 1
    BALANCES = 2
    OPEN_HOLDS = 3
    HEARD = 4
    NEWEST_BATCH = 5
    CLOSE = 6
    LIVE = 7


ANSWER, TROUBLE = 0, 1
"""How what comes back begins: answers in the order of the questions, and after an error nothing more."""


class Opening(NamedTuple):
    """What the process needs to open its ledger; it is the first thing that it is told."""

    dsn: str
    shard: int
    accounts: Sequence[Account]
    batch_max: int
    pid: int


class Trouble(NamedTuple):
    """An error on its way: the name of one of ours or "psycopg", the SQLSTATE of what the server said, and the words."""

    kind: str
    sqlstate: str | None
    text: str


_PACKED, _PICKLED = 0, 1


def framed(head: int, value: object) -> bytes:
    """Return a frame with this first byte, and a value of plain types and NamedTuples of them."""
    try:
        return bytes((head, _PACKED)) + msgpack.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return bytes((head, _PICKLED)) + pickle.dumps(value)


def value_of(frame: bytes, kind: type[T]) -> T:
    """Return the value of this type that stands in a frame."""
    body = memoryview(frame)[2:]
    if frame[1] == _PICKLED:
        return cast("T", pickle.loads(body))  # noqa: S301 - written by this program, over a socket that nobody else has
    return msgpack.decode(body, type=kind)
