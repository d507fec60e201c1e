"""Verifies customers' balances in Postgres, and records what it finds (`domain.settlement.verifying.Verifies`).

All that is compared is read as of one moment, while others post. What is stored is compared with what its entries add up to, and
these with what the other sides of all postings come to (`domain/postings/holdings.py`).
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from domain.ids import content_id, timeless_id
from domain.postings.holdings import ACCOUNTS, SIDES, Change, Done, Kind, Line, Pair, booked_on, changes
from domain.settlement.holdings import mismatches
from domain.settlement.verifying import Error, Found, Job, JobKind, Residual
from domain.templates.settlement import CUSTOMER_CORRECTED, TRADE_SETTLED
from sinks.ledger.export import snapshot
from sinks.postgres import connect

_RESIDUALS = """
SELECT asset, residual FROM settlement.v_zero_sum WHERE residual <> 0 ORDER BY asset
"""
_ERRORS_IN = """
SELECT correction_id, asset, account_kind, difference FROM settlement.reconciliation_error
WHERE asset = ANY(%s::TEXT[]) AND found_in = 'entries'
"""
_BOOKED = "SELECT tx_id::TEXT FROM ledger.tx WHERE tx_id = ANY(%s::UUID[])"
_SUSPECTS = """
SELECT DISTINCT split_part(a.code, '/', 2) FROM ledger.account a JOIN ledger.balance b USING (account_id)
LEFT JOIN LATERAL (
    SELECT e.balance_after, e.version FROM ledger.entry e
    WHERE e.account_id = b.account_id AND e.currency = b.currency AND e.layer = 1 ORDER BY e.version DESC LIMIT 1
) e ON TRUE
WHERE a.shard = 8 AND a.code LIKE 'CUSTOMER%%/%%' AND b.currency = %s
    AND b.settled_debit - b.settled_credit <> coalesce(e.balance_after, 0)
ORDER BY 1 LIMIT 1000
"""
_LAST = "SELECT last_customer FROM settlement.reconciliation_job WHERE kind = 'hourly' ORDER BY id DESC LIMIT 1"
_NEXT = """
(
    SELECT substr(code, length('CUSTOMER/') + 1) AS customer FROM ledger.account
    WHERE code > 'CUSTOMER/' || %(last)s AND code < 'CUSTOMER0' ORDER BY code LIMIT %(most)s
) UNION (
    SELECT substr(code, length('CUSTOMER_DEBT/') + 1) FROM ledger.account
    WHERE code > 'CUSTOMER_DEBT/' || %(last)s AND code < 'CUSTOMER_DEBT0' ORDER BY code LIMIT %(most)s
) ORDER BY customer LIMIT %(most)s
"""
_PAIRS = """
SELECT symbol, base, base_decimals, quote, quote_decimals FROM settlement.v_instruments
"""
_STORED = """
SELECT a.code, b.currency, b.settled_debit - b.settled_credit FROM ledger.account a JOIN ledger.balance b USING (account_id)
WHERE a.code = ANY(%s::TEXT[])
"""
_HISTORY = """
SELECT coalesce(c.template, t.template), coalesce(c.meta, t.meta)::TEXT, c.tx_id IS NOT NULL, json_agg(json_build_array(
    a.code, e.currency, e.side, e.amount::TEXT
))
FROM (
    SELECT DISTINCT e.tx_id FROM ledger.account a JOIN ledger.entry e USING (account_id) WHERE a.code = ANY(%s::TEXT[])
) own JOIN ledger.tx t USING (tx_id) LEFT JOIN ledger.tx c ON c.tx_id = t.cause_tx_id AND t.relation = 'reverses'
JOIN ledger.entry e ON e.tx_id = t.tx_id AND e.layer = 1 JOIN ledger.account a USING (account_id)
GROUP BY t.tx_id, c.tx_id
"""
_MENDING = "SELECT correction_id FROM settlement.reconciliation_error WHERE customer = %s"
_JOB = """
INSERT INTO settlement.reconciliation_job (kind, started_at, customers, last_customer, trades, errors, residuals)
VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id
"""
_ERROR = """
INSERT INTO settlement.reconciliation_error (job_id, customer, asset, account_kind, found_in, expected, actual, correction_id)
SELECT %(job)s, %(customer)s, %(asset)s, %(account)s, %(found_in)s, %(expected)s, %(actual)s, %(correction)s
WHERE NOT EXISTS (
    SELECT FROM settlement.reconciliation_error WHERE customer = %(customer)s AND asset = %(asset)s
        AND (account_kind, found_in) = (%(account)s, %(found_in)s) AND fixed_job IS NULL
        AND difference = %(actual)s::NUMERIC - %(expected)s::NUMERIC
)
"""
_FIXED = """
UPDATE settlement.reconciliation_error AS settled SET fixed_job = %s
WHERE fixed_job IS NULL AND customer = ANY(%s::TEXT[])
    AND NOT EXISTS (
        SELECT FROM unnest(%s::TEXT[], %s::TEXT[], %s::TEXT[], %s::TEXT[]) AS still (customer, asset, account_kind, found_in)
        WHERE (still.customer, still.asset, still.account_kind, still.found_in)
            = (settled.customer, settled.asset, settled.account_kind, settled.found_in)
    )
"""


class Looked(NamedTuple):
    """What one customer's history came to, and how many trades are in it."""

    errors: Sequence[Error]
    trades: int


class PostgresVerifies:
    """Reads the books in one role and records in another."""

    def __init__(self, dsn: str) -> None:
        self._books = connect(dsn, "reader", "verifying books")
        self._records = connect(dsn, "executor", "verifying")

    def residuals(self) -> Sequence[Residual]:
        """Return what is too much of each asset, but for what corrections have mended."""
        with snapshot(self._books):
            found = {asset: int(amount) for asset, amount in self._books.execute(_RESIDUALS)}
            for asset, amount in self._mended([*found]):
                found[asset] -= amount
        return [Residual(asset, amount) for asset, amount in sorted(found.items()) if amount]

    def _mended(self, assets: Sequence[str]) -> Iterator[tuple[str, int]]:
        """Yield by how much entries had been turned that a posting has brought back: the posting balances by itself."""
        errors = self._books.execute(_ERRORS_IN, (assets,)).fetchall()
        ids = {timeless_id(CUSTOMER_CORRECTED, name): name for name, *_ in errors}
        booked = {ids[tx_id] for (tx_id,) in self._books.execute(_BOOKED, ([*ids],))}
        for name, asset, account, difference in errors:
            if name in booked:
                yield asset, int(difference) * (-1 if account == "debt" else 1)

    def suspects(self, asset: str) -> Sequence[str]:
        """Return customers whose balance of an asset is not what the last entry on it says."""
        with snapshot(self._books):
            return [customer for (customer,) in self._books.execute(_SUSPECTS, (asset,))]

    def next_customers(self, most: int) -> Sequence[str]:
        """Return whose turn it is."""
        (last,) = self._books.execute(_LAST).fetchone() or ("",)
        found = self._after(last or "", most)
        if len(found) < most and last:
            found += self._after("", most - len(found))
        return list(dict.fromkeys(found))

    def _after(self, last: str, most: int) -> list[str]:
        return [customer for (customer,) in self._books.execute(_NEXT, {"last": last, "most": most})]

    def verify(self, kind: JobKind, customers: Sequence[str], residuals: Sequence[Residual] = ()) -> Job:
        """Verify customers one by one, and record what was found."""
        (started_at,) = self._records.execute("SELECT clock_timestamp()").fetchone() or (None,)
        pairs = {symbol: Pair(*made_of) for symbol, *made_of in self._books.execute(_PAIRS)}
        looked = [self._look(customer, pairs) for customer in customers]
        errors = [error for one in looked for error in one.errors]
        trades, sums = sum(one.trades for one in looked), {one.asset: one.amount for one in residuals}
        last = customers[-1] if customers else None
        with self._records.transaction():
            row = (kind, started_at, len(customers), last, trades, len(errors), json.dumps(sums))
            (job_id,) = self._records.execute(_JOB, row).fetchone() or (0,)
            fixed = self._record(job_id, customers, errors)
        return Job(job_id, kind, len(customers), trades, errors, fixed, residuals)

    def _record(self, job_id: int, customers: Sequence[str], errors: Sequence[Error]) -> int:
        """Write errors down that are new, and which of the earlier ones are mended; return how many those are."""
        for error in errors:
            correction = f"fix:{content_id('reconciliation', str(job_id), *error[:4])}"
            self._records.execute(_ERROR, {"job": job_id, "correction": correction, **error._asdict()})
        still = [list(column) for column in zip(*[error[:4] for error in errors], strict=True)] or [[], [], [], []]
        return self._records.execute(_FIXED, (job_id, list(customers), *still)).rowcount

    def _look(self, customer: str, pairs: Mapping[str, Pair]) -> Looked:
        codes = {account(customer): kind for kind, account in ACCOUNTS.items()}
        stored: list[Change] = []
        with snapshot(self._books):
            for code, asset, amount in self._books.execute(_STORED, ([*codes],)):
                stored.append((codes[code], asset, int(amount) * SIDES[codes[code]]))
            history, mending = [*self._history(customer)], self._mending(customer)
        told = [change for done in history if not mends(done, mending) for change in changes(customer, done, pairs)]
        entries = [change for done in history for change in booked_on(customer, done)]
        errors = [*compared(customer, "balance", stored, entries), *compared(customer, "entries", entries, told)]
        return Looked(errors, sum(done.template == TRADE_SETTLED for done in history))

    def _history(self, customer: str) -> Iterator[Done]:
        """Yield what was booked for a customer."""
        found = self._books.execute(_HISTORY, ([account(customer) for account in ACCOUNTS.values()],))
        for template, meta, is_turned, lines in found:
            made = tuple(Line(code, asset, side, int(amount)) for code, asset, side, amount in lines)
            yield Done(template, json.loads(meta), made, -1 if is_turned else 1)

    def _mending(self, customer: str) -> set[str]:
        """Return the names of corrections that mend an error: they bring a balance to what it should come to."""
        return {name for (name,) in self._books.execute(_MENDING, (customer,))}

    def close(self) -> None:
        """Give the connections back."""
        self._books.close()
        self._records.close()


def mends(done: Done, names: set[str]) -> bool:
    """Return whether a posting is a correction of one of these names."""
    return done.template == CUSTOMER_CORRECTED and done.name in names


def compared(customer: str, found_in: Found, found: Sequence[Change], told: Sequence[Change]) -> list[Error]:
    """Return where what was found is not what was told."""
    errors: list[Error] = []
    for kind in ACCOUNTS:
        stored: dict[str, int] = defaultdict(int)
        for asset, amount in _of(found, kind):
            stored[asset] += amount
        _, wrong = mismatches(stored, _of(told, kind))
        errors += [Error(customer, one.asset, kind, found_in, one.expected, one.stored) for one in wrong]
    return errors


def _of(found: Sequence[Change], kind: Kind) -> Iterator[tuple[str, int]]:
    return ((asset, amount) for of, asset, amount in found if of == kind)
