"""What a customer has of one asset: available, locked for orders, and owed to us.

A balance is never negative. What is taken by force beyond what is available becomes a debt, and what is locked stays locked;
what comes in later pays the debt first, and as long as any debt is open nothing may be taken out of any asset. Amounts are in
smallest units. Source: the settlement's document S24 and S27, cases SET-19 to SET-21.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Holding(NamedTuple):
    """Available, locked, and owed to us; none of them is negative."""

    available: int = 0
    locked: int = 0
    debt: int = 0

    def more(self, amount: int) -> "Holding":
        """Return it with so much more available, less with a minus."""
        return Holding(self.available + amount, self.locked, self.debt)


def paid_in(holding: Holding, amount: int) -> tuple[Holding, int]:
    """Return a holding after money came in, and how much of it paid the debt."""
    repaid = min(holding.debt, amount)
    return Holding(holding.available + amount - repaid, holding.locked, holding.debt - repaid), repaid


def taken_by_force(holding: Holding, amount: int) -> tuple[Holding, int]:
    """Return a holding after money was taken by force, and how much of it became a debt."""
    owed = max(0, amount - holding.available)
    return Holding(holding.available - (amount - owed), holding.locked, holding.debt + owed), owed


def locked(holding: Holding, amount: int) -> Holding | None:
    """Return a holding with so much more locked, less with a minus; None where there is not so much."""
    available, kept = holding.available - amount, holding.locked + amount
    return None if available < 0 or kept < 0 else Holding(available, kept, holding.debt)


def spent(holding: Holding, amount: int) -> Holding | None:
    """Return a holding after so much of what was locked was paid; None where there is not so much."""
    return None if holding.locked < amount else Holding(holding.available, holding.locked - amount, holding.debt)


def may_take_out(holdings: Iterable[Holding]) -> bool:
    """Return whether somebody who has all of these may take anything out."""
    return not any(holding.debt for holding in holdings)


class Mismatch(NamedTuple):
    """A balance that is not what its history comes to; `correction` is what has to be booked, with the consent of two."""

    asset: str
    stored: int
    expected: int

    @property
    def correction(self) -> int:
        """What brings what is stored to what is expected."""
        return self.expected - self.stored


def mismatches(stored: Mapping[str, int], changes: Iterable[tuple[str, int]]) -> tuple[dict[str, int], list[Mismatch]]:
    """Return what all changes of balances come to, by asset, and where something else is stored."""
    expected: dict[str, int] = {}
    for asset, amount in changes:
        expected[asset] = expected.get(asset, 0) + amount
    names = sorted(expected.keys() | stored.keys())
    found = [Mismatch(name, stored.get(name, 0), expected.get(name, 0)) for name in names]
    return expected, [one for one in found if one.correction]


def residual(clients: int, fees: int, deposits: int, withdrawals: int) -> int:
    """Return what is too much of an asset: what clients have and we have earned, less what came in, and what went out again."""
    return clients + fees - deposits + withdrawals
