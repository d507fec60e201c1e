"""The settlement in words: how it stands, and what to do about each reason for which a word is refused."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.reports.tables import aligned
from domain.times import datetime_of

Report = dict[str, Any]

_REPLAY = "then: ballast settlement replay TRADE_ID"
_LATER = "then tell it again, with the time of then"
_AGAIN = "it can be told again, with the time of then"
_ORDERS = "have the exchange explain the trade: it may only match orders that are locked here"

REMEDIES: Mapping[str, str] = {
    "unknown_symbol": f"tell of the symbol on settlement.instruments, {_REPLAY}",
    "symbol_halted": f"tell of the symbol as open again when it may trade, {_REPLAY}",
    "symbol_closed": f"tell of the symbol as open, if it is to trade after all, {_REPLAY}",
    "unknown_fees": f"tell of the fees that the symbol names on settlement.fees, {_REPLAY}",
    "customer_frozen": f"tell of the customer as active on settlement.customers, if that is so, {_REPLAY}",
    "level_too_low": f"tell of the customer's level on settlement.customers, if it is wrong, {_REPLAY}",
    "unknown_order": f"{_ORDERS}, of the same customer, symbol and side; once they are, {_REPLAY}",
    "beyond_limit": f"{_ORDERS}, at a price within their limits; it stays refused while its orders are what they are",
    "beyond_order": f"{_ORDERS}, for no more than what is left of them",
    "off_tick": f"the price is between two steps; if the tick is told wrong, tell of the right one, {_REPLAY}",
    "off_lot": f"the quantity is between two steps; if the lot is told wrong, tell of the right one, {_REPLAY}",
    "inexact": "what it costs is no whole number of smallest units, and nothing is rounded: have the exchange match other steps",
    "worthless": "it costs nothing at all; have the exchange name a quantity and a price that cost something",
    "too_large": "it costs more than the books can hold; have the exchange name a smaller quantity",
    "self_trade": "buyer and seller are one customer, so nothing is to be moved; have the exchange prevent it",
    "lock_too_small": f"the buyer's order locked too little by the shortfall, so it cannot be paid; {_ORDERS}",
    "fee_over_proceeds": f"the seller's fee is more than the proceeds; tell of the right fees on settlement.fees, {_REPLAY}",
    "trade_id_taken": "another trade has this id and is settled; have the exchange send this one under an id of its own",
    "wrong_hash": "it never had its turn: its hash is not that of its fields; have the exchange send the right one",
    "broken_link": "it never had its turn: it does not follow the trade before it; have the exchange send the right one",
    "sequence_taken": "it never had its turn: another trade has its number; have the exchange find out which one is right",
    "never_in_turn": "a replay of a trade that is not in quarantine, or never had its turn, changes nothing",
    "known_order": "an order of this id is known already; have the exchange use a new id",
    "insufficient": f"the customer has too little by the shortfall; once there is enough, {_AGAIN}",
    "unknown_customer": f"the customer never paid anything in; after a deposit {_AGAIN}",
    "unknown_asset": f"the customer never had any of this asset; after a deposit of it {_AGAIN}",
    "debt_open": f"the customer owes us something; a deposit repays it, and then {_AGAIN}",
    "booked_before": "another word has this id and is booked; if this one is meant too, it needs an id of its own",
    "asked_before": "another correction was asked for under this id, and that one stands; ask under a new id",
    "denied": "another person has denied it; nothing is left to do",
    "refused_by_books": "the books know more than the settlement: an account is frozen, or somebody has posted there by hand; "
    "mend that, then: ballast ledger rebook TX_ID",
    "booked_otherwise": "the books have another posting under its id; find out who wrote it (the runbook, PostingsInConflict)",
}
"""What to do about a word that was refused, by its reason."""


_OF_KIND: Mapping[tuple[str, str], str] = {
    ("unlock", "unknown_order"): "the order has ended already, or was never locked, so nothing is left to unlock",
}


def remedy_of(reason: str, kind: str = "trade") -> str:
    """Return what to do about a word that was refused for a reason; trades alone are replayed, others are told again."""
    known = _OF_KIND.get((kind, reason)) or REMEDIES.get(
        reason, "nobody has written down what to do; see docs/settlement.md"
    )
    return known if kind in ("trade", "replay") else known.replace(_REPLAY, _LATER)


def refused_rows(rows: Iterable[Mapping[str, Any]]) -> list[Report]:
    """Return refused words as people read them."""
    names = ("recorded_at", "kind", "symbol", "sequence", "word_id", "reason", "shortfall", "is_settled", "remedy")
    return [{name.removesuffix("_id"): row[name] for name in names} for row in rows]


def trade_rows(rows: Iterable[Mapping[str, Any]]) -> list[Report]:
    """Return trades as people read them: one line each, balances with their versions behind a colon."""
    return [_trade(row) for row in rows]


def _trade(row: Mapping[str, Any]) -> Report:
    plain = ("trade_id", "symbol", "sequence", "settled_at", "price", "quantity", "buyer", "seller", "buyer_refund")
    told = {name: row[name] for name in (*plain, "buyer_fee", "seller_fee")}
    for side in ("buyer_base", "buyer_quote", "buyer_refunded", "seller_base", "seller_quote"):
        after, version = row[f"{side}_after"], row[f"{side}_version"]
        told[f"{side}_after"] = None if version is None else f"{after}:{version}"
    return told


def text_of(report: Mapping[str, Any]) -> str:
    """Return how the settlement stands in words."""
    if not report["symbols"]:
        return "no symbol is known yet: ballast produce settlement.instruments --example\n"
    waits = f"{report['trades_waiting']:,} trades wait for one that is missing or broken"
    parts = [
        f"{_runs(report)}; {report['open_orders']:,} orders are open, {waits}\n",
        f"symbols:\n{aligned(list(_symbols(report)))}",
        f"refused:\n{aligned(list(_refused(report)))}",
        f"assets, in smallest units:\n{aligned(report['assets'])}",
        "look at:\n" + "".join(f"  {one}\n" for one in report["attention"]) if report["attention"] else "all is well\n",
    ]
    return "\n".join(parts)


def _runs(report: Mapping[str, Any]) -> str:
    return "the flow settlement runs" if report["is_running"] else "the flow settlement does not run: ballast run settlement"


def _symbols(report: Mapping[str, Any]) -> Iterator[Report]:
    for row in report["symbols"]:
        at_ms = row["last_settled_at"]
        at = None if at_ms is None else f"{datetime_of(at_ms):%Y-%m-%d %H:%M:%S}"
        yield {**row, "last_settled_at": at}


def _refused(report: Mapping[str, Any]) -> Iterator[Report]:
    for kind, reasons in report["refused_by_kind"].items():
        for reason, count in reasons.items():
            yield {"kind": kind, "reason": reason, "words": count}
