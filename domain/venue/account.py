"""What an exchange says about our account: answers and events, the same for every exchange behind the port.

Everything is in integer minor units: contracts, satoshis, cents of exposure, epoch milliseconds. `sequence` counts
the events of the account without gaps, so an answer with sequence n covers the events 1 to n and nothing later. Ids
of fills and cash flows come from the account and the sequence and stay the same however often they are read.
"""

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from domain.messages.fields import DecimalText, Price

OrderWord = Literal["open", "filled", "canceled"]
TransferWord = Literal["pending", "done", "failed"]
OrderAction = Literal["sell", "buy", "close"]
TransferKind = Literal["deposit", "withdraw", "funding_to_trading", "trading_to_funding"]
CashKind = Literal["fee", "realised_pnl", "funding_payment", "pocket_transfer", "deposit", "withdrawal", "withdrawal_fee"]

DUPLICATE_ID = "51016"
NO_POSITION = "51023"
INSUFFICIENT_MARGIN = "51008"
INSUFFICIENT_BALANCE = "58350"
BAD_PARAMETER = "51000"
EXPIRED = "expired"
UNAVAILABLE = "50001"


class Refusal(NamedTuple):
    """The exchange understood the request and will not do it. The codes are those of OKX, where it has one.

    OKX answers a request that came too late with 51149, which leaves its fate open and is `Unknown` at the port; here
    `expired` says that it was certainly not done.
    """

    code: str
    text: str


class _Fact(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    sequence: Annotated[int, Field(ge=0)]
    as_of_ms: int


class OrderState(_Fact):
    """An order as the exchange sees it; `contracts` is signed, negative sells, `filled_contracts` is not."""

    client_order_id: str
    state: OrderWord
    contracts: int
    filled_contracts: Annotated[int, Field(ge=0)]
    reason: str | None = None


class TransferState(_Fact):
    """A transfer as the exchange sees it."""

    client_transfer_id: str
    kind: TransferKind
    amount_sats: int
    state: TransferWord
    reason: str | None = None


class Position(_Fact):
    """The net position; `exposure_cents` is signed, negative when short. The entry price is for showing only."""

    instrument: str
    contracts: int
    exposure_cents: int
    average_entry_usd: DecimalText | None = None


class Balances(_Fact):
    """Both pockets in satoshis; equity includes unrealised profit at the mark price, `trading_used_sats` is tied up as margin."""

    trading_equity_sats: int
    trading_used_sats: int
    funding_sats: int
    mark_price_usd: Price | None = None


class OrderChanged(OrderState):
    """An order was accepted, filled in part, or ended."""

    event: Literal["order"] = "order"


class TransferChanged(TransferState):
    """A transfer was accepted or ended."""

    event: Literal["transfer"] = "transfer"


class Filled(_Fact):
    """Part or all of an order was executed: signed contracts at a price in dollars."""

    event: Literal["fill"] = "fill"
    id: str
    client_order_id: str
    contracts: int
    price_usd: Price


class CashMoved(_Fact):
    """Money moved in a pocket; signed from our side, a pocket transfer is positive towards trading."""

    event: Literal["cash"] = "cash"
    id: str
    kind: CashKind
    amount_sats: int
    client_id: str | None = None


AccountEvent = Annotated[OrderChanged | TransferChanged | Filled | CashMoved, Field(discriminator="event")]
ACCOUNT_EVENT: TypeAdapter[AccountEvent] = TypeAdapter(AccountEvent)
ACCOUNT_EVENTS: TypeAdapter[list[AccountEvent]] = TypeAdapter(list[AccountEvent])
