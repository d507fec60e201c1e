"""Which legs the ledger may know: what it need not be asked about, since the answer is certain to be nothing.

A leg of which no trade was ever posted is in no trade, and under a second of which none was booked before this run there is
none that the pairing step does not know. So the legs of all postings are noted: those that the ledger holds when its writer has
taken it, those that an earlier run left to be posted, and then each before it is posted. A table of bits has one for each leg,
by a hash of its id: where there is none, the leg was not noted. Where there is one it may be that of another leg, and the
ledger is asked in vain. The table is 16 MB large whatever comes: of legs that are new it takes one in seventy for known when a
million trades were booked, one in seven at ten millions.

Until everything that the ledger holds is noted, every leg may be known. It stays so where the ledger holds more trades than are
worth noting at every start, and in a process without all of the writers that post trades, for what is posted elsewhere is not
noted here.
"""

from collections.abc import Iterable, Sequence
from threading import Lock
from typing import NamedTuple

from domain.ledger.journal import Transaction, named_legs

BITS = 2**27


class BookedTrade(NamedTuple):
    """The legs of a trade that was posted, by their ids, and the second in which it is effective."""

    leg_ids: Sequence[str]
    second: int


def booked_trades(transactions: Iterable[Transaction]) -> list[BookedTrade]:
    """Return the user trades among some transactions."""
    told = ((one, named_legs(one.meta)) for one in transactions)
    named = ((one, [leg.id for leg in (legs.btc_leg, legs.usd_leg) if leg is not None]) for one, legs in told)
    return [BookedTrade(leg_ids, one.effective_at_ms // 1000) for one, leg_ids in named if leg_ids]


class BookedLegs:
    """Notes legs, and says of which legs and seconds the ledger may know something. A thread may note what it reads.

    `writers` are as many as post trades.
    """

    def __init__(self, bits: int = BITS, writers: int = 1) -> None:
        self._table = bytearray(bits // 8)
        self._mask = bits - 1
        self._lock = Lock()
        self._newest_second = -1
        self._untaken = self._idle = writers
        self._is_read = False

    def taken(self) -> bool:
        """Take note that a writer has its shard; True if all have, so that nobody else posts any more."""
        self._untaken -= 1
        return self._untaken == 0

    def take_up(self, trades: Sequence[BookedTrade]) -> None:
        """Note what one of the writers posts for an earlier run, before anything else."""
        self.begin(trades)
        self._idle -= 1

    def begin(self, trades: Sequence[BookedTrade]) -> None:
        """Note what was posted before this run."""
        with self._lock:
            self._newest_second = max([self._newest_second, *(second for _, second in trades)])
            self._note([leg_id for leg_ids, _ in trades for leg_id in leg_ids])

    def complete(self) -> None:
        """Take note that no more was posted before this run."""
        self._is_read = True

    @property
    def _is_complete(self) -> bool:
        return self._is_read and self._idle <= 0

    def note(self, transactions: Iterable[Transaction]) -> None:
        """Note what is about to be posted."""
        with self._lock:
            self._note([leg_id for leg_ids, _ in booked_trades(transactions) for leg_id in leg_ids])

    def _note(self, leg_ids: Iterable[str]) -> None:
        table, mask = self._table, self._mask
        for leg_id in leg_ids:
            place = hash(leg_id) & mask
            table[place >> 3] |= 1 << (place & 7)

    def among(self, leg_ids: Sequence[str]) -> Sequence[str]:
        """Return those of some legs that may be in a trade."""
        if not self._is_complete:
            return leg_ids
        table, mask = self._table, self._mask
        return [leg_id for leg_id in leg_ids if table[(place := hash(leg_id) & mask) >> 3] >> (place & 7) & 1]

    @property
    def before_ms(self) -> int | None:
        """Before when everything is effective that this began with; None while there may be more."""
        return (self._newest_second + 1) * 1000 if self._is_complete else None
