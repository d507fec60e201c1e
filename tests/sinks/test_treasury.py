"""Records of the treasury: each word once, evidence for ever, and views whose numbers are those of a hand."""

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any, LiteralString

import psycopg
import pytest

from connectors.thresholds import ThresholdRounds
from domain.ledger.accounts import FIXED, TREASURY_SHARD
from domain.messages.fields import Message
from domain.messages.treasury import BufferThresholds, TreasuryDecision
from domain.templates.reversal import reversal
from domain.treasury.policy import Rules
from domain.treasury.worth import BUFFERS, CURRENCY_OF
from sinks.ledger.writer import PostgresLedger
from sinks.postgres import connect
from sinks.queries import ask, text_of
from sinks.treasury import PostgresThresholds, PostgresTreasury, posting_id
from tests.operators.test_announce import DECISION
from tests.sinks.ledger.checks import Sql
from tests.sinks.treasury_words import (
    AT_MS,
    CASES,
    DUE,
    FUNDING,
    HEALTH,
    SETTLEMENT,
    THRESHOLDS,
    USDC,
    WINDOW,
    booked,
    failed,
    job,
    level,
    life,
)

pytestmark = pytest.mark.postgres

TABLES = (
    ("threshold", "conversion_job", "conversion_job_change", "provider", "net_window"),
    ("net_settlement", "buffer_level", "provider_health", "decision"),
)
IMMUTABLE: list[LiteralString] = ["threshold", "provider", "conversion_job_change"]
KEPT: list[LiteralString] = [*IMMUTABLE, "conversion_job", "net_window", "net_settlement"]


def decided() -> TreasuryDecision:
    """A decision about a buffer, under the default rules."""
    told = {"kind": "buffer", "book": "shadow", "venue": USDC, "unit": "micro_usd", "policy_version": Rules().version}
    return TreasuryDecision(**{**DECISION.model_dump(), **told})


EVERYTHING: list[Message] = [decided(), THRESHOLDS, DUE, *life("j1", 90), level(0), WINDOW, SETTLEMENT, HEALTH]


@pytest.fixture
def records(dsn: str) -> Iterator[PostgresTreasury]:
    """The records, empty."""
    with closing(PostgresTreasury(dsn, [Rules()])) as records:
        yield records


def rows(sql: Sql, view: str) -> list[dict[str, Any]]:
    """All rows of a view or table, by the names of their columns."""
    return [row[0] for row in sql(f"SELECT to_jsonb(v) FROM treasury.{view} v")]  # noqa: S608 - names of this file


def everything(sql: Sql) -> dict[str, Any]:
    """All rows of all tables, without when they were written."""
    tables = [name for some in TABLES for name in some]
    return {name: [{**row, "recorded_at": None, "id": None} for row in rows(sql, name)] for name in tables}


def post(dsn: str, *transactions: Any) -> None:
    """Book these on the shard of the buffers, where there is money enough."""
    with closing(PostgresLedger(dsn, TREASURY_SHARD, accounts=FIXED)) as ledger:
        assert {"posted"} == {str(verdict.outcome) for verdict in ledger.post([FUNDING, *transactions]).verdicts}


def test_what_is_told_again_is_written_once(records: PostgresTreasury, sql: Sql) -> None:
    """All at once, again, one by one, and from the middle: the rows are those of the first time."""
    records.record(EVERYTHING)
    first = everything(sql)
    assert all(first.values())
    records.record(EVERYTHING)
    for message in EVERYTHING:
        records.record([message])
    records.record(EVERYTHING[5:])
    assert first == everything(sql)
    assert [(6,)] == sql("SELECT count(*) FROM treasury.conversion_job_change")


def test_all_are_written_or_none(records: PostgresTreasury, sql: Sql) -> None:
    """A word that cannot be written takes all others of its batch with it, and they can be told again."""
    records.record([job("j1", 1, "pending"), job("j2", 1, "pending")])
    with pytest.raises(psycopg.errors.RestrictViolation, match="its amount stays"):
        records.record([*life("j3", 90), job("j2", 2, "failed", amount=7)])
    assert [("j1",), ("j2",)] == sql("SELECT job_id FROM treasury.conversion_job ORDER BY 1")
    records.record(life("j3", 90))
    assert [(3,)] == sql("SELECT count(*) FROM treasury.conversion_job")


def test_the_newest_word_holds_whatever_the_order(records: PostgresTreasury, sql: Sql) -> None:
    """Of a job the highest sequence, of a level the latest time; an older word changes neither."""
    steps = life("j1", 90)
    records.record([steps[0]])
    records.record([steps[3], steps[2], steps[1]])
    records.record([level(2, as_of=AT_MS + 2), level(3, as_of=AT_MS + 3)])
    records.record([level(1, as_of=AT_MS + 1)])
    assert [("provider_completed", AT_MS)] == sql("SELECT state, treasury.ms_of(created_at) FROM treasury.conversion_job")
    assert [(3,)] == sql("SELECT posted FROM treasury.buffer_level")


def test_jobs_are_counted_by_their_states(records: PostgresTreasury, sql: Sql) -> None:
    """The tally is what a count of all jobs comes to."""
    for messages in (life("j1", 90)[:3], life("j2", 90), failed("j3", 5), life("j1", 90), [job("j4", 1, "pending")]):
        records.record(messages)
        counted = sql("SELECT state, count(*) FROM treasury.conversion_job GROUP BY 1 ORDER BY 1")
        assert counted == sql("SELECT label, n FROM treasury.tally WHERE subject = 'job' AND n > 0 ORDER BY 1")


@pytest.mark.parametrize("table", KEPT)
def test_evidence_is_not_deleted(records: PostgresTreasury, sql: Sql, table: LiteralString) -> None:
    """Not even by the owner of the tables."""
    records.record(EVERYTHING)
    for statement in (f"DELETE FROM treasury.{table}", f"TRUNCATE treasury.{table} CASCADE"):  # noqa: S608
        with pytest.raises(psycopg.errors.RestrictViolation):
            sql(statement)


@pytest.mark.parametrize("table", IMMUTABLE)
def test_evidence_is_not_altered(records: PostgresTreasury, sql: Sql, table: LiteralString) -> None:
    """What was said stays said."""
    records.record(EVERYTHING)
    with pytest.raises(psycopg.errors.RestrictViolation):
        sql(f"UPDATE treasury.{table} SET body = body")  # noqa: S608


@pytest.mark.parametrize(
    "told", [{"amount": 1}, {"source": "broker_operational"}, {"cause": "manual"}, {"window_end": AT_MS}]
)
def test_what_was_ordered_stays(records: PostgresTreasury, told: dict[str, Any]) -> None:
    """A later step of a job cannot say that something else was ordered."""
    records.record([job("j1", 1, "pending")])
    with pytest.raises(psycopg.errors.RestrictViolation, match=f"its {next(iter(told))} stays"):
        records.record([job("j1", 2, "failed", **told)])


def test_a_posting_is_known_before_it_is_booked() -> None:
    """A job names the id that its provider's name for it is booked under; before it has that name none."""
    assert [None, None] == [posting_id(one) for one in life("j1", 90)[:2]]
    assert booked("j1", 90).id == posting_id(life("j1", 90)[-1])


def test_a_job_is_completed_when_its_posting_is_booked(records: PostgresTreasury, dsn: str, sql: Sql) -> None:
    """Not when somebody says so, and at once when the money has moved, whatever was said."""
    records.record([*life("said", 90), *life("moved", 90)[:4], *failed("late", 60)])
    states = "SELECT job_id, state, told_state, is_booked FROM treasury.v_conversion_jobs ORDER BY 1"
    assert [
        ("late", "failed", "failed", False),
        ("moved", "provider_completed", "provider_completed", False),
        ("said", "ledger_updating", "completed", False),
    ] == sql(states)
    post(dsn, booked("moved", 90), booked("late", 95), booked("said", 90))
    assert [
        ("late", "completed", "failed", True),
        ("moved", "completed", "provider_completed", True),
        ("said", "completed", "completed", True),
    ] == sql(states)
    assert [] == rows(sql, "v_active_conversion_jobs")


def test_a_conversion_that_was_taken_back_says_so(records: PostgresTreasury, dsn: str, sql: Sql) -> None:
    """By the id of what took it back."""
    records.record(life("j1", 90))
    original = booked("j1", 90)
    back = reversal(original, AT_MS + 100_000, "typed twice")
    assert back
    post(dsn, original, back)
    assert [(back.id,)] == sql("SELECT reversed_by::text FROM treasury.v_conversion_jobs")


def test_stats_are_those_of_a_hand(records: PostgresTreasury, dsn: str, sql: Sql) -> None:
    """Three of a provider completed in 90, 150 and 300 s, one failed after 5 s: 25 %, and 180 s on average; fees 200 each."""
    durations = {"a": 90, "b": 150, "c": 300}
    records.record([one for name, seconds in durations.items() for one in life(name, seconds)])
    records.record([*failed("d", 5), *failed("e", 5, provider="zerohash"), job("f", 1, "pending")])
    post(dsn, *[booked(name, seconds) for name, seconds in durations.items()])
    columns = "provider, day::text, total, completed, failed, failure_rate_pct, volume_whole, fees_whole, average_seconds"
    assert [
        ("due", "2026-01-31", 4, 3, 1, Decimal("25.00"), Decimal(120_000), Decimal(600), Decimal("180.00")),
        ("zerohash", "2026-01-31", 1, 0, 1, Decimal("100.00"), 0, 0, None),
        (None, "2026-01-31", 1, 0, 0, None, 0, 0, None),
    ] == sql(f"SELECT {columns} FROM treasury.v_conversion_stats")  # noqa: S608


@pytest.mark.parametrize("case", [case for case in CASES if case["kind"] == "buffer_status"], ids=lambda case: case["id"])
def test_a_buffer_lacks_what_it_should(records: PostgresTreasury, sql: Sql, case: dict[str, Any]) -> None:
    """What the cases of the treasury's document expect, in whole units, to the smallest one."""
    expected, limits = case["then"]["expected"], case["given"]["thresholds"]
    amounts = {name: int(Decimal(limits[name]) * 1_000_000) for name in ("min", "target", "max", "batch")}
    records.record([level(int(Decimal(case["given"]["balance"]) * 1_000_000), status=expected["status"], **amounts)])
    columns = "status, amount_to_target_whole, available_whole"
    assert [(expected["status"], Decimal(expected["amount_to_target"]), Decimal(case["given"]["balance"]))] == sql(
        f"SELECT {columns} FROM treasury.v_buffer_status"  # noqa: S608
    )


def test_buffers_are_shown_the_worst_first(records: PostgresTreasury, sql: Sql) -> None:
    """By status, with what is available and what is decided on, and the excess of one that has too much."""
    cents = {"currency": "USD", "min": 2_000_000, "target": 10_000_000, "max": 20_000_000, "batch": 5_000_000}
    records.record(
        [
            level(60_000_000_000, in_flight=5, reserved=10_000_000_000),
            level(25_000_000, buffer="broker_operational", status="OVER_CAPITALIZED", **cents),
            level(1_500_000, buffer="system_buffer_fiat", status="CRITICAL_LOW", **cents),
        ]
    )
    columns = "buffer, available, position, amount_to_target, excess, utilisation_pct"
    assert [
        ("system_buffer_fiat", 1_500_000, 1_500_000, 8_500_000, 0, Decimal("15.00")),
        ("broker_operational", 25_000_000, 25_000_000, 0, 15_000_000, Decimal("250.00")),
        (USDC, 50_000_000_000, 50_000_000_005, 0, 0, Decimal("100.00")),
    ] == sql(f"SELECT {columns} FROM treasury.v_buffer_status")  # noqa: S608


def test_forecasts_begin_with_the_first_buffer_to_fall(records: PostgresTreasury, sql: Sql) -> None:
    """With the seconds that are left; one that does not fall comes last."""
    records.record([level(1), level(2, buffer="system_buffer_fiat", currency="USD", falls_below_min_at=AT_MS + 90_500)])
    assert [("system_buffer_fiat", 90), (USDC, None)] == sql("SELECT buffer, seconds_left FROM treasury.v_buffer_forecast")


def test_stale_jobs_are_with_their_provider_for_too_long(records: PostgresTreasury, dsn: str, sql: Sql) -> None:
    """For more than half an hour, or past the provider's own time, also when it is said to be completed and is not booked;
    neither what waits to be sent nor what has failed."""
    (now_ms,) = sql("SELECT treasury.ms_of(now())")[0]
    sent = {"provider": "due", "client_conversion_id": "c"}
    records.record(
        [
            job("old", 1, "provider_submitted", submitted_at=now_ms - 1_801_000, **sent),
            job("young", 1, "provider_submitted", submitted_at=now_ms - 1_000_000, **sent),
            job("overdue", 1, "provider_processing", submitted_at=now_ms - 60_000, eta_at=now_ms - 1_000, **sent),
            job("waits", 1, "pending"),
            job("unbooked", 1, "completed", submitted_at=now_ms - 1_801_000, as_of=now_ms, **sent),
            job("ended", 1, "failed", submitted_at=now_ms - 1_801_000, **sent),
        ]
    )
    assert [("old", False), ("unbooked", False), ("overdue", True)] == sql(
        "SELECT job_id, is_past_eta FROM treasury.v_stale_jobs"
    )
    with connect(dsn, "reader", "test") as connection:
        asked = ask(connection, "treasury_stale_jobs", {"stale_seconds": 1800})
        assert ["old", "unbooked", "overdue"] == [row["job_id"] for row in asked]
        assert 4 == len(ask(connection, "treasury_stale_jobs", {"stale_seconds": 900}))


def test_providers_are_shown_the_worst_first_on_their_newest_terms(records: PostgresTreasury, sql: Sql) -> None:
    """A provider that nobody has used yet is well; the newest word on its terms is what `configs` returns, too."""
    newer = DUE.model_copy(update={"priority": 5, "as_of": AT_MS + 1})
    other = DUE.model_copy(update={"provider": "zerohash"})
    records.record([newer, DUE, other, HEALTH.model_copy(update={"is_healthy": False})])
    assert [("due", 5, False, Decimal("75.00")), ("zerohash", 1, True, None)] == sql(
        "SELECT provider, priority, is_healthy, success_rate_pct FROM treasury.v_provider_health"
    )
    assert [newer, other] == records.configs()


def test_a_settlement_saves_what_is_not_paid(records: PostgresTreasury, sql: Sql) -> None:
    """Of 160 cents 40 are paid: 75 % less, in one payment."""
    records.record([SETTLEMENT])
    assert [(160, 40, Decimal("75.00"), 1, [["A", "B", 40]])] == sql(
        "SELECT gross_cents, settled_cents, saved_pct, n_payments, payments FROM treasury.v_net_settlement"
    )


@pytest.mark.parametrize("query", ["treasury_active_jobs", "treasury_stale_jobs", "treasury_recent_jobs"])
def test_a_status_does_not_read_all_jobs(records: PostgresTreasury, dsn: str, sql: Sql, query: str) -> None:
    """Among many that have ended, those that are open and those of the last day are found by indexes."""
    records.record(life("j1", 90))
    sql("""
        INSERT INTO treasury.conversion_job (body, created_at)
        SELECT j.body || jsonb_build_object('job_id', 'old ' || n), j.created_at
        FROM treasury.conversion_job j, generate_series(1, 5000) n
    """)
    sql("ANALYZE treasury.conversion_job")
    parameters = {"stale_seconds": 1800, "period_seconds": 86_400}
    with connect(dsn, "reader", "test") as connection:
        told = connection.execute(b"EXPLAIN " + text_of(query).encode(), parameters)
        plan = "\n".join(row[0] for row in told)
    assert "conversion_job_newest" in plan
    assert "Seq Scan on conversion_job" not in plan


def test_sql_and_program_know_the_same_currencies(sql: Sql) -> None:
    """Of every buffer."""
    assert CURRENCY_OF == {buffer: sql("SELECT treasury.currency_of(%s)", buffer)[0][0] for buffer in BUFFERS}


# ---- thresholds by SQL


@pytest.fixture
def person(dsn: str, records: PostgresTreasury) -> Iterator[psycopg.Connection[Any]]:
    """Somebody with psql, beside a buffer that has thresholds."""
    records.record([THRESHOLDS])
    with connect(dsn, "api", "person") as connection:
        yield connection


SET: LiteralString = (
    "UPDATE treasury.buffer_thresholds SET min = 20000000000, by_whom = 'ben', reason = 'more withdrawals'"
    " WHERE buffer = 'system_buffer_usdc'"
)


def test_an_update_is_a_version_that_is_told(dsn: str, person: psycopg.Connection[Any], records: PostgresTreasury) -> None:
    """The flow hears it as it hears a message, once; when it comes back by the topic it is known."""
    with closing(ThresholdRounds(PostgresThresholds(dsn))) as rounds:
        assert [] == list(rounds.round().told)
        person.execute(SET)
        rounds.wait(60)
        told, cursor = rounds.round()
        (said,) = told
        assert isinstance(said, BufferThresholds)
        expected = {"min": 20_000_000_000, "by": "ben", "reason": "more withdrawals", "as_of": said.as_of}
        assert THRESHOLDS.model_copy(update=expected) == said
        assert [] == list(rounds.round().told)
    records.record([said])
    found = person.execute("SELECT origin, login IS NOT NULL, by_whom FROM treasury.threshold ORDER BY id").fetchall()
    assert [("topic", False, "anna"), ("sql", True, "ben")] == found
    with closing(ThresholdRounds(PostgresThresholds(dsn), cursor)) as rounds:
        assert [] == list(rounds.round().told)
        person.execute(SET.replace("more withdrawals", "and more"))  # type: ignore[arg-type]
        assert ["and more"] == [one.reason for one in rounds.round().told]  # type: ignore[attr-defined]


def test_what_the_program_does_not_know_is_not_written(dsn: str, person: psycopg.Connection[Any]) -> None:
    """Parameters of fixed thresholds are left out, and those of a model stay as they are; so the flow can read every version."""
    person.execute(SET.replace("SET min", """SET parameters = '{"a": 1}', min"""))  # type: ignore[arg-type]
    with closing(PostgresTreasury(dsn)) as records:
        share = {"assets": Decimal(10**12), "share": Decimal("0.02"), "floor": Decimal(10**10)}
        records.record([THRESHOLDS.model_copy(update={"model": "share_of_assets", "parameters": share, "as_of": 2**41})])
    person.execute(SET.replace("more withdrawals", "again"))  # type: ignore[arg-type]
    person.execute(SET.replace("SET min", "SET model = 'fixed', min").replace("more withdrawals", "back"))  # type: ignore[arg-type]
    with closing(PostgresThresholds(dsn)) as versions:
        assert [("fixed", {}), ("share_of_assets", share), ("fixed", {})] == [
            (one.thresholds.model, one.thresholds.parameters) for one in versions.after(0, 9)
        ]


@pytest.mark.parametrize("text", ["\x00", "a\x00b\x00", "\\u0000", "\\\x00", "\\\\u0000\x00", '"\x00"', " "])
def test_any_text_that_a_message_may_have_is_kept(records: PostgresTreasury, sql: Sql, text: str) -> None:
    """What comes from outside may have a NUL in it, which the database cannot keep: it is shown as a sign, and no flow ends."""
    records.record([job("j1", 1, "failed", error=text), THRESHOLDS.model_copy(update={"by": " "})])
    records.record([DUE.model_copy(update={"url": f"http://{text}", "priority": 10**20, "eta_seconds": 10**20})])
    assert [(text.replace("\x00", "\ufffd"),)] == sql("SELECT error FROM treasury.v_conversion_jobs")
    assert [(10**20,)] == sql("SELECT eta_seconds FROM treasury.v_provider_health")


def test_the_newest_version_is_shown(person: psycopg.Connection[Any], records: PostgresTreasury) -> None:
    """Wherever it was said, and two in the same moment are in the order in which they were said."""
    shown = "SELECT min, origin, reason FROM treasury.buffer_thresholds"
    for reason in ("first", "second", "third"):
        person.execute(SET.replace("more withdrawals", reason))  # type: ignore[arg-type]
        assert [(20_000_000_000, "sql", reason)] == person.execute(shown).fetchall()
    records.record([THRESHOLDS.model_copy(update={"as_of": 2**41})])
    assert [(10_000_000_000, "topic", "first thresholds")] == person.execute(shown).fetchall()


def test_a_first_version_is_inserted(person: psycopg.Connection[Any]) -> None:
    """Of a buffer that nothing was said of yet."""
    person.execute(
        "INSERT INTO treasury.buffer_thresholds (buffer, min, target, max, batch, by_whom, reason)"
        " VALUES ('system_buffer_fiat', 2000000, 10000000, 20000000, 5000000, 'ben', 'first')"
    )
    found = person.execute("SELECT buffer, currency, model FROM treasury.buffer_thresholds ORDER BY 1").fetchall()
    assert [("system_buffer_fiat", "USD", "fixed"), (USDC, "USDC", "fixed")] == found


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        ("min = target", "min < target < max does not hold for system_buffer_usdc: 50000000000"),
        ("min = 0", "min < target < max does not hold"),
        ("max = target", "min < target < max does not hold"),
        ("target = NULL", "min < target < max does not hold"),
        ("batch = 0", "batch has to be more than zero"),
        ("model = 'best'", "best is set by: ballast treasury thresholds system_buffer_usdc --model best"),
        ("model = 'miller_orr'", "by SQL a model can only be set back to fixed"),
        ("by_whom = ' '", "by_whom is a name"),
        ("reason = E'two\\nlines'", "on one line"),
        ("reason = 'first thresholds'", "needs a reason"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_a_sentence(
    person: psycopg.Connection[Any], assignments: LiteralString, words: str
) -> None:
    """And no version is written."""
    reason: LiteralString = "" if "reason" in assignments else ", reason = 'other'"
    with pytest.raises(psycopg.Error) as caught:
        person.execute("UPDATE treasury.buffer_thresholds SET " + assignments + reason)  # noqa: S608
    assert words in str(caught.value)
    assert [(1,)] == person.execute("SELECT count(*) FROM treasury.threshold").fetchall()
