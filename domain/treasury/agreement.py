"""Whether what providers say that they moved is what the books have: one line at a time, by our id and their name for it.

A line of a provider's statement is money that it took out of a buffer, or put into one; an entry in the books is what we booked
of it. Both are named by our id of the attempt and by the provider's name for what it did, so nothing is guessed.

| on the statement | in the books | it is |
|---|---|---|
| yes | the same | agreed |
| yes | no, and the conversion is under way | in transit: it is done there and on its way to the books |
| yes | no | a break, not_in_books |
| no | yes | a break, not_on_statement |
| yes | another amount | a break, amount |

The difference of both sides is the sum of what is in transit and of all breaks.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple

BreakKind = Literal["not_in_books", "not_on_statement", "amount"]


class Movement(NamedTuple):
    """What moved in a buffer's account by a conversion, in minor units, positive into it."""

    account: str
    client_id: str
    provider_tx_id: str
    amount: int

    @property
    def name(self) -> tuple[str, str, str]:
        """What both sides call it."""
        return self.account, self.client_id, self.provider_tx_id


class Break(NamedTuple):
    """What the statement has more than the books, and why somebody has to look at it."""

    kind: BreakKind
    account: str
    client_id: str
    provider_tx_id: str
    amount: int


class Agreement(NamedTuple):
    """How many lines agree, what is in transit, and what is broken."""

    agreed: int
    in_transit: list[Movement]
    breaks: list[Break]

    @property
    def difference(self) -> int:
        """What the statement has more than the books, over all accounts; for those of one currency."""
        return sum(one.amount for one in self.in_transit) + sum(one.amount for one in self.breaks)


def agree(told: Iterable[Movement], booked: Iterable[Movement], under_way: Collection[str]) -> Agreement:
    """Compare what is told with what is booked; `under_way` are our ids of conversions that have not come to their end."""
    said, kept = _summed(told), _summed(booked)
    agreed, in_transit, breaks = 0, list[Movement](), list[Break]()
    for name in sorted(said.keys() | kept.keys()):
        amount = said.get(name, 0) - kept.get(name, 0)
        if not amount:
            agreed += 1
        elif name not in kept and name[1] in under_way:
            in_transit.append(Movement(*name, amount))
        else:
            breaks.append(Break(_kind(name in said, name in kept), *name, amount))
    return Agreement(agreed, in_transit, breaks)


def _kind(is_told: bool, is_booked: bool) -> BreakKind:
    if is_told and is_booked:
        return "amount"
    return "not_in_books" if is_told else "not_on_statement"


def _summed(movements: Iterable[Movement]) -> dict[tuple[str, str, str], int]:
    found: dict[tuple[str, str, str], int] = defaultdict(int)
    for one in movements:
        found[one.name] += one.amount
    return dict(found)
