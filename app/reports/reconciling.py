"""Comparing accounts with statements when a person asks, and correcting what they differ in.

A comparison that is asked for is the one that the flow makes, over the same tables, and is recorded as that. A correction is
asked for by one person and posted when another one approves; nothing that is there is changed.
"""

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from app.reports.ledger import act
from app.reports.tables import plain_rows
from app.settings import Settings
from connectors.clock import now_ms
from domain.errors import BallastError, ConfigError
from domain.ids import content_id
from domain.messages.recon import ReconException, Statement
from domain.reconciling.breaks import Occasion
from domain.reconciling.csv_lines import Unreadable
from domain.reconciling.records import Told, refusal, scope_of
from domain.reconciling.rules import SEVERITIES
from domain.reconciling.statements import Expected, read_statement
from domain.templates.reconciliation import Correction, reconciliation
from domain.times import datetime_of, ms_of
from operators.reconciling import compare_now
from sinks.postgres import Connection, connect
from sinks.queries import ask
from sinks.reconciling import PostgresRecords, statements_of

Report = dict[str, Any]

_ACCOUNT = "SELECT code, currency, shard, normal_side, is_summary FROM ledger.account WHERE code = %s"
_WITHDRAW = """
UPDATE treasury.correction SET withdrawn_at = clock_timestamp()
WHERE break_id = %s AND posted_tx_id IS NULL AND withdrawn_at IS NULL
"""
_ASK = """
INSERT INTO treasury.correction (correction_id, break_id, counter, amount, effective_at, why, asked_by)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
_WAITING = """
SELECT correction_id, counter, amount, effective_at, why, asked_by FROM treasury.correction
WHERE break_id = %s AND posted_tx_id IS NULL AND withdrawn_at IS NULL FOR UPDATE
"""
_APPROVE = """
UPDATE treasury.correction SET approved_by = %s, approved_at = clock_timestamp(), posted_tx_id = %s WHERE correction_id = %s
"""


class Compared(NamedTuple):
    """What comparisons tell, and all breaks that are open after them."""

    told: Sequence[Told]
    breaks: Sequence[ReconException]


def read_file(path: Path, source: str, account: str, currency: str) -> Statement:
    """Read a statement of an account; ConfigError names file, line and remedy."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise ConfigError(msg) from error
    told = read_statement(raw, Expected(source, account, currency))
    if isinstance(told, Unreadable):
        msg = f"{path}{f', line {told.line}' if told.line else ''}: {told.said}"
        raise ConfigError(msg)
    return told


def read_checked(dsn: str, path: Path, source: str, account: str, currency: str | None) -> Statement:
    """Read a statement, and see that it is of an account of ours and stands beside those that are there already."""
    with connect(dsn, "reader", "reconcile load") as connection:
        told = read_file(path, source, account, _currency(connection, account, currency))
        refused = refusal(told, statements_of(connection, scope_of(told)))
    if refused is not None:
        msg = f"{path}: {refused}; what stands is not replaced, so load only what it does not cover"
        raise ConfigError(msg)
    return told


def _currency(connection: Connection, account: str, currency: str | None) -> str:
    own = _account(connection, account)["currency"]
    if own is None and currency is None:
        msg = f"the account {account} takes any currency; say which with --currency"
        raise ConfigError(msg)
    if own is not None and currency not in (None, own):
        msg = f"the account {account} has {own}, and not {currency}"
        raise ConfigError(msg)
    return str(own or currency)


def _account(connection: Connection, code: str) -> Report:
    row = connection.execute(_ACCOUNT, (code,)).fetchone()
    if row is None:
        msg = f"there is no account {code}; all of them: ballast ledger balance"
        raise ConfigError(msg)
    return dict(zip(("code", "currency", "shard", "normal_side", "is_summary"), row, strict=True))


def compare_all(settings: Settings, dsn: str, account: str | None) -> Compared:
    """Compare every account that has statements, or one, and record it; ConfigError when there is no statement."""
    how, occasion = settings.reconciling.how, Occasion(now_ms(), "console")
    with closing(PostgresRecords(dsn)) as records:
        scopes = [scope for scope in records.scopes() if account in (None, scope.account)]
        if not scopes:
            msg = f"there is no statement{f' of {account}' if account else ''} yet; load one: ballast reconcile load FILE"
            raise ConfigError(msg)
        told = [compare_now(scope, records, how, occasion) for scope in scopes]
        return Compared(told, [one for scope in scopes for one in records.open_breaks(scope)])


def read_breaks(dsn: str, break_id: str | None) -> list[Report]:
    """Return all breaks that are open, or one; BallastError when there is none of that name."""
    with connect(dsn, "reader", "reconcile show") as connection:
        rows = plain_rows(ask(connection, "reconciling_breaks", {"break_id": break_id}))
    if break_id is not None and not rows:
        msg = f"there is no break {break_id}; those that are open: ballast reconcile show"
        raise BallastError(msg)
    return rows


def ask_for(
    dsn: str, break_id: str, counter: str, why: str, by: str, amount: int | None, effective_at: datetime | None
) -> Report:
    """Ask for a correction; one that waits for the same break is withdrawn. ConfigError when it could not be posted."""
    (broken,) = read_breaks(dsn, break_id)
    if broken["state"] != "open":
        msg = f"the break {break_id} is closed; those that are open: ballast reconcile show"
        raise BallastError(msg)
    asked = broken["amount"] if amount is None else amount
    if asked == 0:
        msg = f"the break {break_id} comes to nothing, so there is nothing to post; say an --amount if there is"
        raise ConfigError(msg)
    at_ms = ms_of(effective_at) if effective_at else ms_of(datetime.fromisoformat(broken["since"]))
    with connect(dsn, "api", "reconcile correct") as connection, connection.transaction():
        _fit(_account(connection, broken["account"]), _account(connection, counter), broken["currency"])
        connection.execute(_WITHDRAW, (break_id,))
        id_ = content_id("correction", break_id, counter, str(asked), by, why, str(now_ms()))
        connection.execute(_ASK, (id_, break_id, counter, asked, datetime_of(at_ms), why, by))
    told = {"break_id": break_id, "account": broken["account"], "counter": counter, "currency": broken["currency"]}
    return {**told, "amount": asked, "asked_by": by, "next": f"ballast reconcile approve {break_id} --by SOMEBODY_ELSE"}


def _fit(account: Report, counter: Report, currency: str) -> None:
    """ConfigError when money cannot go from one to the other."""
    for one in (account, counter):
        if one["is_summary"]:
            msg = f"the account {one['code']} is the sum of others; name one of those: ballast ledger balance {one['code']}"
            raise ConfigError(msg)
    if counter["currency"] not in (None, currency):
        msg = f"the account {counter['code']} has {counter['currency']}, and the break is in {currency}; name another with --to"
        raise ConfigError(msg)
    if account["code"] == counter["code"] or account["shard"] != counter["shard"]:
        msg = f"{counter['code']} is the account itself, or is booked on another shard; name another one with --to"
        raise ConfigError(msg)


def approve(dsn: str, break_id: str, by: str) -> Report:
    """Post the correction that waits for a break; BallastError for the person who asked for it, and when the ledger refuses."""
    (broken,) = read_breaks(dsn, break_id)
    with connect(dsn, "api", "reconcile approve") as connection, connection.transaction():
        account = _account(connection, broken["account"])
        found = connection.execute(_WAITING, (break_id,)).fetchone()
        if found is None:
            msg = f"no correction waits for the break {break_id}; ask for one: ballast reconcile correct {break_id}"
            raise BallastError(msg)
        id_, counter, amount, effective_at, why, asked_by = found
        if _same_person(asked_by, by):
            msg = f"{asked_by} has asked for this correction; somebody else has to approve it"
            raise BallastError(msg)
        posting = reconciliation(
            Correction(
                id_,
                break_id,
                account["code"],
                counter,
                broken["currency"],
                account["normal_side"] * int(amount),
                ms_of(effective_at),
                broken["line_ids"],
                broken["transaction_ids"],
                why,
                asked_by,
                by,
            )
        )
        outcome = act(dsn, "reconcile approve", posting, account["shard"], f"the break {break_id} cannot be corrected")
        connection.execute(_APPROVE, (by, posting.id, id_))
    return {"break_id": break_id, "transaction_id": posting.id, "outcome": outcome, "approved_by": by}


def _same_person(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def breaks_of(found: Sequence[ReconException]) -> list[Report]:
    """Return breaks as people read them, the worst first."""
    names = ("break_id", "kind", "severity", "account", "currency", "amount", "age_seconds", "why")
    ordered = sorted(found, key=lambda one: (-SEVERITIES.index(one.severity), one.since, one.break_id))
    return [{name: getattr(one, name) for name in names} for one in ordered if one.state == "open"]


def rows_of(told: Sequence[Told]) -> list[Report]:
    """Return a row per comparison, as people read it."""
    names = ("account", "source", "currency", "until", "verdict", "matches", "in_transit", "breaks", "worst")
    amounts = ("book", "external", "in_transit_amount", "difference")
    rows = [{name: getattr(one.report, name) for name in (*names, *amounts)} for one in told]
    return plain_rows([{**row, "until": datetime_of(row["until"])} for row in rows])
