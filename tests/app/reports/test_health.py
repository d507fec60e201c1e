"""Health: a sentence and an exit code, from what the steps of a flow say of themselves."""

import pytest

from app.places.places import prepare
from app.reports.gauges import STEPS, Reading
from app.reports.health import trouble_of
from connectors.clock import now_ms
from connectors.kafka.source import KafkaSettings
from domain.streams.gauges import Gauge
from tests.app.conftest import Ballast
from tests.app.gauges import say

NOW_MS = 1_700_000_000_000
NOWHERE = "127.0.0.1:1"


def spoke(step: str, behind_ms: int, silent_ms: int = 0, shard: str = "00") -> Reading:
    """How far a step had come when it spoke last."""
    return Reading(Gauge(step, shard, "watermark_ms", NOW_MS - behind_ms), NOW_MS - silent_ms, NOW_MS)


CASES: list[tuple[str, str, list[Reading], str | None]] = [
    ("all steps keep up", "liability", [spoke("pair", 900), spoke("explain", 0), spoke("book", 30_000)], None),
    ("a flow of one step", "execution", [spoke("reserve", 1_000, 900)], None),
    ("nothing was ever said", "hedging", [], "its step decide has not said anything yet"),
    (
        "one of several steps was never heard of",
        "liability",
        [spoke("pair", 0)],
        "its step explain has not said anything yet",
    ),
    ("a step is slow", "liability", [spoke("pair", 0), spoke("explain", 31_000)], "its step explain is behind by 31 s"),
    (
        "a shard is slow",
        "hedging",
        [spoke("decide", 0), spoke("decide", 40_000, 0, "01")],
        "its step decide is behind by 40 s",
    ),
    ("a step has died", "execution", [spoke("reserve", 95_000, 94_900)], "its step reserve has been silent for 94 s"),
    ("another flow has died", "execution", [spoke("reserve", 5), spoke("decide", 95_000, 95_000)], None),
    ("all flows together", "everything", [spoke(step, 5) for step in STEPS["everything"]], None),
    (
        "one of all flows",
        "everything",
        [spoke(step, 5) for step in STEPS["liability"]],
        "its step decide has not said anything yet",
    ),
]


@pytest.mark.parametrize(("flow", "readings", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_flow_is_well_while_its_steps_keep_up(flow: str, readings: list[Reading], expected: str | None) -> None:
    """Every step has spoken within the limit, and has come as far; the first that has not is named."""
    assert (expected and f"the flow {flow} is not well: {expected}") == trouble_of(flow, readings, 30)


def test_a_step_that_waits_for_ever_is_behind_by_all_time() -> None:
    """A step that speaks and has passed no time, as one does that waits for a source that does not exist, is not well."""
    (reading,) = [spoke("decide", NOW_MS + 1)]
    assert "its step decide is behind by 1700000000 s" in (trouble_of("hedging", [reading], 30) or "")


@pytest.mark.broker
@pytest.mark.postgres
def test_the_command_says_it_in_one_sentence(ballast: Ballast, broker: str, database: str) -> None:
    """Well is a sentence and code 0, not well is one and code 1, also where broker or database do not answer."""
    prepare(database, KafkaSettings(broker))
    here = {"BALLAST_KAFKA__BOOTSTRAP": broker, "BALLAST_POSTGRES__DSN": database}
    asked = ("status", "--health", "--flow", "execution")

    silent = ballast(*asked, settings=here)
    assert (1, "", "the flow execution is not well: its step reserve has not said anything yet\n") == silent
    say(database, Gauge("reserve", "venue-00", "watermark_ms", now_ms()))
    assert (0, "the flow execution is well\n", "") == ballast(*asked, settings=here)
    assert {"healthy": True, "trouble": None} == ballast(*asked, "--json", settings=here).json()
    late = ballast(*asked, "--limit-seconds", "0", settings=here)
    assert (1, "", 1) == (late.code, late.out, len(late.err.splitlines()))

    for changed in ({"BALLAST_KAFKA__BOOTSTRAP": NOWHERE}, {"BALLAST_POSTGRES__DSN": f"postgresql://u@{NOWHERE}/x"}):
        said = ballast(*asked, settings=here | changed)
        assert (1, "", 1) == (said.code, said.out, len(said.err.splitlines())), said


@pytest.mark.parametrize("words", [(), ("--flow", "nobody")])
def test_nothing_runs(words: tuple[str, ...], ballast: Ballast) -> None:
    """Without anything to ask, or for a flow that there is not, it is one sentence and code 1."""
    said = ballast("status", "--health", *words)
    assert (1, "", 1) == (said.code, said.out, len(said.err.splitlines()))
