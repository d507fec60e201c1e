"""Every topic there is: its name, what it carries, what its key is made of, and how long it keeps what.

A message knows its topic (`topic_of`), a topic its key: so nobody can put the same kind of message under two keys. Three
kinds of topic: those that people and the outside write to, those that one flow writes and another reads, and those that
only leave. What cannot be read of the first two is kept on a quarantine topic beside each.
"""

from functools import cache
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from domain.messages.dealer import DealerTransaction
from domain.messages.decisions import Decision
from domain.messages.facts import Correction
from domain.messages.fields import Message
from domain.messages.gov import Vote
from domain.messages.hedging import CollateralTransfer, HedgeOrder
from domain.messages.ledger import Crossing, LedgerBalance, LedgerVerdict, Posting
from domain.messages.legs import LegRefusal, WaitingLeg
from domain.messages.market import Tick
from domain.messages.ops import Alert, Control, Quarantined
from domain.messages.provider import CancelReport, ConversionReport, ProviderConfig, ProviderEvent, ProviderHealth
from domain.messages.recon import ReconException, ReconReport, Statement
from domain.messages.settlement import (
    CustomerCorrection,
    CustomerFlow,
    CustomerTerms,
    FeeSchedule,
    Instrument,
    MatchedTrade,
    OrderLock,
    SettlementResult,
    TradeReplay,
)
from domain.messages.treasury import (
    BufferFlow,
    BufferLevel,
    BufferThresholds,
    ConversionCancel,
    ConversionRequest,
    JobChange,
    NetSettlement,
    NetWindow,
    Obligation,
    TreasuryDecision,
)
from domain.messages.user import UserTrade
from domain.messages.venue import CashFlow, Fill, OrderReport, TransferReport, VenueBalance, VenuePosition

M = TypeVar("M", bound=Message)
Direction = Literal["in", "between", "out"]


class Topic(NamedTuple, Generic[M]):
    """`key` names the field that messages are keyed by, or several, joined by a slash; "" leaves them without a key.

    `retention_days` of -1 keeps for ever; a compacted topic keeps the newest message per key.
    """

    name: str
    model: type[M]
    key: str
    direction: Direction
    doc: str
    partitions: int = 1
    retention_days: int = -1
    compacted: bool = False

    def key_of(self, message: Message) -> bytes | None:
        """Return the key of a message on this topic."""
        fields = self.key.split("/") if self.key else ()
        return "/".join([str(getattr(message, field)) for field in fields]).encode() if fields else None


DEALER_TRANSACTIONS = Topic("dealer.transactions", DealerTransaction, "", "in", "legs of user trades", partitions=4)
MARKET_TICKS = Topic("market.ticks", Tick, "instrument", "in", "last prices", retention_days=7)
VENUE_POSITIONS = Topic("venue.positions", VenuePosition, "venue", "in", "what we hold on exchanges", retention_days=30)
VENUE_BALANCES = Topic(
    "venue.balances", VenueBalance, "venue", "in", "money in both pockets at exchanges", retention_days=30
)
VENUE_ORDERS = Topic("venue.orders", OrderReport, "client_order_id", "in", "what became of orders")
VENUE_TRANSFERS = Topic("venue.transfers", TransferReport, "client_transfer_id", "in", "what became of transfers")
VENUE_FILLS = Topic("venue.fills", Fill, "venue", "in", "executed parts of orders")
VENUE_CASHFLOWS = Topic("venue.cashflows", CashFlow, "venue", "in", "fees, profit and loss, moves of collateral")
FACTS_CORRECTIONS = Topic("facts.corrections", Correction, "topic/key", "in", "facts that are wrong, to be forgotten")
RECON_STATEMENTS = Topic(
    "recon.statements", Statement, "account", "in", "what banks, venues and providers say of our accounts"
)

TREASURY_FLOWS = Topic("treasury.flows", BufferFlow, "buffer", "in", "what comes into buffers and leaves them")
TREASURY_THRESHOLDS = Topic(
    "treasury.thresholds", BufferThresholds, "buffer", "in", "what buffers are kept between", compacted=True
)
TREASURY_OBLIGATIONS = Topic("treasury.obligations", Obligation, "debtor", "in", "what entities owe each other")
PROVIDER_CONFIG = Topic(
    "provider.config", ProviderConfig, "provider", "in", "who converts money, and on which terms", compacted=True
)
PROVIDER_EVENTS = Topic(
    "provider.events", ProviderEvent, "client_conversion_id", "in", "what providers say of our conversions"
)
PROVIDER_REPORTS = Topic(
    "provider.reports", ConversionReport, "client_conversion_id", "in", "what became of requests to providers"
)
PROVIDER_CANCELS = Topic("provider.cancels", CancelReport, "client_cancel_id", "in", "what became of requests to let go")
OPS_CONTROLS = Topic("ops.controls", Control, "scope", "in", "what people tell the treasury to do")
GOV_APPROVALS = Topic("gov.approvals", Vote, "subject", "in", "what people agree to, and what not")

SETTLEMENT_INSTRUMENTS = Topic(
    "settlement.instruments", Instrument, "symbol", "in", "what is traded, and in which steps", compacted=True
)
SETTLEMENT_FEES = Topic("settlement.fees", FeeSchedule, "fees", "in", "what trading costs, by level", compacted=True)
SETTLEMENT_CUSTOMERS = Topic(
    "settlement.customers", CustomerTerms, "customer", "in", "at which level customers trade, and whether", compacted=True
)
SETTLEMENT_FLOWS = Topic("settlement.flows", CustomerFlow, "customer", "in", "money of customers that comes, goes and moves")
ORDERS_LOCKS = Topic("orders.locks", OrderLock, "order_id", "in", "what orders lock, and when they end")
SETTLEMENT_REPLAYS = Topic("settlement.replays", TradeReplay, "", "in", "refused trades that people have settled after all")
SETTLEMENT_CORRECTIONS = Topic(
    "settlement.corrections", CustomerCorrection, "customer", "in", "corrections of balances that people ask for"
)
TRADES_MATCHED = Topic("trades.matched", MatchedTrade, "symbol", "in", "trades in the order in which they were matched")

LEDGER_POSTINGS = Topic("ledger.postings", Posting, "key", "in", "single postings, for a shard of their own")
LEDGER_CROSSINGS = Topic("ledger.crossings", Crossing, "shard", "between", "what one shard leaves to another to book")
LEDGER_BALANCES = Topic(
    "ledger.balances", LedgerBalance, "account/currency", "between", "balances after each batch", compacted=True
)
HEDGING_ORDERS = Topic("hedging.orders", HedgeOrder, "client_order_id", "between", "orders that decisions ask for")
HEDGING_TRANSFERS = Topic(
    "hedging.transfers", CollateralTransfer, "client_transfer_id", "between", "transfers that decisions ask for"
)
TREASURY_CONVERSIONS = Topic(
    "treasury.conversions", ConversionRequest, "client_conversion_id", "between", "what is asked of providers"
)
TREASURY_CANCELS = Topic(
    "treasury.cancels", ConversionCancel, "client_cancel_id", "between", "conversions that providers should let go of"
)

OF_TREASURY = (
    TREASURY_FLOWS,
    TREASURY_THRESHOLDS,
    TREASURY_OBLIGATIONS,
    TREASURY_CONVERSIONS,
    PROVIDER_CONFIG,
    PROVIDER_EVENTS,
    PROVIDER_REPORTS,
    PROVIDER_CANCELS,
    OPS_CONTROLS,
    GOV_APPROVALS,
)
"""What the flow of the treasury alone reads, which need not run."""

OF_SETTLEMENT = (
    SETTLEMENT_INSTRUMENTS,
    SETTLEMENT_FEES,
    SETTLEMENT_CUSTOMERS,
    SETTLEMENT_FLOWS,
    SETTLEMENT_REPLAYS,
    SETTLEMENT_CORRECTIONS,
    ORDERS_LOCKS,
    TRADES_MATCHED,
)
"""What the flow of the settlement alone reads, which need not run."""

USER_TRADES = Topic("user.trades", UserTrade, "transaction_id", "out", "paired trades and their reversals")
LEGS_WAITING = Topic("legs.waiting", WaitingLeg, "leg_id", "out", "legs without a partner, by age and worth", compacted=True)
LEGS_REFUSED = Topic("legs.refused", LegRefusal, "leg_id", "out", "legs that will not be paired, and why")
LEDGER_VERDICTS = Topic(
    "ledger.verdicts", LedgerVerdict, "transaction_id", "out", "postings that were not posted, and all that are followed"
)
HEDGING_DECISIONS = Topic("hedging.decisions", Decision, "venue/kind", "out", "hedge and funding decisions")
TREASURY_DECISIONS = Topic("treasury.decisions", TreasuryDecision, "venue", "out", "what was decided about buffers")
TREASURY_JOBS = Topic("treasury.jobs", JobChange, "job_id", "out", "every step of every conversion job")
TREASURY_WINDOWS = Topic("treasury.windows", NetWindow, "buffer", "out", "what each window came to")
TREASURY_SETTLEMENTS = Topic("treasury.settlements", NetSettlement, "", "out", "who pays whom when entities settle at once")
TREASURY_LEVELS = Topic("treasury.levels", BufferLevel, "buffer", "out", "how buffers stand", compacted=True)
PROVIDER_HEALTH = Topic("provider.health", ProviderHealth, "provider", "out", "how providers do", compacted=True)
SETTLEMENT_RESULTS = Topic(
    "settlement.results", SettlementResult, "id", "out", "what became of each word: booked or refused"
)
RECON_REPORTS = Topic("recon.reports", ReconReport, "account", "out", "what statements and books came to, compared")
RECON_EXCEPTIONS = Topic(
    "recon.exceptions", ReconException, "break_id", "out", "what statements and books differ in", compacted=True
)
ALERTS = Topic("alerts", Alert, "id", "out", "what a person should look at", retention_days=30)

TOPICS: tuple[Topic[Any], ...] = tuple(topic for topic in list(globals().values()) if isinstance(topic, Topic))
"""All that are named above."""

TOPIC_OF: dict[type[Message], Topic[Any]] = {topic.model: topic for topic in TOPICS}
"""Where a message belongs, by its type."""


@cache
def quarantine(name: str) -> Topic[Quarantined]:
    """Return the topic that keeps what could not be read of another one."""
    return Topic(f"quarantine.{name}", Quarantined, "", "out", f"unreadable messages of {name}")


ALL: tuple[Topic[Any], ...] = TOPICS + tuple(quarantine(topic.name) for topic in TOPICS if topic.direction != "out")
BY_NAME = {topic.name: topic for topic in ALL}
