"""What an exchange says of our account there, and of what we asked of it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from domain.messages.fields import Amount, Message, Ms, Name, NonZeroAmount, Price
from domain.money import CENTS_BY_INSTRUMENT


class VenuePosition(Message):
    """What we hold on an exchange: signed cents of exposure, negative when short.

    `sequence` grows with every event of the account at the exchange, so of two positions the one with the larger sequence
    is the newer, and a position covers every fill with a sequence up to its own.
    """

    examples = ('{"venue":"simulated","exposure_cents":-50000,"contracts":-5,"sequence":7,"as_of":"2026-01-31T12:00:00Z"}',)
    happened = "as_of"

    venue: Name
    instrument: Name = "BTC-USD-SWAP"
    exposure_cents: Amount
    contracts: Amount
    sequence: Annotated[int, Field(ge=0)]
    as_of: Ms

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "VenuePosition":
        worth_cents = CENTS_BY_INSTRUMENT.get(self.instrument)
        if worth_cents is not None and self.exposure_cents != self.contracts * worth_cents:
            due = self.contracts * worth_cents
            msg = f"exposure_cents is {self.exposure_cents}, but {self.contracts} contracts are {due} cents"
            raise ValueError(msg)
        if (self.exposure_cents > 0) != (self.contracts > 0) or (self.exposure_cents < 0) != (self.contracts < 0):
            msg = "exposure_cents and contracts have different signs"
            raise ValueError(msg)
        return self


class VenueBalance(Message):
    """The two pockets of an account at an exchange, in satoshis; the trading equity includes unrealised profit and loss.

    `mark_price_usd` is the price at which the exchange values the account, where it says so.
    """

    examples = (
        '{"venue":"simulated","trading_equity_sats":400000,"trading_used_sats":250000,"funding_sats":100000000,'
        '"sequence":7,"as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    venue: Name
    trading_equity_sats: Amount
    trading_used_sats: Amount
    funding_sats: Amount
    mark_price_usd: Price | None = None
    sequence: Annotated[int, Field(ge=0)]
    as_of: Ms


class OrderReport(Message):
    """What is known of an order; it is open until its state is filled, canceled, rejected or not_placed."""

    examples = (
        '{"venue":"simulated","client_order_id":"6e1bc1c4a5b14f6d8f3f0a9be2f3c7d1","decision_id":"019be2d3","state":"filled",'
        '"filled_contracts":5,"sequence":6,"as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    venue: Name
    client_order_id: Name
    decision_id: Name
    state: Literal["reserved", "refused", "sent", "unknown", "open", "filled", "canceled", "rejected", "not_placed"]
    filled_contracts: Annotated[int, Field(ge=0)] = 0
    reason: Annotated[str, Field(max_length=256)] | None = None
    sequence: Annotated[int, Field(ge=0)] = 0
    as_of: Ms


class TransferReport(Message):
    """What is known of a transfer of collateral; it is open until its state is done, failed or not_sent."""

    examples = (
        '{"venue":"simulated","client_transfer_id":"0d5b8a4c7e914dd0a2f1c3b4d5e6f708","decision_id":"019be2d4",'
        '"state":"done","sequence":5,"as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    venue: Name
    client_transfer_id: Name
    decision_id: Name
    state: Literal["reserved", "refused", "sent", "unknown", "pending", "done", "failed", "not_sent"]
    reason: Annotated[str, Field(max_length=256)] | None = None
    sequence: Annotated[int, Field(ge=0)] = 0
    as_of: Ms


class CashFlow(Message):
    """A movement of money in our account at an exchange, one per line of its own history.

    `kind` says why: a fee of a fill, realised profit or loss, a funding-rate payment, a transfer between the two pockets
    (positive: funding to trading), a deposit or withdrawal on chain. `amount_sats` is signed from our side; a line of zero
    is a line of history, and books nothing.
    """

    examples = (
        '{"venue":"simulated","id":"flow-6","kind":"fee","amount_sats":-500,"sequence":6,"as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    venue: Name
    id: Name
    kind: Literal["fee", "realised_pnl", "funding_payment", "pocket_transfer", "deposit", "withdrawal", "withdrawal_fee"]
    amount_sats: Amount
    client_id: Name | None = None
    sequence: Annotated[int, Field(ge=0)]
    as_of: Ms


class Fill(Message):
    """Part or all of an order that was executed: signed contracts, negative sold, at a price in dollars."""

    examples = (
        '{"venue":"simulated","id":"fill-6","client_order_id":"6e1bc1c4a5b14f6d8f3f0a9be2f3c7d1","contracts":-5,'
        '"price_usd":"50000.5","sequence":6,"as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    venue: Name
    id: Name
    client_order_id: Name
    instrument: Name = "BTC-USD-SWAP"
    contracts: NonZeroAmount
    price_usd: Price
    sequence: Annotated[int, Field(ge=0)]
    as_of: Ms

    @model_validator(mode="after")
    def _can_be_valued(self) -> "Fill":
        if self.instrument not in CENTS_BY_INSTRUMENT:
            msg = f"{self.instrument} is not an instrument of ours, so nobody here knows what its contracts are worth"
            raise ValueError(msg)
        return self
