"""What the ledger says: balances, and what became of postings."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from domain.messages.fields import AMOUNT_MAX, PRINTABLE, Amount, Balance, Message, Ms, Name

AccountCode = Annotated[str, Field(min_length=1, max_length=128, pattern=PRINTABLE)]
"""An account may be called by its kind and the name of a venue."""


class LedgerBalance(Message):
    """A balance after a batch was committed, in minor units, debits positive; the version only grows."""

    account: AccountCode
    currency: Name
    version: Annotated[int, Field(ge=0)]
    settled: Balance
    pending: Balance
    encumbered: Balance
    as_of: Ms


class LedgerVerdict(Message):
    """What became of a posting; posted ones are in the ledger, the others say why not."""

    transaction_id: Name
    template: Name
    outcome: Literal["posted", "duplicate", "conflict", "rejected"]
    reason: str | None = None
    account: str | None = None
    currency: str | None = None
    shortfall: int | None = None
    source: Name
    source_offset: int
    as_of: Ms


class Posting(Message):
    """An amount that moves from the credited to the debited account, or is held for it until `expires_at`.

    `key` is the business key: the same key is the same posting, for ever, whatever time is told with it. With `captures` the
    amount is taken out of that hold (a transaction id, as the verdict on the hold told it), with `voids` it is given up.
    """

    examples = (
        '{"key":"office rent 2026-01","debit":"NETWORK_FEES","credit":"TREASURY_WALLET","currency":"BTC","amount":1000,'
        '"effective_at":"2026-01-31T12:00:00Z"}',
    )
    happened = "effective_at"

    key: Name
    debit: Name
    credit: Name
    currency: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,16}$")]
    amount: Annotated[int, Field(gt=0, le=AMOUNT_MAX)]
    effective_at: Ms
    expires_at: Ms | None = None
    captures: Name | None = None
    voids: Name | None = None
    memo: Annotated[str, Field(max_length=256, pattern=PRINTABLE)] | None = None

    @model_validator(mode="after")
    def _does_one_thing(self) -> "Posting":
        if sum(word is not None for word in (self.expires_at, self.captures, self.voids)) > 1:
            msg = "a posting holds (expires_at), captures or voids, not several of these at once"
            raise ValueError(msg)
        if self.debit == self.credit:
            msg = "debit and credit are the same account"
            raise ValueError(msg)
        return self


class Crossing(Message):
    """What another shard has to book of a transaction whose home shard has posted its part.

    An entry is account, currency, layer (1 settled), side (1 debit, -1 credit) and amount in minor units.
    """

    id: Name
    shard: Annotated[int, Field(ge=0, le=9)]
    home: Annotated[int, Field(ge=0, le=9)]
    transaction_id: Name
    template: Name
    effective_at: Ms
    entries: tuple[tuple[Name, Name, Annotated[int, Field(ge=1, le=3)], Literal[1, -1], Amount], ...]
    reverses: Name | None = None
    correlation_id: Name
    source: Name
    source_offset: int
