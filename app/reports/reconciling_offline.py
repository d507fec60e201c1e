"""Comparing a statement with the books of a folder: DuckDB reads them, no server is needed, and nothing is recorded.

The folder is a snapshot or an archive that goes on, checked before it is believed; what is compared, and how, is the same.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.reports.audit.judge import look_into
from app.reports.reconciling import Compared, read_file
from app.settings import Settings
from connectors.clock import now_ms
from domain.errors import ConfigError
from domain.messages.recon import Statement
from domain.reconciling.breaks import Evidence, Occasion, compare
from domain.reconciling.items import Entry, Scope, entry_of
from domain.reconciling.records import Told, refusal
from domain.reconciling.rules import Rules
from sinks.archive.manifest import open_archive
from sinks.archive.parquet import Duck, duck
from sinks.archive.reading import snapshot_in

_ACCOUNT = "SELECT currency, normal_side FROM account WHERE code = ?"
_BELOW = """
CREATE OR REPLACE TEMP VIEW moved AS
WITH RECURSIVE below AS (
    SELECT account_id, code FROM account WHERE code = getvariable('account')
    UNION ALL
    SELECT a.account_id, a.code FROM below b JOIN account a ON a.parent_id = b.account_id
)
SELECT
    t.tx_id, t.effective_at_us, b.code, e.side * e.amount AS amount, t.correlation_id, t.relation, t.cause_tx_id, t.meta, t.source
FROM below b JOIN entry e USING (account_id) JOIN tx t USING (tx_id)
WHERE e.layer = 1 AND e.currency = getvariable('currency')
"""
_ENTRIES = """
SELECT CAST(tx_id AS VARCHAR), any_value(effective_at_us) // 1000 AS at_ms, CAST(sum(amount) AS VARCHAR), min(code),
    CAST(any_value(correlation_id) AS VARCHAR),
    any_value(CASE relation WHEN 'reverses' THEN CAST(cause_tx_id AS VARCHAR) END), any_value(meta)
FROM moved
WHERE effective_at_us >= $since * 1000
    AND (effective_at_us < $until * 1000 OR source = 'console/corrections' OR relation = 'reverses')
GROUP BY tx_id HAVING sum(amount) <> 0 ORDER BY at_ms, 1
"""
_BALANCE = "SELECT CAST(coalesce(sum(amount), 0) AS VARCHAR) FROM moved WHERE effective_at_us < ? * 1000"


def compare_folder(settings: Settings, folder: Path, files: Sequence[Path], source: str, account: str) -> Compared:
    """Compare statements of one account with the books of a folder; ConfigError when either cannot be believed."""
    with TemporaryDirectory(prefix="ballast-reconcile-") as scratch:
        archive = open_archive(snapshot_in(folder, Path(scratch)))
        with duck(Path(scratch)) as opened:
            look_into(opened, archive)
            currency, side = _account(opened, account)
            statements = _statements(files, source, account, currency)
            scope = Scope(source, account, currency)
            rules = settings.reconciling.rules_of(scope)
            evidence = _evidence(opened, scope, side, statements, rules)
    outcome = compare(scope, evidence, rules, Occasion(now_ms(), "folder"))
    return Compared([Told(outcome.report, outcome.exceptions)], outcome.exceptions)


def _account(opened: Duck, account: str) -> tuple[str, int]:
    row = opened.execute(_ACCOUNT, [account]).fetchone()
    if row is None:
        msg = f"the folder has no account {account}; its accounts are in ledger/account"
        raise ConfigError(msg)
    if row[0] is None:
        msg = f"the account {account} takes any currency; compare one that is bound to a currency"
        raise ConfigError(msg)
    return str(row[0]), int(row[1])


def _statements(files: Sequence[Path], source: str, account: str, currency: str) -> list[Statement]:
    told: list[Statement] = []
    for path in files:
        one = read_file(path, source, account, currency)
        refused = refusal(one, told)
        if refused is not None:
            msg = f"{path}: {refused}; give each statement once"
            raise ConfigError(msg)
        told.append(one)
    return sorted(told, key=lambda one: one.since)


def _evidence(opened: Duck, scope: Scope, side: int, statements: Sequence[Statement], rules: Rules) -> Evidence:
    until_ms = statements[-1].until
    opened.execute("SET VARIABLE account = ?", [scope.account])
    opened.execute("SET VARIABLE currency = ?", [scope.currency])
    opened.execute(_BELOW)
    period = {"since": statements[0].since - rules.window_ms, "until": until_ms + rules.window_ms}
    entries = [_entry(row, side) for row in opened.execute(_ENTRIES, period).fetchall()]
    balance = opened.execute(_BALANCE, [until_ms]).fetchone()
    return Evidence(statements, entries, side * int(balance[0] if balance else 0))


def _entry(row: Sequence[Any], side: int) -> Entry:
    id_, at_ms, amount, leaf, matter, reverses, meta = row
    return entry_of(id_, at_ms, side * int(amount), leaf, matter, reverses, meta)
