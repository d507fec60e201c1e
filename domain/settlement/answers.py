"""What was decided on a word before it is decided again: by this run, or by an earlier one, as the books and the records know.

A word is known by its kind and its id. The books tell which message was booked under them: the same message, read again after
a crash, is booked already; another one comes too late. What was refused stays refused, read again or told again. A run
remembers by itself what it has decided last, since that may not be booked yet.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from domain.messages.settlement import CustomerCorrection, CustomerFlow, MatchedTrade, OrderLock, TradeReplay
from domain.settlement.holdings import Holding
from domain.settlement.trade import Refusal

Word = MatchedTrade | TradeReplay | OrderLock | CustomerFlow | CustomerCorrection
Key = tuple[str, str]
T = TypeVar("T")

REMEMBERED = 65_536
"""So many words are remembered: more than the booking step ever holds on its way to the database."""


class Heard(NamedTuple):
    """The coordinates of a message."""

    source: str
    offset: int


class Booked(NamedTuple):
    """Which message led to a posting, and how much of it paid a debt, or became one; of a trade its hash."""

    heard: Heard
    part: int = 0
    hash: str | None = None


class Answer(NamedTuple):
    """What was decided on a word: `refusal` says why not, `part` how much of it paid a debt, or became one."""

    refusal: Refusal | None = None
    part: int = 0


class Books(Protocol):
    """What the books, and the records beside them, know."""

    def meet(self, words: Sequence[Word]) -> None:
        """Look up what a run of words needs, at once: it will be asked for word by word."""
        ...

    def holdings(self, customer: str) -> Mapping[str, Holding]:
        """Return what a customer has of each asset."""
        ...

    def booked(self, word: Word) -> Booked | None:
        """Return what is booked under the name of a word."""
        ...

    def refused(self, word: Word, heard: Heard | None = None) -> Refusal | None:
        """Return why exactly this word was refused, if it was: where coordinates are given, at them or before them in their
        partition."""
        ...


def stands(refused: Heard, heard: Heard | None) -> bool:
    """Return whether a refusal holds for the same word at other coordinates: one that came before it in its partition does.

    What came later was refused because this one was on its way to the books, which a crash may have undone.
    """
    return heard is None or (refused.source == heard.source and refused.offset <= heard.offset)


def key_of(word: Word) -> Key:
    """Return the kind and the id of what a word asks for."""
    match word:
        case MatchedTrade():
            return "trade", word.trade_id
        case TradeReplay():
            return "trade", word.trade.trade_id
        case OrderLock():
            return word.command, word.order_id
        case CustomerFlow():
            return word.kind, word.id
        case CustomerCorrection():
            return "correction", word.id


class Answers:
    """Remembers what was decided in this run, and asks the books for the rest."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._booked: dict[Key, Booked] = {}
        self._refused: dict[Key, tuple[Word, Heard, Refusal]] = {}

    def booked(self, word: Word) -> Booked | None:
        """Return what is booked under the name of a word, or is about to be."""
        return self._booked.get(key_of(word)) or self._books.booked(word)

    def refused(self, word: Word, heard: Heard | None = None) -> Refusal | None:
        """Return why exactly this word was refused, if it was, at these coordinates or before them."""
        known = self._refused.get(key_of(word)) if self._refused else None
        if known is not None and known[0] == word and stands(known[1], heard):
            return known[2]
        return self._books.refused(word, heard)

    def find(self, word: Word, heard: Heard) -> Answer | None:
        """Return what was decided on a word; None if nothing was."""
        booked = self.booked(word)
        if booked is not None and booked.heard == heard:
            return Answer(part=booked.part)
        refusal = self.refused(word, heard)
        if refusal is not None:
            return Answer(refusal)
        return Answer(Refusal(TAKEN.get(type(word), "booked_before"))) if booked is not None else None

    def book(self, word: Word, booked: Booked) -> None:
        """Remember that a word is about to be booked."""
        _remember(self._booked, key_of(word), booked)

    def refuse(self, word: Word, heard: Heard, refusal: Refusal) -> None:
        """Remember that a word is refused."""
        _remember(self._refused, key_of(word), (word, heard, refusal))


TAKEN = {MatchedTrade: "trade_id_taken", OrderLock: "known_order"}
"""What a word is refused for under whose name another one is booked, where that has a name of its own."""


def _remember(kept: dict[Key, T], key: Key, value: T) -> None:
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > REMEMBERED:
        del kept[next(iter(kept))]
