"""Waiting until nothing is on its way any more, by facts and not by a while of silence.

The books are settled when all of this holds: the users' messages are delivered, and what they ordered of each other is answered;
no order, transfer or conversion is open; two looks in a row saw the same; and every step has come past the moment at which the
last new thing was seen, so that whatever was said until then has gone all the way through. Only settled books are judged.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from app.reports.gauges import STEPS, come_to_ms, read_gauges
from connectors.clock import now_ms
from connectors.kafka.peek import Peek, counts
from domain.outbox.kinds import KINDS
from domain.topics import (
    BY_NAME,
    LEDGER_BALANCES,
    MARKET_TICKS,
    TREASURY_LEVELS,
    TREASURY_WINDOWS,
    VENUE_BALANCES,
    VENUE_POSITIONS,
)
from sinks.postgres import Connection
from sinks.queries import ask

LOOK_SECONDS = 0.5
REPEATED = {
    topic.name
    for topic in (MARKET_TICKS, VENUE_POSITIONS, VENUE_BALANCES, LEDGER_BALANCES, TREASURY_WINDOWS, TREASURY_LEVELS)
}
"""Topics that go on for ever: they say what is so again and again, and the market does not stop."""


class Look(NamedTuple):
    """What there was at `at_ms`: messages that were not delivered, how far each step that is awaited had come (-1 where it has
    said nothing yet), and counts of all that happened.

    `open_requests` are counts by kind and state; `seen` has those too, tallies, and messages by topic.
    """

    at_ms: int
    undelivered: int
    come_to_ms: Mapping[str, int]
    open_requests: Mapping[str, int]
    seen: Mapping[str, int]


def settled(before: Look | None, now: Look, since_ms: int) -> str | None:
    """Return None when nothing is on its way, else what it waits for; the last new thing was seen at `since_ms`."""
    if now.undelivered:
        return f"{now.undelivered} messages of the users, to be taken or answered"
    for request, n in now.open_requests.items():
        return f"{request}, of which there is {n}, to come to its end"
    news = now.seen.keys() if before is None else [name for name, n in now.seen.items() if before.seen.get(name) != n]
    if before is None or now.seen != before.seen:
        return f"another look, since there was something new: {', '.join(sorted(news)[:3]) or 'nothing yet'}"
    for step, come_ms in now.come_to_ms.items():
        if come_ms <= since_ms:
            return f"the step {step}, {_behind(now, step)}"
    return None


def _behind(now: Look, step: str) -> str:
    come_ms = now.come_to_ms[step]
    return "which has said nothing yet" if come_ms < 0 else f"which is {(now.at_ms - come_ms) / 1000:.1f} s behind"


def wait_until_settled(look: Callable[[], Look], go_on: Callable[[], bool], say: Callable[[str], None]) -> str | None:
    """Look again and again until the books are settled; return None then, or what it waited for when told not to go on."""
    before: Look | None = None
    since_ms = 0
    while True:
        now = look()
        if before is None or now.seen != before.seen:
            since_ms = now.at_ms
        waits_for = settled(before, now, since_ms)
        if waits_for is None or not go_on():
            return waits_for
        say(waits_for)
        before = now
        time.sleep(LOOK_SECONDS)


def look(connection: Connection, peek: Peek, undelivered: int, flows: Sequence[str]) -> Look:
    """Look once at what these flows are doing. The time is that of its end: whatever was seen had happened before."""
    found = come_to_ms(read_gauges(connection))
    come = {step: found.get(step, -1) for flow in flows for step in STEPS[flow]}
    requests = {(row["kind"], row["state"]): row["n"] for row in ask(connection, "treasury_requests")}
    seen = {
        **{f"{kind} {state}": n for (kind, state), n in requests.items()},
        **{f"{row['template']} {row['outcome']}": row["n"] for row in ask(connection, "ledger_tallies")},
        **{f"{row['subject']} {row['label']}": row["n"] for row in ask(connection, "treasury_tallies")},
        **counts(peek.tails(BY_NAME.keys() - REPEATED)),
    }
    still_open = {f"{kind} {state}": n for (kind, state), n in requests.items() if state not in KINDS[kind].ends}
    # What waits for a person may wait for ever.
    jobs = Counter(row["state"] for row in ask(connection, "treasury_active_jobs") if not row["awaits_approval"])
    still_open |= {f"job {state}": n for state, n in jobs.items()}
    return Look(now_ms(), undelivered, come, still_open, seen)
