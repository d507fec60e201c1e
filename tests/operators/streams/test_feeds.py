"""Feeds: a topic is read once, good and bad apart; a feed knows its sources; everybody hears what time it is."""

from typing import Any

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSource, run_main
from hypothesis import given
from hypothesis import strategies as st

from domain import topics
from domain.messages.fields import Message
from domain.streams.records import Progress, RawBatch, Record, shard_names
from operators.streams.feeds import Feed, Raw, only, read, remade, together
from operators.streams.machines import spread
from sinks.memory import ListSink
from tests.operators.steps import run_step
from tests.words import START_MS, leg, raw, record, tick

PARTITIONS = [("market.ticks", 0), ("dealer.transactions", 0), ("dealer.transactions", 1)]


def said(*values: object, watermark_ms: int = 9) -> Progress[Any]:
    """Progress with one record per value."""
    return Progress("t/0", watermark_ms, [record(value, 5, offset, "t/0") for offset, value in enumerate(values)])


def read_apart(topic: topics.Topic[Any], *batches: RawBatch) -> tuple[list[Progress[Any]], list[Any], tuple[str, ...]]:
    """What a topic is read as, what could not be read, and the sources of what could."""
    good: list[Any] = []
    bad: list[Any] = []
    flow = Dataflow("reading")
    one = read(Raw("in", op.input("in", flow, TestingSource(batches, 2)), PARTITIONS), topic)
    op.output("good", op.map("k", one.good.stream, lambda item: ("k", item)), ListSink(good))
    op.output("bad", op.map("l", one.bad, lambda item: ("k", item.value)), ListSink(bad))
    run_main(flow)
    return good, bad, one.good.sources


def batch(topic: str, partition: int, *messages: Message | bytes, watermark_ms: int = 9) -> RawBatch:
    """Messages of one partition."""
    return RawBatch(topic, partition, watermark_ms, [raw(message, n, START_MS + n) for n, message in enumerate(messages)])


def test_a_topic_is_read_once_good_and_bad_apart() -> None:
    """What can be read keeps its coordinates, what cannot is a rejection, and an emptied batch still tells the time."""
    good, bad, sources = read_apart(
        topics.DEALER_TRANSACTIONS,
        batch("dealer.transactions", 1, leg("b1"), b"oops", leg("u1")),
        batch("market.ticks", 0, tick()),
        batch("dealer.transactions", 0, b"\xff", watermark_ms=20),
    )
    assert [("dealer.transactions/1", 9, [0, 2]), ("dealer.transactions/0", 20, [])] == [
        (progress.source, progress.watermark_ms, [r.offset for r in progress.records]) for progress in good
    ]
    assert [("not_json", 1, 1), ("not_utf8", 0, 0)] == [(one.reason, one.partition, one.offset) for one in bad]
    assert ("dealer.transactions/0", "dealer.transactions/1") == sources


def test_together_is_made_of_all_sources() -> None:
    """A joined feed waits for every source of its parts, and for no other."""
    flow = Dataflow("f")
    up = op.input("in", flow, TestingSource([]))
    assert ("a", "b", "c") == together("all", Feed(up, ("a", "b")), Feed(up, ("c",))).sources


def test_only() -> None:
    """Values of one kind stay, and so do the source and the watermark."""
    (out,) = run_step(lambda up: only("numbers", Feed(up, ("t/0",)), int).stream, [said("x", 1, 2.0, 3)])
    assert ("t/0", 9, [1, 3]) == (out.source, out.watermark_ms, [r.value for r in out.records])


def test_remade() -> None:
    """Values are replaced where they stand, and None leaves a record out."""
    double = lambda r: r.value * 2 if r.value else None  # noqa: E731
    out = run_step(lambda up: remade("doubled", Feed(up, ("t/0",)), double).stream, [said(1, 0, 3)])
    assert [Progress("t/0", 9, [Record(5, "t/0", 0, 2), Record(5, "t/0", 2, 6)])] == out


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
