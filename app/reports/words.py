"""A status in words, line by line: who is at work, what is owed and held, what was decided, and what somebody should look at."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.reports.treasury.words import whole
from domain.times import datetime_of

Line = tuple[str, str]
"""What it is about, and what is so."""

WIDTH = 16


def text_of(status: Mapping[str, Any]) -> str:
    """Return the whole status as text; a name that is that of the line before is not said again."""
    lines = [
        ("as of", f"{time(status['as_of'])} UTC"),
        *at_work(status),
        *alerts(status),
        *treasury(status),
        *buffers(status),
        *settlement(status),
        *books(status),
    ]
    names = [name for name, _ in lines]
    shown = [name if name != before else "" for name, before in zip(names, ["", *names], strict=False)]
    return "\n".join(f"{name:{WIDTH}}  {value}" for name, (_, value) in zip(shown, lines, strict=True))


def at_work(status: Mapping[str, Any]) -> Iterator[Line]:
    """Yield who writes the ledger, which flows live, and how old the facts are."""
    for writer in status["writers"]:
        yield "writer", _writer(writer)
    if not status["writers"]:
        yield "writer", "none yet"
    for flow, report in status["flows"].items():
        yield "flow", f"{flow} {_flow(report)}"
    if status["archive_age_seconds"] is not None:
        yield "archive", f"has everything until {span(status['archive_age_seconds'] * 1000)} ago"
    ages = [f"{fact['fact']} of {fact['of']} {span(fact['age_ms'])}" for fact in status["facts"]]
    yield "age of facts", ", ".join(ages) or "no price, position or balance yet"


def alerts(status: Mapping[str, Any]) -> Iterator[Line]:
    """Yield the newest of what a person should look at."""
    yield from (("alert", _alert(alert)) for alert in status["alerts"])
    if not status["alerts"]:
        yield "alert", "none"


def treasury(status: Mapping[str, Any]) -> Iterator[Line]:
    """Yield what a treasurer looks at: what is owed, what is held against it, and what is done about it."""
    price = status["price_usd"]
    yield "price", f"{Decimal(price):,.2f} USD per bitcoin" if price else "-"
    yield "we owe users", f"{dollars(status['liability_cents'])}   from {status['trades']:,} trades"
    yield "exchange holds", f"{dollars(status['exposure_cents'])}   short is negative"
    yield "hedge ratio", status["hedge_ratio"] or "-"
    yield "collateral", f"{bitcoin(status['collateral_sats'])} trading, {bitcoin(status['funding_sats'])} funding"
    yield "leverage", status["leverage"] or "-"
    for kind, last in sorted(status["last_decisions"].items()):
        yield f"last {kind}", f"{time(last['as_of'])}  {last['action'].replace('_', ' ')}: {last['reason']}"
    yield "orders", counts(status["orders"])
    yield "transfers", counts(status["transfers"])
    yield "waiting legs", _waiting(status["waiting_legs"])
    yield "quarantine", counts(status["quarantined"])


def buffers(status: Mapping[str, Any]) -> Iterator[Line]:
    """Yield how buffers stand and what is converted; nothing where no buffer is kept."""
    own = status["treasury"]
    for row in own["buffers"]:
        amounts = [whole(row[name], row["currency"]) for name in ("available", "min", "max")]
        yield "buffer", f"{row['buffer']} {row['status']}: {amounts[0]} between {amounts[1]} and {amounts[2]}"
    if own["buffers"]:
        yield "conversions", f"{counts(own['jobs'])}; {own['stale_jobs']} stale; the treasury is {own['control']}"


def settlement(status: Mapping[str, Any]) -> Iterator[Line]:
    """Yield how far each symbol has settled, and what was refused; nothing where no symbol is known."""
    own = status["settlement"]
    for row in own["symbols"]:
        far = f"up to {row['last_sequence']} at {time(row['last_settled_at'])}" if row["last_sequence"] else "nothing yet"
        behind = f", {row['behind']:,} behind" if row["behind"] else ""
        yield (
            "symbol",
            f"{row['symbol']} {row['status']}: {row['settled']:,} settled, {far}; {row['refused']:,} refused{behind}",
        )
    if own["symbols"]:
        yield "trades refused", counts(own["refused"])
        yield "trading", f"{own['open_orders']:,} orders are open, {own['trades_waiting']:,} trades wait"


def books(status: Mapping[str, Any]) -> Iterator[Line]:
    """Yield where books and exchange differ, and what became of postings."""
    more = status["books_less_exchange"]
    yield "books - exchange", f"{dollars(more['exposure_cents'])} of exposure, {bitcoin(more['funding_sats'])} of funding"
    yield "statements", _breaks(status)
    yield "ledger", f"{status['transactions']:,} transactions, {_refused(status)}"


def _breaks(status: Mapping[str, Any]) -> str:
    if not status["breaks"]:
        return "no break is open"
    oldest = max(status["breaks_oldest_seconds"].values())
    return f"{counts(status['breaks'])} break{'s' * (sum(status['breaks'].values()) > 1)}, oldest {span(oldest * 1000)}"


def _writer(writer: Mapping[str, Any]) -> str:
    who = f"shard {writer['shard']}: process {writer['pid']} on {writer['host']} since {time(writer['since'])} UTC"
    heard = "never heard" if writer["silent_ms"] is None else f"heard {span(writer['silent_ms'])} ago"
    return f"{who}, {heard}{'' if writer['is_alive'] else '; does not write any more'}"


def _flow(report: Mapping[str, Any]) -> str:
    if report["silent_ms"] is None:
        return "was never heard of"
    if not report["is_alive"]:
        return f"does not run: silent for {span(report['silent_ms'])}"
    return f"runs, {span(report['behind_ms'])} behind"


def _waiting(waiting: Mapping[str, int]) -> str:
    if not waiting["count"]:
        return "none"
    return f"{waiting['count']}, worth {dollars(waiting['worth_cents'])}, oldest {span(waiting['oldest_seconds'] * 1000)}"


def _refused(status: Mapping[str, Any]) -> str:
    rejected = f"{status['postings_rejected']:,} rejected ({status['postings_not_booked']:,} not booked since)"
    return f"{rejected}, {status['postings_in_conflict']:,} in conflict"


def _alert(alert: Mapping[str, Any]) -> str:
    return f"{time(alert['as_of'])}  {alert['severity']}: {alert['text']}"


def dollars(cents: int) -> str:
    """Cents as dollars."""
    return f"{Decimal(cents) / 100:,.2f} USD"


def bitcoin(sats: int) -> str:
    """Satoshis as bitcoin."""
    return f"{Decimal(sats) / 100_000_000:,.8f} BTC"


def counts(by_name: Mapping[str, int]) -> str:
    """`3 filled, 1 open`."""
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in by_name.items()) or "none"


def time(at_ms: int) -> str:
    """A time to the second, in UTC."""
    return f"{datetime_of(at_ms):%Y-%m-%d %H:%M:%S}"


SPANS: Sequence[tuple[int, str]] = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"))


def span(ms: int) -> str:
    """How long something is, in the largest unit of which there are two: `0.4 s`, `90.0 s`, `12 min`."""
    return next((f"{ms // unit} {name}" for unit, name in SPANS if ms >= 2 * unit), f"{ms / 1000:.1f} s")
