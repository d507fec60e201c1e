"""What people say of facts that the topics tell."""

from typing import Annotated, Literal

from pydantic import Field

from domain.messages.fields import PRINTABLE, Message, Ms, Name


class Correction(Message):
    """What is known under a topic and a key is wrong and is to be forgotten, so that the next word on it counts, whatever its
    sequence. It is meant for facts that a desk remembers; what is booked is taken back in the ledger.

    `key` is that of the topic: an instrument, a venue, our own id of an order or a transfer, an account with its currency.
    """

    examples = (
        '{"topic":"venue.positions","key":"simulated","why":"somebody typed a sequence far ahead","by":"anna",'
        '"as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    topic: Literal["market.ticks", "venue.positions", "venue.balances", "venue.orders", "venue.transfers", "ledger.balances"]
    key: Annotated[str, Field(min_length=1, max_length=192, pattern=PRINTABLE)]
    why: Annotated[str, Field(min_length=1, max_length=256, pattern=PRINTABLE)]
    by: Name | None = None
    as_of: Ms
