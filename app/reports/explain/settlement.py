"""The settlement's part of a chain: an order, its lock and its trades; and what was refused, with what a person can do."""

from collections.abc import Iterator, Mapping

from app.reports.explain.graph import Facts
from domain.ids import timeless_id
from domain.postings.settlement import KINDS
from domain.templates.settlement import ORDER_LOCKED, ORDER_UNLOCKED, TRADE_SETTLED, locked_of

PAYS, LEAVES = "pays for", "is unlocked by"
REPLAYED = "have the trade settled with ballast produce settlement.replays"

REMEDIES: Mapping[str, str] = {
    "unknown_symbol": f"tell of the symbol on settlement.instruments, then {REPLAYED}",
    "symbol_halted": f"open the symbol on settlement.instruments, then {REPLAYED}",
    "symbol_closed": "nothing, unless the symbol was closed by mistake: say so on settlement.instruments",
    "unknown_fees": f"tell of its fees on settlement.fees, then {REPLAYED}",
    "customer_frozen": f"find out why the customer is frozen; thawed on settlement.customers, {REPLAYED}",
    "level_too_low": "raise the customer's level on settlement.customers, if it should be higher",
    "known_order": "ask who places orders: this id was used before, and an order needs a new one",
    "off_tick": "ask who matches: the price is not a multiple of the symbol's tick",
    "off_lot": "ask who matches: the quantity is not a multiple of the symbol's lot",
    "inexact": "ask who matches: price times quantity is no whole number of smallest units, and nothing is rounded",
    "worthless": "ask who matches: price times quantity comes to nothing",
    "too_large": "ask who matches: price times quantity is more than the ledger can hold",
    "insufficient": "nothing: the customer has too little; what is missing is the shortfall",
    "unknown_customer": "look whether the customer's first deposit is missing on settlement.flows",
    "unknown_asset": "look whether the customer's deposit of this asset is missing on settlement.flows",
    "unknown_order": f"look on orders.locks for the order; once it is locked, {REPLAYED}",
    "beyond_limit": "ask who matches: the price is worse than the order's limit",
    "beyond_order": "ask who matches: more was matched than is left of the order",
    "self_trade": "ask who matches: buyer and seller are the same customer",
    "lock_too_small": "compare the fees at which the order was locked with those at which it traded",
    "fee_over_proceeds": "compare the fee schedule with the trade: the seller would pay more than it gets",
    "wrong_hash": "have the trade sent again as it was matched: its hash is not that of what it says",
    "broken_link": "have the trade sent that follows the last one of the symbol; the symbol stands until then",
    "sequence_taken": "ask who matches: another trade has this number",
    "trade_id_taken": "ask who matches: another trade has this id",
    "never_in_turn": "send the trade itself; only one that was refused in its turn is settled by a replay",
    "booked_before": "nothing, if it was sent twice; else send it under a name of its own",
    "debt_open": "nothing: as long as the customer owes anything, nothing is paid out",
    "asked_before": "ask for the correction under a name of its own",
    "denied": "nothing: another person has said no",
}
"""What a person can do, by why something was refused."""


def remedy(reason: str) -> str:
    """Return what a person can do about a refusal."""
    return REMEDIES.get(reason, "look it up in docs/runbook.md")


def posting_ids(name: str) -> list[str]:
    """Return what is booked for a trade, an order, a flow or a correction of this name, if anything is."""
    return [timeless_id(template, name) for template in KINDS.values()]


def orders_of(template: str, meta: Facts) -> Iterator[tuple[str, str]]:
    """Yield what a posting of a trade, or of an order that has ended, follows from: the word for it, and the posting."""
    if template == TRADE_SETTLED:
        for side in ("buy_order", "sell_order"):
            yield PAYS, timeless_id(ORDER_LOCKED, meta[side])
    elif template == ORDER_UNLOCKED:
        yield LEAVES, timeless_id(ORDER_LOCKED, meta["name"])


def lock_of(template: str, meta: Facts) -> tuple[str, str] | None:
    """Return the account of a lock and the name of its order, where a posting is one."""
    return (locked_of(meta["user"]), meta["name"]) if template == ORDER_LOCKED else None
