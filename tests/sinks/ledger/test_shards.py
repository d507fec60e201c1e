"""Several shards: one writer each, accounts of its own, and clearing between them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.errors import ConfigError
from domain.ledger.accounts import CHART, Account
from domain.ledger.clearing import arriving, clearing_accounts, crossings_of, home_part
from domain.ledger.journal import CREDIT, Transaction
from domain.ledger.leaves import leaf_of, with_leaves
from sinks.ledger.writer import PostgresLedger
from sinks.postgres import connect
from sinks.queries import ask
from tests.domain.ledger.ledger_workloads import credit, debit, posting
from tests.sinks.ledger.checks import Sql, assert_books_tie, outcomes

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


def test_two_that_start_at_once_open_the_chart_once(dsn: str, sql: Sql) -> None:
    """Whoever comes second finds the accounts that the first has opened, and books on its own."""
    accounts = [*CHART, *clearing_accounts(range(2))]
    with ThreadPoolExecutor(2) as pool:
        opened = list(pool.map(lambda shard: PostgresLedger(dsn, shard, accounts=accounts), range(2)))
    for ledger in opened:
        ledger.close()
    found = sql("SELECT code, account_id FROM ledger.account ORDER BY 1")
    assert [code for code, _ in found] == sorted(account.code for account in accounts)
    assert {(one.code, one.id) for one in accounts if one.id} <= set(found)


@pytest.mark.parametrize(("begun", "asked"), [(1, 2), (2, 1), (2, 3), (3, 2)])
def test_over_how_many_shards_trades_are_spread_is_fixed(dsn: str, sql: Sql, begun: int, asked: int) -> None:
    """A start with another number is refused in a sentence, in whichever shard, and opens nothing; with the same it goes on."""
    charts = {number: with_leaves(CHART, (0, *range(2, number + 1))) for number in (begun, asked)}
    PostgresLedger(dsn, accounts=charts[begun]).close()
    accounts = sql("SELECT count(*) FROM ledger.account")
    with pytest.raises(ConfigError, match=f"spread over {begun} shards, and ledger.trade_shards says {asked}"):
        PostgresLedger(dsn, accounts=charts[asked])
    PostgresLedger(dsn, accounts=charts[begun]).close()
    assert accounts == sql("SELECT count(*) FROM ledger.account")


def test_what_is_owed_is_the_sum_of_the_leaves(dsn: str) -> None:
    """Each shard books trades on its leaves, none on the account above; a report reads the account by its name."""
    chart = with_leaves(CHART, (0, 2))
    ledgers = {shard: PostgresLedger(dsn, shard, accounts=chart) for shard in (0, 2)}
    refused = {0: "not_a_leaf", 2: "unknown_account"}
    for shard, ledger in ledgers.items():
        code = leaf_of("STABLESATS_OMNIBUS", shard)
        assert ["posted"] == outcomes(ledger, [owed(shard + 1, code, 70 + shard)])
        assert refused[shard] == ledger.post([owed(10 + shard, "STABLESATS_OMNIBUS", 1)]).verdicts[0].reason
        ledger.close()
    with connect(dsn, "reader", "test") as connection:
        asked = {"account": "STABLESATS_OMNIBUS", "currency": "USD"}
        assert [142] == [row["settled"] for row in ask(connection, "ledger_settled", asked)]


def owed(number: int, code: str, cents: int) -> Transaction:
    """Dollars that are owed on a leaf."""
    counter = code.replace("OMNIBUS", "LIABILITY")
    return posting(number, debit(code, cents), credit(counter, cents))


def test_a_transaction_over_both_shards_clears(dsn: str, sql: Sql) -> None:
    """Both parts are posted and the clearing accounts come to zero; what the home shard refuses leaves no part."""
    ledgers = {shard: PostgresLedger(dsn, shard, accounts=ACCOUNTS) for shard in range(2)}
    for number, amount in ((1, 60), (2, 70)):
        own = home_part(paid(number, "U0", "U1", amount), SHARD_OF.__getitem__, 0)
        if ["posted"] == outcomes(ledgers[0], [own]):
            parts = [arriving(crossing, 1) for crossing in crossings_of(own)]
            assert ["posted"] == outcomes(ledgers[1], [part for part in parts if part is not None])
    balances = sql("SELECT account, settled::INT FROM ledger.balances ORDER BY account")
    assert balances == [("CLEARING/0/1", -60), ("CLEARING/1/0", 60), ("U0", -60), ("U1", 60)]
    assert sql("SELECT reason FROM ledger.rejected") == [("over_limit",)]
    for ledger in ledgers.values():
        ledger.close()
    assert_books_tie(sql)
