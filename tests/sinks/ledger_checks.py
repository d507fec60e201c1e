"""What tests of the ledger in Postgres look at: outcomes, entries as rows, and whether the books tie."""

from collections.abc import Callable, Sequence
from typing import Any

from domain.journal import Transaction
from sinks.ledger import PostgresLedger

Open = Callable[..., PostgresLedger]
Sql = Callable[..., list[Any]]


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


def assert_books_tie(sql: Sql) -> None:
    """Every balance is what its entries sum to, everything balances, and the chain is whole."""
    assert (
        sql("""
        SELECT b.account_id, b.currency FROM ledger.balance b LEFT JOIN ledger.entry n USING (account_id, currency)
        GROUP BY b.account_id, b.currency
        HAVING b.version <> count(n)
            OR b.settled_debit <> coalesce(sum(n.amount) FILTER (WHERE layer = 1 AND side = 1), 0)
            OR b.settled_credit <> coalesce(sum(n.amount) FILTER (WHERE layer = 1 AND side = -1), 0)
            OR b.pending_debit <> coalesce(sum(n.amount) FILTER (WHERE layer = 2 AND side = 1), 0)
            OR b.pending_credit <> coalesce(sum(n.amount) FILTER (WHERE layer = 2 AND side = -1), 0)
    """)
        == []
    )
    assert sql("SELECT * FROM ledger.trial_balance WHERE NOT is_balanced") == []
    assert sql("SELECT * FROM ledger.chain WHERE NOT (is_intact AND is_linked)") == []
