"""The mirror of a position: what our own fills come to in the books, beside what the exchange says.

The two differ while a fill is on its way, and agree again as soon as it is booked. When they have not agreed for ten seconds,
something was executed that the books do not have, or the books have something that was not: a trade by hand, a liquidation, a
word that never came or was made up. A person is told, once while it lasts, and again when it comes back. Nothing is decided
here: whether an order may leave, the desk judges by the position itself.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from domain.ids import content_id
from domain.ledger.accounts import account_of
from domain.messages.facts import Correction
from domain.messages.ledger import LedgerBalance
from domain.messages.ops import Alert
from domain.messages.venue import VenuePosition
from domain.streams.records import Record, Snapshot
from domain.topics import LEDGER_BALANCES
from domain.venue.fills import UNEXPLAINED_MS


class Mirror:
    """Compares books and exchange at one venue, which hedges by one instrument; a machine but for gauges."""

    def __init__(self, venue: str, instrument: str, snapshot: Snapshot | None = None) -> None:
        self._venue = venue
        self._instrument = instrument
        self._account = account_of("POSITION", venue)
        # The balance of the mirror with its version, and what the exchange said last, in cents of exposure.
        self._booked, self._said_cents, self._differs_since_ms, self._is_told = snapshot or ((-1, 0), None, None, False)

    def apply(self, at_ms: int, records: Sequence[Record[Any]]) -> None:
        """Take balances and positions of an instant, those of others among them, and compare."""
        for record in records:
            self._hear(record.value)
        if self._said_cents in (None, self._booked[1]):
            self._differs_since_ms, self._is_told = None, False
        elif self._differs_since_ms is None:
            self._differs_since_ms = at_ms

    def _hear(self, word: Any) -> None:
        match word:
            case LedgerBalance(account=self._account, currency="USD") if word.version >= self._booked[0]:
                self._booked = (word.version, -word.settled)
            case VenuePosition(venue=self._venue, instrument=self._instrument):
                self._said_cents = word.exposure_cents
            case Correction(topic=LEDGER_BALANCES.name) if word.key == f"{self._account}/USD":
                self._booked = (-1, self._booked[1])

    def wake_at_ms(self) -> int | None:
        """When they will have differed for too long."""
        return None if self._differs_since_ms is None or self._is_told else self._differs_since_ms + UNEXPLAINED_MS

    def wake(self, at_ms: int) -> Iterator[Alert]:
        """Tell that they have differed for too long."""
        self._is_told = True
        told = f"{self._venue} says an exposure of {self._said_cents} cents, our own fills come to {self._booked[1]}"
        way = f"compare with the exchange's own page and with POSITION_SUSPENSE/{self._venue}"
        yield Alert(
            id=content_id("position_not_of_fills", self._venue),
            severity="critical",
            subject="position_not_of_fills",
            text=f"{told}, and that has been so for {UNEXPLAINED_MS // 1000} s; {way}",
            as_of=at_ms,
        )

    def snapshot(self) -> Snapshot:
        """What is known, as tuples."""
        return self._booked, self._said_cents, self._differs_since_ms, self._is_told
