"""The measurement of posting: its load, what it fills, and a tiny run of all of it; nothing is timed here."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain, pairwise
from numbers import Number
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from app.bench.posting.load import EMPTY_ACCOUNTS, Load, account_code, empty_code, transactions
from app.bench.posting.measuring import measure
from app.bench.posting.prefill import prefill
from app.bench.posting.report import RATIOS, report
from app.bench.posting.running import Sample, posted
from app.bench.posting.scratch import LIMIT_FAR_OFF, scratch_database, scratch_server
from app.bench.posting.tables import print_report
from app.bench.posting.variants import Plan
from app.settings import Data, Postgres, Settings
from domain.ledger.accounts import Account
from domain.ledger.memory import MemoryLedger

TINY = Plan(runs=1, transactions=2_000, prefill_entries=4_000, large_accounts=400, warm_batches=1)
DATABASES = "SELECT count(*) FROM pg_database WHERE datname LIKE 'ballast_bench_%'"


def _accounts(load: Load) -> list[Account]:
    limits = {9: LIMIT_FAR_OFF}
    trading = [
        Account(1000 + n, account_code(load.shard, n), 1, "Bench", min_available=limits.get(n % 10))
        for n in range(load.accounts)
    ]
    empty = [Account(5000 + n, empty_code(load.shard, n), 1, "Bench", min_available=0) for n in range(EMPTY_ACCOUNTS)]
    return [*trading, *empty]


@pytest.fixture(scope="module")
def settings(server: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings that name the tests' server."""
    return Settings(postgres=Postgres(dsn=server), data=Data(folder=tmp_path_factory.mktemp("data")))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def measured(settings: Settings) -> dict[str, Any]:
    """The report of a tiny run."""
    return measure(settings, TINY)


def _numbers(report: Any) -> Iterator[tuple[str, Number]]:
    for name, value in report.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{path}", number) for path, number in _numbers(value))
        elif isinstance(value, Number):
            yield name, value


@given(first=st.integers(0, 10**9), percent=st.sampled_from([0, 2, 20, 100]), accounts=st.sampled_from([2, 200, 10**6]))
def test_the_load_follows_from_its_numbers(first: int, percent: int, accounts: int) -> None:
    """The same numbers give the same transactions, however they are cut, with ids of their own that sort by time."""
    load = Load(accounts, percent)
    whole = transactions(load, first, 40)
    assert whole == transactions(load, first, 15) + transactions(load, first + 15, 25)
    assert 40 == len({transaction.id for transaction in whole})
    times = [(transaction.effective_at_ms, transaction.id[:13]) for transaction in whole]
    assert times == sorted(times)


@pytest.mark.parametrize("percent", [0, 2, 20])
def test_the_load_is_rejected_as_often_as_it_says(percent: int) -> None:
    """About so many of a hundred are rejected, for three reasons in equal parts, and all others are posted."""
    load = Load(rejected_percent=percent)
    verdicts = MemoryLedger(_accounts(load)).post(transactions(load, 0, 5_000)).verdicts
    reasons = Counter(verdict.reason for verdict in verdicts if verdict.outcome == "rejected")
    assert reasons.keys() == ({"over_limit", "unbalanced", "unknown_account"} if percent else set())
    assert sum(reasons.values()) == pytest.approx(50 * percent, rel=0.2)
    assert all(count == pytest.approx(50 * percent / 3, rel=0.35) for count in reasons.values())


def test_some_accounts_are_hot() -> None:
    """Three transactions in ten have one of eight accounts as their buyer, besides those that have one by chance."""
    buyers = Counter(transaction.entries[0].account for transaction in transactions(Load(), 0, 10_000))
    hot = sum(buyers[account_code(0, index)] for index in range(8))
    assert hot == pytest.approx(10_000 * (0.3 + 0.7 * 8 / 200), rel=0.1)
    assert 200 == len(buyers)


def test_a_ledger_that_was_filled_is_one_that_the_writer_goes_on_with(settings: Settings) -> None:
    """The guards find nothing wrong with what was written past them: the next transactions are posted on top."""
    with scratch_server(settings) as server, scratch_database(server) as dsn:
        filled = prefill(dsn, Load(), 4_000)
        sample = posted(dsn, transactions(Load(), 0, 1_000), 300)
        with psycopg.connect(dsn) as connection:
            entries, moved = connection.execute("SELECT count(*), sum(side * amount) FROM ledger.entry").fetchone() or ()
            versions = connection.execute("SELECT sum(version) FROM ledger.balance").fetchone()
            (deltas,) = connection.execute("SELECT count(*) FROM ledger.effective_delta WHERE delta = 0").fetchone() or ()
    assert (1_000, 1_000, 4) == (sample.handed, sample.posted, len(sample.batch_seconds))
    assert (filled.entries + 4_000, 0, 0) == (entries, moved, deltas)
    assert (entries,) == versions


def test_a_tiny_run_reports_every_number(measured: dict[str, Any]) -> None:
    """Rates, latencies, sizes and stages are there, and positive; of the duplicates none is posted."""
    numbers = dict(_numbers(measured))
    assert {"1", "100", "500", "2000", "5000", "chosen"} == measured["by_batch"].keys()
    assert {"0", "2", "20"} == measured["by_rejected_percent"].keys()
    assert not [name for name, number in numbers.items() if number <= 0 and name != "duplicates.posted_share"]  # type: ignore[operator]
    assert 0 == numbers["duplicates.posted_share"]
    assert numbers["by_rejected_percent.20.posted_share"] == pytest.approx(0.8, abs=0.05)
    assert all(rate["batch_p50_ms"] <= rate["batch_p99_ms"] for rate in measured["by_batch"].values())
    sizes = measured["bytes_per_transaction"]["trades"]
    assert sizes["total"] == pytest.approx(sizes["headers"] + sizes["entries"] + sizes["rest"], abs=0.2)


def test_a_rate_tells_what_it_costs(measured: dict[str, Any]) -> None:
    """Where a ledger of ours has posted on this machine, the CPU of writer and backend stands beside the rate."""
    rates = [measured["by_batch"]["2000"], measured["by_batch"]["100"], measured["single"], measured["with_many_accounts"]]
    known = Path("/proc/self/schedstat").exists()
    assert [{"writer_cpu_us", "backend_cpu_us"} if known else set()] * 4 == [
        {name for name in rate if name.endswith("cpu_us")} for rate in rates
    ]


def test_targets_are_judged_by_what_was_measured(measured: dict[str, Any]) -> None:
    """Each target tells its bound and what was measured, and is reached if one is on the right side of the other."""
    assert 6 == len(measured["reached"])
    for target in measured["reached"]:
        reached = target["measured"] < target["below"] if "below" in target else target["measured"] >= target["at_least"]
        assert reached == target["ok"], target


def test_nothing_is_left_on_the_server(server: str, measured: dict[str, Any]) -> None:
    """Every database of the measurement is dropped."""
    with psycopg.connect(server) as connection:
        assert (0,) == connection.execute(DATABASES).fetchone()


def test_ratios_are_taken_within_rounds() -> None:
    """A machine that is slow for a whole round changes no ratio, and rates are medians over the rounds."""
    names = {*chain.from_iterable(RATIOS.values()), "batch_1", "batch_100", "batch_500", "batch_5000", "batch_chosen"}
    rounds = [{name: Sample(100, seconds, 100, (seconds,)) for name in sorted(names)} for seconds in (1.0, 5.0, 2.0)]
    made = report(rounds)
    assert {1} == set(made["ratios"].values())
    assert {"per_second": 50, "batch_p50_ms": 2000, "batch_p99_ms": 5000} == made["by_batch"]["2000"]


def test_the_report_for_people_names_all_of_it(measured: dict[str, Any], tmp_path: Path) -> None:
    """Every rate, ratio, stage and target stands in a row of a table."""
    with (tmp_path / "report").open("w") as file:
        print_report(measured, Console(file=file, width=200))
    text = (tmp_path / "report").read_text()
    names = [*measured["ratios"], *measured["stages_ms_per_batch"], *measured["beside"], "two shards", "single"]
    assert not [name for name in names if name.replace("_", " ") not in text]
    assert all(one < other for one, other in pairwise(text.index(target["what"]) for target in measured["reached"]))
