"""How one transaction is judged and booked, in a batch of which some may have been before it.

It is first checked as a whole and against its cause, then booked entry by entry on copies of the rows that it touches,
then judged by the limits of its accounts, and taken back from the copies if it fails: between its own entries a limit may
be crossed. The rules for repeats are those of the journal. A repeat changes nothing, so it touches no version.
"""

from collections.abc import Sequence
from typing import NamedTuple

from domain.ledger.body import body_hash
from domain.ledger.books import VERSION, Books, Key, Known, Origin, Row, Window, blank
from domain.ledger.causes import added_entries, origin_after, origin_of, refused_by
from domain.ledger.journal import Cause, Entry, Outcome, Transaction, Verdict
from domain.ledger.lines import ENTRY
from domain.ledger.refusals import TOTAL_MAX, closed_to, fits, misshapen, not_entries, over_limit, rejected, unsound
from domain.ledger.velocity import uses

SAFE = TOTAL_MAX // 4
"""While a total and the balance are below it, the amount that led there cannot have too many digits."""


class Posted(NamedTuple):
    """An accepted transaction, and the entries that the ledger has added to its own."""

    transaction: Transaction
    body_hash: str
    added: tuple[Entry, ...] = ()


class Refused(NamedTuple):
    """A transaction that was rejected, or is in conflict with what its id already stands for."""

    transaction: Transaction
    body_hash: str
    verdict: Verdict


class Folded(NamedTuple):
    """What a batch comes to: `entries` are written as lines, `rows` are the changed rows, `answered` the ids with a new answer,
    `origins` what posted transactions now are to those that name them, `used` the windows of velocity limits, `seen` the keys
    to report."""

    verdicts: list[Verdict]
    posted: list[Posted]
    entries: list[str]
    rejected: list[Refused]
    conflicts: list[Refused]
    rows: dict[Key, Row]
    answered: dict[str, Known]
    origins: dict[str, Origin]
    used: dict[Window, int]
    seen: set[Key]
    named: frozenset[str]


def judge(books: Books, folded: Folded, transaction: Transaction, group_fails: str | None = None) -> Verdict:
    """Post it, find that it was answered before, or refuse it; `group_fails` is why its group refuses what is new in it."""
    body = body_hash(transaction)
    known = folded.answered.get(transaction.id) or books.known.get(transaction.id)
    if known is not None:
        return _repeat(folded, known, transaction, body)
    if group_fails is not None:
        return _refuse_with_group(folded, transaction, body, group_fails)
    return _first(books, folded, transaction, body)


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


def _first(books: Books, folded: Folded, transaction: Transaction, body: str) -> Verdict:
    added: tuple[Entry, ...] = ()
    refused, origin = None, None
    if transaction.cause is not None:
        refused, origin = _caused(books, folded, transaction, transaction.cause)
        if origin is not None:
            added = added_entries(origin, transaction.cause, transaction.entries)
    entries = transaction.entries + added
    refused = refused or misshapen(books, transaction, len(entries)) or _book(books, folded, transaction, entries, origin)
    if refused is not None:
        return _refuse(folded, transaction, body, refused)
    folded.posted.append(Posted(transaction, body, added))
    folded.answered[transaction.id] = Known(body)
    if transaction.id in folded.named:
        folded.origins[transaction.id] = origin_of(transaction)
    if origin is not None and transaction.cause is not None:
        folded.origins[transaction.cause.transaction_id] = origin_after(origin, transaction.cause, entries)
    return Verdict(transaction.id, Outcome.POSTED)


def _refuse(folded: Folded, transaction: Transaction, body: str, verdict: Verdict) -> Verdict:
    folded.rejected.append(Refused(transaction, body, verdict))
    folded.answered[transaction.id] = Known(body, verdict)
    return verdict


def _caused(
    books: Books, folded: Folded, transaction: Transaction, cause: Cause
) -> tuple[Verdict, None] | tuple[None, Origin]:
    """The origin that the transaction may act on, or why it may not."""
    refused = not_entries(transaction)
    if refused is not None:
        return refused, None
    origin = folded.origins.get(cause.transaction_id) or books.origins.get(cause.transaction_id)
    if origin is None:
        return rejected(transaction, "unknown_cause"), None
    why = refused_by(origin, cause, transaction)
    return (None, origin) if why is None else (rejected(transaction, *why), None)


def _book(
    books: Books, folded: Folded, transaction: Transaction, entries: tuple[Entry, ...], origin: Origin | None
) -> Verdict | None:
    """Book all entries on the copied rows, or none and say why."""
    start = len(folded.entries)
    sound, judged = _apply(books, folded, transaction, entries)
    refused = None
    if not sound:
        refused = unsound(books, transaction, entries)
    elif judged:
        refused = over_limit(books, folded.rows, transaction, entries)
        refused = refused or _use(books, folded, transaction, entries, origin)
    if refused is not None:
        take_back(folded, entries, start)
    return refused


def _use(
    books: Books, folded: Folded, transaction: Transaction, entries: tuple[Entry, ...], origin: Origin | None
) -> Verdict | None:
    """Count the transaction into the windows of velocity limits, or say which it would overfill."""
    ends_hold = origin is not None and transaction.reverses is None
    at_ms = origin.effective_at_ms if origin is not None and ends_hold else transaction.effective_at_ms
    counted: dict[Window, int] = {}
    for window, amount, amount_max in uses(books.accounts, entries, at_ms, ends_hold=ends_hold):
        before = folded.used.get(window)
        used = (books.used.get(window, 0) if before is None else before) + amount
        if amount > 0 and used > amount_max:
            return rejected(transaction, "over_velocity", window[:2], used - amount_max)
        counted[window] = used
    folded.used.update(counted)
    return None


def _apply(books: Books, folded: Folded, transaction: Transaction, entries: Sequence[Entry]) -> tuple[bool, int]:
    """Book entry by entry, up to the first that cannot be: whether all could and balance, and whether limits apply.

    It asks of every entry only what can be asked in a comparison; what is wrong is found out when something is.
    """
    rows, lines, id_ = folded.rows, folded.entries, transaction.id
    releases = transaction.cause is not None
    net: dict[tuple[str, int], int] = {}
    judged = 0
    for leg, (account, currency, layer, side, amount) in enumerate(entries, 1):
        key = (account, currency)
        row = rows.get(key) or copied(books, rows, key)
        if row is None or not amount or type(amount) is not int or not 0 < layer < 4 or side * side != 1:
            return False, judged
        if layer > 1 and amount < 0 and not releases:
            return False, judged
        debit = 2 * layer - 1
        slot = debit if side > 0 else debit + 1
        row[slot] = total = row[slot] + amount
        row[0] = version = row[0] + 1
        after = row[debit] - row[debit + 1]
        lines.append(ENTRY % (id_, version, row[7], leg, layer, side, currency, amount, after))
        if not (-SAFE < total < SAFE and -SAFE < after < SAFE) and not fits(total, amount, after):
            return False, judged
        judged |= row[8]
        kind = (currency, layer)
        net[kind] = net.get(kind, 0) + side * amount
    return not any(net.values()), judged


def copied(books: Books, rows: dict[Key, Row], key: Key) -> Row | None:
    """The row of this batch for an account that takes entries in this currency; None if it takes none."""
    if closed_to(books, key) is not None:
        return None
    row = rows[key] = list(books.rows.get(key) or blank(books.accounts[key[0]]))
    return row


def take_back(folded: Folded, entries: tuple[Entry, ...], start: int) -> None:
    """Undo what was booked from line `start` on, the first of these entries, as if they had not come."""
    booked = len(folded.entries) - start
    for account, currency, layer, side, amount in entries[:booked]:
        row = folded.rows[(account, currency)]
        row[2 * layer - 1 if side > 0 else 2 * layer] -= amount
        row[VERSION] -= 1
    del folded.entries[start:]


def _refuse_with_group(folded: Folded, member: Transaction, body: str, reason: str) -> Verdict:
    verdict = _refuse(folded, member, body, rejected(member, reason))
    # It may have been posted in its group for a moment, and met other bodies then.
    conflicts = tuple([one.body_hash for one in folded.conflicts if one.transaction.id == member.id])
    folded.answered[member.id] = Known(body, verdict, conflicts)
    return verdict
