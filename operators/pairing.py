"""Pairs legs: the pairing book of `domain/pairing/book.py`, one per shard.

A leg that an earlier run had read comes with the trades that the ledger holds of it. The book takes them as they are, and
has nothing to say about them; but the earlier run may have died between booking a trade and telling of it. So each of
them is posted once more: the ledger finds a duplicate, and whoever follows the trades hears of it. And the leg is said to
wait no more: the last word that got out may have been that it waits.

The earlier run may also have died before it saved and booked anything of a leg, and after it had told that it waits: its other
half had come late then, and both come in one instant now, in which neither waits. So of every leg that came before the last
word of an earlier run it is said that it does not wait, also where nobody need have thought so.
"""

from collections.abc import Callable, Iterator, Sequence

from domain.pairing.book import PairingBook, Rule, known_of
from domain.pairing.effects import Arrival, Effect, KnownTrade, LegWaits, TradePaired, TradeUnpaired
from domain.streams.records import Record, Snapshot
from operators.streams.machines import Kind
from operators.streams.packing import Packing


class RetellingBook(PairingBook):
    """A pairing book that also says again what the ledger knows of the legs that come, and what an earlier run may have told
    otherwise: of any leg that came up to `told_until_ms`."""

    told_until_ms = 0

    def apply(self, at_ms: int, records: Sequence[Record[Arrival]]) -> list[Effect]:
        """What was said before, and then what is new."""
        effects = super().apply(at_ms, records)
        if any(map(known_of, records)):
            effects = [*retold(records), *found_paired(records, at_ms), *effects]
        return [*effects, *self._end_of_waiting(at_ms, records, effects)] if at_ms <= self.told_until_ms else effects

    def _end_of_waiting(self, at_ms: int, records: Sequence[Record[Arrival]], effects: Sequence[Effect]) -> list[Effect]:
        """Return the legs of an instant that do not wait after it, but for those of which that is said."""
        said = {effect.leg.id for effect in effects if isinstance(effect, LegWaits)}
        legs = {record.value.leg.id: self.ended(record.value.leg.id) for record in records}
        return [LegWaits(*end, at_ms, at_ms) for leg_id, end in sorted(legs.items()) if end and leg_id not in said]


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


def pairing(
    rule: Rule, leg_age_max_ms: int, memory_ms: int, told_until_ms: Callable[[], int] = lambda: 0
) -> Kind[Arrival, Effect]:
    """Return the machine that turns arrivals into effects. What is paired it forgets `memory_ms` after the last touch.

    Of legs that came up to `told_until_ms()`, as it is at the start, an earlier run may have told that they wait.
    """

    def restore(snapshot: Snapshot | None) -> RetellingBook:
        made = RetellingBook(rule, leg_age_max_ms)
        book = made if snapshot is None else RetellingBook.restore(snapshot, rule, leg_age_max_ms)
        book.told_until_ms = told_until_ms()
        return book

    def forget(book: PairingBook, watermark_ms: int) -> None:
        book.forget(watermark_ms - memory_ms)

    return Kind(PairingBook.version, restore, forget, Packing(Arrival))
