"""A treasury in words and pictures; amounts in whole units."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.reports.tables import aligned
from domain.money import DECIMALS
from domain.times import datetime_of

Report = dict[str, Any]

BAR = 40
"""So many places has a bar between its minimum and its maximum."""


def whole(amount: int, currency: str) -> str:
    """Return an amount in minor units as a person reads it: `42,000.50 USD`."""
    decimals = DECIMALS[currency]
    sign, digits = "-" * (amount < 0), str(abs(amount)).rjust(decimals + 1, "0")
    fraction = digits[-decimals:].rstrip("0").ljust(2, "0")
    return f"{sign}{int(digits[:-decimals]):,}.{fraction} {currency}"


def bar(position: int, low: int, target: int, high: int) -> str:
    """Return a bar that is full up to the position, from the minimum to the maximum, with a mark at the target.

    What is under the minimum or over the maximum shows in front or behind.
    """
    filled = min(BAR, max(0, (position - low) * BAR // (high - low)))
    mark = (target - low) * BAR // (high - low)
    places = ["#" if place < filled else "." for place in range(BAR)]
    places[mark] = "|"
    return f"{'<' if position < low else ' '}[{''.join(places)}]{'>' if position > high else ' '}"


def text_of(report: Mapping[str, Any]) -> str:
    """Return a treasury in words and pictures."""
    parts = [_control(report), *map(_buffer, report["buffers"])]
    parts.append(f"jobs under way:\n{aligned(list(_jobs(report)))}" if report["active"] else "no job is under way\n")
    parts.append(_day(report))
    if report["providers"]:
        parts.append(f"providers:\n{aligned(list(_provider_rows(report['providers'])))}")
    else:
        parts.append("no provider is known yet: ballast treasury providers --help\n")
    return "\n".join(parts)


def _control(report: Mapping[str, Any]) -> str:
    said = {"active": "acts", "reducing": "starts nothing new (reduce)", "halted": "is halted and sends nothing"}
    if report["control"] is None:
        return "the treasury has told of no buffer yet: start it (ballast run treasury), and say thresholds\n"
    told_ms = max(row["as_of"] for row in report["buffers"])
    told_at = f"{datetime_of(told_ms):%Y-%m-%d %H:%M:%S} UTC"
    return f"the treasury {said[report['control']]}, by its last word on a buffer of {told_at}\n"


def _buffer(row: Mapping[str, Any]) -> str:
    currency = row["currency"]
    amounts = {
        name: whole(row[name], currency) for name in ("available", "position", "min", "target", "max", "amount_to_target")
    }
    lines = [
        f"{row['buffer']:20} {row['status']:16} available {amounts['available']}, position {amounts['position']}",
        f"  {amounts['min']} {bar(row['position'], row['min'], row['target'], row['max'])} {amounts['max']}",
        f"  target {amounts['target']}, {_lacks(row, amounts['amount_to_target'])}; {_falls(row)}",
    ]
    return "\n".join(lines) + "\n"


def _lacks(row: Mapping[str, Any], amount: str) -> str:
    if row["excess"]:
        return f"{whole(row['excess'], row['currency'])} too much"
    return f"lacks {amount}" if row["amount_to_target"] else "lacks nothing"


def _falls(row: Mapping[str, Any]) -> str:
    if row["position"] < row["min"]:
        return "under its minimum now"
    if row["falls_below_min_at"] is None:
        return "at the present rate it stays above its minimum"
    earliest, latest = row["falls_earliest_at"], row["falls_latest_at"]
    between = f" (between {earliest or 'now'} and {latest or 'never'})" if earliest or latest else ""
    return f"falls under its minimum at {row['falls_below_min_at']}{between}"


def _jobs(report: Mapping[str, Any]) -> Iterator[Report]:
    stale = {row["job_id"] for row in report["stale"]}
    for row in report["active"]:
        yield {
            "job": row["job_id"],
            "state": row["state"] + (", waits for approval" if row["awaits_approval"] else ""),
            "provider": row["provider"],
            "from": row["source"],
            "to": row["destination"],
            "amount": whole(row["amount"], row["currency"]),
            "since": row["created_at"],
            "": "stale" if row["job_id"] in stale else "",
        }


def _day(report: Mapping[str, Any]) -> str:
    day = report["day"]
    took = f", {day['average_seconds']} s on average" if day["average_seconds"] is not None else ""
    return f"within a day: {day['completed']} completed, {day['failed']} failed{took}\n"


def _provider_rows(rows: Iterable[Mapping[str, Any]]) -> Iterator[Report]:
    for row in rows:
        yield {
            "provider": row["provider"],
            "status": row["status"],
            "healthy": row["is_healthy"],
            "breaker": row["breaker"],
            "succeeded": f"{row['successes']} of {row['successes'] + row['failures']}",
            "used today": whole(row["daily_used_cents"], "USD"),
            "fee bps": row["fee_bps"],
            "priority": row["priority"],
        }


def told_rows(rows: Iterable[Mapping[str, Any]]) -> list[Report]:
    """Return thresholds as people read them, in whole units."""
    amounts = ("min", "target", "max", "batch")
    return [{**row, **{name: whole(row[name], row["currency"]) for name in amounts}} for row in rows]
