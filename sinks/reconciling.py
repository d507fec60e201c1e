"""Keeps statements, and what came of comparing them with the books, in Postgres.

A report is written with the matches and breaks that it changes, in one transaction and under an id that comes from its occasion:
made again it is not written again, and tells what it told.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Json

from domain.messages.recon import ReconException, ReconReport, Statement
from domain.reconciling.breaks import Evidence, Outcome, changes
from domain.reconciling.items import Entry, Line, Scope, entry_of
from domain.reconciling.records import Told, refusal, remembered, scope_of
from domain.reconciling.rules import Rules
from domain.reconciling.taken import Match
from domain.times import datetime_of
from sinks.ledger.export import snapshot
from sinks.postgres import Connection, connect
from sinks.queries import ask

_OF_SCOPE = "source = %(source)s AND account = %(account)s AND currency = %(currency)s"
_STATEMENTS = f"SELECT body::TEXT FROM treasury.statement WHERE {_OF_SCOPE} ORDER BY since"  # noqa: S608 - constants
_KEEP = """
INSERT INTO treasury.statement (source, account, currency, statement_id, since, until, opening, closing, body)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_SCOPES = "SELECT DISTINCT source, account, currency FROM treasury.statement ORDER BY 1, 2, 3"
_REPORT = """
INSERT INTO treasury.recon_report (
    report_id, source, account, currency, since, until, verdict,
    book, external, in_transit_amount, difference, breaks, body, as_of
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_OPEN = f"SELECT body::TEXT FROM treasury.recon_break WHERE state = 'open' AND {_OF_SCOPE}"  # noqa: S608 - constants
_BREAK = """
INSERT INTO treasury.recon_break (
    break_id, source, account, currency, owner_account, kind, state, severity, amount, since, body, report_id, first_report
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (break_id) DO UPDATE SET kind = excluded.kind, state = excluded.state, severity = excluded.severity,
    amount = excluded.amount, since = excluded.since, owner_account = excluded.owner_account, body = excluded.body,
    report_id = excluded.report_id
"""
_ENDED = f"""
UPDATE treasury.recon_match SET ended_report = %(report_id)s
WHERE ended_report IS NULL AND {_OF_SCOPE} AND NOT match_id = ANY(%(standing)s)
"""  # noqa: S608 - constants
_MATCHES = """
INSERT INTO treasury.recon_match (match_id, source, account, currency, rule, difference, evidence, first_report)
SELECT m.match_id, %s, %s, %s, m.rule, m.difference, m.evidence, %s
FROM unnest(%s::TEXT[], %s::TEXT[], %s::NUMERIC[], %s::JSON[]) AS m (match_id, rule, difference, evidence)
ON CONFLICT (match_id) DO UPDATE SET ended_report = NULL WHERE recon_match.ended_report IS NOT NULL
"""


class PostgresRecords:
    """`Records` in the treasury's tables; the books are read as of one moment."""

    def __init__(self, dsn: str) -> None:
        self._books = connect(dsn, "reader", "reconciling books")
        self._records = connect(dsn, "executor", "reconciling")

    def close(self) -> None:
        """Give the connections back."""
        self._books.close()
        self._records.close()

    def keep(self, told: Statement) -> str | None:
        refused = _unknown(self._books, told) or refusal(told, statements_of(self._records, scope_of(told)))
        if refused is None:
            period = (datetime_of(told.since), datetime_of(told.until))
            named = (told.source, told.account, told.currency, told.statement_id)
            self._records.execute(_KEEP, (*named, *period, told.opening, told.closing, told.model_dump_json()))
        return refused

    def scopes(self) -> Sequence[Scope]:
        return [Scope(*row) for row in self._records.execute(_SCOPES)]

    def evidence(self, scope: Scope, rules: Rules, memory_ms: int) -> Evidence:
        statements = remembered(statements_of(self._records, scope), memory_ms)
        return read_books(self._books, scope, statements, rules)

    def record(self, outcome: Outcome, scope: Scope) -> Told:
        with self._records.transaction():
            if self._records.execute(_REPORT, _report_row(outcome.report)).rowcount == 0:
                return self._told(outcome.report.report_id)
            known = {one.break_id: one for one in self.open_breaks(scope)}
            changed = changes(known, outcome.exceptions, outcome.report)
            with self._records.cursor() as cursor:
                cursor.executemany(_BREAK, [_break_row(one, scope) for one in changed])
            self._keep_matches(outcome, scope)
        return Told(outcome.report, changed)

    def _keep_matches(self, outcome: Outcome, scope: Scope) -> None:
        report_id, matches = outcome.report.report_id, {one.id: one for one in outcome.matches}
        self._records.execute(_ENDED.encode(), {**scope._asdict(), "report_id": report_id, "standing": list(matches)})
        if matches:
            columns = [list(column) for column in zip(*(_match_row(id_, one) for id_, one in matches.items()), strict=True)]
            self._records.execute(_MATCHES, (*scope, report_id, *columns))

    def open_breaks(self, scope: Scope) -> list[ReconException]:
        """Return the breaks of a scope that are open."""
        found = self._records.execute(_OPEN.encode(), scope._asdict())
        return [ReconException.model_validate_json(body) for (body,) in found]

    def _told(self, report_id: str) -> Told:
        """Return what a report told; of breaks that have changed since, their newest word."""
        of_report = "SELECT body::TEXT FROM treasury.recon_report WHERE report_id = %s"
        of_breaks = "SELECT body::TEXT FROM treasury.recon_break WHERE report_id = %s ORDER BY break_id"
        bodies = [body for (body,) in self._records.execute(of_report, (report_id,))]
        breaks = [body for (body,) in self._records.execute(of_breaks, (report_id,))]
        return Told(
            ReconReport.model_validate_json(bodies[0]), [ReconException.model_validate_json(body) for body in breaks]
        )


def statements_of(connection: Connection, scope: Scope) -> list[Statement]:
    """Return all statements of a scope, in the order of their periods."""
    found = connection.execute(_STATEMENTS.encode(), scope._asdict())
    return [Statement.model_validate_json(body) for (body,) in found]


def read_books(connection: Connection, scope: Scope, statements: Sequence[Statement], rules: Rules) -> Evidence:
    """Return statements with the books beside them, as of one moment."""
    since_ms, until_ms = statements[0].since - rules.window_ms, statements[-1].until
    period = {"since": datetime_of(since_ms), "until": datetime_of(until_ms + rules.window_ms)}
    named = {"account": scope.account, "currency": scope.currency}
    with snapshot(connection):
        rows = ask(connection, "reconciling_entries", {**named, **period})
        before = datetime_of(until_ms - 1)
        balances = ask(connection, "ledger_balance_effective", {"account": scope.account, "as_of": before})
    book = sum(int(row["balance"]) for row in balances if (row["currency"], row["layer"]) == (scope.currency, "settled"))
    return Evidence(statements, [_entry(row) for row in rows], book)


def _entry(row: Mapping[str, Any]) -> Entry:
    matter, reverses = row["correlation_id"], row["reverses"]
    return entry_of(row["tx_id"], row["effective_at_ms"], int(row["amount"]), row["leaf"], matter, reverses, row["meta"])


def _unknown(connection: Connection, told: Statement) -> str | None:
    """Return why a statement is of no account of ours, None when it is of one."""
    found = connection.execute("SELECT a.currency FROM ledger.account a WHERE a.code = %s", (told.account,)).fetchone()
    if found is None:
        return f"there is no account {told.account}; all of them: ballast ledger balance"
    if found[0] not in (None, told.currency):
        return f"the account {told.account} has {found[0]}, and the statement {told.statement_id} is in {told.currency}"
    return None


def _report_row(report: ReconReport) -> tuple[object, ...]:
    named = (report.report_id, report.source, report.account, report.currency)
    period = (datetime_of(report.since), datetime_of(report.until))
    totals = (report.book, report.external, report.in_transit_amount, report.difference, report.breaks)
    return (*named, *period, report.verdict, *totals, report.model_dump_json(), datetime_of(report.as_of))


def _break_row(one: ReconException, scope: Scope) -> tuple[object, ...]:
    facts = (one.account, one.kind, one.state, one.severity, one.amount, datetime_of(one.since), one.model_dump_json())
    return (one.break_id, *scope, *facts, one.report_id, one.report_id)


def _match_row(match_id: str, one: Match) -> tuple[object, ...]:
    evidence = {
        "lines": [_shown(line) for line in one.lines],
        "entries": [_shown(entry) for entry in one.entries],
        "apart_ms": one.apart_ms,
    }
    return match_id, one.rule, one.difference, Json(evidence)


def _shown(item: Line | Entry) -> dict[str, object]:
    return {"id": item.id, "at": item.at_ms, "amount": item.amount}
