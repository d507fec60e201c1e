"""A long life of a ledger: a hundred thousand steps, restarts, lost connections, repeats, and others who post beside it."""

import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from threading import Timer

import psycopg
import pytest

from domain.ledger.memory import MemoryLedger
from sinks.ledger.single import post_once
from sinks.ledger.writer import PostgresLedger
from sinks.postgres import connect
from tests.domain.ledger.ledger_stories import ACCOUNTS, CLOSED_UNTIL_MS, Dice, Expected, Step, runs
from tests.domain.ledger.test_stories import again, said
from tests.sinks.ledger.checks import CUT_OFF, Sql, assert_books_tie, opened_in_turn

pytestmark = [pytest.mark.postgres, pytest.mark.crash]

STEPS = int(os.environ.get("BALLAST_TEST_LEDGER_STEPS", "100000"))
STEPS_PER_STORY = 6
CLOSE = "INSERT INTO ledger.closed_period (closed_until) VALUES (to_timestamp(%s))"
FREEZE = "UPDATE ledger.account SET status = 'frozen' WHERE code = 'FROZEN'"
ENTRIES = """
    SELECT n.tx_id::TEXT, a.code, n.currency, n.layer::INT, n.side::INT, n.amount::TEXT
    FROM ledger.entry n JOIN ledger.account a USING (account_id)
"""


def posted_by(ledger: PostgresLedger, run: Step) -> list[Expected]:
    """What the transactions of a run get."""
    return [said(verdict) for verdict in ledger.post([one for one, _ in run]).verdicts]


class Life:
    """A ledger to which things happen; what happens when follows from the seed."""

    def __init__(self, dsn: str, sql: Sql, seed: int) -> None:
        self.dsn, self.sql, self.dice = dsn, sql, Dice("life", seed)
        self.ledger = self.opened()
        self.told: list[Step] = []
        self.happened: dict[str, int] = {}

    def opened(self) -> PostgresLedger:
        """A writer after the one before; batches are small, so that many overlap, and memories too, so that they forget."""
        batch_max, accounts_max = 50 + self.dice.below(200), self.dice.below(2 * len(ACCOUNTS))
        return opened_in_turn(
            lambda: PostgresLedger(self.dsn, accounts=ACCOUNTS, batch_max=batch_max, accounts_max=accounts_max)
        )

    def live(self, run: Step) -> None:
        """Post a run, in one of several ways."""
        ways: list[Callable[[Step], None]] = [self.restart, self.lose_connection, self.post_single, self.repeat]
        chance = self.dice.below(40)
        way = ways[chance] if chance < len(ways) else self.post
        self.happened[way.__name__] = self.happened.get(way.__name__, 0) + 1
        way(run)
        self.told.append(run)

    def post(self, run: Step) -> None:
        assert [expected for _, expected in run] == posted_by(self.ledger, run)

    def restart(self, run: Step) -> None:
        self.ledger.close()
        self.ledger = self.opened()
        self.post(run)

    def lose_connection(self, run: Step) -> None:
        """The server ends the writer's connection before, during or after the run; what was committed is a repeat."""
        cut_off = Timer(self.dice.below(20) / 1000, self.sql, [CUT_OFF, "ballast ledger 0"])
        cut_off.start()
        with suppress(psycopg.OperationalError):
            self.post(run)
        cut_off.join()
        self.ledger.close()
        self.ledger = self.opened()
        for (_, expected), got in zip(run, posted_by(self.ledger, run), strict=True):
            assert got in (expected, again(expected))

    def post_single(self, run: Step) -> None:
        with connect(self.dsn, "writer", "single") as connection:
            booked = post_once(connection, [one for one, _ in run])
        assert [expected for _, expected in run] == [said(verdict) for verdict in booked.verdicts]

    def repeat(self, run: Step) -> None:
        self.post(run)
        old = self.told[self.dice.below(len(self.told))] if self.told else run
        assert [again(expected) for _, expected in old] == posted_by(self.ledger, old)


def digest(rows: list[tuple[str, str, str, int, int, str]]) -> str:
    """The entries, whatever their order."""
    return sha256(repr(sorted(rows)).encode()).hexdigest()


def test_a_long_life_ends_with_books_that_tie(dsn: str, sql: Sql) -> None:
    """Every step gets its expected verdict, whatever happens meanwhile, and the books are those of an undisturbed ledger."""
    PostgresLedger(dsn, accounts=ACCOUNTS).close()
    sql(CLOSE, CLOSED_UNTIL_MS / 1000)
    sql(FREEZE)
    life, memory = Life(dsn, sql, 1), MemoryLedger(ACCOUNTS, CLOSED_UNTIL_MS)
    steps = 0
    for run in runs(1, STEPS // STEPS_PER_STORY, 400):
        life.live(run)
        memory.post([one for one, _ in run])
        steps += len(run)
    assert steps > STEPS * 0.8
    if STEPS >= 100_000:
        assert {"post", "restart", "lose_connection", "post_single", "repeat"} == life.happened.keys()
    assert memory.balances() == life.ledger.balances()
    life.ledger.close()
    assert_books_tie(sql)
    mine = [(r["tx_id"], r["account"], r["currency"], r["layer"], r["side"], str(r["amount"])) for r in memory.entry_rows()]
    assert digest(mine) == digest(sql(ENTRIES))
