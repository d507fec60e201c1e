"""Routing: who gets which record, and that everybody hears what time it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Rejection
from domain.streams import Progress, Record, shard_names
from operators.routing import gather, keep, only, remade, spread, ungrouped, values_of, without_rejections
from tests.flows.streams import record
from tests.operators.steps import run_step

REFUSED = Rejection("not_json", "", "t", 0, 1, None, b"")


def said(*values: object, watermark_ms: int = 9) -> Progress:
    """Progress with one record per value."""
    return Progress("t/0", watermark_ms, [record(value, 5, offset, "t/0") for offset, value in enumerate(values)])


def test_without_rejections() -> None:
    """Rejections go, their neighbours keep their coordinates, and an emptied batch still tells the time."""
    out = run_step(lambda up: without_rejections("good", up), [said("x", REFUSED, "y"), said(REFUSED)])
    assert [["x", "y"], []] == [[r.value for r in progress.records] for progress in out]
    assert [0, 2] == [r.offset for r in out[0].records]
    assert [9, 9] == [progress.watermark_ms for progress in out]


def test_only() -> None:
    """Values of one kind stay."""
    out = run_step(lambda up: only("numbers", up, int), [said("x", 1, 2.0, 3)])
    assert [1, 3] == [r.value for r in out[0].records]


def test_values_of() -> None:
    """For sinks, records of the wanted kinds come one by one, whatever batch they were in."""
    out = run_step(lambda up: values_of("kinds", up, (int, float)), [said("x", 1), said(), said(2.0)])
    assert [1, 2.0] == [r.value for r in out]


def test_remade() -> None:
    """Values are replaced where they stand, and None leaves a record out."""
    out = run_step(lambda up: remade("doubled", up, lambda r: r.value * 2 if r.value else None), [said(1, 0, 3)])
    assert [Progress("t/0", 9, [Record(5, "t/0", 0, 2), Record(5, "t/0", 2, 6)])] == out


def test_gather_and_ungrouped() -> None:
    """What is gathered on a shard is the same progress, without the shard again afterwards."""
    assert [("ledger-00", said("x"))] == run_step(lambda up: gather("all", up, "ledger-00"), [said("x")])
    assert [said("x")] == run_step(lambda up: ungrouped("plain", gather("all", up, "s")), [said("x")])


@given(values=st.lists(st.text(max_size=4), max_size=20), count=st.integers(1, 5))
def test_spread_loses_nothing(values: list[str], count: int) -> None:
    """Each record goes to one shard, the same key always to the same, in order; every shard hears every watermark."""
    shards = shard_names("pair", count)
    out = run_step(lambda up: spread("by_key", up, shards, str), [said(*values), said(*values, watermark_ms=20)])
    first, second = out[:count], out[count:]
    assert [(shard, 9) for shard in shards] == [(shard, progress.watermark_ms) for shard, progress in first]
    assert [(shard, 20) for shard in shards] == [(shard, progress.watermark_ms) for shard, progress in second]
    assert [p.records for _, p in first] == [p.records for _, p in second]
    assert list(range(len(values))) == sorted(r.offset for _, p in first for r in p.records)
    assert all(list(p.records) == sorted(p.records, key=lambda r: r.offset) for _, p in first)
    homes = {(r.value, shard) for shard, p in first for r in p.records}
    assert len(homes) == len(set(values))


@pytest.mark.parametrize(("key", "shard"), [("1700000000", "pair-01"), ("", "pair-00"), ("ü", "pair-05")])
def test_keys_stay_where_they_are(key: str, shard: str) -> None:
    """A key's shard is part of the saved state's shape: it must never change."""
    out = run_step(lambda up: spread("by_key", up, shard_names("pair", 8), str), [said(key)])
    assert [shard] == [name for name, progress in out if progress.records]


def test_keep() -> None:
    """The source and the watermark are never lost."""
    assert Progress("t/0", 9, []) == keep(said(1, 2), lambda _: False)
