"""What decisions ask of an exchange."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from domain.messages.fields import AMOUNT_MAX, Amount, Message, Ms, Name


class HedgeOrder(Message):
    """An order that a decision asks for; `contracts` is signed, negative sells. `close` flattens whatever position there is."""

    decision_id: Name
    client_order_id: Name
    venue: Name
    instrument: Name = "BTC-USD-SWAP"
    action: Literal["sell", "buy", "close"]
    contracts: Amount
    based_on_sequence: Annotated[int, Field(ge=0)]
    as_of: Ms

    @model_validator(mode="after")
    def _is_of_its_side(self) -> "HedgeOrder":
        if (self.action == "sell" and self.contracts >= 0) or (self.action == "buy" and self.contracts <= 0):
            msg = "a sale has less than zero contracts, a purchase more"
            raise ValueError(msg)
        return self


class CollateralTransfer(Message):
    """A transfer that a decision asks for, in satoshis, always positive; `kind` says from where to where."""

    decision_id: Name
    client_transfer_id: Name
    venue: Name
    kind: Literal["deposit", "withdraw", "funding_to_trading", "trading_to_funding"]
    amount_sats: Annotated[int, Field(gt=0, le=AMOUNT_MAX)]
    based_on_sequence: Annotated[int, Field(ge=0)]
    as_of: Ms
