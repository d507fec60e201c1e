"""What each role may do, tried statement by statement: it is enough for its work, and no more."""

import os
from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from sinks.migrations import migrate
from tests.sinks.ledger.intruder import NEW, POSTED, Intruder, moved, seed

pytestmark = pytest.mark.postgres

NO_RIGHT = "42501"
NOBODY = "pg_signal_backend"  # a role of Postgres' own, which has no right to any table

TABLES = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('ledger', 'treasury') ORDER BY 1"
VIEWS = "SELECT schemaname || '.' || viewname FROM pg_views WHERE schemaname IN ('ledger', 'treasury') ORDER BY 1"
RIGHTS = """
    SELECT c.relnamespace::REGNAMESPACE || '.' || c.relname, p.way
    FROM pg_class c CROSS JOIN (VALUES (1, 'INSERT'), (2, 'UPDATE'), (3, 'DELETE'), (4, 'TRUNCATE'), (5, 'TRIGGER')) p (n, way)
    WHERE c.relnamespace IN ('ledger'::REGNAMESPACE, 'treasury'::REGNAMESPACE, 'settlement'::REGNAMESPACE)
            AND c.relkind IN ('r', 'v') AND CASE
        WHEN p.n <= 2 THEN has_any_column_privilege(%(role)s, c.oid, p.way)
        ELSE has_table_privilege(%(role)s, c.oid, p.way)
    END ORDER BY c.relname, p.n
"""

WRITES = {
    "ballast_reader": "",
    NOBODY: "",
    "ballast_writer": """
        ledger.account INSERT, ledger.balance INSERT, ledger.balance UPDATE, ledger.batch INSERT, ledger.conflict INSERT,
        ledger.entry INSERT, ledger.reject INSERT, ledger.tx INSERT, ledger.velocity_limit INSERT, ledger.writer INSERT,
        ledger.writer UPDATE, ledger.writer_beat INSERT, ledger.writer_beat UPDATE
    """,
    "ballast_api": """
        ledger.account INSERT, ledger.account UPDATE, treasury.buffer_thresholds INSERT, treasury.buffer_thresholds UPDATE,
        ledger.closed_period INSERT, treasury.correction INSERT, treasury.correction UPDATE,
        ledger.velocity_limit INSERT, ledger.velocity_limit UPDATE, ledger.velocity_limit DELETE
    """,
    "ballast_executor": """
        treasury.alert INSERT, treasury.buffer_level INSERT, treasury.buffer_level UPDATE, treasury.conversion_job INSERT,
        treasury.conversion_job UPDATE, treasury.conversion_job_change INSERT, settlement.customer_terms INSERT,
        treasury.decision INSERT, settlement.fee_schedule INSERT,
        treasury.gauge INSERT, treasury.gauge UPDATE, settlement.instrument INSERT, treasury.leg_refusal INSERT,
        treasury.net_settlement INSERT,
        treasury.net_settlement UPDATE, treasury.net_window INSERT, treasury.net_window UPDATE, treasury.policy INSERT,
        treasury.provider INSERT, treasury.provider_health INSERT, treasury.provider_health UPDATE,
        treasury.quarantine INSERT, treasury.recon_break INSERT, treasury.recon_break UPDATE, treasury.recon_match INSERT,
        treasury.recon_match UPDATE, treasury.recon_report INSERT, settlement.reconciliation_error INSERT,
        settlement.reconciliation_error UPDATE, settlement.reconciliation_job INSERT, settlement.refusal INSERT,
        treasury.request INSERT, treasury.request UPDATE,
        treasury.request_change INSERT, treasury.statement INSERT, treasury.threshold INSERT
    """,
}
BUFFERS = """
    treasury.threshold treasury.provider treasury.conversion_job treasury.conversion_job_change treasury.net_window
    treasury.net_settlement treasury.buffer_level treasury.provider_health treasury.buffer_thresholds treasury.v_buffer_status
    treasury.v_buffer_forecast treasury.v_conversion_jobs treasury.v_active_conversion_jobs treasury.v_stale_jobs
    treasury.v_conversion_stats treasury.v_provider_health treasury.v_net_settlement
"""
READS = {
    "ballast_reader": ("ledger", "treasury"),
    "ballast_writer": ("ledger",),
    "ballast_api": ("ledger",),
    NOBODY: (),
}

ALLOWED: list[tuple[str, LiteralString]] = [
    ("ballast_writer", "UPDATE ledger.writer SET fence = fence + 1, host = 'b', pid = 2, since = now() WHERE shard = 0"),
    ("ballast_writer", "INSERT INTO ledger.writer (shard, fence, host, pid) VALUES (9, 1, 'b', 2)"),
    ("ballast_writer", "INSERT INTO ledger.account (account_id, code, journal, normal_side) VALUES (9, 'NINE', 'Test', 1)"),
    ("ballast_writer", "INSERT INTO ledger.velocity_limit VALUES (101, 'USD', 60, 5)"),
    ("ballast_api", "INSERT INTO ledger.account (code, journal, normal_side, parent_id) VALUES ('NEW', 'Test', 1, 105)"),
    ("ballast_api", "UPDATE ledger.account SET status = 'frozen', min_available = 0, max_balance = 9 WHERE code = 'CASH'"),
    ("ballast_api", "INSERT INTO ledger.velocity_limit VALUES (101, 'USD', 60, 5)"),
    ("ballast_api", "UPDATE ledger.velocity_limit SET amount_max = 6"),
    ("ballast_api", "DELETE FROM ledger.velocity_limit"),
    ("ballast_api", "INSERT INTO ledger.closed_period (closed_until, manifest) VALUES ('2023-01-01', '{}')"),
    ("ballast_executor", "SELECT available FROM ledger.balances"),
    ("ballast_executor", "SELECT amount FROM treasury.decision"),
    ("ballast_executor", "SELECT stage FROM treasury.request_state"),
    ("ballast_executor", "UPDATE treasury.request SET state = 'sent', stage = 'sent', sent_at = now()"),
    ("ballast_migrator", "CREATE TABLE ledger.more (id INT)"),
    ("ballast_migrator", "ALTER TABLE ledger.entry ADD COLUMN more INT"),
]

REFUSED: list[tuple[str, LiteralString, str]] = [
    # What only triggers write.
    ("ballast_writer", "INSERT INTO ledger.batch_seal VALUES (1, 2)", NO_RIGHT),
    ("ballast_writer", "INSERT INTO ledger.writer_beat VALUES (0, 7, now())", NO_RIGHT),
    ("ballast_writer", "INSERT INTO ledger.account_change VALUES (99, '[]', now(), 'eve', sha256(''))", NO_RIGHT),
    ("ballast_writer", "INSERT INTO ledger.effective_delta VALUES (101, 'USD', 1, '2023-11-14', 9, 1)", NO_RIGHT),
    ("ballast_writer", "INSERT INTO ledger.velocity_use VALUES (101, 'USD', 60, 0, -9)", NO_RIGHT),
    ("ballast_writer", "UPDATE ledger.velocity_use SET used = 0", NO_RIGHT),
    ("ballast_writer", "UPDATE ledger.tally SET n = 9", NO_RIGHT),
    ("ballast_executor", "UPDATE treasury.tally SET n = 9", NO_RIGHT),
    ("ballast_executor", "INSERT INTO treasury.tally VALUES ('hold', 'hedge/none', 9)", NO_RIGHT),
    (
        "ballast_writer",
        "INSERT INTO ledger.resolution SELECT tx_id, 'voided', 0, TRUE, tx_id FROM ledger.tx",
        NO_RIGHT,
    ),
    ("ballast_writer", "UPDATE ledger.writer SET reference_revision = 0", NO_RIGHT),
    ("ballast_writer", "UPDATE ledger.balance SET min_available = NULL", NO_RIGHT),
    ("ballast_writer", "UPDATE ledger.balance SET max_balance = NULL", NO_RIGHT),
    ("ballast_writer", "UPDATE ledger.balance SET normal_side = -normal_side", NO_RIGHT),
    # What others decide.
    ("ballast_writer", "UPDATE ledger.account SET min_available = NULL", NO_RIGHT),
    ("ballast_writer", "UPDATE ledger.account SET status = 'open'", NO_RIGHT),
    ("ballast_writer", "UPDATE ledger.velocity_limit SET amount_max = 9", NO_RIGHT),
    ("ballast_writer", "DELETE FROM ledger.velocity_limit", NO_RIGHT),
    ("ballast_writer", "INSERT INTO ledger.closed_period (closed_until) VALUES ('2020-01-01')", NO_RIGHT),
    ("ballast_writer", "SELECT amount FROM treasury.decision", NO_RIGHT),
    # What the database says by itself.
    ("ballast_writer", "UPDATE ledger.writer SET shard = 8 WHERE shard = 0", NO_RIGHT),
    ("ballast_writer", "INSERT INTO ledger.batch (recorded_at) VALUES ('2020-01-01')", NO_RIGHT),
    ("ballast_writer", "INSERT INTO ledger.batch (batch_id) OVERRIDING SYSTEM VALUE VALUES (9)", NO_RIGHT),
    (
        "ballast_api",
        "INSERT INTO ledger.account (account_id, code, journal, normal_side) VALUES (9, 'X', 'Test', 1)",
        NO_RIGHT,
    ),
    ("ballast_api", "INSERT INTO ledger.closed_period (closed_until, closed_by) VALUES ('2023-01-01', 'eve')", NO_RIGHT),
    (
        "ballast_api",
        "INSERT INTO ledger.closed_period (closed_until, closed_at) VALUES ('2023-01-01', '2023-01-02')",
        NO_RIGHT,
    ),
    # The history, for all.
    ("ballast_writer", "DELETE FROM ledger.entry", NO_RIGHT),
    ("ballast_writer", "UPDATE ledger.tx SET meta = '{}'", NO_RIGHT),
    ("ballast_writer", "TRUNCATE ledger.reject", NO_RIGHT),
    ("ballast_migrator", "DELETE FROM ledger.entry", "LG009"),
    ("ballast_migrator", "UPDATE ledger.tx SET meta = '{}'", "LG009"),
    ("ballast_migrator", "TRUNCATE ledger.reject", "LG009"),
    ("ballast_migrator", "UPDATE ledger.balance SET settled_debit = settled_debit + 1", "LG004"),
    # The API moves no money.
    ("ballast_api", "UPDATE ledger.balance SET settled_debit = 9", NO_RIGHT),
    ("ballast_api", "INSERT INTO ledger.batch (shard) VALUES (0)", NO_RIGHT),
    ("ballast_api", "INSERT INTO ledger.tx (tx_id) VALUES (gen_random_uuid())", NO_RIGHT),
    ("ballast_api", "UPDATE ledger.writer SET fence = fence + 1", NO_RIGHT),
    ("ballast_api", "UPDATE ledger.account SET shard = 1", NO_RIGHT),
    ("ballast_api", "UPDATE ledger.account SET is_summary = FALSE", NO_RIGHT),
    ("ballast_api", "UPDATE ledger.account SET code = 'X'", NO_RIGHT),
    # The executor reads books in the form of their views, and asks for nothing twice.
    ("ballast_executor", "SELECT amount FROM ledger.entry", NO_RIGHT),
    ("ballast_executor", "UPDATE treasury.request SET body = '{}'", NO_RIGHT),
    ("ballast_executor", "UPDATE treasury.request SET slot = 'another'", NO_RIGHT),
    ("ballast_executor", "INSERT INTO treasury.request_state VALUES ('order', 'lost', 'ended', FALSE)", NO_RIGHT),
    ("ballast_executor", "UPDATE treasury.decision SET amount = 9", NO_RIGHT),
    ("ballast_executor", "DELETE FROM treasury.quarantine", NO_RIGHT),
    ("ballast_executor", "DELETE FROM treasury.gauge", NO_RIGHT),
    ("ballast_executor", "SELECT raw FROM treasury.quarantine", NO_RIGHT),
    ("ballast_executor", "SELECT amount FROM treasury.correction", NO_RIGHT),
    ("ballast_executor", "UPDATE treasury.recon_report SET breaks = 0", NO_RIGHT),
    ("ballast_api", "UPDATE treasury.correction SET amount = 9", NO_RIGHT),
    ("ballast_api", "UPDATE treasury.recon_break SET state = 'closed'", NO_RIGHT),
    ("ballast_api", "INSERT INTO treasury.threshold (body, origin, login) VALUES ('{}', 'sql', 'eve')", NO_RIGHT),
    ("ballast_api", "UPDATE treasury.buffer_thresholds SET origin = 'topic'", NO_RIGHT),
    ("ballast_api", "DELETE FROM treasury.buffer_thresholds", "55000"),
    ("ballast_executor", "UPDATE treasury.buffer_thresholds SET min = 1", NO_RIGHT),
    ("ballast_executor", "UPDATE treasury.conversion_job SET created_at = now()", NO_RIGHT),
    ("ballast_executor", "INSERT INTO treasury.threshold (body, origin, login) VALUES ('{}', 'sql', 'eve')", NO_RIGHT),
    ("ballast_migrator", "DELETE FROM treasury.request_change", "23001"),
]

AROUND_THE_GUARDS: list[LiteralString] = [
    "SET session_replication_role = replica",
    "ALTER TABLE ledger.entry DISABLE TRIGGER ALL",
    "DROP TRIGGER entries_fit ON ledger.entry",
    "ALTER TABLE ledger.balance DROP CONSTRAINT balance_max",
    "ALTER TABLE ledger.entry OWNER TO CURRENT_USER",
    "CREATE TABLE ledger.mine (id INT)",
    "CREATE FUNCTION ledger.mine() RETURNS INT LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TEMP TABLE t (tx_id UUID); CREATE TRIGGER t AFTER INSERT ON t REFERENCING NEW TABLE AS new_rows"
    " FOR EACH STATEMENT EXECUTE FUNCTION ledger.headers_fit()",
    "CREATE TEMP TABLE t (id INT); CREATE TRIGGER t BEFORE INSERT ON t EXECUTE FUNCTION ledger.reference_changes()",
    "SELECT ledger.causes_fit(1)",
]


@pytest.fixture(scope="module")
def seeded(postgres: str, migrated: str) -> Iterator[str]:
    """A database with a little in it, for all tests of this file: none of them commits."""
    name = f"ballast_roles_{os.getpid()}"
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE {migrated}")  # type: ignore[arg-type]
        dsn = make_conninfo(postgres, dbname=name)
        with psycopg.connect(dsn) as connection:
            seed(Intruder(connection))
        yield dsn
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


@pytest.fixture
def connection(seeded: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A transaction that is not committed."""
    with psycopg.connect(seeded) as connection:
        yield connection
        connection.rollback()


Connection = psycopg.Connection[tuple[Any, ...]]


def act_as(connection: Connection, role: str) -> None:
    connection.execute(f"SET LOCAL ROLE {role}")  # type: ignore[arg-type]


def names(connection: Connection, query: LiteralString) -> list[str]:
    return [row[0] for row in connection.execute(query)]


@pytest.mark.parametrize("role", WRITES)
def test_a_role_writes_what_its_work_needs_and_nothing_else(connection: Connection, role: str) -> None:
    """Of all tables and views, and of all ways to change them, these are allowed, in whole or for some columns."""
    found = [f"{table} {right}" for table, right in connection.execute(RIGHTS, {"role": role})]
    assert [right.strip() for right in WRITES[role].split(",") if right.strip()] == sorted(found, key=found.index)


@pytest.mark.parametrize("role", READS)
def test_a_role_reads_whole_schemas_or_nothing(connection: Connection, role: str) -> None:
    """Every table and view of a schema, those of later migrations included, or none of them but the states of requests: whoever
    starts looks whether one is missing. Who corrects a break reads it, and what was asked for; who sets thresholds reads what
    is known of buffers."""
    tables = names(connection, TABLES) + names(connection, VIEWS)
    may_start = role != NOBODY
    more = {"treasury.request_state"} if may_start else set()
    more |= {"treasury.recon_break", "treasury.correction", *BUFFERS.split()} if role == "ballast_api" else set()
    readable = [t for t in tables if t.split(".")[0] in READS[role] or t in more]
    asked = "SELECT n FROM unnest(%s::TEXT[]) n WHERE has_schema_privilege(%s, split_part(n, '.', 1), 'USAGE')"
    found = connection.execute(asked + " AND has_table_privilege(%s, n, 'SELECT')", (tables, role, role))
    assert readable == [row[0] for row in found]


@pytest.mark.parametrize(("role", "statement"), ALLOWED)
def test_what_is_allowed_works(connection: Connection, role: str, statement: LiteralString) -> None:
    """The work of a role is done in that role."""
    act_as(connection, role)
    connection.execute(statement)


@pytest.mark.parametrize(("role", "statement", "code"), REFUSED)
def test_what_is_not_allowed_is_refused(connection: Connection, role: str, statement: LiteralString, code: str) -> None:
    """Each with the SQLSTATE of the guard that stands in its way."""
    act_as(connection, role)
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement)
    assert code == caught.value.sqlstate


@pytest.mark.parametrize("role", ["ballast_writer", "ballast_executor", "ballast_api", "ballast_reader", NOBODY])
@pytest.mark.parametrize("statement", AROUND_THE_GUARDS)
def test_nobody_gets_around_the_guards(connection: Connection, role: str, statement: LiteralString) -> None:
    """Who does not own the tables cannot switch off, replace or borrow what guards them."""
    act_as(connection, role)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_what_triggers_write_for_the_writer_is_there(connection: Connection) -> None:
    """The writer posts, and seal, resolution, sums by date and use of limits come with it."""
    connection.execute("INSERT INTO ledger.velocity_limit VALUES (102, 'USD', 60, 5)")
    act_as(connection, "ballast_writer")
    writer = Intruder.__new__(Intruder)
    writer.connection, writer.shard, writer.fence = connection, 0, 7
    cause = {"relation": "reverses", "cause_tx_id": POSTED, "is_final": True}
    writer.book(NEW[0], moved(102, 101, 5), **cause)
    counts = [
        writer.one(f"SELECT count(*) FROM ledger.{table}")  # noqa: S608 - four names
        for table in ("batch_seal", "resolution", "effective_delta", "velocity_use")
    ]
    assert counts == [2, 1, 4, 1]


def test_limits_reach_the_balances_though_the_api_may_not_write_there(connection: Connection) -> None:
    """And a closed period is signed by the login, not by the role."""
    act_as(connection, "ballast_api")
    connection.execute("UPDATE ledger.account SET max_balance = 6 WHERE code = 'CASH'")
    connection.execute("INSERT INTO ledger.closed_period (closed_until) VALUES ('2023-01-01')")
    assert connection.execute("SELECT max_balance FROM ledger.balances WHERE account = 'CASH'").fetchone() == (6,)
    assert connection.execute("SELECT closed_by = session_user FROM ledger.closed_period").fetchone() == (True,)


UNSAFE = """
    SELECT p.oid::REGPROCEDURE::TEXT FROM pg_proc p
    WHERE p.pronamespace IN ('ledger'::REGNAMESPACE, 'treasury'::REGNAMESPACE) AND (
        (p.prorettype = 'trigger'::REGTYPE OR p.prosecdef)
        AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(p.proconfig, '{}'))
        OR p.prosecdef AND (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = p.proowner)
        OR p.prosecdef AND EXISTS (
            SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0
        )
    ) ORDER BY 1
"""
DEFINERS = """
    SELECT p.oid::REGPROCEDURE::TEXT FROM pg_proc p
    WHERE p.pronamespace = 'ledger'::REGNAMESPACE AND p.prosecdef AND p.prorettype = 'trigger'::REGTYPE ORDER BY 1
"""


def test_functions_that_guard_are_safe(connection: Connection) -> None:
    """They search Postgres' own schema alone; with their owner's rights run these, not a superuser's and not for all."""
    assert names(connection, UNSAFE) == []
    guards = (
        ["account_changes", "account_has_parent", "account_is_told", "account_opens", "balances_move", "balances_open"],
        ["entries_fit", "headers_fit", "period_follows", "reference_changes", "tallies_grow"],
    )
    assert names(connection, DEFINERS) == [f"ledger.{name}()" for some in guards for name in some]


def test_nothing_is_for_everybody(connection: Connection) -> None:
    """PUBLIC has no right to a schema, a table or a view."""
    granted = """
        SELECT c.relname FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.relnamespace IN ('ledger'::REGNAMESPACE, 'treasury'::REGNAMESPACE, 'settlement'::REGNAMESPACE)
            AND a.grantee = 0
        UNION ALL
        SELECT n.nspname FROM pg_namespace n, aclexplode(n.nspacl) a
        WHERE n.nspname IN ('ledger', 'treasury', 'settlement') AND a.grantee = 0
    """
    assert names(connection, granted) == []


def test_who_may_not_create_roles_can_migrate_where_they_are(empty_dsn: str) -> None:
    """The tables stay with the login that created them, and the guards hold all the same."""
    login = f"ballast_owner_{os.getpid()}"
    with psycopg.connect(empty_dsn, autocommit=True) as chief:
        chief.execute(f"CREATE ROLE {login} LOGIN PASSWORD 'guard'")  # type: ignore[arg-type]
        chief.execute(f"ALTER DATABASE {chief.info.dbname} OWNER TO {login}")  # type: ignore[arg-type]
        try:
            assert migrate(make_conninfo(empty_dsn, user=login, password="guard"))  # noqa: S106 - lives for one test
            owner = "SELECT DISTINCT relowner::REGROLE::TEXT FROM pg_class WHERE relnamespace = 'ledger'::REGNAMESPACE"
            assert names(chief, owner) == [login]
            with psycopg.connect(empty_dsn) as posting:
                seed(Intruder(posting))
            act_on_history = "DELETE FROM ledger.tx"
            with pytest.raises(psycopg.Error) as caught:
                chief.execute(f"SET ROLE {login}; {act_on_history}")  # type: ignore[arg-type]
            assert caught.value.sqlstate == "LG009"
        finally:
            chief.execute("RESET ROLE")
            chief.execute(f"ALTER DATABASE {chief.info.dbname} OWNER TO CURRENT_USER")  # type: ignore[arg-type]
            chief.execute(f"DROP OWNED BY {login} CASCADE; DROP ROLE {login}")  # type: ignore[arg-type]
