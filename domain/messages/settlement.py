"""Settlement of matched trades: what is traded, on which terms and by whom, what orders lock, what was matched, what came of it.

Amounts are in smallest units of an asset, of which it may have any number of decimals up to 18. Prices are in whole units of the
quote for one whole unit of the base, and may have as many digits.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from domain.messages.fields import AMOUNT_MAX, PRINTABLE, Balance, Message, Ms, Name, Price
from domain.messages.treasury import JobName

Asset = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9._-]{0,15}$")]
"""What the ledger takes for a currency."""

Customer = Annotated[str, Field(min_length=1, max_length=48, pattern=r"^[!-.0-~]+$")]
"""A customer's name: it is part of the codes of accounts, in which a slash has a meaning of its own."""

Symbol = Annotated[str, Field(min_length=3, max_length=33, pattern=r"^[A-Z0-9._-]+$")]
Reason = Annotated[str, Field(min_length=1, max_length=256, pattern=PRINTABLE)]
PositiveAmount = Annotated[int, Field(gt=0, le=AMOUNT_MAX)]
Ppm = Annotated[int, Field(ge=0, lt=1_000_000)]
Level = Annotated[int, Field(ge=0, le=1000)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Instrument(Message):
    """What can be traded: a pair of assets, in steps of price and quantity. The newest word on a symbol holds from then on."""

    examples = (
        '{"symbol":"BTC_USDT","base":"BTC","base_decimals":8,"quote":"USDT","quote_decimals":6,"tick":"0.01","lot":1000,'
        '"status":"open","fees":"standard","by":"anna","reason":"first one","as_of":"2026-01-31T12:00:00Z"}',
        '{"symbol":"ETH_USDT","base":"ETH","base_decimals":18,"quote":"USDT","quote_decimals":6,"tick":"0.01",'
        '"lot":100000000000000,"status":"open","fees":"standard","by":"anna","reason":"another","as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    symbol: Symbol
    base: Asset
    base_decimals: Annotated[int, Field(ge=0, le=18)]
    quote: Asset
    quote_decimals: Annotated[int, Field(ge=0, le=18)]
    tick: Price
    lot: PositiveAmount
    status: Literal["open", "halted", "closed"]
    fees: Name
    level_min: Level = 0
    by: Name
    reason: Reason
    as_of: Ms

    @model_validator(mode="after")
    def _is_a_pair(self) -> "Instrument":
        if self.base == self.quote:
            msg = f"base and quote are both {self.base}; what is traded is a pair"
            raise ValueError(msg)
        return self


class FeeSchedule(Message):
    """What trading costs by level, the first for level 0: millionths of the cost for who rested, and for who took."""

    examples = (
        '{"fees":"standard","levels":[[1000,1500],[900,1400],[100,400]],"by":"anna","reason":"first schedule",'
        '"as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    fees: Name
    levels: Annotated[tuple[tuple[Ppm, Ppm], ...], Field(min_length=1, max_length=100)]
    by: Name
    reason: Reason
    as_of: Ms


class CustomerTerms(Message):
    """At which level a customer trades, and whether at all. Of whom nothing is told trades at level 0."""

    examples = (
        '{"customer":"u1","level":3,"status":"active","by":"anna","reason":"volume of January","as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    customer: Customer
    level: Level
    status: Literal["active", "frozen"]
    by: Name
    reason: Reason
    as_of: Ms


class CustomerFlow(Message):
    """Money of a customer that comes in, goes out, is taken by force, or moves to another customer."""

    examples = (
        '{"id":"deposit 1","customer":"u1","asset":"USDT","amount":100000000000,"kind":"deposit","as_of":"2026-01-31T12:00:00Z"}',
        '{"id":"deposit 2","customer":"u2","asset":"BTC","amount":200000000,"kind":"deposit","as_of":"2026-01-31T12:00:00Z"}',
        '{"id":"gift 1","customer":"u1","asset":"USDT","amount":5000000,"kind":"transfer","to":"u2",'
        '"as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    id: Name
    customer: Customer
    asset: Asset
    amount: PositiveAmount
    kind: Literal["deposit", "withdrawal", "debit", "transfer"]
    to: Customer | None = None
    as_of: Ms

    @model_validator(mode="after")
    def _has_its_ends(self) -> "CustomerFlow":
        if (self.to is not None) != (self.kind == "transfer") or self.to == self.customer:
            msg = "a transfer says to which other customer, and nothing else does"
            raise ValueError(msg)
        return self


class OrderLock(Message):
    """An order is placed, and locks what it may cost; or it has ended, and what is left of the lock is unlocked."""

    examples = (
        '{"order_id":"o1","customer":"u1","symbol":"BTC_USDT","command":"lock","side":"buy","limit":"50000","quantity":100000000,'
        '"as_of":"2026-01-31T12:00:01Z"}',
        '{"order_id":"o2","customer":"u2","symbol":"BTC_USDT","command":"lock","side":"sell","limit":"49900","quantity":10000000,'
        '"as_of":"2026-01-31T12:00:01Z"}',
    )
    happened = "as_of"

    order_id: Name
    customer: Customer
    symbol: Symbol
    command: Literal["lock", "unlock"]
    side: Literal["buy", "sell"] | None = None
    limit: Price | None = None
    quantity: PositiveAmount | None = None
    as_of: Ms

    @model_validator(mode="after")
    def _says_what_is_locked(self) -> "OrderLock":
        told = [one is not None for one in (self.side, self.limit, self.quantity)]
        if told != [self.command == "lock"] * 3:
            msg = "a lock says side, limit and quantity, and an unlock none of them"
            raise ValueError(msg)
        return self


_TRADE = (
    '{"symbol":"BTC_USDT","sequence":1,"trade_id":"BTC_USDT-1","price":"49950","quantity":10000000,"buyer":"u1","buy_order_id":"o1",'
    '"seller":"u2","sell_order_id":"o2","maker":"seller","as_of":"2026-01-31T12:00:02Z",'
    '"previous_hash":"00000000000000000000000000000000","hash":"b296e94b0b00ff397f170014a74a80e2"}'
)


class MatchedTrade(Message):
    """Two orders met. `sequence` counts the trades of a symbol without a gap; `hash` is made of all fields before it."""

    examples = (_TRADE,)
    happened = "as_of"

    symbol: Symbol
    sequence: Annotated[int, Field(ge=1)]
    trade_id: Name
    price: Price
    quantity: PositiveAmount
    buyer: Customer
    buy_order_id: Name
    seller: Customer
    sell_order_id: Name
    maker: Literal["buyer", "seller"]
    as_of: Ms
    previous_hash: Digest
    hash: Digest


class TradeReplay(Message):
    """A person has mended why a trade was refused, and has it settled now, with its orders as they are."""

    examples = (f'{{"trade":{_TRADE},"by":"anna","reason":"the symbol was told too late","as_of":"2026-01-31T12:30:00Z"}}',)
    happened = "as_of"

    trade: MatchedTrade
    by: Name
    reason: Reason
    as_of: Ms


class CustomerCorrection(Message):
    """A person asks to correct what a customer has; booked when another person approves it on `gov.approvals`."""

    examples = (
        '{"id":"fix:deposit-7","customer":"u1","asset":"USDT","amount":-1000000,"by":"anna","reason":"deposit 7 came twice",'
        '"as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    id: JobName
    customer: Customer
    asset: Asset
    amount: Annotated[int, Field(gt=-AMOUNT_MAX, lt=AMOUNT_MAX)]
    by: Name
    reason: Reason
    as_of: Ms

    @model_validator(mode="after")
    def _moves_something(self) -> "CustomerCorrection":
        if self.amount == 0:
            msg = "a correction of zero corrects nothing"
            raise ValueError(msg)
        return self


After = tuple[Name, Asset, Balance, Annotated[int, Field(ge=1)]]
"""An account, an asset, what it has of it after a word, in smallest units, and its version, which counts its entries."""


class SettlementResult(Message):
    """What became of a word: it is booked, or refused for a reason, by so much where something is too little.

    `after` is what its accounts came to by it; a word that was found booked, after a crash, says nothing of that.
    """

    kind: Literal["trade", "replay", "lock", "unlock", "deposit", "withdrawal", "debit", "transfer", "correction"]
    id: Name
    outcome: Literal["booked", "refused"]
    reason: Name | None = None
    shortfall: Balance | None = None
    symbol: Symbol | None = None
    sequence: Annotated[int, Field(ge=1)] | None = None
    after: tuple[After, ...] | None = None
    as_of: Ms
