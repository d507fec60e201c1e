"""Why the ledger refuses a transaction: each reason by a stable name, found only when something is wrong.

one_legged, too_many_entries     a transaction has 2 to 64 entries
bad_time, bad_meta               its effective time is no date, or its metadata is no JSON that can be stored
closed_period                    it is effective in a period that was closed
unknown_reversal                 it reverses what was never posted
already_reversed                 it reverses what something else has reversed
zero_amount, not_whole           an entry says nothing, or is not in whole minor units
unknown_account, account_frozen, account_closed
bad_currency, wrong_currency     the currency is no name, or the account is bound to another one
unbalanced                       debits and credits differ in a currency and layer
too_large                        an amount or a total would have more than 38 digits
over_release                     more is released than is held
over_limit                       an account would go beyond its limit, by `shortfall`
"""

import re
from collections.abc import Mapping

from domain.books import Books, Key, Known, Row, available, reachable
from domain.journal import CREDIT, DEBIT, Entry, Layer, Outcome, Transaction, Verdict

ENTRIES_MIN, ENTRIES_MAX = 2, 64
TOTAL_MAX = 10**38
"""Amounts and totals are below it, as NUMERIC(38, 0) holds them."""

EFFECTIVE_MS_MAX = 253_402_300_799_999
"""The end of the year 9999, the last that every part can name."""

_CURRENCY = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,15}")


def _rejected(
    transaction: Transaction,
    reason: str,
    key: tuple[str | None, str | None] = (None, None),
    shortfall: int | None = None,
) -> Verdict:
    return Verdict(transaction.id, Outcome.REJECTED, reason, key[0], key[1], shortfall)


def refusal(
    books: Books,
    answered: Mapping[str, Known],
    reversed_now: Mapping[str, str],
    transaction: Transaction,
    meta: str | None,
) -> Verdict | None:
    """What is wrong with the transaction as a whole; `answered` and `reversed_now` are what this batch did so far."""
    reason = _shape(books, transaction, meta)
    if reason is None and transaction.reverses is not None:
        reason = _reversal(books, answered, reversed_now, transaction.reverses)
    return None if reason is None else _rejected(transaction, reason)


def _shape(books: Books, transaction: Transaction, meta: str | None) -> str | None:
    count, effective_at_ms = len(transaction.entries), transaction.effective_at_ms
    if count < ENTRIES_MIN:
        return "one_legged"
    if count > ENTRIES_MAX:
        return "too_many_entries"
    if not 0 <= effective_at_ms <= EFFECTIVE_MS_MAX:
        return "bad_time"
    if effective_at_ms < books.closed_until_ms:
        return "closed_period"
    return "bad_meta" if meta is None else None


def _reversal(books: Books, answered: Mapping[str, Known], reversed_now: Mapping[str, str], original: str) -> str | None:
    known = answered.get(original)
    posted_now = known is not None and known.rejection is None and original not in books.known
    if not posted_now and original not in books.originals:
        return "unknown_reversal"
    return "already_reversed" if original in reversed_now or books.originals.get(original) else None


def closed_to(books: Books, key: Key) -> str | None:
    """Why this account takes no entry in this currency, or None if it does."""
    code, currency = key
    account = books.accounts.get(code)
    if account is None:
        return "unknown_account"
    if account.status != "open":
        return f"account_{account.status}"
    if not _CURRENCY.fullmatch(currency):
        return "bad_currency"
    return "wrong_currency" if account.currency not in (None, currency) else None


def unsound(books: Books, transaction: Transaction) -> Verdict:
    """Name what is wrong with the entries of a transaction that could not be booked."""
    for entry in transaction.entries:
        reason = _entry(entry) or closed_to(books, entry[:2])
        if reason is not None:
            return _rejected(transaction, reason, entry[:2])
    currency = _unbalanced(transaction)
    if currency is not None:
        return _rejected(transaction, "unbalanced", (None, currency))
    return _rejected(transaction, "too_large")


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


def _unbalanced(transaction: Transaction) -> str | None:
    net: dict[tuple[str, int], int] = {}
    for entry in transaction.entries:
        kind = (entry.currency, entry.layer)
        net[kind] = net.get(kind, 0) + entry.side * entry.amount
    return next((currency for (currency, _), left in net.items() if left), None)


def over_limit(books: Books, rows: Mapping[Key, Row], transaction: Transaction) -> Verdict | None:
    """Judge the accounts of a transaction that is booked on `rows`, in the order of its entries."""
    for entry in transaction.entries:
        key = entry[:2]
        row, account = rows[key], books.accounts[entry.account]
        held = min(row[3:7])
        if held < 0:
            return _rejected(transaction, "over_release", key, -held)
        if account.min_available is not None and (short := account.min_available - available(row, account)) > 0:
            return _rejected(transaction, "over_limit", key, short)
        if account.max_balance is not None and (over := reachable(row, account) - account.max_balance) > 0:
            return _rejected(transaction, "over_limit", key, over)
    return None
