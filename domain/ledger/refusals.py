"""Why the ledger refuses a transaction: each reason by a stable name, found only when something is wrong.

one_legged, too_many_entries     a transaction has 2 to 64 entries
bad_time, bad_meta               its effective time is no date, or its metadata has a text that cannot be stored
closed_period                    it is effective in a period that was closed
unknown_cause                    the transaction that it names as its cause was never posted
before_cause                     it is effective before its cause
already_reversed, not_a_mirror   a reversal comes second, or does not take back exactly what the original moved
not_a_hold, already_captured, already_voided, already_expired
                                 what it captures, voids or lets expire holds nothing, or nothing any more
hold_expired, not_expired        it comes too late for a capture or a void, or too early for an expiry
over_capture                     it releases more than is left of the hold, by `shortfall`
nothing_captured, unexpected_hold, unexpected_entries
                                 a capture releases nothing, or holds; a void or an expiry brings entries of its own
unnamed_release                  it releases what is held without naming the hold
group_refused, group_incomplete  another member of its group was refused, or is missing; bad_group: its size is no size
zero_amount, not_whole           an entry says nothing, or is not in whole minor units
unknown_account, account_frozen, account_closed
not_a_leaf                       the account is the sum of others
bad_currency, wrong_currency     the currency is no name, or the account is bound to another one
unbalanced                       debits and credits differ in a currency and layer
too_large                        an amount or a total would have more than 38 digits
over_limit                       an account would go beyond its limit, by `shortfall`
over_velocity                    what is available of an account would fall too fast, by `shortfall`
"""

import re
from collections.abc import Mapping, Sequence

from domain.ledger.body import can_be_stored
from domain.ledger.books import Books, Key, Row, available, reachable
from domain.ledger.journal import CREDIT, DEBIT, Entry, Layer, Outcome, Transaction, Verdict

REASONS = frozenset(
    """
    one_legged too_many_entries bad_time bad_meta closed_period unknown_cause before_cause
    already_reversed not_a_mirror not_a_hold already_captured already_voided already_expired hold_expired not_expired
    over_capture nothing_captured unexpected_hold unexpected_entries unnamed_release group_refused
    group_incomplete bad_group zero_amount not_whole bad_side bad_layer unknown_account account_frozen account_closed
    not_a_leaf bad_currency wrong_currency unbalanced too_large over_limit over_velocity
    """.split()  # noqa: SIM905 - a list of names, not forty lines
)
"""Every reason for which a ledger refuses: another one was not written by it."""

ENTRIES_MIN, ENTRIES_MAX = 2, 64
TOTAL_MAX = 10**38
"""Amounts and totals are below it, as NUMERIC(38, 0) holds them."""

EFFECTIVE_MS_MAX = 253_402_300_799_999
"""The end of the year 9999, the last that every part can name."""

GROUP_MAX = 1000
"""Members of a group at most: a group is never cut in two, so it bounds the size of a batch."""

_GROUP = re.compile(r"[\x21-\x7e]{1,128}")
_CURRENCY = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,15}")


def rejected(
    transaction: Transaction,
    reason: str,
    key: tuple[str | None, str | None] = (None, None),
    shortfall: int | None = None,
) -> Verdict:
    """The verdict on a transaction that is refused."""
    return Verdict(transaction.id, Outcome.REJECTED, reason, key[0], key[1], shortfall)


def misshapen(books: Books, transaction: Transaction, entries_count: int) -> Verdict | None:
    """What is wrong with the transaction as a whole, with so many entries in the end."""
    reason = _misshapen(books, transaction.effective_at_ms, entries_count)
    if reason is None and not can_be_stored(transaction.meta):
        reason = "bad_meta"
    if reason is None and (transaction.expires_at_ms is not None or transaction.group is not None):
        reason = _tied(transaction)
    return None if reason is None else rejected(transaction, reason)


def _misshapen(books: Books, effective_at_ms: int, entries_count: int) -> str | None:
    if entries_count < ENTRIES_MIN:
        return "one_legged"
    if entries_count > ENTRIES_MAX:
        return "too_many_entries"
    if not 0 <= effective_at_ms <= EFFECTIVE_MS_MAX:
        return "bad_time"
    return "closed_period" if effective_at_ms < books.closed_until_ms else None


def _tied(transaction: Transaction) -> str | None:
    expires_at_ms, group = transaction.expires_at_ms, transaction.group
    if expires_at_ms is not None and not transaction.effective_at_ms < expires_at_ms <= EFFECTIVE_MS_MAX:
        return "bad_time"
    if group is not None and not (1 <= group.size <= GROUP_MAX and _GROUP.fullmatch(group.id)):
        return "bad_group"
    return None


def closed_to(books: Books, key: Key) -> str | None:
    """Why this account takes no entry in this currency, or None if it does."""
    code, currency = key
    account = books.accounts.get(code)
    if account is None:
        return "unknown_account"
    if account.status != "open":
        return f"account_{account.status}"
    if code in books.summaries:
        return "not_a_leaf"
    if not _CURRENCY.fullmatch(currency):
        return "bad_currency"
    return "wrong_currency" if account.currency not in (None, currency) else None


def unsound(books: Books, transaction: Transaction, entries: Sequence[Entry]) -> Verdict:
    """Name what is wrong with the entries of a transaction that could not be booked."""
    for entry in entries:
        reason = _entry(entry) or closed_to(books, entry[:2])
        if reason is None and transaction.cause is None and entry.layer != Layer.SETTLED and entry.amount < 0:
            reason = "unnamed_release"
        if reason is not None:
            return rejected(transaction, reason, entry[:2])
    currency = _unbalanced(entries)
    if currency is not None:
        return rejected(transaction, "unbalanced", (None, currency))
    return rejected(transaction, "too_large")


def not_entries(transaction: Transaction) -> Verdict | None:
    """What is wrong with single entries of a transaction, whatever its accounts."""
    for entry in transaction.entries:
        reason = _entry(entry)
        if reason is not None:
            return rejected(transaction, reason, entry[:2])
    return None


def _entry(entry: Entry) -> str | None:
    if type(entry.amount) is not int:
        return "not_whole"
    if entry.amount == 0:
        return "zero_amount"
    if entry.side not in (DEBIT, CREDIT):
        return "bad_side"
    if entry.layer not in iter(Layer):
        return "bad_layer"
    return None if fits(entry.amount) else "too_large"


def fits(*numbers: int) -> bool:
    """Whether all of them have at most 38 digits."""
    return all(-TOTAL_MAX < number < TOTAL_MAX for number in numbers)


def _unbalanced(entries: Sequence[Entry]) -> str | None:
    net: dict[tuple[str, int], int] = {}
    for entry in entries:
        kind = (entry.currency, entry.layer)
        net[kind] = net.get(kind, 0) + entry.side * entry.amount
    return next((currency for (currency, _), left in net.items() if left), None)


def over_limit(books: Books, rows: Mapping[Key, Row], transaction: Transaction, entries: Sequence[Entry]) -> Verdict | None:
    """Judge the accounts of a transaction that is booked on `rows`, in the order of its entries."""
    for entry in entries:
        key = entry[:2]
        row, account = rows[key], books.accounts[entry.account]
        if account.min_available is not None and (short := account.min_available - available(row, account)) > 0:
            return rejected(transaction, "over_limit", key, short)
        if account.max_balance is not None and (over := reachable(row, account) - account.max_balance) > 0:
            return rejected(transaction, "over_limit", key, over)
    return None
