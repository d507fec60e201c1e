"""What tests of the ledger in Postgres look at: outcomes, entries as rows, and whether the books tie."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from domain.errors import FencedError
from domain.ledger.journal import Transaction
from sinks.ledger.writer import PostgresLedger
from tests.waiting import until

Open = Callable[..., PostgresLedger]
Sql = Callable[..., list[Any]]

# Only what is connected to the test's own database: a server is shared by tests that run at the same time.
CUT_OFF = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
)
LOCKS = """
    SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND d.datname = current_database()
"""


def opened_in_turn(open_one: Callable[[], PostgresLedger]) -> PostgresLedger:
    """Open a writer, once the server has noticed that the one before is gone."""
    opened: list[PostgresLedger] = []

    def is_open() -> bool:
        with suppress(FencedError):
            opened.append(open_one())
        return bool(opened)

    until(is_open, "the server to notice that the writer before is gone")
    return opened[0]


def outcomes(ledger: Any, transactions: Sequence[Transaction]) -> list[str]:
    """The outcomes of posting these."""
    return [str(verdict.outcome) for verdict in ledger.post(transactions).verdicts]


def entries_of(sql: Sql) -> list[dict[str, Any]]:
    """All entries, in the order in which they were booked, as the ledger in memory gives them."""
    rows = sql("""
        SELECT json_build_object('tx_id', n.tx_id, 'leg', n.leg, 'account', a.code, 'currency', n.currency,
            'layer', n.layer, 'side', n.side, 'amount', n.amount, 'balance_after', n.balance_after,
            'version', n.version)
        FROM ledger.entry n JOIN ledger.tx t USING (tx_id) JOIN ledger.account a USING (account_id)
        ORDER BY t.batch_id, t.position, n.leg
    """)
    return [row[0] for row in rows]


_BREACHES = {
    "a balance is not the sum of its entries": """
        SELECT b.account_id, b.currency FROM ledger.balance b LEFT JOIN ledger.entry n USING (account_id, currency)
        GROUP BY b.account_id, b.currency
        HAVING b.version <> count(n)
            OR b.settled_debit <> coalesce(sum(n.amount) FILTER (WHERE layer = 1 AND side = 1), 0)
            OR b.settled_credit <> coalesce(sum(n.amount) FILTER (WHERE layer = 1 AND side = -1), 0)
            OR b.pending_debit <> coalesce(sum(n.amount) FILTER (WHERE layer = 2 AND side = 1), 0)
            OR b.pending_credit <> coalesce(sum(n.amount) FILTER (WHERE layer = 2 AND side = -1), 0)
            OR b.encumbered_debit <> coalesce(sum(n.amount) FILTER (WHERE layer = 3 AND side = 1), 0)
            OR b.encumbered_credit <> coalesce(sum(n.amount) FILTER (WHERE layer = 3 AND side = -1), 0)
    """,
    "entries belong to no balance": """
        SELECT n.account_id FROM ledger.entry n LEFT JOIN ledger.balance b USING (account_id, currency)
        WHERE b.account_id IS NULL
    """,
    "versions have a gap, or a balance after an entry is not the running sum": """
        SELECT * FROM (
            SELECT n.tx_id, n.version, n.balance_after,
                row_number() OVER (PARTITION BY n.account_id, n.currency ORDER BY n.version) AS nth,
                sum(n.side * n.amount) OVER (PARTITION BY n.account_id, n.currency, n.layer ORDER BY n.version) AS running
            FROM ledger.entry n
        ) k WHERE k.version <> k.nth OR k.balance_after <> k.running
    """,
    "a transaction does not balance": """
        SELECT tx_id FROM ledger.entry GROUP BY tx_id, currency, layer HAVING sum(side * amount) <> 0
    """,
    "a transaction has other entries than it says": """
        SELECT t.tx_id FROM ledger.tx t LEFT JOIN ledger.entry n USING (tx_id)
        GROUP BY t.tx_id HAVING count(n) <> t.n_entries
    """,
    "an id was both posted and rejected": "SELECT tx_id FROM ledger.tx JOIN ledger.reject USING (tx_id)",
    "the sums by effective date are not those of the entries": """
        SELECT * FROM (
            SELECT account_id, currency, layer, effective_date AS day, sum(delta) AS moved FROM ledger.effective_delta
            GROUP BY 1, 2, 3, 4
        ) d FULL JOIN (
            SELECT n.account_id, n.currency, n.layer, (t.effective_at AT TIME ZONE 'UTC')::DATE AS day,
                sum(n.side * n.amount) AS moved
            FROM ledger.entry n JOIN ledger.tx t USING (tx_id) GROUP BY 1, 2, 3, 4
        ) e USING (account_id, currency, layer, day)
        WHERE d.moved IS DISTINCT FROM e.moved
    """,
    "more was released than was held, or something is left of a hold that has ended": """
        SELECT s.hold FROM (
            SELECT t.tx_id AS hold, t.tx_id FROM ledger.tx t WHERE t.relation IS NULL
            UNION ALL SELECT r.cause_tx_id, r.tx_id FROM ledger.resolution r WHERE r.relation <> 'reversed'
        ) s JOIN ledger.entry n ON n.tx_id = s.tx_id AND n.layer > 1
        GROUP BY s.hold, n.account_id, n.currency, n.layer, n.side
        HAVING sum(n.amount) < 0 OR (sum(n.amount) > 0 AND EXISTS (
            SELECT FROM ledger.resolution r WHERE r.cause_tx_id = s.hold AND r.is_final AND r.relation <> 'reversed'))
    """,
    "a transaction and its reversal do not come to zero": """
        SELECT r.tx_id FROM ledger.resolution r JOIN ledger.entry n ON n.tx_id IN (r.tx_id, r.cause_tx_id) AND n.layer = 1
        WHERE r.relation = 'reversed' GROUP BY r.tx_id, n.account_id, n.currency HAVING sum(n.side * n.amount) <> 0
    """,
    "a balance is beyond its limit": """
        SELECT account FROM ledger.balances WHERE available < min_available OR settled > max_balance
    """,
    "debits and credits differ": "SELECT * FROM ledger.trial_balance WHERE NOT is_balanced",
    "the chain of batches is broken": "SELECT * FROM ledger.chain WHERE NOT (is_intact AND is_linked)",
    "a tally is not what it counts": """
        SELECT * FROM ledger.tally t FULL JOIN (
            SELECT b.shard, k.template, k.outcome, count(*) AS n FROM (
                SELECT batch_id, template, 'posted' AS outcome FROM ledger.tx
                UNION ALL SELECT batch_id, template, 'rejected' FROM ledger.reject
                UNION ALL SELECT batch_id, template, 'conflict' FROM ledger.conflict
            ) k JOIN ledger.batch b USING (batch_id) GROUP BY 1, 2, 3
        ) c USING (shard, template, outcome) WHERE t.n IS DISTINCT FROM c.n
    """,
    "a batch is not what it says": """
        SELECT b.batch_id FROM ledger.batch b
        WHERE b.n_tx <> (SELECT count(*) FROM ledger.tx t WHERE t.batch_id = b.batch_id)
            OR b.n_rejected <> (SELECT count(*) FROM ledger.reject r WHERE r.batch_id = b.batch_id)
            OR b.n_conflicts <> (SELECT count(*) FROM ledger.conflict c WHERE c.batch_id = b.batch_id)
    """,
}


def assert_books_tie(sql: Sql) -> None:
    """Everything that must hold of a ledger, whatever happened to it, told by what is wrong and where."""
    found = {what: rows for what, query in _BREACHES.items() if (rows := sql(query))}
    assert found == {}
