"""What the gauges of the steps come to."""

from datetime import timedelta

import psycopg
import pytest

from app.reports.gauges import (
    STEPS,
    Reading,
    StepReport,
    come_to_ms,
    read_gauges,
    step_reports,
    waiting_report,
)
from app.workers.worker import BESIDE, FLOWS
from domain.streams.gauges import Gauge
from domain.streams.records import FOREVER_MS
from sinks.migrations import migrate
from sinks.postgres import connect
from tests.app.gauges import say

NOW_MS = 1_700_000_000_000


def reading(shard: str, name: str, value: int, as_of_ms: int = NOW_MS, step: str = "pair") -> Reading:
    """A gauge that was read at `NOW_MS`."""
    return Reading(Gauge(step, shard, name, value), as_of_ms, NOW_MS)


COME: list[tuple[str, list[Reading], dict[str, int]]] = [
    ("nothing was said", [], {}),
    (
        "a step has come as far as its slowest shard",
        [reading("a", "watermark_ms", 7), reading("b", "watermark_ms", 5)],
        {"pair": 5},
    ),
    ("no time has passed yet", [reading("a", "watermark_ms", -1)], {"pair": -1}),
    (
        "who has ended has come as far as its end",
        [reading("a", "watermark_ms", FOREVER_MS, NOW_MS - 9)],
        {"pair": NOW_MS - 9},
    ),
    ("other gauges say nothing of it", [reading("a", "late", 7)], {}),
]


@pytest.mark.parametrize(("readings", "expected"), [case[1:] for case in COME], ids=[case[0] for case in COME])
def test_how_far_a_step_has_come(readings: list[Reading], expected: dict[str, int]) -> None:
    """It is the least of what its shards have passed, and never later than when they said so."""
    assert expected == come_to_ms(readings)


def test_a_step_is_reported_over_its_shards() -> None:
    """Counts are added up, the slowest shard says how far the step is behind, the newest word how long it has been silent."""
    said = [
        reading("a", "watermark_ms", NOW_MS - 400, NOW_MS - 200),
        reading("b", "watermark_ms", NOW_MS - 900, NOW_MS - 300),
        *(reading(shard, name, value) for name, value in (("late", 2), ("held", 3)) for shard in "ab"),
        reading("c", "watermark_ms", -1, NOW_MS - 5, "book"),
    ]
    assert {"pair": StepReport(900, 0, 4, 6), "book": StepReport(NOW_MS, 5, 0, 0)} == step_reports(said)


def test_waiting_legs_are_added_up_and_the_oldest_counts() -> None:
    """A shard in which nothing waits has no oldest leg."""
    said = [
        reading(shard, name, value)
        for shard, values in (("a", (2, 500, NOW_MS - 61_999)), ("b", (1, 7, NOW_MS - 1000)), ("c", (0, 0, 0)))
        for name, value in zip(("waiting_legs", "waiting_worth_cents", "oldest_waiting_since_ms"), values, strict=True)
    ]
    assert {"count": 3, "worth_cents": 507, "oldest_seconds": 61} == waiting_report(said)
    assert {"count": 0, "worth_cents": 0, "oldest_seconds": 0} == waiting_report([])


def test_every_flow_has_its_steps() -> None:
    """The flows are those that can be run; all together have the steps of each that is part of them."""
    assert FLOWS.keys() == STEPS.keys()
    assert list(STEPS["everything"]) == [
        step for flow in STEPS if flow not in {"everything", *BESIDE} for step in STEPS[flow]
    ]


@pytest.mark.postgres
def test_shards_of_an_earlier_start_are_left_out(database: str) -> None:
    """A shard that was silent long before the others of its step is none of theirs; one that all share is read."""
    migrate(database)
    say(database, *(Gauge("pair", shard, name, 3) for shard in ("pair-00", "pair-07") for name in ("watermark_ms", "late")))
    _aged(database, "shard = 'pair-07'", timedelta(minutes=2))
    _aged(database, "shard = 'pair-00' AND name = 'late'", timedelta(minutes=2))
    with connect(database, "reader", "test") as connection:
        assert [("pair-00", "late"), ("pair-00", "watermark_ms")] == [one.gauge[1:3] for one in read_gauges(connection)]
    _aged(database, "TRUE", timedelta(days=1))
    with connect(database, "reader", "test") as connection:
        readings = read_gauges(connection)
    assert [("pair-00", "late"), ("pair-00", "watermark_ms")] == [one.gauge[1:3] for one in readings]
    assert all(
        timedelta(days=1) <= timedelta(milliseconds=one.now_ms - one.as_of_ms) < timedelta(days=2) for one in readings
    )


def _aged(dsn: str, where: str, by: timedelta) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(f"UPDATE treasury.gauge SET as_of = as_of - %s WHERE {where}".encode(), (by,))  # noqa: S608
