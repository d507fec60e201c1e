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

from domain.ledger.journal import History, Matter, Transaction
from domain.pairing.booked import BookedLegs
from domain.pairing.effects import Arrival, KnownTrade
from domain.pairing.legs import Leg, legs_from_json, pairing_key
from domain.streams.records import Progress, Record
from domain.templates.user_trades import trade_correlation
from operators.streams.feeds import Feed


class Memory(NamedTuple):
    """What the pairing step remembers by itself: what was created since `since_ms`, when the run began, and arrives within
    `span_ms`."""

    since_ms: int
    span_ms: int

    def lacks(self, record: Record[Arrival], booked_before_ms: int | None) -> bool:
        """Whether trades of this leg's key may have been booked without the pairing step knowing.

        All that earlier runs booked is effective before `booked_before_ms`. If that is not known, it may be of anything that was
        there when this run began.
        """
        at_ms, created_at_ms = record.at_ms, record.value.leg.created_at_ms
        if booked_before_ms is None:
            is_earlier = created_at_ms < self.since_ms or at_ms < self.since_ms
        else:
            is_earlier = created_at_ms < booked_before_ms
        return is_earlier or created_at_ms < at_ms - self.span_ms


def known_trades(transactions: Sequence[Transaction]) -> dict[str, tuple[KnownTrade, ...]]:
    """Booked trades by pairing key; each pair once, with how often it was booked and reversed."""
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    legs: dict[tuple[str, str, str], tuple[Leg, Leg]] = {}
    for transaction in transactions:
        told = legs_from_json(transaction.meta)
        if told is None:
            continue  # a reversal by a person: the pair was booked all the same, and is not booked again
        btc, usd = told
        pair = (pairing_key(btc), btc.id, usd.id)
        counts[pair] += 1
        legs[pair] = told
    found: dict[str, list[KnownTrade]] = defaultdict(list)
    for pair in sorted(counts):
        found[pair[0]].append(KnownTrade(pair[0], *legs[pair], counts[pair]))
    return {key: tuple(trades) for key, trades in found.items()}


def recall(
    name: str, legs: Feed[Arrival], open_history: Callable[[], History], memory: Memory, booked: BookedLegs
) -> Feed[Arrival]:
    """Give arrivals what is known of them. `open_history` is called once per worker, when the first leg comes."""
    opened: list[History] = []

    def recalled(batch: list[Progress[Arrival]]) -> list[Progress[Arrival]]:
        known = look_up([record for progress in batch for record in progress.records])
        return [_with_known(progress, known) for progress in batch] if known else batch

    def look_up(records: list[Record[Arrival]]) -> dict[str, tuple[KnownTrade, ...]]:
        leg_ids = booked.among([record.value.leg.id for record in records])
        before_ms = booked.before_ms
        matters = {_matter(record.value) for record in records if memory.lacks(record, before_ms)}
        if not (leg_ids or matters):
            return {}
        if not opened:
            opened.append(open_history())
        known = by_leg(known_trades(opened[0].of_legs(leg_ids))) if leg_ids else {}
        return known | known_trades(opened[0].of_matters(sorted(matters))) if matters else known

    return Feed(op.flat_map_batch(name, legs.stream, recalled), legs.sources)


def by_leg(known: Mapping[str, Sequence[KnownTrade]]) -> dict[str, tuple[KnownTrade, ...]]:
    """Return known trades by the ids of their legs, under names that no pairing key has, each with all others of its key."""
    keys: dict[str, dict[str, None]] = defaultdict(dict)
    for trade in (trade for trades in known.values() for trade in trades):
        for leg in (trade.btc, trade.usd):
            keys[_named(leg)][trade.key] = None
    return {name: tuple(trade for key in found for trade in known[key]) for name, found in keys.items()}


def _named(leg: Leg) -> str:
    return f"leg {leg.id}"


def _matter(arrival: Arrival) -> Matter:
    """All trades of the leg's key: they are of the second in which it was created, as the key says."""
    since_ms = arrival.leg.created_at_ms // 1000 * 1000
    return Matter(trade_correlation(arrival.key), since_ms, since_ms + 1000)


def _with_known(progress: Progress[Arrival], known: Mapping[str, tuple[KnownTrade, ...]]) -> Progress[Arrival]:
    records = [record._replace(value=_of(record.value, known)) for record in progress.records]
    return progress._replace(records=records)


def _of(arrival: Arrival, known: Mapping[str, tuple[KnownTrade, ...]]) -> Arrival:
    of_key = known.get(arrival.key, ())
    of_leg = [trade for trade in known.get(_named(arrival.leg), ()) if trade not in of_key]
    return arrival._replace(known=(*of_key, *of_leg))
