"""All hedging desks as one machine: which facts are whose, and what is told beside what each desk says."""

from collections.abc import Iterator, Sequence

from domain.hedging.desk import REQUESTS, Desk, Fact, Saying
from domain.hedging.mirror import Mirror
from domain.hedging.policy import Book
from domain.ids import content_id
from domain.messages.facts import Correction
from domain.messages.ledger import LedgerBalance
from domain.messages.market import Tick
from domain.messages.ops import Alert
from domain.messages.venue import VenuePosition
from domain.streams.records import Record, Snapshot
from domain.topics import LEDGER_BALANCES, MARKET_TICKS


class Desks:
    """All desks as one machine, each with the mirror of its venue: a desk hears of its own liability, venue and instrument, and
    of nothing else."""

    version = 3

    def __init__(self, books: Sequence[Book], snapshot: Snapshot | None = None, *, joined: bool = False) -> None:
        states = {name: (desk, mirror) for name, desk, mirror in snapshot or ()}
        self._desks: dict[str, tuple[Book, Desk, Mirror]] = {}
        for book in books:
            desk, mirror = states.get(book.name, (None, None))
            mirrored = Mirror(book.venue, book.instrument, mirror)
            self._desks[book.name] = (book, Desk(book, desk, joined=joined), mirrored)

    def apply(self, at_ms: int, records: Sequence[Record[Fact]]) -> Iterator[Saying]:
        """Hand each desk the facts of an instant that are its own, and let it decide."""
        for book, desk, mirror in self._desks.values():
            mirror.apply(at_ms, records)
            own = [record for record in records if concerns(book, record.value)]
            if own:
                yield from desk.apply(at_ms, own)
        for record in records:
            if isinstance(record.value, Correction):
                yield _corrected(record.value, at_ms)

    def wake_at_ms(self) -> int | None:
        """When the first of them wants to be woken."""
        moments = [one.wake_at_ms() for one in self._sleepers()]
        return min((ms for ms in moments if ms is not None), default=None)

    def wake(self, at_ms: int) -> Iterator[Saying]:
        """Wake those whose time has come."""
        for one in self._sleepers():
            due_ms = one.wake_at_ms()
            if due_ms is not None and due_ms <= at_ms:
                yield from one.wake(at_ms)

    def _sleepers(self) -> list[Desk | Mirror]:
        return [one for _, desk, mirror in self._desks.values() for one in (desk, mirror)]

    def gauges(self) -> dict[str, int]:
        """How many books there are."""
        return {"books": len(self._desks)}

    def snapshot(self) -> Snapshot:
        """The state of each desk and its mirror by the name of the book; a book that came since starts with nothing."""
        return tuple((name, desk.snapshot(), mirror.snapshot()) for name, (_, desk, mirror) in self._desks.items())


def concerns(book: Book, fact: Fact) -> bool:
    """Return whether a fact is about the liability, the venue or the instrument of a book."""
    match fact:
        case LedgerBalance():
            return (fact.account, fact.currency) == book.liability
        case Tick():
            return fact.instrument == book.instrument
        case VenuePosition():
            return (fact.venue, fact.instrument) == (book.venue, book.instrument)
        case Correction():
            # Which order or transfer is its own, a desk knows itself.
            return fact.topic in REQUESTS or fact.key == _key_of(book, fact.topic)
        case _:
            return fact.venue == book.venue


def _key_of(book: Book, topic: str) -> str:
    keys = {MARKET_TICKS.name: book.instrument, LEDGER_BALANCES.name: "/".join(book.liability)}
    return keys.get(topic, book.venue)


def _corrected(correction: Correction, at_ms: int) -> Alert:
    name = content_id("corrected", correction.topic, correction.key)
    by = f" by {correction.by}" if correction.by else ""
    text = f"what {correction.topic} had told of {correction.key} was forgotten{by}: {correction.why}"
    return Alert(id=name, severity="warning", subject="corrected", text=text, as_of=at_ms)
