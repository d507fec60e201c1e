"""What the ledger says, as reports: balances, statements and trial balances at any time, and what can be done about it.

A time is on one of two axes: *recorded*, when the ledger heard of something, and *effective*, when it happened. Amounts are
in minor units, in the account's normal direction.
"""

from datetime import datetime
from typing import Any

import psycopg

from app.places.addresses import find_places
from app.places.places import named_dsn
from app.reports.gauges import fresh_since_ms, read_gauges, waiting_report
from app.reports.tables import plain, plain_rows
from app.settings import Settings
from connectors.clock import now_ms
from domain.errors import BallastError
from domain.ledger.body import transaction_from
from domain.ledger.journal import CREDIT, DEBIT, Entry, Layer, Outcome, Transaction, Verdict
from domain.templates.rebooking import rebooking
from domain.templates.reversal import reversal
from domain.times import datetime_of, ms_of
from sinks.ledger.export import snapshot
from sinks.postgres import Connection, again_after_a_conflict, connect
from sinks.queries import ask

Report = dict[str, Any]

_WHY = {
    "before_cause": "that is before it happened; choose a later --effective-at",
    "closed_period": "that time is in a closed period; choose a later --effective-at",
    "already_reversed": "it has been reversed before",
    "other_body": "it was asked for before with another time or reason, and that stands",
    "over_limit": "an account would go beyond its limit",
    "account_frozen": "an account is frozen",
    "account_closed": "an account is closed",
}

LAYERS = ("settled", "pending", "encumbered")
SUMMED = ("currency", "layer", "debits", "credits")


def find_ledger(settings: Settings) -> str:
    """The database that settings name, else that of what runs over the data folder; ConfigError when there is none."""
    return named_dsn(settings) or find_places(settings).dsn


def now() -> datetime:
    """The time of this machine."""
    return datetime_of(now_ms())


def axis_of(*, is_effective: bool) -> str:
    return "effective" if is_effective else "recorded"


def read_balances(dsn: str, account: str | None, as_of: datetime | None, *, is_effective: bool) -> Report:
    """One account or all, now or at a time; a row per account and currency. BallastError for an account that is not there."""
    with connect(dsn, "reader", "ledger balance") as connection, snapshot(connection):
        _known(connection, account)
        if as_of is None:
            rows = plain_rows(ask(connection, "ledger_balances", {"account": account}))
        else:
            codes = [account] if account is not None else _codes(connection)
            rows = [row for code in codes for row in _balances_at(connection, code, as_of, is_effective=is_effective)]
    return {"as_of": plain(as_of), "axis": axis_of(is_effective=is_effective), "balances": rows}


def _balances_at(connection: Connection, account: str, as_of: datetime, *, is_effective: bool) -> list[Report]:
    name = f"ledger_balance_{axis_of(is_effective=is_effective)}"
    found = plain_rows(ask(connection, name, {"account": account, "as_of": as_of}))
    currencies = sorted({row["currency"] for row in found})
    layers = {(row["currency"], row["layer"]): row["balance"] for row in found}
    return [
        {"account": account, "currency": currency, **{layer: layers[currency, layer] for layer in LAYERS}}
        for currency in currencies
    ]


def read_statement(
    dsn: str, account: str, currency: str | None, since: datetime | None, until: datetime | None, *, is_effective: bool
) -> Report:
    """The entries of [since, until) between an opening and a closing row per currency and layer."""
    axis = axis_of(is_effective=is_effective)
    parameters = {
        "account": account,
        "since": since or "-infinity",
        "until": until or "infinity",
        "axis": axis,
        "currency": currency,
    }
    with connect(dsn, "reader", "ledger statement") as connection:
        _known(connection, account)
        rows = plain_rows(ask(connection, "ledger_statement", parameters))
    return {"account": account, "axis": axis, "since": plain(since), "until": plain(until), "lines": rows}


def read_trial_balance(dsn: str, as_of: datetime | None, *, is_effective: bool) -> Report:
    """Every account with its balance on its side, and whether the sides of each currency and layer are equal."""
    axis = axis_of(is_effective=is_effective)
    name = "ledger_trial_balance" if as_of is None else f"ledger_trial_balance_{axis}"
    with connect(dsn, "reader", "ledger trial-balance") as connection:
        rows = plain_rows(ask(connection, name, {"as_of": as_of}))
    totals = _totals(rows)
    is_balanced = all(total["debit"] == total["credit"] for total in totals)
    return {"as_of": plain(as_of), "axis": axis, "is_balanced": is_balanced, "totals": totals, "accounts": rows}


def _totals(rows: list[Report]) -> list[Report]:
    sums: dict[tuple[str, int], list[int]] = {}
    for row in rows:
        total = sums.setdefault((row["currency"], LAYERS.index(row["layer"])), [0, 0])
        total[0] += row["debit"]
        total[1] += row["credit"]
    return [
        {"currency": currency, "layer": LAYERS[layer], "debit": debit, "credit": credit}
        for (currency, layer), (debit, credit) in sorted(sums.items())
    ]


@again_after_a_conflict
def seal(dsn: str, until: datetime) -> Report:
    """Close what is effective before `until`, and keep what it came to.

    BallastError if that is sealed already, or if a leg waits since before then: its trade would fall into the period.
    """
    _nothing_waits(dsn, until)
    with connect(dsn, "api", "ledger seal") as connection, connection.transaction():
        # To count a period takes as long as it is full.
        connection.execute("SET LOCAL statement_timeout = 0")
        try:
            row = connection.execute("SELECT ledger.seal(%s)", (until,)).fetchone()
        except psycopg.Error as error:
            raise _told(error) from error
    manifest: Report = row[0] if row else {}
    days = [
        {"day": day["day"], **{name: day[name] for name in ("transactions", "entries", "sha256")}}
        for day in manifest["days"]
    ]
    sums = [{"day": day["day"], **{name: kind[name] for name in SUMMED}} for day in manifest["days"] for kind in day["sums"]]
    ends = {f"shard {shard}": f"batch {end['batch_id']} {end['hash']}" for shard, end in manifest["batches"].items()}
    return {"since": manifest["since"], "until": manifest["until"], "days": days, "sums": sums, "chains": ends}


def _nothing_waits(dsn: str, until: datetime) -> None:
    with connect(dsn, "reader", "ledger seal") as connection:
        readings = read_gauges(connection)
    since_ms = fresh_since_ms(readings)
    if since_ms is not None and since_ms < ms_of(until):
        msg = (
            f"of {waiting_report(readings)['count']} legs that wait for their other half one is still expected to get it, "
            f"and waits since {plain(datetime_of(since_ms))}: end the period there or before, or wait until it is paired"
        )
        raise BallastError(msg)


def _told(error: psycopg.Error) -> Exception:
    return BallastError(error.diag.message_primary) if error.sqlstate == "LG015" else error


def reverse(dsn: str, transaction_id: str, effective_at: datetime, reason: str | None) -> Report:
    """Post the mirror of a transaction. BallastError if there is none, nothing to take back, or the ledger refuses."""
    original, shard = read_transaction(dsn, transaction_id)
    transaction = reversal(original, ms_of(effective_at), reason)
    if transaction is None:
        msg = f"transaction {transaction_id} moved nothing that is settled; a hold is voided instead"
        raise BallastError(msg)
    outcome = act(dsn, "ledger reverse", transaction, shard, f"transaction {transaction_id} cannot be reversed")
    return {"reverses": transaction_id, "transaction_id": transaction.id, "outcome": outcome}


def rebook(dsn: str, transaction_id: str, effective_at: datetime | None, reason: str | None) -> Report:
    """Book a rejected transaction: at its own time if its period is open, else at the first moment that is, or as told.

    BallastError if it was not rejected, was rejected with its group, or is refused again.
    """
    rejected, shard, closed_until_ms = read_rejected(dsn, transaction_id)
    at_ms = max(rejected.effective_at_ms, closed_until_ms) if effective_at is None else ms_of(effective_at)
    transaction = rebooking(rejected, at_ms, reason)
    outcome = act(dsn, "ledger rebook", transaction, shard, f"transaction {transaction_id} cannot be booked")
    report = {"rebooks": transaction_id, "transaction_id": transaction.id, "outcome": outcome}
    return report | {"template": transaction.template, "effective_at": plain(datetime_of(at_ms))}


def read_rejected(dsn: str, transaction_id: str) -> tuple[Transaction, int, int]:
    """A rejected transaction as it was posted, its shard, and until when periods are closed, in milliseconds.

    BallastError if there is none, or if others were refused with it.
    """
    with connect(dsn, "reader", "ledger rebook") as connection:
        rows = ask(connection, "ledger_rejection", {"tx_id": transaction_id})
    if not rows:
        msg = f"no transaction {transaction_id} was rejected; those that were: sql/queries/ledger_rejected_by_reason.sql"
        raise BallastError(msg)
    row = rows[0]
    rejected = transaction_from(row["payload"])
    if rejected.group is not None:
        msg = f"transaction {transaction_id} was rejected with its group {rejected.group.id}, and is not booked without it"
        raise BallastError(msg)
    return rejected, row["shard"], ms_of(row["closed_until"]) if row["closed_until"] else 0


@again_after_a_conflict
def act(dsn: str, command: str, transaction: Transaction, shard: int, cannot: str) -> str:
    """Post what a person asks for, and return how it was answered; BallastError, and nothing left behind, when it is refused."""
    from sinks.ledger.single import post_once  # noqa: PLC0415 - reading needs no writer

    with connect(dsn, "writer", command) as connection:
        verdict = post_once(connection, [transaction], shard, keeps_refusals=False).verdicts[0]
    if verdict.outcome not in (Outcome.POSTED, Outcome.DUPLICATE):
        msg = f"{cannot}: {_why(verdict)}"
        raise BallastError(msg)
    return str(verdict.outcome)


def _why(verdict: Verdict) -> str:
    where = f" on {verdict.account} in {verdict.currency}" if verdict.account else ""
    short = f", short by {verdict.shortfall}" if verdict.shortfall else ""
    why = _WHY.get(verdict.reason or "", f"the ledger refuses it as {verdict.reason}")
    return f"{why}{where}{short}"


def read_transaction(dsn: str, transaction_id: str) -> tuple[Transaction, int]:
    """A posted transaction with its entries, the ledger's own among them, and its shard. BallastError if there is none."""
    with connect(dsn, "reader", "ledger reverse") as connection:
        rows = ask(connection, "ledger_transaction", {"tx_id": transaction_id})
    if not rows:
        msg = f"there is no transaction {transaction_id}"
        raise BallastError(msg)
    first = rows[0]
    transaction = Transaction(
        transaction_id,
        first["template"],
        ms_of(first["effective_at"]),
        tuple(_entry(row) for row in rows),
        str(first["correlation_id"]),
        first["source"],
        first["source_offset"],
        "{}",
    )
    return transaction, first["shard"]


def _entry(row: Report) -> Entry:
    side, amount = (CREDIT, row["credit"]) if row["debit"] is None else (DEBIT, row["debit"])
    return Entry(row["account"], row["currency"], Layer[row["layer"].upper()], side, int(amount))


def _codes(connection: Connection) -> list[str]:
    found = connection.execute(
        "SELECT DISTINCT a.code FROM ledger.account a JOIN ledger.balance b USING (account_id) ORDER BY a.code"
    )
    return [code for (code,) in found]


def _known(connection: Connection, account: str | None) -> None:
    if account is None:
        return
    if connection.execute("SELECT FROM ledger.account a WHERE a.code = %s", (account,)).fetchone() is None:
        msg = f"there is no account {account}; all of them: ballast ledger balance"
        raise BallastError(msg)
