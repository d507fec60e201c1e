"""The heart of the ledger: fold a batch of transactions into verdicts and balances.

Transactions are judged in order, each on what the ones before it left (`domain.ledger.judge`; the plain ones in a shorter way
with the same end, `domain.ledger.plain`), so a batch gives what its transactions give one by one. A group is booked member by
member and taken back whole if one of them fails. Nothing that is handed in is changed; whoever writes the result down takes it
over with `advance`.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from domain.ledger.books import VERSION, Books, Key
from domain.ledger.journal import Outcome, Transaction, Verdict
from domain.ledger.judge import Folded, judge, take_back
from domain.ledger.plain import post_each


def fold(books: Books, transactions: Sequence[Transaction]) -> Folded:
    """Judge and book in order; see the module for the rules."""
    named = frozenset([one.cause.transaction_id for one in transactions if one.cause is not None])
    folded = Folded([], [], [], [], [], {}, {}, {}, {}, set(), named)
    for is_group, members in _groups(transactions):
        if is_group:
            folded.verdicts.extend(_judge_group(books, folded, members))
        else:
            post_each(books, folded, members)
    changed = {key: row for key, row in folded.rows.items() if row[VERSION] != _version(books, key)}
    return folded._replace(rows=changed, seen=folded.seen | changed.keys())


def _groups(transactions: Sequence[Transaction]) -> Iterator[tuple[bool, Sequence[Transaction]]]:
    """Runs of transactions of one group, and runs of transactions of none."""
    if all(one.group is None for one in transactions):
        yield False, transactions
        return
    for group, members in groupby(transactions, key=lambda one: one.group):
        yield group is not None, list(members)


def advance(books: Books, folded: Folded) -> None:
    """Take the changed rows over into the books."""
    books.rows.update(folded.rows)


def _version(books: Books, key: Key) -> int:
    row = books.rows.get(key)
    return row[VERSION] if row else 0


def _judge_group(books: Books, folded: Folded, members: Sequence[Transaction]) -> list[Verdict]:
    """All of them posted, or none: the one that fails first says why, the others that they were refused with it."""
    if any(one.group.size != len(members) for one in members if one.group is not None):
        return [judge(books, folded, one, "group_incomplete") for one in members]
    kept = len(folded.posted)
    trial = folded._replace(origins=dict(folded.origins), used=dict(folded.used))
    verdicts: list[Verdict] = []
    for member in members:
        verdicts.append(judge(books, trial, member))
        if verdicts[-1].outcome in (Outcome.REJECTED, Outcome.CONFLICT):
            _take_back_group(folded, kept)
            before, after = members[: len(verdicts) - 1], members[len(verdicts) :]
            first = [judge(books, folded, one, "group_refused") for one in before]
            return [*first, verdicts[-1], *(judge(books, folded, one, "group_refused") for one in after)]
    folded.origins.update(trial.origins)
    folded.used.update(trial.used)
    return verdicts


def _take_back_group(folded: Folded, kept: int) -> None:
    for posted in reversed(folded.posted[kept:]):
        entries = posted.transaction.entries + posted.added
        take_back(folded, entries, len(folded.entries) - len(entries))
        del folded.answered[posted.transaction.id]
    del folded.posted[kept:]
