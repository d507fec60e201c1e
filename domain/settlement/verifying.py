"""What verifying balances finds: which of them are not what their history comes to, and what would correct them.

Nothing is overwritten. Where entries are not what history comes to, that is corrected by a posting that one person asks for and
another one approves. It bears the name that the finding gave it, and is no part of what the balance should come to: it brings
what is there to that. Where what is stored is not what its entries add up to, the ledger posts nothing more on it, and no posting
can mend it: somebody has been past its guards, and has to bring back what was there.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from domain.ids import content_id
from domain.messages.ops import Alert

JobKind = Literal["continuous", "hourly", "manual"]
Found = Literal["balance", "entries"]


class Error(NamedTuple):
    """What a customer has that is not as it should be: the stored balance is not what its entries add up to, or these are not
    what history comes to. `account` is available, locked or debt."""

    customer: str
    asset: str
    account: str
    found_in: Found
    expected: int
    actual: int

    @property
    def difference(self) -> int:
        """How much too much there is."""
        return self.actual - self.expected

    @property
    def correction(self) -> int | None:
        """How much the customer has to be given, or with a minus be taken, to mend it; None where a posting cannot: what is
        locked moves with orders alone, and a stored balance follows its entries."""
        if self.account == "locked" or self.found_in == "balance":
            return None
        return self.difference if self.account == "debt" else -self.difference


class Residual(NamedTuple):
    """An asset of which everything on the settlement's shard does not come to zero, and no correction explains it."""

    asset: str
    amount: int


class Job(NamedTuple):
    """One verification: how many customers and trades it looked at, what it found, and how many earlier errors are mended."""

    id: int
    kind: JobKind
    customers: int
    trades: int
    errors: Sequence[Error]
    fixed: int = 0
    residuals: Sequence[Residual] = ()


class Verifies(Protocol):
    """Looks into the books, and records what it finds."""

    def residuals(self) -> Sequence[Residual]:
        """Return the assets that do not come to zero."""
        ...

    def suspects(self, asset: str) -> Sequence[str]:
        """Return customers whose balance of an asset is not what the last entry on it says."""
        ...

    def next_customers(self, most: int) -> Sequence[str]:
        """Return whose turn it is: after those that the last job looked at, and from the first again at the end."""
        ...

    def verify(self, kind: JobKind, customers: Sequence[str], residuals: Sequence[Residual] = ()) -> Job:
        """Verify customers, and record what was found."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


def alerts(job: Job, at_ms: int) -> list[Alert]:
    """Return what a person should look at of what was found; the same trouble has the same id."""
    said = [*map(_of_error, job.errors), *map(_of_residual, job.residuals)]
    return [
        Alert(id=content_id("mismatch", name), severity="critical", subject="settlement_mismatch", text=text, as_of=at_ms)
        for name, text in said
    ]


def _of_error(error: Error) -> tuple[str, str]:
    customer, asset, account, found_in, expected, actual = error
    against = "its entries come" if found_in == "balance" else "history comes"
    text = f"{customer} has {actual} {asset} {account} by the {found_in}, and {against} to {expected}"
    name = " ".join((customer, asset, account, found_in, str(error.difference)))
    return name, f"{text}; look with: ballast settlement verify {customer}"


def _of_residual(residual: Residual) -> tuple[str, str]:
    asset, amount = residual
    return f"{asset} {amount}", f"all {asset} of customers comes to {amount} instead of zero; look with: ballast audit"
