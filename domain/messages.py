"""The messages on the topics: flat JSON that a person can type.

Amounts are integers in minor units (cents, satoshis), prices and rates are decimal strings, times are ISO 8601 UTC or epoch
milliseconds. `schema_version` may be left out and then means the newest. Models are strict: a field that is unknown, a
number where a string belongs, or a float anywhere is an error, because a JSON number loses digits that money needs.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

AMOUNT_MAX = 10**30
"""No honest amount has more digits; a sum of a billion of them still fits NUMERIC(38, 0)."""

_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,18})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS_MAX = 2**42  # the year 2109


def _parse_decimal(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        msg = 'must be a decimal in quotes, such as "42000.5"'
        raise ValueError(msg)
    return Decimal(value)


def parse_ms(value: object) -> int:
    """Epoch milliseconds of a time as messages carry it; ValueError says how it should be written."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        msg = 'must be epoch milliseconds or an ISO 8601 UTC time, such as "2026-01-31T12:00:00Z"'
        raise ValueError(msg)
    try:
        at = datetime.fromisoformat(value)
    except ValueError as error:
        msg = f'{value!r} is not a time; write "2026-01-31T12:00:00Z" or epoch milliseconds'
        raise ValueError(msg) from error
    if at.utcoffset() is None:
        msg = f"{value!r} has no zone; put a Z behind it"
        raise ValueError(msg)
    delta = at - _EPOCH
    return (delta.days * 86400 + delta.seconds) * 1000 + delta.microseconds // 1000


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        msg = "must be more than zero"
        raise ValueError(msg)
    return value


def _non_zero(value: int) -> int:
    if value == 0:
        msg = "must not be zero"
        raise ValueError(msg)
    return value


DecimalText = Annotated[
    Decimal, BeforeValidator(_parse_decimal, json_schema_input_type=str), PlainSerializer(str, return_type=str)
]
Price = Annotated[DecimalText, AfterValidator(_positive)]
Ms = Annotated[int, BeforeValidator(parse_ms, json_schema_input_type=int | str), Field(ge=0, le=_MS_MAX)]
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
"""A database keeps no NUL in a text, and no honest name or memo has a control character."""

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=PRINTABLE)]
Amount = Annotated[int, Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
Balance = Annotated[int, Field(gt=-(10**38), lt=10**38)]
"""What the ledger can hold; a sum of amounts is not bounded as one amount is."""

NonZeroAmount = Annotated[Amount, AfterValidator(_non_zero)]
Currency = Literal["BTC", "USD"]


class Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    schema_version: Literal[1] = 1


class DealerTransaction(Message):
    """One leg of a user trade, as the dealer's wallet lists it.

    The amount is signed from the dealer's side: positive with RECEIVE, negative with SEND. `cents_per_unit` is the price of
    one minor unit of the currency in cents; a cent is worth one.
    """

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


class Tick(Message):
    """The last traded price of an instrument, in US dollars for one bitcoin."""

    instrument: Name = "BTC-USD-SWAP"
    price_usd: Price
    as_of: Ms


class VenuePosition(Message):
    """What we hold on an exchange: signed cents of exposure, negative when short.

    `sequence` grows with every event of the account at the exchange, so of two positions the one with the larger sequence
    is the newer, and a position covers every fill with a sequence up to its own.
    """

    venue: Name
    instrument: Name = "BTC-USD-SWAP"
    exposure_cents: Amount
    contracts: Amount
    sequence: Annotated[int, Field(ge=0)]
    as_of: Ms


class VenueBalance(Message):
    """The two pockets of an account at an exchange, in satoshis; the trading equity includes unrealised profit and loss."""

    venue: Name
    trading_equity_sats: Amount
    trading_used_sats: Amount
    funding_sats: Amount
    sequence: Annotated[int, Field(ge=0)]
    as_of: Ms


class OrderReport(Message):
    """What is known of an order; it is open until its state is filled, canceled, rejected or not_placed."""

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
    (positive: funding to trading), a deposit or withdrawal on chain. `amount_sats` is signed from our side.
    """

    venue: Name
    id: Name
    kind: Literal["fee", "realised_pnl", "funding_payment", "pocket_transfer", "deposit", "withdrawal", "withdrawal_fee"]
    amount_sats: NonZeroAmount
    client_id: Name | None = None
    sequence: Annotated[int, Field(ge=0)]
    as_of: Ms


class Fill(Message):
    """Part or all of an order that was executed: signed contracts, negative sold, at a price in dollars."""

    venue: Name
    id: Name
    client_order_id: Name
    instrument: Name = "BTC-USD-SWAP"
    contracts: NonZeroAmount
    price_usd: Price
    sequence: Annotated[int, Field(ge=0)]
    as_of: Ms


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


class CollateralTransfer(Message):
    """A transfer that a decision asks for, in satoshis, always positive; `kind` says from where to where."""

    decision_id: Name
    client_transfer_id: Name
    venue: Name
    kind: Literal["deposit", "withdraw", "funding_to_trading", "trading_to_funding"]
    amount_sats: Annotated[int, Field(gt=0, le=AMOUNT_MAX)]
    based_on_sequence: Annotated[int, Field(ge=0)]
    as_of: Ms


class Decision(Message):
    """A decision as it was taken: the inputs, the policy, the rule that fired, and what it asks for. Never recomputed."""

    id: Name
    kind: Literal["hedge", "funding"]
    venue: Name
    policy: Name
    policy_version: int
    action: Name
    rule: Name
    reason: str
    amount: Amount
    unit: Literal["contracts", "sats", "none"]
    inputs: dict[str, Any]
    refused: list[str]
    repeats: Annotated[int, Field(ge=0)] = 0
    as_of: Ms


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


class WaitingLeg(Message):
    """A leg without a partner, or (with `paired` or `dropped`) one that no longer waits; the newest word per leg holds."""

    leg_id: Name
    state: Literal["waiting", "pending", "too_old", "paired", "dropped"]
    worth_cents: Annotated[int, Field(ge=0)]
    created_at: Ms
    age_seconds: int
    as_of: Ms


class LegRefusal(Message):
    """A well-formed leg that will not be paired: it failed, or it contradicts what the same id said before."""

    leg_id: Name
    reason: Literal["failed", "conflict", "worthless"]
    detail: str
    source: Name
    source_offset: int
    as_of: Ms


class LedgerBalance(Message):
    """A balance after a batch was committed, in minor units, debits positive; the version only grows."""

    account: Name
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


class Alert(Message):
    """Something that a person should look at; the same trouble has the same id."""

    id: Name
    severity: Literal["warning", "critical"]
    subject: Name
    text: str
    as_of: Ms


class Quarantined(Message):
    """A message that could not be read, with its coordinates and its bytes in base64, so that it can be sent again."""

    reason: Name
    detail: str
    topic: Name
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    key_base64: str | None = None
    raw_base64: str
    as_of: Ms
