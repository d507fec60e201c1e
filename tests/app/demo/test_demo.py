"""The demo, as somebody sees it who types one command: a summary, books that hold, and a record that can be replayed."""

import json
import signal
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from shutil import copytree
from typing import Any, NamedTuple

import psycopg
import pytest

from app.cli.main import NOT_SETTLED
from app.demo.demo import funding_interval_ms
from app.demo.settle import REPEATED
from app.reports.audit.judge import audit_folder
from app.reports.invariants import CHECKS
from app.reports.settlement.promises import CHECKS as OF_SETTLEMENT
from app.reports.treasury.promises import CHECKS as OF_TREASURY
from connectors.embedded.postgres import embedded_postgres
from connectors.venue.simulated.bars import Bar
from domain.topics import ALL, DEALER_TRANSACTIONS
from tests.app.surroundings import command, ended, environment, open_folder, run_ballast
from tests.waiting import until

LIVE_TRADES = """
SELECT tx_id::text, encode(body_hash, 'hex') FROM ledger.tx JOIN ledger.transactions USING (tx_id)
WHERE ledger.tx.template LIKE 'USER\\_%' AND reversed_by IS NULL ORDER BY tx_id
"""
SETTLED = """
SELECT t.tx_id::text, encode(t.body_hash, 'hex') FROM ledger.tx t JOIN ledger.batch USING (batch_id)
WHERE shard = 8 ORDER BY t.tx_id
"""
BOOKS = ("ledger/", "settlement/")
CHECKED = [*CHECKS, *OF_SETTLEMENT, *OF_TREASURY]
SUMMARY = {
    "messages",
    "trades",
    "transactions",
    "orders",
    "transfers",
    "quarantined",
    "liability_cents",
    "exposure_cents",
    "hedge_ratio",
    "collateral_sats",
    "leverage",
    "price_usd",
    "waiting_legs",
    "holds",
    "hedge",
    "treasury",
    "settlement",
    "settled",
    "invariants",
}


class Shown(NamedTuple):
    """A demo that has ended: its folder, its summary, and of what its ledger holds the live trades of users, and all that the
    settlement booked, id and digest."""

    folder: Path
    summary: dict[str, Any]
    trades: list[tuple[str, str]]
    settled: list[tuple[str, str]]


def _demo(folder: Path, seconds: int, name: str, seed: int) -> Shown:
    arguments = ["--seconds", str(seconds), "--record", f"recorded{name}", "--archive", f"archive{name}"]
    arguments += ["--seed", str(seed), "--data", str(folder / "data")]
    arguments += ["--keep", str(folder / f"kept-{seed}")]
    said = run_ballast("demo", "--json", *arguments, cwd=folder)
    assert 0 == said.code, said.err
    with embedded_postgres(folder / "data" / "postgres") as dsn, psycopg.connect(dsn) as connection:
        trades, settled = (connection.execute(query).fetchall() for query in (LIVE_TRADES, SETTLED))
    return Shown(folder, said.json(), trades, settled)


@pytest.fixture(scope="module")
def first() -> Iterator[Shown]:
    """One demo over a new folder."""
    with open_folder() as folder:
        yield _demo(folder, 8, "", 1)


@pytest.fixture(scope="module")
def second(first: Shown) -> Shown:
    """Another demo over the folder of the first, with other users, which goes on with its archive."""
    copytree(first.folder / "archive", first.folder / "archive-again")
    return _demo(first.folder, 3, "-again", 2)


def test_the_summary(first: Shown) -> None:
    """It says how much went through, and what is owed and held."""
    assert first.summary.keys() >= SUMMARY
    assert 0 < first.summary["trades"] < first.summary["transactions"] < first.summary["messages"]
    assert first.summary["orders"] > 0 > first.summary["exposure_cents"]
    assert 0.9 < float(first.summary["hedge_ratio"]) < 1.1


def test_customers_trade(first: Shown) -> None:
    """Orders are matched and settled, and the summary says how many."""
    told = first.summary["settlement"]
    assert 0 < told["settled"] <= told["orders"]
    assert 0 < told["customers"]
    assert told["settled"] + told["orders"] < len(first.settled)


def test_every_promise_was_checked_and_kept(first: Shown) -> None:
    """The books were settled, all invariants pass, and none was left out."""
    assert first.summary["settled"] is True
    assert dict.fromkeys(CHECKED, "pass") == first.summary["invariants"]


def test_the_archive_of_a_demo_passes_its_audit(first: Shown, second: Shown) -> None:
    """Also one that goes on over another broker, which knows nothing of what the ledger has from before."""
    judged = [shown.summary["archive"] for shown in (first, second)]
    assert [("pass", []), ("pass", [])] == [(one["audit"], one["breaches"]) for one in judged]
    assert [1, 2] == [len([*first.folder.glob(f"archive{name}/topics/market.ticks/*")]) for name in ("", "-again")]
    said = run_ballast("audit", "archive", "--json", cwd=first.folder)
    assert (0, "pass") == (said.code, said.json()["verdict"])


def test_a_demo_that_does_not_wait_is_not_judged() -> None:
    """Out of time before its books are settled it says so, judges nothing, and has an exit code of its own."""
    with open_folder() as folder:
        said = run_ballast("demo", "--json", "--seconds", "5", "--settle-seconds", "0", cwd=folder)
    summary = said.json()
    assert (NOT_SETTLED, False, {}) == (said.code, summary["settled"], summary["invariants"])
    assert f"not settled, and so not judged: it waited for {summary['waited_for']}" in said.err


def test_ctrl_c_ends_the_trading_and_another_one_the_wait() -> None:
    """After the first the demo waits for what is on its way, after the second it ends, not settled and not judged."""
    with open_folder() as folder:
        log = folder / "said.log"
        with log.open("wb") as said:
            process = subprocess.Popen(command("demo"), cwd=folder, env=environment({}), stdout=said, stderr=said)
        worker_log = folder / "ballast-data" / "worker.log"
        until(lambda: worker_log.exists() and "worker.started" in worker_log.read_text(), "a start")
        process.send_signal(signal.SIGINT)
        until(lambda: "letting what is on its way arrive" in log.read_text(), "the end of the trading")
        assert NOT_SETTLED == ended(process, signal.SIGINT)
        assert "settled: False" in log.read_text()


def test_trades_are_those_of_the_ledger(first: Shown) -> None:
    """The number in the summary is the number of rows."""
    assert len(first.trades) == first.summary["trades"]


def test_what_is_kept_can_be_audited(first: Shown) -> None:
    """Books and topics of the settled treasury, without a server."""
    report = audit_folder(first.folder / "kept-1")
    assert "pass" == report["verdict"]
    checked = {check["name"]: check["checked"] for check in report["checks"]}
    assert len(first.trades) == checked["I15_every_trade_books_what_its_legs_say"]


def test_the_funding_rate_is_paid_along_the_path() -> None:
    """Every eight hours of the bars, however fast they play: a month of hours within a minute has a payment each 0.67 seconds."""
    hours = [Bar(hour * 3_600_000, *[Decimal(1)] * 4) for hour in range(4)]
    assert 28_800_000 == funding_interval_ms(hours, 1 / 3600)
    assert 667 == funding_interval_ms(hours, 12)
    assert 1 == funding_interval_ms(hours, 1e9)


def test_nothing_is_left_running(first: Shown) -> None:
    """The folder no longer says that something runs over it."""
    assert not (first.folder / "data" / "running.json").exists()


def test_the_ledger_survives(first: Shown, second: Shown) -> None:
    """A second demo over the same folder adds to the first one's books and changes nothing in them."""
    assert set(first.trades) < set(second.trades)
    assert len(second.trades) == second.summary["trades"]
    assert dict.fromkeys(CHECKED, "pass") == second.summary["invariants"]


def test_every_topic_is_recorded(first: Shown) -> None:
    """A file for each, with all messages that the summary counted, and those that the market went on with after it."""
    files = {path.stem: path.read_text().splitlines() for path in (first.folder / "recorded").iterdir()}
    assert sorted(topic.name for topic in ALL) == sorted(files)
    after = sum(map(len, files.values())) - first.summary["messages"]
    assert 0 <= after < sum(len(files[name]) for name in REPEATED)
    assert first.summary["quarantined"] == sum(len(lines) for name, lines in files.items() if name.startswith("quarantine."))


def test_two_replays_give_the_same_bytes(first: Shown) -> None:
    """Whatever the size of the batches and the number of workers."""
    whole = _replay(first, "once")
    assert whole == _replay(first, "twice")
    ledger = {name: content for name, content in whole.items() if name.startswith(BOOKS)}
    again = _replay(first, "in-parts", "--batch-size", "7", "--workers", "2")
    assert ledger == {name: content for name, content in again.items() if name.startswith(BOOKS)}


@pytest.mark.parametrize("kept", ["recorded", "archive"])
def test_a_replay_books_the_same_trades(first: Shown, kept: str) -> None:
    """Ids and digests of the live trades, and of all that was settled, equal those that the demo booked, from lines of text and
    from an archive."""
    replayed = _replay(first, f"compared-{kept}", kept=kept)
    assert first.settled == sorted((row["id"], row["body_hash"]) for row in _rows(replayed["settlement/transactions.jsonl"]))
    rows = _rows(replayed["ledger/transactions.jsonl"])
    reversed_ids = {row["cause_tx_id"] for row in rows if row["relation"] == "reverses"}
    live = [row for row in rows if row["template"].startswith("USER_") and row["id"] not in reversed_ids]
    assert first.trades == sorted((row["id"], row["body_hash"]) for row in live)


def test_a_recorded_topic_can_be_sent_again(first: Shown) -> None:
    """The lines of a record are whole: every message is there with its coordinates."""
    lines = (first.folder / "recorded" / f"{DEALER_TRANSACTIONS.name}.jsonl").read_text().splitlines()
    coordinates = [(parsed["partition"], parsed["offset"]) for parsed in map(json.loads, lines)]
    assert len(lines) == len(set(coordinates))
    assert sorted(coordinates) == coordinates


def _rows(lines: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


def _replay(shown: Shown, out: str, *options: str, kept: str = "recorded") -> dict[str, bytes]:
    said = run_ballast("replay", kept, "--out", out, "--json", *options, cwd=shown.folder)
    assert (0, "") == (said.code, said.err)
    written = {
        str(path.relative_to(shown.folder / out)): path.read_bytes() for path in (shown.folder / out).rglob("*.jsonl")
    }
    assert {name: len(content.splitlines()) for name, content in written.items()} == said.json()["lines"]
    return dict(sorted(written.items()))
