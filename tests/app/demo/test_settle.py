"""When the books of a demo are settled: facts, in a table, and a wait that is as long as it takes."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from app.demo import settle
from app.demo.demo import RUN
from app.demo.settle import Look, look, settled, wait_until_settled
from app.places.places import prepare
from app.reports.gauges import STEPS
from connectors.clock import now_ms
from connectors.kafka.peek import Peek
from connectors.kafka.source import KafkaSettings
from domain.messages.hedging import HedgeOrder
from domain.outbox.lifecycle import ExecutionPolicy
from domain.streams.gauges import Gauge
from sinks.outbox import PostgresOutbox
from sinks.postgres import connect
from tests.app.gauges import say

SINCE_MS = 1_700_000_000_000
ALL = tuple(step for flow in RUN for step in STEPS[flow])
ALL_PAST = dict.fromkeys(ALL, SINCE_MS + 1)
SEEN = {"USER_BUYS_USD posted": 7, "order filled": 1}
QUIET = Look(SINCE_MS + 900, 0, ALL_PAST, {}, SEEN)

CASES: list[tuple[str, Look | None, Look, str | None]] = [
    ("nothing is on its way", QUIET, QUIET, None),
    ("nothing ever happened", QUIET._replace(seen={}), QUIET._replace(seen={}), None),
    ("a first look has nothing to compare with", None, QUIET, "another look"),
    ("messages are with the users still", QUIET, QUIET._replace(undelivered=3), "3 messages of the users"),
    ("an order is open", QUIET, QUIET._replace(open_requests={"order open": 1}), "order open, of which there is 1"),
    ("an order's fate is unknown", QUIET, QUIET._replace(open_requests={"order unknown": 1}), "order unknown"),
    ("a transfer is under way", QUIET, QUIET._replace(open_requests={"transfer pending": 1}), "transfer pending"),
    (
        "something was booked",
        QUIET,
        QUIET._replace(seen=SEEN | {"USER_BUYS_USD posted": 8}),
        "something new: USER_BUYS_USD posted",
    ),
    (
        "something happened for the first time",
        QUIET,
        QUIET._replace(seen=SEEN | {"FILL posted": 1}),
        "something new: FILL posted",
    ),
    ("a state was left", QUIET._replace(seen=SEEN | {"order sent": 1}), QUIET, "something new"),
    *(
        (
            f"{step} has come no further",
            QUIET,
            QUIET._replace(come_to_ms=ALL_PAST | {step: SINCE_MS}),
            f"the step {step}, which is 0.9 s",
        )
        for step in ALL_PAST
    ),
    (
        "a step was never heard of",
        QUIET,
        QUIET._replace(come_to_ms=ALL_PAST | {"book": -1}),
        "the step book, which has said nothing yet",
    ),
    ("a step has passed no time", QUIET, QUIET._replace(come_to_ms=ALL_PAST | {"pair": -1}), "pair, which has said nothing"),
]


@pytest.mark.parametrize(("before", "now", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_settled_means_that_nothing_is_on_its_way(before: Look | None, now: Look, expected: str | None) -> None:
    """Each thing that may be on its way is waited for by name; without any the books are settled."""
    waits_for = settled(before, now, SINCE_MS)
    assert (waits_for is None) == (expected is None)
    assert (expected or "") in (waits_for or "")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said while waiting, which takes no time here."""
    monkeypatch.setattr(settle, "LOOK_SECONDS", 0)
    return []


def looks(*come_after_ms: int, news_at: int = 0) -> Iterator[Look]:
    """A look a second, at each of which all steps have come so far; until number `news_at` each sees something new."""
    for number, after_ms in enumerate(come_after_ms):
        seen = SEEN | {"FILL posted": 1 + min(number, news_at)}
        yield QUIET._replace(
            at_ms=SINCE_MS + 1000 * number, come_to_ms=dict.fromkeys(ALL_PAST, SINCE_MS + after_ms), seen=seen
        )


def test_it_waits_until_all_steps_have_passed_the_last_new_thing(said: list[str]) -> None:
    """What was new at the third look has to be passed by all steps; the users' end long before is not enough."""
    told = looks(-500, 500, 1500, 1999, 2000, 2001, 9999, news_at=2)
    assert wait_until_settled(told.__next__, lambda: True, said.append) is None
    assert 9999 == next(told).come_to_ms["pair"] - SINCE_MS
    assert 5 == len(said)
    assert all("something new" in text for text in said[:3])
    assert all("the step pair" in text for text in said[3:])


def test_who_tells_it_to_end_hears_what_it_waited_for(said: list[str]) -> None:
    """It ends after the look that is under way, and a look that finds the books settled wins."""
    turns = iter([True, True, False])
    waited_for = wait_until_settled(looks(*[0] * 9).__next__, turns.__next__, said.append)
    assert waited_for is not None
    assert ("the step pair" in waited_for, 2) == (True, len(said))
    assert "another look" in (wait_until_settled(looks(0).__next__, lambda: False, said.append) or "")
    assert wait_until_settled(looks(0, 1).__next__, iter([True]).__next__, said.append) is None


def test_a_worker_that_dies_meanwhile_ends_it(said: list[str]) -> None:
    """What watches the workers raises its sentence, and that is raised."""

    def watch() -> bool:
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        wait_until_settled(looks(0, 0).__next__, watch, said.append)


@pytest.mark.broker
@pytest.mark.postgres
def test_a_look_sees_what_is_in_the_tables(broker: str, database: str) -> None:
    """Gauges of the steps that are awaited, and requests by kind and state, of which those that have not ended are open."""
    prepare(database, KafkaSettings(broker))
    come_ms = now_ms()
    say(database, *(Gauge(step, f"{step}-00", "watermark_ms", come_ms) for step in ("pair", "stranger")))
    order = HedgeOrder(
        client_order_id="o",
        decision_id="d",
        venue="v",
        instrument="i",
        action="sell",
        contracts=-1,
        based_on_sequence=0,
        as_of=come_ms,
    )
    with closing(PostgresOutbox(database, now_ms, ExecutionPolicy())) as outbox:
        outbox.reserve(order)
    with closing(Peek(KafkaSettings(broker))) as peek, connect(database, "reader", "test") as connection:
        seen = look(connection, peek, 4, ["liability"])
    assert come_ms <= seen.at_ms
    assert (4, {"order reserved": 1}) == (seen.undelivered, seen.open_requests)
    assert dict.fromkeys(STEPS["liability"], -1) | {"pair": come_ms} == seen.come_to_ms
    assert 1 == seen.seen["order reserved"]
