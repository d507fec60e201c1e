"""What the settlement keeps and asks in Postgres: the same answers as books in memory, each word once, evidence for ever."""

import json
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from domain.messages.settlement import CustomerTerms, FeeSchedule, Instrument, MatchedTrade
from domain.settlement.answers import Heard, key_of
from domain.settlement.records import Put
from domain.settlement.trade import Refusal
from sinks.settlement import PostgresBooks, PostgresRecords
from tests.domain.settlement.played import BTC_USDT, CUSTOMERS, ETH_USDT, Played, crowd
from tests.flows.settlement_runs import recorded
from tests.sinks.ledger.checks import Sql
from tests.sinks.settled import settle_tapes

pytestmark = pytest.mark.postgres
WORDS = [*crowd(11, 200)]
TAPES = recorded(enumerate(WORDS))
TRADES = [word for word in WORDS if isinstance(word, MatchedTrade)]


@pytest.fixture
def played() -> Played:
    """The same words, decided in memory."""
    whole = Played()
    whole.tell(*WORDS)
    return whole


def run(dsn: str, *, batch_size: int = 50, crash_at: int | None = None, recovery: Path | None = None) -> None:
    """Settle the words in Postgres."""
    settle_tapes(dsn, TAPES, batch_size, crash_at, recovery)


def booked(dsn: str) -> list[tuple[str, str]]:
    """What was booked, in order, by template and name."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT template, meta::TEXT FROM ledger.tx ORDER BY batch_id, position").fetchall()
    return [(template, json.loads(meta).get("trade") or json.loads(meta)["name"]) for template, meta in rows]


def in_memory(played: Played) -> list[tuple[str, str]]:
    """The same of books in memory."""
    rows = [(row["template"], json.loads(row["meta"])) for row in played.ledger.transaction_rows()]
    return [(template, meta.get("trade") or meta["name"]) for template, meta in rows]


def refusals(dsn: str) -> list[tuple[str, str]]:
    """What was refused, by its name and why."""
    with psycopg.connect(dsn) as connection:
        return sorted(connection.execute("SELECT word_id, reason FROM settlement.refusal").fetchall())


def refused_in_memory(played: Played) -> list[tuple[str, str]]:
    """The same of records in memory, each word once."""
    return sorted((key_of(word)[1], why.reason) for word, why in {word: why for word, _, why in played.kept.refused}.items())


def test_books_in_postgres_are_those_in_memory(dsn: str, played: Played) -> None:
    """Each posting once and in the same order, each refusal once, each balance the same."""
    run(dsn)
    assert in_memory(played) == booked(dsn)
    assert refused_in_memory(played) == refusals(dsn)
    with closing(PostgresBooks(dsn)) as books:
        assert [played.has(one, "USDT") for one in CUSTOMERS] == [books.holdings(one).get("USDT") for one in CUSTOMERS]


@pytest.mark.parametrize("crash_at", [5, 17, 40])
def test_a_crash_changes_nothing(dsn: str, played: Played, crash_at: int, tmp_path: Path) -> None:
    """Broken off and begun again from what was saved: nothing is booked or refused twice, or in another order."""
    run(dsn, batch_size=3, crash_at=crash_at, recovery=tmp_path / "state")
    run(dsn, batch_size=3, recovery=tmp_path / "state")
    assert in_memory(played) == booked(dsn)
    assert refused_in_memory(played) == refusals(dsn)


def test_read_again_from_the_start_nothing_is_new(dsn: str, played: Played) -> None:
    """Without any saved state, a week later."""
    run(dsn)
    run(dsn)
    assert in_memory(played) == booked(dsn)
    assert refused_in_memory(played) == refusals(dsn)


def test_zero_sum_and_lag_are_told_by_views(dsn: str, sql: Sql) -> None:
    """Per asset everything comes to zero, and each symbol has settled as far as its trades go."""
    run(dsn)
    assert sql("SELECT DISTINCT residual FROM settlement.v_zero_sum") == [(0,)]
    wanted = [(one.symbol, max(t.sequence for t in TRADES if t.symbol == one.symbol)) for one in (BTC_USDT, ETH_USDT)]
    lag = sql("SELECT symbol, last_sequence FROM settlement.v_settlement_lag")
    quarantined = sql("SELECT symbol, max(sequence) FROM settlement.v_quarantine GROUP BY symbol")
    assert wanted == [(symbol, max(last or 0, dict(quarantined).get(symbol, 0))) for symbol, last in lag]


def test_terms_and_refusals_are_evidence(dsn: str, sql: Sql) -> None:
    """Kept once each, and not to be altered."""
    words = [
        Instrument.model_validate_json(Instrument.examples[0]),
        FeeSchedule.model_validate_json(FeeSchedule.examples[0]),
    ]
    terms = [*words, CustomerTerms.model_validate_json(CustomerTerms.examples[0])]
    refused = [Put(TRADES[0], Heard("trades.matched/0", 3), Refusal("unknown_order", 5))]
    with closing(PostgresRecords(dsn)) as records:
        for _ in range(2):
            records.keep(terms)
            records.refuse(refused)
    counts = "SELECT (SELECT count(*) FROM settlement.{0}), '{0}'"
    for table in ("instrument", "fee_schedule", "customer_terms", "refusal"):
        assert sql(counts.format(table)) == [(1, table)]
        with pytest.raises(psycopg.errors.RestrictViolation):
            sql(f"DELETE FROM settlement.{table}")  # noqa: S608 - named above


def test_a_word_of_an_earlier_run_is_looked_up_by_itself(dsn: str, played: Played) -> None:
    """A trade that had waited is found booked, and another one refused, though others are asked about by then."""
    run(dsn)
    refused, _, why = played.kept.refused[0]
    (name,) = [row[1] for row in booked(dsn) if row[0] == "TRADE_SETTLED"][:1]
    (trade,) = {one for one in TRADES if one.trade_id == name}
    with closing(PostgresBooks(dsn)) as books:
        books.meet([word for word in WORDS[-5:] if isinstance(word, MatchedTrade) and word not in (trade, refused)])
        assert (found := books.booked(trade)) is not None
        assert (trade.hash, why) == (found.hash, books.refused(refused))
