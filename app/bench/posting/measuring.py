"""The whole measurement: fill the large ledgers, run the rounds, then look at sizes and stages, and make the report of it."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from app.bench.posting.load import START_MS, Load, transactions
from app.bench.posting.prefill import prefill
from app.bench.posting.report import report
from app.bench.posting.running import BATCH, Sample, posted
from app.bench.posting.scratch import LARGE_SHARD, Server, open_accounts, scratch_database, scratch_server
from app.bench.posting.sizes import bytes_per_transaction, surroundings, table_bytes
from app.bench.posting.stages import stages_ms
from app.bench.posting.trades import user_trades
from app.bench.posting.variants import Ledgers, Plan, variants
from app.settings import Settings
from domain.ledger.accounts import FIXED
from domain.ledger.journal import Transaction

ENTRIES_PER_LARGE_ACCOUNT = 2
"""One in each currency: every balance is there."""


def measure(settings: Settings, plan: Plan) -> dict[str, Any]:
    """One report; see `app.bench.posting.report` for what is in it. Progress is told on standard error."""
    with scratch_server(settings) as server:
        rounds = _rounds(server, plan)
        _say("sizes and stages")
        disk = {
            "trades": _disk(server, transactions(Load(), 0, plan.transactions)),
            "user_trades": _disk(server, user_trades("disk", plan.transactions, START_MS)),
        }
        return {
            "plan": plan._asdict(),
            "surroundings": surroundings(server.dsn),
            **report(rounds),
            "bytes_per_transaction": disk,
            "stages_ms_per_batch": _stages(server, plan),
        }


def _rounds(server: Server, plan: Plan) -> list[Mapping[str, Sample]]:
    with _prefilled(server, Load(), plan.prefill_entries) as full_dsn, _large(server, plan.large_accounts) as large_dsn:
        ordered = variants(plan, Ledgers(server, full_dsn, large_dsn))
        rounds: list[Mapping[str, Sample]] = []
        for number in range(plan.runs):
            samples: dict[str, Sample] = {}
            for variant in ordered:
                measured = variant(number)
                samples |= measured
                _say(f"round {number + 1} of {plan.runs}: {', '.join(map(_told, measured, measured.values()))}")
            rounds.append(samples)
    return rounds


@contextmanager
def _prefilled(server: Server, load: Load, entries: int) -> Iterator[str]:
    with scratch_database(server) as dsn:
        prefill(dsn, load, entries)
        yield dsn


@contextmanager
def _large(server: Server, accounts: int) -> Iterator[str]:
    with scratch_database(server) as dsn:
        load = Load(accounts, shard=LARGE_SHARD)
        open_accounts(dsn, load)
        prefill(dsn, load, ENTRIES_PER_LARGE_ACCOUNT * accounts)
        yield dsn


def _disk(server: Server, postings: list[Transaction]) -> dict[str, float]:
    with scratch_database(server) as dsn:
        before = table_bytes(dsn)
        posted(dsn, postings, BATCH, accounts=FIXED)
        return bytes_per_transaction(before, table_bytes(dsn), len(postings))


def _stages(server: Server, plan: Plan) -> dict[str, float]:
    with scratch_database(server) as dsn:
        postings = transactions(Load(), 0, plan.warm(BATCH) + plan.count(BATCH))
        return stages_ms(dsn, postings, BATCH, plan.warm_batches)


def _told(name: str, sample: Sample) -> str:
    return f"{name} {sample.per_second:,.0f}/s"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
