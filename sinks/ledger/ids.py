"""Which ids the ledger has answered, without keeping all of them in memory.

Ids sort by time, so almost every new one is greater than any that is known. The memory holds *all* known ids above a
floor: above it an id that is not in memory is new, for certain; at or below it the database has to be asked. When the
memory is full the floor rises and the older half is forgotten. After a start the floor is the greatest id there is.
"""

from collections.abc import Iterable, Mapping

from domain.ledger.books import Known

LOWEST = ""
"""Below every id: the floor of an empty ledger."""


class RecentIds:
    """All known ids above `floor`, at most `size_max` of them."""

    def __init__(self, floor: str = LOWEST, size_max: int = 50_000) -> None:
        self._floor = floor
        self._size_max = size_max
        self._known: dict[str, Known] = {}

    def doubtful(self, ids: Iterable[str]) -> list[str]:
        """The ids that only the database can tell."""
        floor = self._floor
        return [id_ for id_ in ids if id_ <= floor]

    def known_of(self, ids: Iterable[str]) -> dict[str, Known]:
        """Those of the ids that are in memory."""
        known = self._known
        return {id_: known[id_] for id_ in ids if id_ in known}

    def remember(self, answered: Mapping[str, Known]) -> None:
        """Take over what was committed; ids at or below the floor are left to the database."""
        floor = self._floor
        self._known.update({id_: known for id_, known in answered.items() if id_ > floor})
        if len(self._known) > self._size_max:
            self._forget()

    def _forget(self) -> None:
        ids = sorted(self._known)
        self._floor = ids[len(ids) // 2]
        self._known = {id_: known for id_, known in self._known.items() if id_ > self._floor}
