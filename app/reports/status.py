"""What runs, in numbers that take the same time to read however long the history is.

They come from tallies that the database keeps, from gauges that the steps keep, from balances, and from the last message of
each partition. Nothing is counted here, and no topic is read from its beginning.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from decimal import Decimal
from typing import Any, TypeVar

from app.places.places import Places
from app.reports.alive import flow_reports, read_writers
from app.reports.gauges import KEEP, Reading, read_gauges, step_reports, waiting_report
from app.reports.settlement import standing as settlement
from app.reports.treasury.standing import summary
from connectors.clock import now_ms
from connectors.kafka.peek import Partition, Peek, Tail, counts
from domain.ledger.accounts import LIABILITY, account_of
from domain.messages.fields import Message
from domain.messages.venue import VenueBalance, VenuePosition
from domain.outbox.kinds import KINDS
from domain.postings.single import FOLLOWED
from domain.templates import rebooking, reversal
from domain.templates.exchange_position import SUSPENSE
from domain.topics import MARKET_TICKS, VENUE_BALANCES, VENUE_POSITIONS, Topic
from operators.streams.decode import Refused, check_time, parser
from sinks.postgres import Connection, connect
from sinks.queries import ask

M = TypeVar("M", bound=Message)
Rows = Sequence[dict[str, Any]]

ALREADY_REVERSED = "already_reversed"
"""A rejection that asks for nothing: a person was quicker."""

ALERTS_SHOWN = 3
"""So many of the newest are part of a status; `ballast alerts` has all."""


def read_status(places: Places) -> dict[str, Any]:
    """Return one report; amounts in minor units, ratios as decimal strings with four places, times in milliseconds.

    The topics are looked at first, and then all of the database as of one moment, in one transaction.
    """
    with closing(Peek(places.kafka)) as peek:
        tails, at_ms = peek.tails(), now_ms()
    with connect(places.dsn, "reader", "status") as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        readings = read_gauges(connection)
        return {
            "as_of": at_ms,
            **_at_work(connection, readings),
            **_booked(ask(connection, "ledger_tallies"), ask(connection, "ledger_by_hand")),
            **_hedged(connection, tails, at_ms),
            **_requests(ask(connection, "treasury_requests")),
            **_tallied(ask(connection, "treasury_tallies")),
            **_breaks(ask(connection, "reconciling_open")),
            "treasury": summary(connection),
            "settlement": settlement.summary(connection, readings, tails),
            "alerts_hour": {row["subject"]: row["n"] for row in ask(connection, "treasury_alert_counts")},
            "last_decisions": {row.pop("kind"): row for row in ask(connection, "treasury_last_decisions")},
            "facts": _facts(tails, at_ms),
            "alerts": ask(connection, "treasury_newest_alerts", {"row_limit": ALERTS_SHOWN}),
            "messages": counts(tails),
        }


def _at_work(connection: Connection, readings: Sequence[Reading]) -> dict[str, Any]:
    writers = read_writers(connection)
    steps = step_reports(readings)
    flows, archive = flow_reports(steps), steps.pop(KEEP, None)
    return {
        "is_running": any(one["is_alive"] for one in (*writers, *flows.values())),
        "writers": writers,
        "flows": flows,
        "archive_age_seconds": None if archive is None else archive.behind_ms // 1000,
        "waiting_legs": waiting_report(readings),
        "steps": {step: report._asdict() for step, report in steps.items()},
    }


def _booked(tallies: Rows, by_hand: Rows) -> dict[str, int]:
    posted = {row["template"]: row["n"] for row in tallies if row["outcome"] == "posted"}
    rejected = {row["template"]: row["n"] for row in tallies if row["outcome"] == "rejected"}
    taken_back = {row["template"]: row["n"] for row in by_hand if row["source"] == reversal.SOURCE}
    mended = [row for row in by_hand if row["source"] in (rebooking.SOURCE, ALREADY_REVERSED)]
    return {
        "trades": _live_trades(posted) - _live_trades(taken_back),
        "transactions": sum(posted.values()),
        "postings_rejected": sum(rejected.values()),
        "postings_not_booked": _unanswered(rejected.items()) - _unanswered((row["template"], row["n"]) for row in mended),
        "postings_in_conflict": sum(row["n"] for row in tallies if row["outcome"] == "conflict"),
    }


def _unanswered(counts: Iterable[tuple[str, int]]) -> int:
    """Return how many postings these are of which nobody waits for a verdict; who asked for one was told."""
    return sum(n for template, n in counts if template not in FOLLOWED)


def _live_trades(counts: Mapping[str, int]) -> int:
    return _of_templates(counts, "USER_") - _of_templates(counts, "REVERT_")


def _of_templates(counts: Mapping[str, int], prefix: str) -> int:
    return sum(n for template, n in counts.items() if template.startswith(prefix))


def _hedged(connection: Connection, tails: Mapping[Partition, Tail], at_ms: int) -> dict[str, Any]:
    positions = {position.venue: position for position in newest(tails, VENUE_POSITIONS)}
    pockets = {pocket.venue: pocket for pocket in newest(tails, VENUE_BALANCES)}
    tick = max(newest(tails, MARKET_TICKS), key=lambda one: one.as_of, default=None)
    exposure_cents = sum(position.exposure_cents for position in positions.values())
    collateral_sats = sum(pocket.trading_equity_sats for pocket in pockets.values())
    liability_cents, price_usd = _settled(connection, *LIABILITY), tick.price_usd if tick else None
    return {
        "liability_cents": liability_cents,
        "exposure_cents": exposure_cents,
        "hedge_ratio": ratio(-exposure_cents, liability_cents),
        "collateral_sats": collateral_sats,
        "funding_sats": sum(pocket.funding_sats for pocket in pockets.values()),
        "leverage": leverage(exposure_cents, collateral_sats, price_usd),
        "books_less_exchange": _books_less_exchange(connection, positions, pockets),
        "suspense_cents": -sum(_settled(connection, account_of(SUSPENSE, venue), "USD") for venue in positions),
        "venues": {venue: {"exposure_cents": one.exposure_cents} for venue, one in sorted(positions.items())},
        "price_usd": str(price_usd) if price_usd else None,
        "price_age_ms": at_ms - tick.as_of if tick else None,
    }


def _facts(tails: Mapping[Partition, Tail], at_ms: int) -> list[dict[str, Any]]:
    """Return how old the last word on each price, position and balance is; what nobody has spoken of yet is left out."""
    prices = {("price", tick.instrument): tick.as_of for tick in newest(tails, MARKET_TICKS)}
    positions = {("position", position.venue): position.as_of for position in newest(tails, VENUE_POSITIONS)}
    balances = {("balance", pocket.venue): pocket.as_of for pocket in newest(tails, VENUE_BALANCES)}
    known = sorted((prices | positions | balances).items())
    return [{"fact": fact, "of": whose, "age_ms": max(0, at_ms - as_of)} for (fact, whose), as_of in known]


def newest(tails: Mapping[Partition, Tail], topic: Topic[M]) -> list[M]:
    """Return what a topic with one partition said last, in order, without what the flows refuse as well."""
    tail, parse = tails.get((topic.name, 0)), parser(topic.model)
    said: list[M] = []
    for message in tail.newest if tail else ():
        with suppress(Refused):
            read = parse(message.value)
            check_time(read, message.at_ms)
            said.append(read)
    return said


def _books_less_exchange(
    connection: Connection, positions: Mapping[str, VenuePosition], pockets: Mapping[str, VenueBalance]
) -> dict[str, int]:
    """Return what the ledger's mirror has more than the venues say: zero but for what is on its way; a silent one counts not."""
    mirrored_cents = -sum(_settled(connection, account_of("POSITION", venue), "USD") for venue in positions)
    booked_sats = sum(_settled(connection, account_of("FUNDING_ACCOUNT", venue), "BTC") for venue in pockets)
    return {
        "exposure_cents": mirrored_cents - sum(position.exposure_cents for position in positions.values()),
        "funding_sats": booked_sats - sum(pocket.funding_sats for pocket in pockets.values()),
    }


def _settled(connection: Connection, account: str, currency: str) -> int:
    return int(ask(connection, "ledger_settled", {"account": account, "currency": currency})[0]["settled"])


def ratio(part: int, whole: int) -> str | None:
    """Return a ratio with four places, None when there is nothing to compare with."""
    return None if whole == 0 else str((Decimal(part) / whole).quantize(Decimal("0.0001")))


def leverage(exposure_cents: int, collateral_sats: int, price_usd: Decimal | None) -> str | None:
    """Return exposure over collateral, both in bitcoin at this price."""
    if price_usd is None or collateral_sats <= 0:
        return None
    collateral_cents = Decimal(collateral_sats) * price_usd / 1_000_000
    return str((abs(exposure_cents) / collateral_cents).quantize(Decimal("0.0001")))


def _requests(rows: Rows) -> dict[str, dict[str, int]]:
    return {f"{kind}s": {row["state"]: row["n"] for row in rows if row["kind"] == kind} for kind in KINDS}


def _breaks(rows: Rows) -> dict[str, dict[str, int]]:
    """Return how many differences to statements are open, and how old the oldest is, by severity."""
    return {
        "breaks": {row["severity"]: row["n"] for row in rows},
        "breaks_oldest_seconds": {row["severity"]: row["oldest_seconds"] for row in rows},
    }


def _tallied(tallies: Rows) -> dict[str, Any]:
    holds: dict[str, int] = {}
    for row in tallies:
        if row["subject"] == "hold":
            rule = row["label"].partition("/")[2]
            holds[rule] = holds.get(rule, 0) + row["n"]
    return {
        "decisions": sum(row["n"] for row in tallies if row["subject"] == "decision"),
        "holds": dict(sorted(holds.items())),
        "quarantined": {row["label"]: row["n"] for row in tallies if row["subject"] == "quarantine"},
    }
