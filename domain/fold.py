"""The heart of the ledger: fold a batch of transactions into verdicts and balances.

Transactions are judged in order, each on what the ones before it left, so a batch gives what its transactions give one
by one. A transaction is first checked as a whole, then booked entry by entry on copies of the rows that it touches,
then judged by the limits of its accounts, and taken back from the copies if it fails: between its own entries a limit
may be crossed. Nothing that is handed in is changed; whoever writes the result down takes it over afterwards with
`advance`.

The rules for repeats are those of the journal. A repeat changes nothing, so it touches no version.
"""

from collections.abc import Sequence
from typing import NamedTuple

from domain.body import body_hash, meta_text
from domain.books import VERSION, Books, Key, Known, Row, blank
from domain.journal import Entry, Outcome, Transaction, Verdict
from domain.refusals import TOTAL_MAX, closed_to, fits, over_limit, refusal, unsound

_SAFE = TOTAL_MAX // 4
"""While a total is below it, neither the amount that led there nor the balance can have too many digits."""

EntryLine = tuple[str, int, int, int, int, int, str, int, int]
"""Transaction id, version, account id, leg, layer, side, currency, amount, balance of the layer after it."""


class Posted(NamedTuple):
    """An accepted transaction with its metadata as canonical JSON."""

    transaction: Transaction
    body_hash: str
    meta: str


class Refused(NamedTuple):
    """A transaction that was rejected, or is in conflict with what its id already stands for."""

    transaction: Transaction
    body_hash: str
    verdict: Verdict


class Folded(NamedTuple):
    """What a batch comes to: `rows` are the changed rows, `answered` the ids with a new answer,
    `seen` the keys to report."""

    verdicts: list[Verdict]
    posted: list[Posted]
    entries: list[EntryLine]
    rejected: list[Refused]
    conflicts: list[Refused]
    rows: dict[Key, Row]
    answered: dict[str, Known]
    reversed: dict[str, str]
    seen: set[Key]


def fold(books: Books, transactions: Sequence[Transaction]) -> Folded:
    """Judge and book in order; see the module for the rules."""
    folded = Folded([], [], [], [], [], {}, {}, {}, set())
    known_before, answered = books.known, folded.answered
    for transaction in transactions:
        meta = meta_text(transaction.meta)
        body = body_hash(transaction, meta)
        known = answered.get(transaction.id) or known_before.get(transaction.id)
        if known is not None:
            verdict = _repeat(folded, known, transaction, body)
        else:
            verdict = _first(books, folded, transaction, body, meta)
        folded.verdicts.append(verdict)
    changed = {key: row for key, row in folded.rows.items() if row[VERSION] != _version(books, key)}
    return folded._replace(rows=changed, seen=folded.seen | changed.keys())


def advance(books: Books, folded: Folded) -> None:
    """Take the changed rows over into the books."""
    books.rows.update(folded.rows)


def _version(books: Books, key: Key) -> int:
    row = books.rows.get(key)
    return row[VERSION] if row else 0


def _repeat(folded: Folded, known: Known, transaction: Transaction, body: str) -> Verdict:
    if body != known.body_hash:
        verdict = Verdict(transaction.id, Outcome.CONFLICT, "other_body")
        if body not in known.conflicts:
            folded.conflicts.append(Refused(transaction, body, verdict))
            folded.answered[transaction.id] = known._replace(conflicts=(*known.conflicts, body))
        return verdict
    if known.rejection is not None:
        return known.rejection
    folded.seen.update([entry[:2] for entry in transaction.entries])
    return Verdict(transaction.id, Outcome.DUPLICATE)


def _first(books: Books, folded: Folded, transaction: Transaction, body: str, meta: str | None) -> Verdict:
    refused = refusal(books, folded.answered, folded.reversed, transaction, meta)
    if refused is None:
        refused = _book(books, folded, transaction)
    if refused is not None:
        folded.rejected.append(Refused(transaction, body, refused))
        folded.answered[transaction.id] = Known(body, refused)
        return refused
    folded.posted.append(Posted(transaction, body, meta or "{}"))
    folded.answered[transaction.id] = Known(body)
    if transaction.reverses is not None:
        folded.reversed[transaction.reverses] = transaction.id
    return Verdict(transaction.id, Outcome.POSTED)


def _book(books: Books, folded: Folded, transaction: Transaction) -> Verdict | None:
    """Book all entries on the copied rows, or none and say why."""
    start = len(folded.entries)
    sound, judged = _apply(books, folded, transaction.id, transaction.entries)
    refused = None
    if not sound:
        refused = unsound(books, transaction)
    elif judged:
        refused = over_limit(books, folded.rows, transaction)
    if refused is not None:
        _take_back(folded, transaction, start)
    return refused


def _apply(books: Books, folded: Folded, id_: str, entries: Sequence[Entry]) -> tuple[bool, int]:
    """Book entry by entry, up to the first that cannot be: whether all could and balance, and whether limits apply.

    This is the inner loop of the ledger: it asks of every entry only what can be asked in a comparison.
    """
    rows, lines = folded.rows, folded.entries
    net: dict[tuple[str, int], int] = {}
    judged = 0
    for leg, (account, currency, layer, side, amount) in enumerate(entries, 1):
        key = (account, currency)
        row = rows.get(key) or _copied(books, rows, key)
        if row is None or not amount or type(amount) is not int or not 0 < layer < 4 or side * side != 1:
            return False, judged
        debit = 2 * layer - 1
        slot = debit if side > 0 else debit + 1
        row[slot] = total = row[slot] + amount
        row[0] = version = row[0] + 1
        after = row[debit] - row[debit + 1]
        lines.append((id_, version, row[7], leg, layer, side, currency, amount, after))
        if not -_SAFE < total < _SAFE and not fits(total, amount, after):
            return False, judged
        judged |= row[8] or layer > 1
        kind = (currency, layer)
        net[kind] = net.get(kind, 0) + side * amount
    return not any(net.values()), judged


def _copied(books: Books, rows: dict[Key, Row], key: Key) -> Row | None:
    """The row of this batch for an account that takes entries in this currency; None if it takes none."""
    if closed_to(books, key) is not None:
        return None
    row = rows[key] = list(books.rows.get(key) or blank(books.accounts[key[0]]))
    return row


def _take_back(folded: Folded, transaction: Transaction, start: int) -> None:
    """Undo what was booked of this transaction, leaving rows and lines as if it had not come."""
    booked = len(folded.entries) - start
    for account, currency, layer, side, amount in transaction.entries[:booked]:
        row = folded.rows[(account, currency)]
        row[2 * layer - 1 if side > 0 else 2 * layer] -= amount
        row[VERSION] -= 1
    del folded.entries[start:]
