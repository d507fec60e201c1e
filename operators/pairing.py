"""Pairs legs: the pairing book of `domain/pairing/book.py`, one per shard.

A leg that an earlier run had read comes with the trades that the ledger holds of it. The book takes them as they are, and
has nothing to say about them; but the earlier run may have died between booking a trade and telling of it. So each of
them is posted once more: the ledger finds a duplicate, and whoever follows the trades hears of it. And the leg is said to
wait no more: the last word that got out may have been that it waits.
"""

from collections.abc import Iterator, Sequence

from domain.pairing.book import PairingBook, Rule, known_of
from domain.pairing.effects import Arrival, Effect, KnownTrade, LegWaits, TradePaired, TradeUnpaired
from domain.streams.records import Record, Snapshot
from operators.streams.machines import Kind
from operators.streams.packing import Packing


class RetellingBook(PairingBook):
    """A pairing book that also says again what the ledger knows of the legs that come."""

    def apply(self, at_ms: int, records: Sequence[Record[Arrival]]) -> list[Effect]:
        """What was said before, and then what is new."""
        effects = super().apply(at_ms, records)
        if any(map(known_of, records)):
            return [*retold(records), *found_paired(records, at_ms), *effects]
        return effects


def retold(records: Sequence[Record[Arrival]]) -> list[Effect]:
    """Every booking and reversal that the ledger holds of these very legs, each once."""
    causes = {trade: record for record in records for trade in record.value.known if _is_of(record, trade)}
    return [effect for trade, record in causes.items() for effect in _turns(trade, record)]


def found_paired(records: Sequence[Record[Arrival]], at_ms: int) -> list[Effect]:
    """The legs that the ledger holds in a live trade, as legs that no longer wait."""
    return [
        LegWaits(record.value.leg, "paired", at_ms, at_ms)
        for record in records
        if any(trade.count % 2 and _is_of(record, trade) for trade in record.value.known)
    ]


def _is_of(record: Record[Arrival], trade: KnownTrade) -> bool:
    return record.value.leg.id in (trade.btc.id, trade.usd.id)


def _turns(trade: KnownTrade, record: Record[Arrival]) -> Iterator[Effect]:
    for turn in range(trade.count):
        effect = TradeUnpaired if turn % 2 else TradePaired
        yield effect(trade.btc, trade.usd, turn // 2, trade.key, record.source, record.offset)


def pairing(rule: Rule, leg_age_max_ms: int, memory_ms: int) -> Kind[Arrival, Effect]:
    """Return the machine that turns arrivals into effects. What is paired it forgets `memory_ms` after the last touch."""

    def restore(snapshot: Snapshot | None) -> PairingBook:
        if snapshot is None:
            return RetellingBook(rule, leg_age_max_ms)
        return RetellingBook.restore(snapshot, rule, leg_age_max_ms)

    def forget(book: PairingBook, watermark_ms: int) -> None:
        book.forget(watermark_ms - memory_ms)

    return Kind(PairingBook.version, restore, forget, Packing(Arrival))
