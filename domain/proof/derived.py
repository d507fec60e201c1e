"""What follows from the postings of a batch: its sums by date, and what became of the transactions that it names as causes.

The database keeps these rows so that nobody has to add up, and no hash covers them. So they are computed again from headers
and entries, and have to be those, no more and no less.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from domain.ledger.journal import Relation
from domain.proof.rows import DerivedRow, EntryRow, HeaderRow, Unreadable
from domain.proof.seals import day_named
from domain.times import DAY_MS

_BECAME = {
    Relation.REVERSES: "reversed",
    Relation.CAPTURES: "captured",
    Relation.VOIDS: "voided",
    Relation.EXPIRES: "expired",
}


def other_sums(
    headers: Iterable[HeaderRow], entries: Iterable[EntryRow], said: Iterable[DerivedRow | Unreadable]
) -> Iterator[str]:
    """The sums by date that are not what the entries come to, in words."""
    days = {header.transaction.id: header.transaction.effective_at_ms // DAY_MS for header in headers}
    sums: defaultdict[tuple[int, str, int, int], int] = defaultdict(int)
    for entry in entries:
        sums[entry.account_id, entry.currency, entry.layer, days.get(entry.tx_id, 0)] += entry.side * entry.amount
    expected = [
        f"{account_id}\t{currency}\t{layer}\t{day_named(day)}\t{delta}"
        for (account_id, currency, layer, day), delta in sums.items()
    ]
    yield from _differing("sum by date (account, currency, layer, day, debits less credits)", expected, said)


def other_resolutions(headers: Iterable[HeaderRow], said: Iterable[DerivedRow | Unreadable]) -> Iterator[str]:
    """What is said of causes and does not follow from the transactions that name them, in words."""
    expected = [
        f"{header.transaction.id}\t{cause.transaction_id}\t{_BECAME[cause.relation]}\t{'t' if cause.is_final else 'f'}"
        for header in headers
        if (cause := header.transaction.cause) is not None
    ]
    yield from _differing("resolution (by which transaction, of which one, what, for good)", expected, said)


def _differing(kind: str, expected: Iterable[str], said: Iterable[DerivedRow | Unreadable]) -> Iterator[str]:
    wanted, found = Counter(expected), Counter(row.text for row in said)
    for text in sorted((found - wanted).elements()):
        yield f"a {kind} follows from nothing: {_plain(text)}"
    for text in sorted((wanted - found).elements()):
        yield f"a {kind} is missing: {_plain(text)}"


def _plain(text: str) -> str:
    return text.replace("\t", " ")[:200]
