"""How a run of transactions is cut into batches: as large as what waits, up to a bound, and never through a group.

A run is what has come while the one before it was written, so a batch is as large as the database is slow. Larger batches cost
less per transaction, up to a point; beyond it only the time grows that the first of them waits for the last. A size that
followed the time that batches take would shrink them on a slow machine, and cost more just then.
"""

from collections.abc import Iterator, Sequence

from domain.ledger.journal import Transaction

BATCH_MAX = 2_000


def cut(transactions: Sequence[Transaction], at_most: int) -> Iterator[Sequence[Transaction]]:
    """Yield batches in order, each of what is left or of so many; a group at the end of one is taken in whole."""
    start = 0
    while start < len(transactions):
        end = _after_group(transactions, min(start + at_most, len(transactions)))
        yield transactions[start:end]
        start = end


def _after_group(transactions: Sequence[Transaction], end: int) -> int:
    group = transactions[end - 1].group
    while group is not None and end < len(transactions) and transactions[end].group == group:
        end += 1
    return end
