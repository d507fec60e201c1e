"""The variants of a round, in the order in which they run: what is compared with each other stands together.

A variant takes the number of the round, and gives a sample for each thing that it measured. All of them start on a copy of
the same empty ledger, except those whose ledger was filled beforehand: they go on where the round before has ended.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from app.bench.posting.copying import ENTRIES, TABLES, copied
from app.bench.posting.load import START_MS, Load, transactions
from app.bench.posting.row_at_a_time import posted_plainly
from app.bench.posting.running import BATCH, Sample, posted
from app.bench.posting.scratch import LARGE_SHARD, Server, scratch_database
from app.bench.posting.shards import posted_on_shards
from app.bench.posting.single import posted_singly
from app.bench.posting.trades import user_trades
from domain.ledger.accounts import FIXED
from domain.ledger.journal import Transaction

Variant = Callable[[int], Mapping[str, Sample]]

FEWER = {1: 2_000, 100: 40_000}
"""Transactions per run where a batch is small, so that no run takes minutes."""

CHOSEN = "chosen"
"""The batch that the ledger chooses by the time that batches take, as it does in production."""

OTHER_BATCHES = (1, 100, 500, 5_000)
REJECTED_PERCENTS = (2, 20)
ONES, WARM_ONES = 3_000, 100
"""Transactions per run, and to warm up with, where they are posted one by one."""


class Plan(NamedTuple):
    """What to measure: rounds, transactions per run, entries that are there before, and accounts where they are many.

    Six batches warm up, for Postgres settles on its plans after five executions.
    """

    runs: int = 3
    transactions: int = 100_000
    prefill_entries: int = 10_000_000
    large_accounts: int = 1_000_000
    warm_batches: int = 6

    def count(self, batch: int | None) -> int:
        """Transactions per run in batches of this size."""
        return min(self.transactions, FEWER.get(batch or BATCH, self.transactions))

    def warm(self, batch: int | None) -> int:
        """Transactions before those that are timed."""
        return self.warm_batches * (batch or BATCH)


QUICK = Plan(1, 2_000, 8_000, 2_000, 1)
"""Everything once and small: shows that it runs, and no more."""


class Ledgers(NamedTuple):
    """Where variants run: the server for fresh databases, and those that were filled beforehand."""

    server: Server
    prefilled_dsn: str
    large_dsn: str


def variants(plan: Plan, ledgers: Ledgers) -> list[Variant]:
    """All of them. Ids go on from round to round where the ledger does."""
    server, large = ledgers.server, Load(plan.large_accounts, shard=LARGE_SHARD)
    return [
        partial(_filled, plan, "prefilled", ledgers.prefilled_dsn, Load()),
        partial(_plain_and_copied, plan, server),
        *(partial(_rejecting, plan, server, percent) for percent in reversed(REJECTED_PERCENTS)),
        partial(_row_at_a_time, plan, server),
        *(partial(_in_batches, plan, server, size) for size in (*OTHER_BATCHES, None)),
        partial(_on_shards, plan, server),
        partial(_singly, plan, server),
        partial(_filled, plan, "large", ledgers.large_dsn, large),
        partial(_user_trades, plan, server),
    ]


def _filled(plan: Plan, name: str, dsn: str, load: Load, round_number: int) -> Mapping[str, Sample]:
    each = plan.warm(BATCH) + plan.count(BATCH)
    return {name: _posted(plan, dsn, load, BATCH, round_number * each)}


def _plain_and_copied(plan: Plan, server: Server, _round_number: int) -> Mapping[str, Sample]:
    batches = plan.count(BATCH) // BATCH
    with scratch_database(server) as dsn:
        sample = _posted(plan, dsn, Load(), BATCH)
        copies = {"copy": copied(dsn, batches, TABLES), "copy_entries": copied(dsn, batches, ENTRIES)}
        again = posted(dsn, transactions(Load(), plan.warm(BATCH), plan.count(BATCH)), BATCH)
    return {f"batch_{BATCH}": sample, **copies, "duplicates": again}


def _rejecting(plan: Plan, server: Server, percent: int, _round_number: int) -> Mapping[str, Sample]:
    with scratch_database(server) as dsn:
        return {f"rejects_{percent}": _posted(plan, dsn, Load(rejected_percent=percent), BATCH)}


def _in_batches(plan: Plan, server: Server, size: int | None, _round_number: int) -> Mapping[str, Sample]:
    with scratch_database(server) as dsn:
        return {f"batch_{size or CHOSEN}": _posted(plan, dsn, Load(), size)}


def _row_at_a_time(plan: Plan, server: Server, _round_number: int) -> Mapping[str, Sample]:
    with scratch_database(server) as dsn:
        return {"row_at_a_time": posted_plainly(dsn, *_one_by_one(plan))}


def _singly(plan: Plan, server: Server, _round_number: int) -> Mapping[str, Sample]:
    with scratch_database(server) as dsn:
        return {"single": posted_singly(dsn, *_one_by_one(plan))}


def _on_shards(plan: Plan, server: Server, _round_number: int) -> Mapping[str, Sample]:
    with scratch_database(server) as dsn:
        return {"shards": posted_on_shards(dsn, plan.count(BATCH), BATCH, plan.warm(BATCH))}


def _user_trades(plan: Plan, server: Server, _round_number: int) -> Mapping[str, Sample]:
    warm, count = plan.warm(BATCH), plan.count(BATCH)
    postings = user_trades("bench", warm + count, START_MS)
    with scratch_database(server) as dsn:
        sample = posted(dsn, postings[warm:], BATCH, postings[:warm], accounts=FIXED)
        return {"user_trades": sample, "user_trades_copy": copied(dsn, count // BATCH, TABLES)}


def _posted(plan: Plan, dsn: str, load: Load, batch: int | None, first: int = 0) -> Sample:
    warm = plan.warm(batch)
    postings = transactions(load, first, warm + plan.count(batch))
    return posted(dsn, postings[warm:], batch, postings[:warm], load.shard)


def _one_by_one(plan: Plan) -> tuple[list[Transaction], list[Transaction]]:
    """What to time, and what to warm up with, where each transaction is a batch."""
    postings = transactions(Load(), 0, WARM_ONES + min(plan.transactions, ONES))
    return postings[WARM_ONES:], postings[:WARM_ONES]
