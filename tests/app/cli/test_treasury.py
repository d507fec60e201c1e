"""`ballast treasury`: what is recorded is shown, and what people say goes to its topic, exact and with who said it."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from app.places.places import prepare
from connectors.kafka.peek import Peek
from connectors.kafka.source import KafkaSettings
from domain.ledger.accounts import FIXED, TREASURY_SHARD
from domain.topics import GOV_APPROVALS, OPS_CONTROLS, PROVIDER_CONFIG, TREASURY_THRESHOLDS
from sinks.ledger.writer import PostgresLedger
from sinks.treasury import PostgresTreasury
from tests.app.conftest import Ballast
from tests.app.surroundings import assert_one_sentence, open_database, unused_name
from tests.sinks.treasury_words import AT_MS, DUE, FUNDING, HEALTH, THRESHOLDS, booked, failed, job, level, life

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

Settings = dict[str, str]
SAID = ("--by", "anna", "--reason", "because")
WAITS = job("manual:m1", 1, "pending", cause="manual", awaits_approval=True, asked_by="anna")


@pytest.fixture(scope="module")
def settings(broker: str, server: str) -> Iterator[Settings]:
    """A treasury with one buffer, one provider, a job that is booked, one that failed, and one that waits for approval."""
    with open_database(server) as dsn:
        prepare(dsn, KafkaSettings(broker))
        with closing(PostgresTreasury(dsn)) as records:
            records.record([THRESHOLDS, DUE, HEALTH, *life("j1", 90), *failed("j2", 5), WAITS])
            records.record([level(30_000_000_000, falls_below_min_at=AT_MS + 3_600_000, status="BELOW_TARGET")])
        with closing(PostgresLedger(dsn, TREASURY_SHARD, accounts=FIXED)) as ledger:
            ledger.post([FUNDING, booked("j1", 90)])
        yield {"BALLAST_KAFKA__BOOTSTRAP": broker, "BALLAST_POSTGRES__DSN": dsn}


def newest(settings: Settings, topic: str, by: str) -> tuple[bytes | None, dict[str, Any]]:
    """The key and the fields of the last message that somebody put on a topic."""
    with closing(Peek(KafkaSettings(settings["BALLAST_KAFKA__BOOTSTRAP"]))) as peek:
        said = [(one.key, json.loads(one.value)) for _, one in peek.everything(topic)]
    return [one for one in said if one[1]["by"] == by][-1]


def test_a_status_is_a_picture(ballast: Ballast, settings: Settings) -> None:
    """A bar from minimum to maximum with the target marked, what a buffer lacks and when it falls, jobs, providers."""
    text = ballast("treasury", "status", settings=settings).out
    for words in (
        "the treasury acts, by its last word on a buffer of 2026-01-31 12:00:00 UTC",
        "system_buffer_usdc   BELOW_TARGET     available 30,000.00 USDC, position 30,000.00 USDC",
        "10,000.00 USDC  [########.........|......................]  100,000.00 USDC",
        "target 50,000.00 USDC, lacks 20,000.00 USDC; falls under its minimum at 2026-01-31T13:00:00Z",
        "manual:m1  pending, waits for approval",
        "9 of 12",
    ):
        assert words in text


def test_a_status_is_one_json_object(ballast: Ballast, settings: Settings) -> None:
    """In minor units; the job that is booked is completed, and is under way no more."""
    told = ballast("treasury", "status", "--json", settings=settings).json()
    (buffer,) = told["buffers"]
    assert ("active", 30_000_000_000, 20_000_000_000) == (told["control"], buffer["position"], buffer["amount_to_target"])
    assert (["manual:m1"], []) == ([one["job_id"] for one in told["active"]], told["stale"])
    assert {"completed": 1, "failed": 1, "pending": 1} == told["jobs"]
    assert [("due", "75.00", "50")] == [
        (one["provider"], one["success_rate_pct"], one["fee_bps"]) for one in told["providers"]
    ]


def test_a_job_is_told_from_its_order_to_its_money(ballast: Ballast, settings: Settings) -> None:
    """Six steps, and five entries of one posting: 40,000 USDC, 39,800 dollars, and a fee of 200."""
    told = ballast("treasury", "job", "j1", "--json", settings=settings).json()
    assert ("completed", True, None) == (told["job"]["state"], told["job"]["is_booked"], told["job"]["reversed_by"])
    assert [
        "pending",
        "provider_submitted",
        "provider_processing",
        "provider_completed",
        "ledger_updating",
        "completed",
    ] == [one["state"] for one in told["steps"]]
    assert {
        ("SYSTEM_BUFFER_USDC", None, 40_000_000_000),
        ("FX_CLEARING", 40_000_000_000, None),
        ("FX_CLEARING", None, 4_000_000),
        ("SYSTEM_BUFFER_FIAT", 3_980_000, None),
        ("CONVERSION_FEES", 20_000, None),
    } == {(one["account"], one["debit"], one["credit"]) for one in told["postings"]}
    assert "CONVERSION" in ballast("treasury", "job", "j1", settings=settings).out
    unknown = ballast("treasury", "job", "j9", settings=settings)
    assert_one_sentence(unknown, "there is no job j9", "ballast treasury status", code=1)


@pytest.mark.parametrize(
    ("typed", "command"),
    [("run-cycle", "run_cycle"), ("halt", "halt"), ("pause", "halt"), ("reduce", "reduce"), ("resume", "resume")],
)
def test_a_control_is_a_message(ballast: Ballast, settings: Settings, typed: str, command: str) -> None:
    """Under its scope, with who says it and why; by itself that is who is logged in."""
    by = unused_name("p")
    told = ballast("treasury", typed, "--by", by, "--reason", "because", "--json", settings=settings).json()
    key, fields = newest(settings, OPS_CONTROLS.name, by)
    assert (b"treasury", command, "because", told["id"]) == (key, fields["command"], fields["reason"], fields["id"])


def test_a_conversion_is_asked_for_exactly(ballast: Ballast, settings: Settings) -> None:
    """In minor units of the source, and the name of its job is told."""
    by, typed = unused_name("p"), ("treasury", "convert", "system_buffer_usdc", "system_buffer_fiat")
    told = ballast(*typed, "40000.000001", "--by", by, "--reason", "because", "--json", settings=settings).json()
    _, fields = newest(settings, OPS_CONTROLS.name, by)
    assert (40_000_000_001, f"manual:{fields['id']}") == (fields["amount"], told["job_id"])
    for amount, words in {
        "1.0000001": "finer than USDC",
        "1,000": "is no amount",
        "-5": "No such option",
        "0": "amount",
    }.items():
        said = ballast(*typed, amount, *SAID, settings=settings)
        assert said.code, amount
        assert words in said.err
    same = ballast("treasury", "convert", "system_buffer_fiat", "system_buffer_fiat", "1", *SAID, settings=settings)
    assert_one_sentence(same, "this was not sent", "two buffers")
    unknown = ballast("treasury", "convert", "usdc", "system_buffer_fiat", "1", *SAID, settings=settings)
    assert_one_sentence(unknown, "there is no buffer usdc", "broker_operational")


def test_a_vote_is_for_a_job_that_waits(ballast: Ballast, settings: Settings) -> None:
    """Of another job it is said which ones do, or what has become of it."""
    for vote in ("approve", "deny"):
        by = unused_name("p")
        assert not ballast("treasury", vote, "manual:m1", "--by", by, "--reason", "r", settings=settings).code
        key, fields = newest(settings, GOV_APPROVALS.name, by)
        assert (b"manual:m1", vote, "manual:m1") == (key, fields["vote"], fields["subject"])
    assert_one_sentence(
        ballast("treasury", "approve", "j9", *SAID, settings=settings), "there is no job j9", "wait for approval: manual:m1"
    )
    assert_one_sentence(ballast("treasury", "deny", "j1", *SAID, settings=settings), "the job j1 is completed already")


def test_a_job_is_cancelled_by_its_name(ballast: Ballast, settings: Settings) -> None:
    """One that has ended is not."""
    by = unused_name("p")
    ballast("treasury", "cancel", "manual:m1", "--by", by, "--reason", "typed twice", settings=settings)
    _, fields = newest(settings, OPS_CONTROLS.name, by)
    assert ("cancel", "manual:m1") == (fields["command"], fields["job_id"])
    ended = ballast("treasury", "cancel", "j2", *SAID, settings=settings)
    assert_one_sentence(ended, "the job j2 is failed already", "manual:m1")


def test_thresholds_are_shown_and_set(ballast: Ballast, settings: Settings) -> None:
    """What is not named stays, under the buffer as key; what does not hold, has no reason or is too little is not sent."""
    typed = ("treasury", "thresholds")
    (shown,) = ballast(*typed, "--json", settings=settings).json()["thresholds"]
    assert (10_000_000_000, "anna", "topic") == (shown["min"], shown["by_whom"], shown["origin"])
    assert "10,000.00 USDC" in ballast(*typed, settings=settings).out
    by, buffer = unused_name("p"), "system_buffer_usdc"
    lacking = ballast(*typed, buffer, "--model", "share_of_assets", *SAID, settings=settings)
    assert_one_sentence(lacking, "share_of_assets wants the parameters assets, share, floor; there are none")
    parameters = {"assets": "1000000000000", "share": "0.02", "floor": "10000000000"}
    given = [word for name, value in parameters.items() for word in ("--parameter", f"{name}={value}")]
    changes = ("--min", "12000.5", "--model", "share_of_assets", *given)
    ballast(*typed, buffer, *changes, "--by", by, "--reason", "r", settings=settings)
    key, fields = newest(settings, TREASURY_THRESHOLDS.name, by)
    assert (buffer.encode(), 12_000_500_000, 50_000_000_000) == (key, fields["min"], fields["target"])
    assert ("share_of_assets", parameters) == (fields["model"], fields["parameters"])
    wrong = ballast(*typed, buffer, "--min", "60000", *SAID, settings=settings)
    assert_one_sentence(wrong, "min < target < max does not hold")
    assert_one_sentence(ballast(*typed, buffer, "--min", "1", "--by", by, settings=settings), "--reason WHY")
    assert_one_sentence(ballast(*typed, "--min", "1", *SAID, settings=settings), "say which buffer")
    first = ballast(*typed, "system_buffer_fiat", "--min", "1", *SAID, settings=settings)
    assert_one_sentence(first, "--target and --max and --batch are missing")


def test_providers_are_shown_added_and_changed(ballast: Ballast, settings: Settings) -> None:
    """While everything runs: a change keeps all other terms, and an addition has to say them."""
    typed = ("treasury", "providers")
    (shown,) = ballast(*typed, "due", "--json", settings=settings).json()["providers"]
    assert ("due", "active", 9) == (shown["provider"], shown["status"], shown["successes"])
    assert "closed" in ballast(*typed, settings=settings).out
    by = unused_name("p")
    ballast(*typed, "due", "--status", "inactive", "--by", by, "--reason", "its API is down", settings=settings)
    key, fields = newest(settings, PROVIDER_CONFIG.name, by)
    changed = DUE.model_dump(mode="json") | {"status": "inactive", "by": by, "reason": "its API is down"}
    assert (b"due", changed | {"as_of": fields["as_of"]}) == (key, fields)
    terms = ("--kind", "http", "--url", "http://127.0.0.1:9", "--priority", "2", "--direction", "usd_to_usdc")
    numbers = ("--ticket-min", "100", "--daily-max", "1000.01", "--fee-bps", "12.5", "--eta-seconds", "60")
    ballast(*typed, "other", *terms, *numbers, "--by", by, "--reason", "second", settings=settings)
    key, fields = newest(settings, PROVIDER_CONFIG.name, by)
    assert (b"other", 10_000, 100_001, "12.5", "active") == (
        key,
        fields["ticket_min_cents"],
        fields["daily_max_cents"],
        fields["fee_bps"],
        fields["status"],
    )
    lacking = ballast(*typed, "third", "--priority", "2", *SAID, settings=settings)
    assert_one_sentence(lacking, "nothing was said of third yet", "--kind and --url", "--direction and --ticket-min")
    assert_one_sentence(ballast(*typed, "--priority", "2", *SAID, settings=settings), "of one provider")
    assert_one_sentence(ballast(*typed, "nobody", settings=settings), "there is no provider nobody", code=1)
