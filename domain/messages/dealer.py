"""What the dealer's wallet lists: the legs of user trades."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from domain.messages.fields import PRINTABLE, Currency, Message, Ms, Name, NonZeroAmount, Price


class DealerTransaction(Message):
    """One leg of a user trade, as the dealer's wallet lists it.

    The amount is signed from the dealer's side: positive with RECEIVE, negative with SEND. `cents_per_unit` is the price of
    one minor unit of the currency in cents; a cent is worth one.
    """

    examples = (
        '{"id":"b-1","created_at":"2026-01-31T12:00:00Z","direction":"RECEIVE","settlement_currency":"BTC",'
        '"settlement_amount":1000000,"cents_per_unit":"0.05","memo":"JournalId:1"}',
        '{"id":"u-1","created_at":"2026-01-31T12:00:00Z","direction":"SEND","settlement_currency":"USD",'
        '"settlement_amount":-50000,"memo":"JournalId:1"}',
    )
    happened = "created_at"

    id: Name
    created_at: Ms
    status: Literal["SUCCESS", "PENDING", "FAILURE"] = "SUCCESS"
    direction: Literal["RECEIVE", "SEND"]
    settlement_currency: Currency
    settlement_amount: NonZeroAmount
    settlement_method: Name = "SettlementViaIntraLedger"
    cents_per_unit: Price = Decimal(1)
    memo: Annotated[str, Field(max_length=256, pattern=PRINTABLE)] | None = None

    @model_validator(mode="after")
    def _sign_matches_direction(self) -> "DealerTransaction":
        if (self.settlement_amount > 0) != (self.direction == "RECEIVE"):
            msg = "settlement_amount is positive with RECEIVE and negative with SEND"
            raise ValueError(msg)
        if self.settlement_currency == "BTC" and "cents_per_unit" not in self.model_fields_set:
            msg = 'a BTC leg needs cents_per_unit, the price of one satoshi in cents, such as "0.042"'
            raise ValueError(msg)
        return self
