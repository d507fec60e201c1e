"""Pairs legs: the pairing book of `domain/pairing_book.py`, one per shard."""

from typing import Any

from bytewax.dataflow import operator
from bytewax.operators import KeyedStream

from domain.pairing_book import PairingBook, Rule
from domain.streams import Progress
from operators.machines import run_machine


@operator
def pair_legs(
    step_id: str, up: KeyedStream[Progress], sources: list[str], rule: Rule, leg_age_max_ms: int, memory_ms: int
) -> KeyedStream[Progress]:
    """Turn arrivals into effects. What is paired is forgotten `memory_ms` after it was last touched."""

    def restore(snapshot: tuple[Any, ...] | None) -> PairingBook:
        if snapshot is None:
            return PairingBook(rule, leg_age_max_ms)
        return PairingBook.restore(snapshot, rule, leg_age_max_ms)

    def forget(book: Any, watermark_ms: int) -> None:
        book.forget(watermark_ms - memory_ms)

    return run_machine("book", up, "pair", sources, restore, forget)
