"""In which order the trades of a symbol are taken: by their numbers, each linked to the one before it by that one's hash.

What comes again is a duplicate. What comes too early is kept, and each number that is missing before it is told of once; when
that comes, all that waited for it follow. A trade that is next and does not name the hash of the last one is broken: it is
given back, and the symbol stands still until the right one comes. Other symbols have chains of their own and go on.

Nothing is skipped, ever, and the chain goes on where it stood after a restart. Source: the settlement's document §3.4, cases
SET-11 to SET-13.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, Self, TypeVar

T = TypeVar("T")


class Link(NamedTuple, Generic[T]):
    """A trade with its place in the chain of its symbol."""

    sequence: int
    previous_hash: str
    hash: str
    trade: T


class Released(NamedTuple, Generic[T]):
    """A trade whose turn it is."""

    link: Link[T]


class Duplicate(NamedTuple, Generic[T]):
    """A number that was taken, or is kept, already; `is_same` says whether it is the same trade, None where that is forgotten."""

    link: Link[T]
    is_same: bool | None


class Missing(NamedTuple):
    """A number that others wait for, told once."""

    sequence: int


class Broken(NamedTuple, Generic[T]):
    """A trade that is next and names another hash than that of the last one."""

    link: Link[T]
    expected_hash: str


Step = Released[T] | Duplicate[T] | Missing | Broken[T]

HASHES_MAX = 4096
"""So many hashes are remembered to tell a trade that comes again from another one under its number."""


class Chain(Generic[T]):
    """The chain of one symbol: `last` is the number of the last trade that was taken, `last_hash` its hash."""

    def __init__(self, last: int = 0, last_hash: str = "0") -> None:
        self.last = last
        self.last_hash = last_hash
        self.kept: dict[int, Link[T]] = {}
        self.broken_at: int | None = None
        self._told = last
        self._hashes: dict[int, str] = {}

    def snapshot(self) -> tuple[Any, ...]:
        """Return where the chain stands, without the hashes that are remembered to tell trades apart."""
        return self.last, self.last_hash, tuple(self.kept.values()), self.broken_at, self._told

    @classmethod
    def restore(cls, snapshot: tuple[Any, ...]) -> Self:
        """Return the chain that `snapshot` was taken of."""
        last, last_hash, kept, broken_at, told = snapshot
        chain = cls(last, last_hash)
        chain.kept = {link.sequence: link for link in kept}
        chain.broken_at, chain._told = broken_at, told
        return chain

    def take(self, link: Link[T]) -> Sequence[Step[T]]:
        """Take a trade; return what follows from it, in order."""
        if link.sequence == self.last + 1 and not self.kept:
            self._told = max(self._told, link.sequence)
            return (self._turn(link),)
        if link.sequence <= self.last or link.sequence in self.kept:
            return (Duplicate(link, self._is_same(link)),)
        self.kept[link.sequence] = link
        missing = [Missing(sequence) for sequence in range(max(self._told, self.last) + 1, link.sequence)]
        self._told = max(self._told, link.sequence)
        return [*missing, *self._released()]

    def _released(self) -> Iterator[Step[T]]:
        while (link := self.kept.pop(self.last + 1, None)) is not None:
            step = self._turn(link)
            yield step
            if isinstance(step, Broken):
                return

    def _turn(self, link: Link[T]) -> Step[T]:
        """Follow a trade whose turn it is, unless it names another one as the last."""
        if link.previous_hash != self.last_hash:
            self.broken_at = link.sequence
            return Broken(link, self.last_hash)
        self._follow(link)
        return Released(link)

    def _follow(self, link: Link[T]) -> None:
        self.last, self.last_hash, self.broken_at = link.sequence, link.hash, None
        self._hashes[link.sequence] = link.hash
        if len(self._hashes) > HASHES_MAX:
            del self._hashes[next(iter(self._hashes))]

    def _is_same(self, link: Link[T]) -> bool | None:
        kept = self.kept.get(link.sequence)
        known = kept.hash if kept is not None else self._hashes.get(link.sequence)
        return None if known is None else known == link.hash
