"""The gauges of the steps: the newest word of each, written before an epoch ends."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.streams.gauges import Gauge
from domain.streams.records import FOREVER_MS
from sinks.gauges import GaugeSink
from tests.sinks.ledger.checks import Sql

pytestmark = pytest.mark.postgres

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WRITTEN = "SELECT step, shard, name, value FROM treasury.gauge"
VALUES = st.integers(-1, FOREVER_MS)
SAID = st.builds(
    Gauge,
    st.sampled_from(["pair", "book"]),
    st.sampled_from(["pair-00", "pair-01"]),
    st.sampled_from(["watermark_ms", "late"]),
    VALUES,
)


def test_the_newest_word_of_each_is_kept(dsn: str, sql: Sql) -> None:
    """However words are cut into batches and epochs, every key has its last value, once an epoch has ended."""
    keeping = GaugeSink(dsn).build_part("to_gauges", "gauges-0", None)
    newest: dict[tuple[str, str, str], int] = {}

    @FEW
    @given(st.lists(st.lists(st.lists(SAID, max_size=5), max_size=3), max_size=3))
    def compare(epochs: list[list[list[Gauge]]]) -> None:
        for epoch in epochs:
            for batch in epoch:
                keeping.write_batch(batch)
                newest.update((gauge[:3], gauge.value) for gauge in batch)
            keeping.snapshot()
        assert newest == {tuple(key): value for *key, value in sql(WRITTEN)}

    compare()
    keeping.close()


def test_nothing_is_written_before_an_epoch_ends(dsn: str, sql: Sql) -> None:
    """What is said is in the table when the snapshot has been taken, and there is nothing to restore."""
    sink = GaugeSink(dsn)
    assert ["gauges-0"] == sink.list_parts()
    keeping = sink.build_part("to_gauges", "gauges-0", None)
    keeping.write_batch([Gauge("reserve", "venue-00", "watermark_ms", 7)])
    assert [] == sql(WRITTEN)
    assert keeping.snapshot() is None
    assert [("reserve", "venue-00", "watermark_ms", 7)] == sql(WRITTEN)
    keeping.close()


def test_a_step_that_falls_silent_leaves_the_time_of_its_last_word(dsn: str, sql: Sql) -> None:
    """An epoch in which a step says nothing does not touch its gauges; what it says again has a newer time."""
    keeping = GaugeSink(dsn).build_part("to_gauges", "gauges-0", None)
    times = []
    for said in ([Gauge("book", "ledger-00", "late", 0)], [], [Gauge("book", "ledger-00", "late", 0)]):
        keeping.write_batch(said)
        keeping.snapshot()
        times.append(sql("SELECT as_of FROM treasury.gauge")[0][0])
    keeping.close()
    assert times[0] == times[1] < times[2]
