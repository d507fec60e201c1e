"""What becomes of trades that were recorded earlier when a new pairing uses one of their legs (the reference's rule).

The reference system pairs what it has, records it, and finds out later that a leg it had not yet seen fits better. A
new trade that repeats a recorded one is dropped; one that takes a leg from recorded trades is inserted, and those are
marked bad and reversed afterwards. Our own pairing book does the same before anything is booked
(`domain/pairing/book.py`); this rule stands beside it to reproduce the reference.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class NewTrade(NamedTuple):
    """A pairing just found, by the ids of its legs."""

    btc_id: str
    usd_id: str


class RecordedTrade(NamedTuple):
    """A trade that was recorded earlier and not corrected since; `row` is its number in the record."""

    row: int
    btc_id: str
    usd_id: str


class Corrections(NamedTuple):
    """What to insert and which rows to mark bad; a row may be named twice, and marking it again changes nothing."""

    insert: list[NewTrade]
    bad_rows: list[int]


def correct(new_trades: Iterable[NewTrade], recorded: Sequence[RecordedTrade]) -> Corrections:
    """Compare new trades with the recorded ones; each recorded leg is consulted once, the dollar leg first."""
    by_usd = {trade.usd_id: trade.row for trade in recorded}
    by_btc = {trade.btc_id: trade.row for trade in recorded}
    found = Corrections([], [])
    for trade in new_trades:
        rows = (by_usd.pop(trade.usd_id, None), by_btc.pop(trade.btc_id, None))
        if rows[0] is not None and rows[0] == rows[1]:
            continue
        found.insert.append(trade)
        found.bad_rows.extend(row for row in rows if row is not None)
    return found
