"""The books in memory: accounts, and one row of totals per account and currency.

A row is a plain list of integers, because the fold goes over it for every entry:

    [version, settled debit, settled credit, pending debit, pending credit, encumbered debit, encumbered credit,
     account id, 1 if the account has limits of any kind]

The totals of a layer stand at `2 * layer - 1` (debit) and `2 * layer` (credit).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from domain.ledger.accounts import Account
from domain.ledger.journal import Balance, Verdict

VERSION, ACCOUNT_ID, LIMITED = 0, 7, 8
TOTALS = slice(1, 7)

Key = tuple[str, str]
"""Account code and currency."""

Row = list[int]


class Known(NamedTuple):
    """An id that the ledger has answered: with what body, why not if it was rejected, and which other bodies came."""

    body_hash: str
    rejection: Verdict | None = None
    conflicts: tuple[str, ...] = ()


Held = tuple[str, str, int, int]
"""What a hold holds: account code, currency, layer and side."""


class Origin(NamedTuple):
    """What a posted transaction is to those that name it as their cause.

    `settled` is what it moved, debits positive; `held` is what is left of what it holds, without what is used up. `ended`
    says how its hold ended: captured, voided or expired.
    """

    effective_at_ms: int
    expires_at_ms: int | None
    settled: Mapping[Key, int]
    held: Mapping[Held, int]
    ended: str | None = None
    is_reversed: bool = False


Window = tuple[str, str, int, int]
"""A window of a velocity limit: account code, currency, its length and its start in epoch seconds."""


@dataclass(slots=True)
class Books:
    """What a batch is judged by.

    `known` has at least every id of the batch that was answered before, `origins` at least every posted transaction that
    the batch names as a cause, `used` at least every window of a velocity limit that the batch falls into and that was
    used before. What is effective before `closed_until_ms` is refused. `summaries` are the accounts that have children.
    """

    accounts: dict[str, Account]
    rows: dict[Key, Row] = field(default_factory=dict)
    known: Mapping[str, Known] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    used: Mapping[Window, int] = field(default_factory=dict)
    closed_until_ms: int = 0
    summaries: set[str] = field(default_factory=set)


def blank(account: Account) -> Row:
    """The row of an account without entries."""
    limited = account.min_available is not None or account.max_balance is not None or bool(account.velocities)
    return [0, 0, 0, 0, 0, 0, 0, account.id, int(limited)]


def available(row: Row, account: Account) -> int:
    """Settled money less what is pending or promised on the other side, in the account's normal direction."""
    if account.normal_side > 0:
        return row[1] - row[2] - row[4] - row[6]
    return row[2] - row[1] - row[3] - row[5]


def reachable(row: Row, account: Account) -> int:
    """Settled money with what is pending or promised to come, in the account's normal direction."""
    if account.normal_side > 0:
        return row[1] - row[2] + row[3] + row[5]
    return row[2] - row[1] + row[4] + row[6]


def balance(key: Key, row: Row) -> Balance:
    return Balance(*key, row[VERSION], *row[TOTALS])


def balances(rows: Mapping[Key, Row], keys: Iterable[Key]) -> list[Balance]:
    """The balances of these keys in order, leaving out those that have no entries."""
    return [balance(key, rows[key]) for key in sorted(keys) if key in rows]
