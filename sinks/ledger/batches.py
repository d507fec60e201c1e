"""How a run of transactions is cut into batches: as large as can be written in a short time, and never through a group.

Larger batches cost less per transaction, up to a point; beyond it only the time grows that the first of them waits for
the last. So the size follows the time that the last batch took, between bounds within which the cost hardly changes.
"""

from collections.abc import Iterator, Sequence

from domain.ledger.journal import Transaction

SIZE_MIN, SIZE_MAX = 500, 5_000
AIM_SECONDS = 0.05
"""What a batch may take: spec 20 to 50 ms, and Postgres needs its larger end to be fast."""


class BatchSize:
    """How many transactions the next batch takes; `fixed` if it is given, else as many as are written in the time."""

    def __init__(self, fixed: int | None = None) -> None:
        self.now = fixed or 4 * SIZE_MIN
        self._is_fixed = fixed is not None

    def took(self, transactions: int, seconds: float) -> None:
        """Learn from a batch. Small ones teach nothing: their time is that of the statements."""
        if not self._is_fixed and transactions >= SIZE_MIN:
            self.now = size_after(self.now, transactions / seconds)


def size_after(size: int, per_second: float) -> int:
    """Half of the way from the present size to what is written in the time aimed at."""
    aim = (size + int(per_second * AIM_SECONDS)) // 2
    return max(SIZE_MIN, min(SIZE_MAX, aim))


def cut(transactions: Sequence[Transaction], size: BatchSize) -> Iterator[Sequence[Transaction]]:
    """Batches in order; a group at the end of one is taken in whole."""
    start = 0
    while start < len(transactions):
        end = _after_group(transactions, min(start + size.now, len(transactions)))
        yield transactions[start:end]
        start = end


def _after_group(transactions: Sequence[Transaction], end: int) -> int:
    group = transactions[end - 1].group
    while group is not None and end < len(transactions) and transactions[end].group == group:
        end += 1
    return end
