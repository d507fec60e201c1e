"""Brings along what the ledger already knows about a leg and its pairing key.

The pairing step remembers recent keys only, and after a crash it starts from an older snapshot. A leg that may touch a trade
which was booked before this run began, or long ago, therefore comes with the booked trades of its key. For all others the
memory of the key is complete.

Every leg comes with the trades that it is in itself, whatever its key is now: a leg that is told again with another second
would otherwise be taken for another one, once the first is forgotten. They come with all others of the key that they were
booked under: on part of a page, what is best of the whole need not be.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import bytewax.operators as op

from domain.ledger.journal import LEGS, History, Matter, Transaction
from domain.pairing.effects import Arrival, KnownTrade
from domain.pairing.legs import Leg, leg_from_json, pairing_key
from domain.streams.records import Progress, Record
from domain.templates.user_trades import trade_correlation
from operators.streams.feeds import Feed


class Memory(NamedTuple):
    """What the pairing step remembers by itself: what was created since `since_ms`, when the run began, and arrives within
    `span_ms`."""

    since_ms: int
    span_ms: int

    def lacks(self, record: Record[Leg]) -> bool:
        """Whether trades of this leg's key may have been booked without the pairing step knowing."""
        created_at_ms = record.value.created_at_ms
        return created_at_ms < self.since_ms or record.at_ms < self.since_ms or created_at_ms < record.at_ms - self.span_ms


def known_trades(transactions: Sequence[Transaction]) -> dict[str, tuple[KnownTrade, ...]]:
    """Booked trades by pairing key; each pair once, with how often it was booked and reversed."""
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    legs: dict[tuple[str, str, str], tuple[Leg, Leg]] = {}
    for transaction in transactions:
        if not transaction.meta.keys() >= LEGS:
            continue  # a reversal by a person: the pair was booked all the same, and is not booked again
        btc, usd = (leg_from_json(transaction.meta[side]) for side in ("btc_leg", "usd_leg"))
        pair = (pairing_key(btc), btc.id, usd.id)
        counts[pair] += 1
        legs[pair] = (btc, usd)
    found: dict[str, list[KnownTrade]] = defaultdict(list)
    for pair in sorted(counts):
        found[pair[0]].append(KnownTrade(pair[0], *legs[pair], counts[pair]))
    return {key: tuple(trades) for key, trades in found.items()}


def recall(name: str, legs: Feed[Leg], open_history: Callable[[], History], memory: Memory) -> Feed[Arrival]:
    """Turn legs into arrivals. `open_history` is called once per worker, when the first leg comes."""
    opened: list[History] = []

    def arrived(batch: list[Progress[Leg]]) -> list[Progress[Arrival]]:
        keyed = [[(record, pairing_key(record.value)) for record in progress.records] for progress in batch]
        known = look_up([pair for pairs in keyed for pair in pairs])
        return [
            Progress(progress.source, progress.watermark_ms, [_arrival(record, key, known) for record, key in pairs])
            for progress, pairs in zip(batch, keyed, strict=True)
        ]

    def look_up(pairs: list[tuple[Record[Leg], str]]) -> dict[str, tuple[KnownTrade, ...]]:
        if not pairs:
            return {}
        if not opened:
            opened.append(open_history())
        known = by_leg(known_trades(opened[0].of_legs([record.value.id for record, _ in pairs])))
        matters = {_matter(record, key) for record, key in pairs if memory.lacks(record)}
        return known | known_trades(opened[0].of_matters(sorted(matters))) if matters else known

    return Feed(op.flat_map_batch(name, legs.stream, arrived), legs.sources)


def by_leg(known: Mapping[str, Sequence[KnownTrade]]) -> dict[str, tuple[KnownTrade, ...]]:
    """Return known trades by the ids of their legs, under names that no pairing key has, each with all others of its key."""
    keys: dict[str, dict[str, None]] = defaultdict(dict)
    for trade in (trade for trades in known.values() for trade in trades):
        for leg in (trade.btc, trade.usd):
            keys[_named(leg)][trade.key] = None
    return {name: tuple(trade for key in found for trade in known[key]) for name, found in keys.items()}


def _named(leg: Leg) -> str:
    return f"leg {leg.id}"


def _matter(record: Record[Leg], key: str) -> Matter:
    """All trades of the leg's key: they are of the second in which it was created, as the key says."""
    since_ms = record.value.created_at_ms // 1000 * 1000
    return Matter(trade_correlation(key), since_ms, since_ms + 1000)


def _arrival(record: Record[Leg], key: str, known: Mapping[str, tuple[KnownTrade, ...]]) -> Record[Arrival]:
    at_ms, source, offset, leg = record
    if not known:
        return Record(at_ms, source, offset, Arrival(leg, (), key))
    of_key = known.get(key, ())
    of_leg = [trade for trade in known.get(_named(leg), ()) if trade not in of_key]
    return Record(at_ms, source, offset, Arrival(leg, (*of_key, *of_leg), key))
