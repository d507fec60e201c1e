"""How the settlement stands: symbols, what was refused, what waits, and whether each asset comes to zero."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from app.reports.alive import flow_reports
from app.reports.gauges import Reading, read_gauges, step_reports, summed
from app.reports.tables import plain_rows
from connectors.kafka.peek import Partition, Tail
from domain.messages.settlement import MatchedTrade
from domain.settlement.links import hash_of
from domain.topics import TRADES_MATCHED
from operators.streams.decode import Refused, parser
from sinks.ledger.export import snapshot
from sinks.postgres import Connection, connect
from sinks.queries import ask

Report = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]

DESK = "settle"
"""The step that decides; it counts open orders, and trades that wait."""


def summary(connection: Connection, readings: Sequence[Reading], tails: Mapping[Partition, Tail]) -> Report:
    """Return the numbers of a settlement that take the same time to read however long its history is.

    `behind` of a symbol is how many numbers the newest trade on its topic is ahead of the last one that had its turn.
    """
    tallies = ask(connection, "settlement_tallies")
    matched = newest_matched(tails)
    symbols = [_symbol(row, tallies, matched) for row in ask(connection, "settlement_symbols")]
    refused = {"refused": _by_reason(tallies, "trade"), "not_booked": _not_booked(connection)}
    return {"symbols": symbols, **refused, **_counted(readings)}


def _not_booked(connection: Connection) -> dict[str, int]:
    """Return how many postings the books have rejected, and how many have another body than the booked one."""
    found: dict[str, int] = {}
    for row in ask(connection, "settlement_not_booked"):
        found[row["outcome"]] = found.get(row["outcome"], 0) + row["n"]
    return found


def _symbol(row: Mapping[str, Any], tallies: Rows, matched: Mapping[str, int]) -> Report:
    symbol = row["symbol"]
    counts = {subject: _sum(tallies, subject=subject, kind="trade", symbol=symbol) for subject in ("trade", "refusal")}
    return {
        "symbol": symbol,
        "status": row["status"],
        "last_sequence": row["last_sequence"],
        "last_settled_at": row["last_settled_at"],
        "settled": counts["trade"],
        "refused": counts["refusal"],
        "behind": max(0, matched.get(symbol, 0) - row["last_turn"]),
    }


def _sum(tallies: Rows, **wanted: str) -> int:
    return sum(row["n"] for row in tallies if all(row[name] == value for name, value in wanted.items()))


def _by_reason(tallies: Rows, kind: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in tallies:
        if row["subject"] == "refusal" and row["kind"] == kind:
            found[row["reason"]] = found.get(row["reason"], 0) + row["n"]
    return dict(sorted(found.items()))


def _counted(readings: Sequence[Reading]) -> Report:
    return {name: summed(readings, name).get(DESK, 0) for name in ("open_orders", "trades_waiting")}


def newest_matched(tails: Mapping[Partition, Tail]) -> dict[str, int]:
    """Return the greatest number of each symbol among the last messages of its topic, of those that are what they say."""
    found: dict[str, int] = {}
    for trade in _matched(tails):
        found[trade.symbol] = max(found.get(trade.symbol, 0), trade.sequence)
    return found


def _matched(tails: Mapping[Partition, Tail]) -> Iterator[MatchedTrade]:
    parse = parser(MatchedTrade)
    for (topic, _), tail in tails.items():
        for message in tail.newest if topic == TRADES_MATCHED.name else ():
            with suppress(Refused):
                trade = parse(message.value)
                if hash_of(trade) == trade.hash:
                    yield trade


def read_settlement(dsn: str) -> Report:
    """Return how the settlement stands, with what a person should look at; adding up all balances takes seconds for a million."""
    with connect(dsn, "reader", "settlement status") as connection, snapshot(connection):
        readings = read_gauges(connection)
        tallies = ask(connection, "settlement_tallies")
        kinds = sorted({row["kind"] for row in tallies if row["subject"] == "refusal"})
        symbols = [_symbol(row, tallies, {}) for row in ask(connection, "settlement_symbols")]
        assets = plain_rows(ask(connection, "settlement_zero_sum"))
        report = {
            "is_running": flow_reports(step_reports(readings)).get("settlement", {}).get("is_alive", False),
            "symbols": [{name: value for name, value in row.items() if name != "behind"} for row in symbols],
            "refused": _by_reason(tallies, "trade"),
            "refused_by_kind": {kind: _by_reason(tallies, kind) for kind in kinds},
            **_counted(readings),
            "assets": assets,
            "unbalanced": [row["asset"] for row in assets if row["residual"]],
        }
        return {**report, "attention": list(_attention(connection, report))}


def _attention(connection: Connection, report: Mapping[str, Any]) -> Iterator[str]:
    for row in report["assets"]:
        if row["residual"]:
            yield f"{row['asset']} does not come to zero but to {row['residual']}: ballast ledger verify"
    if report["trades_waiting"]:
        yield f"{report['trades_waiting']:,} trades wait: a trade of their symbol is missing or broken"
    yield from (f"{row['subject']}: {row['text']}" for row in ask(connection, "settlement_alerts"))
    for row in ask(connection, "settlement_not_booked"):
        yield f"{row['n']:,} {row['template']} {row['outcome']} by the books: see PostingsNotBooked and PostingsInConflict"
    refused = sum(report["refused"].values())
    if refused:
        yield f"{refused:,} trades were refused: ballast settlement quarantine"
