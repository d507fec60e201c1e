"""Every topic there is: its name, what it carries, how many partitions, how long it keeps, whether it is compacted."""

from typing import NamedTuple

from domain import messages as m


class Topic(NamedTuple):
    """`retention_days` of -1 keeps for ever; a compacted topic keeps the newest message per key."""

    name: str
    model: type[m.Message]
    partitions: int
    retention_days: int
    compacted: bool
    direction: str
    doc: str


DEALER_TRANSACTIONS = Topic("dealer.transactions", m.DealerTransaction, 4, -1, False, "in", "legs of user trades")
MARKET_TICKS = Topic("market.ticks", m.Tick, 1, 7, False, "in", "last prices")
VENUE_POSITIONS = Topic("venue.positions", m.VenuePosition, 1, 30, False, "in", "what we hold on exchanges")
VENUE_BALANCES = Topic("venue.balances", m.VenueBalance, 1, 30, False, "in", "money in both pockets at exchanges")
VENUE_ORDERS = Topic("venue.orders", m.OrderReport, 1, -1, False, "in", "what became of orders")
VENUE_TRANSFERS = Topic("venue.transfers", m.TransferReport, 1, -1, False, "in", "what became of transfers")
VENUE_FILLS = Topic("venue.fills", m.Fill, 1, -1, False, "in", "executed parts of orders")
VENUE_CASHFLOWS = Topic("venue.cashflows", m.CashFlow, 1, -1, False, "in", "fees, profit and loss, moves of collateral")

USER_TRADES = Topic("user.trades", m.UserTrade, 1, -1, False, "out", "paired trades and their reversals")
LEGS_WAITING = Topic("legs.waiting", m.WaitingLeg, 1, -1, True, "out", "legs without a partner, by age and worth")
LEGS_REFUSED = Topic("legs.refused", m.LegRefusal, 1, -1, False, "out", "legs that will not be paired, and why")
LEDGER_BALANCES = Topic("ledger.balances", m.LedgerBalance, 1, -1, True, "out", "balances after each batch")
LEDGER_REJECTIONS = Topic("ledger.rejections", m.LedgerVerdict, 1, -1, False, "out", "postings that were not posted")
HEDGING_DECISIONS = Topic("hedging.decisions", m.Decision, 1, -1, False, "out", "hedge and funding decisions")
HEDGING_ORDERS = Topic("hedging.orders", m.HedgeOrder, 1, -1, False, "out", "orders that decisions ask for")
HEDGING_TRANSFERS = Topic("hedging.transfers", m.CollateralTransfer, 1, -1, False, "out", "transfers that decisions ask for")
ALERTS = Topic("alerts", m.Alert, 1, 30, False, "out", "what a person should look at")

INPUTS = (
    DEALER_TRANSACTIONS,
    MARKET_TICKS,
    VENUE_POSITIONS,
    VENUE_BALANCES,
    VENUE_ORDERS,
    VENUE_TRANSFERS,
    VENUE_FILLS,
    VENUE_CASHFLOWS,
)
OUTPUTS = (
    USER_TRADES,
    LEGS_WAITING,
    LEGS_REFUSED,
    LEDGER_BALANCES,
    LEDGER_REJECTIONS,
    HEDGING_DECISIONS,
    HEDGING_ORDERS,
    HEDGING_TRANSFERS,
    ALERTS,
)


def quarantine(topic: Topic) -> Topic:
    """Where what could not be read of an input topic is kept."""
    return Topic(f"quarantine.{topic.name}", m.Quarantined, 1, -1, False, "out", f"unreadable messages of {topic.name}")


ALL = INPUTS + OUTPUTS + tuple(quarantine(topic) for topic in INPUTS)
BY_NAME = {topic.name: topic for topic in ALL}
