"""Trades of users, paired and booked."""

from typing import Annotated, Literal

from pydantic import Field

from domain.messages.fields import Message, Ms, Name


class UserTrade(Message):
    """Both legs of a user trade, paired; amounts are absolute, `buys` is what the user buys."""

    transaction_id: Name
    buys: Literal["USD", "BTC"]
    amount_sats: Annotated[int, Field(gt=0)]
    amount_cents: Annotated[int, Field(gt=0)]
    btc_leg_id: Name
    usd_leg_id: Name
    created_at: Ms
    reverses: str | None = None
