"""Verifying customers' balances when a person asks, and the corrections that would mend what is wrong.

A correction is asked for on `settlement.corrections` by one person and booked when another one approves; nothing is overwritten.
"""

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from domain.errors import BallastError
from domain.settlement.verifying import Error, Job
from sinks.postgres import connect
from sinks.verifying import PostgresVerifies

_KNOWN = """
SELECT EXISTS (SELECT FROM ledger.account WHERE code IN ('CUSTOMER/' || %(customer)s, 'CUSTOMER_DEBT/' || %(customer)s))
"""
_NAMES = """
SELECT customer, asset, account_kind, found_in, correction_id FROM settlement.reconciliation_error
WHERE customer = ANY(%s::TEXT[]) AND fixed_job IS NULL ORDER BY found_at, job_id
"""


def verify(dsn: str, customer: str | None, sample: int) -> dict[str, Any]:
    """Verify a customer, or those whose turn it is, and return what was found; BallastError where there is no such customer."""
    with closing(PostgresVerifies(dsn)) as verifies:
        customers = verifies.next_customers(sample) if customer is None else [_known(dsn, customer)]
        job = verifies.verify("manual", customers, verifies.residuals())
    return _report(job, _names(dsn, job.errors))


def _known(dsn: str, customer: str) -> str:
    with connect(dsn, "reader", "settlement verify") as connection:
        (is_known,) = connection.execute(_KNOWN, {"customer": customer}).fetchone() or (False,)
    if not is_known:
        msg = f"there is no customer {customer} with an account; names are as on settlement.flows, such as u1"
        raise BallastError(msg)
    return customer


def _names(dsn: str, errors: Sequence[Error]) -> dict[tuple[str, ...], str]:
    """Return the names that corrections of errors have to bear; the newest of each stands."""
    with connect(dsn, "reader", "settlement verify") as connection:
        found = connection.execute(_NAMES, ([error.customer for error in errors],))
        return {tuple(of): name for *of, name in found}


def _report(job: Job, names: dict[tuple[str, ...], str]) -> dict[str, Any]:
    errors = [{**error._asdict(), "difference": error.difference, **_correction(error, names)} for error in job.errors]
    residuals = [one._asdict() for one in job.residuals]
    status = "differs" if errors or residuals else "agrees"
    counts = {"customers": job.customers, "trades": job.trades, "fixed": job.fixed}
    return {"job": job.id, "kind": job.kind, "status": status, **counts, "errors": errors, "residuals": residuals}


def _correction(error: Error, names: dict[tuple[str, ...], str]) -> dict[str, Any]:
    """Return the word that asks for the correction, but for who asks and when."""
    name = names.get((error.customer, error.asset, error.account, error.found_in))
    if error.correction is None or name is None:
        return {"correction": None}
    reason = f"{error.account} is {error.actual}, and history comes to {error.expected}"
    told = {"id": name, "customer": error.customer, "asset": error.asset, "amount": error.correction, "reason": reason}
    return {"correction": told}
