"""What the simulated exchange knows of our account: its terms, its books, its orders and transfers.

The books are double entry: eight pots of satoshis, and money only ever moves from one to another, so their sum is
zero at all times whatever happens. `funding` and `trading` are ours; the others say where the rest went or came from.
Each movement in one of our two pockets is at the same time a cash flow that the account's history shows, so a pocket
equals the sum of its cash flows after every event.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from domain.market.swap import FLAT, PPM, Holding
from domain.messages.fields import Price
from domain.venue.account import (
    BAD_PARAMETER,
    NO_POSITION,
    AccountEvent,
    CashKind,
    OrderAction,
    OrderState,
    OrderWord,
    Refusal,
    TransferKind,
    TransferState,
    TransferWord,
)

FUNDING_INTERVAL_MS = 8 * 3600 * 1000

Ppm = Annotated[int, Field(ge=0, le=PPM)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]


class Terms(BaseModel):
    """How this exchange behaves; times in milliseconds, rates in parts per million, money in satoshis.

    An order waits `order_latency_ms`, then fills in one to `fill_steps_max` steps, `fill_interval_ms` apart. A
    look-up by client id finds nothing until `visible_after_ms` have passed since acceptance. A withdrawal of x takes
    x out of the funding pocket, the network fee included. A positive funding rate is paid by the long side to the
    short side.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    instrument: str = "BTC-USD-SWAP"
    leverage_max: Positive = 5
    maintenance_ppm: Ppm = 10_000
    taker_fee_ppm: Ppm = 500
    funding_rate_ppm: Annotated[int, Field(ge=-PPM, le=PPM)] = 100
    funding_interval_ms: Positive = FUNDING_INTERVAL_MS
    order_latency_ms: Natural = 50
    fill_steps_max: Positive = 3
    fill_interval_ms: Natural = 50
    visible_after_ms: Natural = 0
    deposit_delay_ms: Natural = 2_000
    withdrawal_delay_ms: Natural = 2_000
    withdrawal_min_sats: Natural = 100_000
    network_fee_sats: Natural = 20_000
    order_contracts_max: Positive = 1_000_000


class Order(BaseModel):
    """An order at the exchange: what is left of it fills at `due_ms`, in `steps_left` steps."""

    client_order_id: str
    contracts: int
    accepted_at_ms: int
    due_ms: int
    steps_left: int
    filled_contracts: int = 0
    state: OrderWord = "open"
    reason: str | None = None
    sequence: int = 0
    as_of_ms: int = 0

    def step_contracts(self) -> int:
        """The signed size of the next fill: an equal share of what is left, rounded up, so the last step ends it."""
        left = abs(self.contracts) - self.filled_contracts
        size = -(-left // self.steps_left)
        return size if self.contracts > 0 else -size

    def left_contracts(self) -> int:
        """What is still to be filled, signed."""
        left = abs(self.contracts) - self.filled_contracts
        return left if self.contracts > 0 else -left

    def shown(self) -> OrderState:
        """The order as a look-up gives it."""
        return OrderState(
            sequence=self.sequence,
            as_of_ms=self.as_of_ms,
            client_order_id=self.client_order_id,
            state=self.state,
            contracts=self.contracts,
            filled_contracts=self.filled_contracts,
            reason=self.reason,
        )


class Transfer(BaseModel):
    """A transfer at the exchange; one that is pending ends at `due_ms`."""

    client_transfer_id: str
    kind: TransferKind
    amount_sats: int
    accepted_at_ms: int
    due_ms: int
    state: TransferWord = "pending"
    reason: str | None = None
    sequence: int = 0
    as_of_ms: int = 0

    def shown(self) -> TransferState:
        """The transfer as a look-up gives it."""
        return TransferState(
            sequence=self.sequence,
            as_of_ms=self.as_of_ms,
            client_transfer_id=self.client_transfer_id,
            kind=self.kind,
            amount_sats=self.amount_sats,
            state=self.state,
            reason=self.reason,
        )


def empty_pots() -> dict[str, int]:
    """`outside` is our own wallet on chain, `transit` what is on its way; the last four are other people."""
    names = ("funding", "trading", "transit", "outside", "fees", "pnl", "funding_payments", "network_fees")
    return dict.fromkeys(names, 0)


class Account(BaseModel):
    """Everything of the account that is not an order, a transfer or an event; `at_ms` never goes back."""

    name: str = "main"
    sequence: int = 0
    at_ms: int = 0
    price_usd: Price | None = None
    contracts: int = 0
    entry_sats: int = 0
    pots: dict[str, int] = Field(default_factory=empty_pots)

    @property
    def holding(self) -> Holding:
        return Holding(self.contracts, self.entry_sats) if self.contracts else FLAT


ROUTES: Mapping[CashKind, tuple[str, str]] = {
    "fee": ("fees", "trading"),
    "realised_pnl": ("pnl", "trading"),
    "funding_payment": ("funding_payments", "trading"),
    "pocket_transfer": ("funding", "trading"),
    "deposit": ("transit", "funding"),
    "withdrawal": ("transit", "funding"),
    "withdrawal_fee": ("network_fees", "funding"),
}
"""From which pot to which a positive amount of each kind of cash flow goes."""


def move(pots: dict[str, int], giver: str, taker: str, amount_sats: int) -> None:
    """Take from one pot, give to the other."""
    pots[giver] -= amount_sats
    pots[taker] += amount_sats


class Kept(NamedTuple):
    """Everything that must survive a restart; orders and transfers in the order of their acceptance."""

    account: Account
    orders: Sequence[Order]
    transfers: Sequence[Transfer]
    events: Sequence[AccountEvent]


def order_shape_refusal(terms: Terms, action: OrderAction, size: int) -> Refusal | None:
    """What is wrong with an order whatever the account holds; `size` is signed contracts, of a close the position's."""
    if action == "close":
        return None if size else Refusal(NO_POSITION, "position does not exist")
    if (size >= 0) if action == "sell" else (size <= 0):
        return Refusal(BAD_PARAMETER, "a sell has negative contracts, a buy positive ones")
    if abs(size) > terms.order_contracts_max:
        return Refusal(BAD_PARAMETER, f"more than {terms.order_contracts_max} contracts in one order")
    return None


def transfer_shape_refusal(terms: Terms, kind: TransferKind, amount_sats: int) -> Refusal | None:
    """What is wrong with a transfer whatever the account holds."""
    if amount_sats <= 0:
        return Refusal(BAD_PARAMETER, "the amount must be more than zero")
    least = max(terms.withdrawal_min_sats, terms.network_fee_sats + 1)
    if kind == "withdraw" and amount_sats < least:
        return Refusal(BAD_PARAMETER, f"the smallest withdrawal is {least} sats")
    return None
