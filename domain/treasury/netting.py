"""Obligations among several parties, netted: what each gets or owes in the end, and who pays whom."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple


class Obligation(NamedTuple):
    """`debtor` owes `creditor` an amount; a payment is one, too."""

    debtor: str
    creditor: str
    amount: int


class Netted(NamedTuple):
    """What each party gets (owes, below zero), what all of it was before and is after, and the payments that settle it."""

    net: Mapping[str, int]
    gross: int
    settled: int
    payments: list[Obligation]

    @property
    def reduction(self) -> Fraction:
        """The share of what was owed that nobody has to pay."""
        return 1 - Fraction(self.settled, self.gross) if self.gross else Fraction(0)


def net_obligations(obligations: Iterable[Obligation]) -> Netted:
    """Return what is left of obligations when everybody settles with all others at once; a function of the set."""
    net: dict[str, int] = defaultdict(int)
    gross = 0
    for debtor, creditor, amount in obligations:
        net[debtor] -= amount
        net[creditor] += amount
        gross += amount
    ordered = dict(sorted(net.items()))
    return Netted(ordered, gross, sum(max(0, one) for one in ordered.values()), _payments(ordered))


def _payments(net: Mapping[str, int]) -> list[Obligation]:
    """Return who pays whom: by name, each until nothing is left, so one payment fewer than there are parties at most."""
    paid: list[Obligation] = []
    owed = [(party, amount) for party, amount in net.items() if amount > 0]
    for debtor, amount in net.items():
        owes = max(0, -amount)
        while owes:
            creditor, is_owed = owed.pop(0)
            part = min(owes, is_owed)
            paid.append(Obligation(debtor, creditor, part))
            owes -= part
            if is_owed > part:
                owed.insert(0, (creditor, is_owed - part))
    return paid
