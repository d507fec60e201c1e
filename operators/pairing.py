"""Pairs legs: the pairing book of `domain/pairing_book.py`, one per shard.

A leg that an earlier run had read comes with the trades that the ledger holds of it. The book takes them as they are, and
has nothing to say about them; but the earlier run may have died between booking a trade and telling of it. So each of
them is posted once more: the ledger finds a duplicate, and whoever follows the trades hears of it. And the leg is said to
wait no more: the last word that got out may have been that it waits.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from bytewax.dataflow import operator
from bytewax.operators import KeyedStream

from domain.pairing_book import PairingBook, Rule
from domain.pairing_effects import Effect, KnownTrade, LegWaits, TradePaired, TradeUnpaired
from domain.streams import Progress, Record
from operators.machines import run_machine


class RetellingBook(PairingBook):
    """A pairing book that also says again what the ledger knows of the legs that come."""

    def apply(self, at_ms: int, records: Sequence[Record]) -> list[Effect]:
        """What was said before, and then what is new."""
        return [*retold(records), *found_paired(records, at_ms), *super().apply(at_ms, records)]


def retold(records: Sequence[Record]) -> list[Effect]:
    """Every booking and reversal that the ledger holds of these very legs, each once."""
    causes = {trade: record for record in records for trade in record.value.known if _is_of(record, trade)}
    return [effect for trade, record in causes.items() for effect in _turns(trade, record)]


def found_paired(records: Sequence[Record], at_ms: int) -> list[Effect]:
    """The legs that the ledger holds in a live trade, as legs that no longer wait."""
    return [
        LegWaits(record.value.leg, "paired", at_ms, at_ms)
        for record in records
        if any(trade.count % 2 and _is_of(record, trade) for trade in record.value.known)
    ]


def _is_of(record: Record, trade: KnownTrade) -> bool:
    return record.value.leg.id in (trade.btc.id, trade.usd.id)


def _turns(trade: KnownTrade, record: Record) -> Iterator[Effect]:
    for turn in range(trade.count):
        effect = TradeUnpaired if turn % 2 else TradePaired
        yield effect(trade.btc, trade.usd, turn // 2, trade.key, record.source, record.offset)


@operator
def pair_legs(
    step_id: str, up: KeyedStream[Progress], sources: list[str], rule: Rule, leg_age_max_ms: int, memory_ms: int
) -> KeyedStream[Progress]:
    """Turn arrivals into effects. What is paired is forgotten `memory_ms` after it was last touched."""

    def restore(snapshot: tuple[Any, ...] | None) -> PairingBook:
        if snapshot is None:
            return RetellingBook(rule, leg_age_max_ms)
        return RetellingBook.restore(snapshot, rule, leg_age_max_ms)

    def forget(book: Any, watermark_ms: int) -> None:
        book.forget(watermark_ms - memory_ms)

    return run_machine("book", up, "pair", sources, restore, forget)
