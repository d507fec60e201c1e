"""Brings along what the ledger already knows about a leg's pairing key.

The pairing step remembers recent keys only, and after a crash it starts from an older snapshot. A leg that may touch a trade
which was booked before this run began, or long ago, therefore comes with the booked trades of its key. For all others the
memory is complete, and nothing is looked up.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import bytewax.operators as op
from bytewax.dataflow import Stream, operator

from domain.journal import Matter, Transaction
from domain.legs import Leg, leg_from_json, pairing_key
from domain.pairing_effects import Arrival, KnownTrade
from domain.streams import Progress, Record
from domain.templates.user_trades import trade_correlation

Correlated = Callable[[Sequence[Matter]], Sequence[Transaction]]


class Memory(NamedTuple):
    """What the pairing step remembers by itself: what was created since `since_ms`, when the run began, and arrives within
    `span_ms`."""

    since_ms: int
    span_ms: int

    def lacks(self, record: Record) -> bool:
        """Whether trades of this leg's key may have been booked without the pairing step knowing."""
        created_at_ms: int = record.value.created_at_ms
        return created_at_ms < self.since_ms or record.at_ms < self.since_ms or created_at_ms < record.at_ms - self.span_ms


def known_trades(transactions: Sequence[Transaction]) -> dict[str, tuple[KnownTrade, ...]]:
    """Booked trades by pairing key; each pair once, with how often it was booked and reversed."""
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    legs: dict[tuple[str, str, str], tuple[Leg, Leg]] = {}
    for transaction in transactions:
        btc, usd = (leg_from_json(transaction.meta[side]) for side in ("btc_leg", "usd_leg"))
        pair = (pairing_key(btc), btc.id, usd.id)
        counts[pair] += 1
        legs[pair] = (btc, usd)
    found: dict[str, list[KnownTrade]] = defaultdict(list)
    for pair in sorted(counts):
        found[pair[0]].append(KnownTrade(pair[0], *legs[pair], counts[pair]))
    return {key: tuple(trades) for key, trades in found.items()}


@operator
def recall(step_id: str, up: Stream[Progress], open_history: Callable[[], Correlated], memory: Memory) -> Stream[Progress]:
    """Turn legs into arrivals. `open_history` is called once per worker, when the first old leg comes."""
    opened: list[Correlated] = []

    def look_up(matters: set[Matter]) -> dict[str, tuple[KnownTrade, ...]]:
        if not matters:
            return {}
        if not opened:
            opened.append(open_history())
        return known_trades(opened[0](sorted(matters)))

    def arrived(batch: list[Progress]) -> list[Progress]:
        keyed = [[(record, pairing_key(record.value)) for record in progress.records] for progress in batch]
        known = look_up({_matter(record, key) for pairs in keyed for record, key in pairs if memory.lacks(record)})
        return [
            progress._replace(records=[_arrival(record, key, known) for record, key in pairs])
            for progress, pairs in zip(batch, keyed, strict=True)
        ]

    return op.flat_map_batch("known", up, arrived)


def _matter(record: Record, key: str) -> Matter:
    """All trades that the leg can be part of: they are of the second in which it was created, as their key says."""
    since_ms = record.value.created_at_ms // 1000 * 1000
    return Matter(trade_correlation(key), since_ms, since_ms + 1000)


def _arrival(record: Record, key: str, known: dict[str, tuple[KnownTrade, ...]]) -> Record:
    at_ms, source, offset, leg = record
    return Record(at_ms, source, offset, Arrival(leg, known.get(key, ()), key))
