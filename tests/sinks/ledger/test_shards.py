"""Several shards: one writer each, accounts of its own, and clearing between them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.accounts import Account
from domain.clearing import clearing_accounts, post_across, split
from domain.journal import CREDIT, Transaction
from sinks.ledger import PostgresLedger
from tests.domain.ledger_workloads import credit, debit, posting
from tests.sinks.ledger_checks import Sql, assert_books_tie, outcomes

pytestmark = pytest.mark.postgres

USERS = [Account(1000 + n, f"U{n}", CREDIT, "Test", shard=n % 2, min_available=-100 if n == 0 else None) for n in range(4)]
ACCOUNTS = [*USERS, *clearing_accounts(range(2))]
SHARD_OF = {account.code: account.shard for account in USERS}


def paid(number: int, giver: str, taker: str, amount: int) -> Transaction:
    """One user pays another."""
    return posting(number, debit(giver, amount), credit(taker, amount))


def test_two_writers_work_side_by_side(dsn: str, sql: Sql) -> None:
    """Each shard has its writer, its chain and its fence; neither knows the other's accounts."""
    ledgers = [PostgresLedger(dsn, shard, accounts=ACCOUNTS, batch_max=10) for shard in range(2)]
    runs = [[paid(100 * shard + n, f"U{shard}", f"U{shard + 2}", 1) for n in range(80)] for shard in range(2)]
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(outcomes, ledgers, runs))
    assert [["posted"] * 80] * 2 == said
    assert "unknown_account" == ledgers[0].post([paid(999, "U1", "U3", 1)]).verdicts[0].reason
    assert sql("SELECT shard, sum(n_tx) FROM ledger.batch GROUP BY shard ORDER BY shard") == [(0, 80), (1, 80)]
    for ledger in ledgers:
        ledger.close()
    assert_books_tie(sql)


def test_a_transaction_over_both_shards_clears(dsn: str, sql: Sql) -> None:
    """Both parts are posted and the clearing accounts come to zero; what the home shard refuses leaves no part."""
    ledgers = {shard: PostgresLedger(dsn, shard, accounts=ACCOUNTS) for shard in range(2)}
    for number, amount in ((1, 60), (2, 70)):
        post_across(ledgers, split(paid(number, "U0", "U1", amount), SHARD_OF.__getitem__, 0))
    balances = sql("SELECT account, settled::INT FROM ledger.balances ORDER BY account")
    assert balances == [("CLEARING/0/1", -60), ("CLEARING/1/0", 60), ("U0", -60), ("U1", 60)]
    assert sql("SELECT reason FROM ledger.rejected") == [("over_limit",)]
    for ledger in ledgers.values():
        ledger.close()
    assert_books_tie(sql)
