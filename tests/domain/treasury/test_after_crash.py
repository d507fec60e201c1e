"""After a crash the desk stands by what it asked for, though it may decide otherwise on the balances of now."""

import pytest

from domain.messages.provider import ConversionReport
from domain.messages.treasury import ConversionRequest, JobChange
from domain.outbox.slots import STANDS
from domain.treasury.desk import Past, TreasuryDesk
from domain.treasury.telling import change_of, job_of
from tests.domain.treasury.desk_runs import Answer, Played
from tests.domain.treasury.test_desk import CLOSES_MS, POLICY, at_once, begun, failing, played
from tests.treasury_words import BROKER, FIAT, USDC, event, report, terms
from tests.words import START_MS

ENOUGH = {USDC: 50_000, FIAT: 150_000, BROKER: 200_000}
AFTER_MS = CLOSES_MS + 60_000
OUT = ("pending", "provider_submitted", "provider_processing")


def test_an_id_that_stands_for_another_request_ends_nothing() -> None:
    """The outbox refuses what was decided anew; what it has under that id is out, so nobody else is asked."""

    def refuses(_run: Played, said: object, now_ms: int) -> list[tuple[int, ConversionReport]]:
        is_request = isinstance(said, ConversionRequest)
        why = f"{said.client_conversion_id} {STANDS}" if isinstance(said, ConversionRequest) else ""
        return [(100, report(said, "refused", now_ms - START_MS, why))] if is_request else []  # type: ignore[arg-type]

    run = played(begun(), AFTER_MS, answer=refuses)
    assert 1 == len(run.of(ConversionRequest))
    assert ["pending", "pending"] == [change.state for change in run.of(JobChange)]


@pytest.mark.parametrize("known", range(3))
def test_recorded_jobs_are_not_decided_otherwise(known: int) -> None:
    """A desk that starts from nothing with the records of a job orders nothing for that need, and asks the same again."""
    first = played(begun(), CLOSES_MS, answer=None)
    (asked,), changes = first.of(ConversionRequest), first.of(JobChange)
    run = Played(POLICY)
    run.desk = TreasuryDesk(POLICY, None, Past(changes[max(0, known - 1) : known] if known else changes[-1:]))
    run.tell([*begun(), (CLOSES_MS + 5_000, event(asked, "completed", CLOSES_MS + 5_000))], CLOSES_MS + 6_000)
    assert {asked.client_conversion_id} == {one.client_conversion_id for one in run.of(ConversionRequest)}
    assert {asked.job_id} == {one.job_id for one in run.of(JobChange)}
    assert "completed" == run.of(JobChange)[-1].state
    assert 50_000 == run.posted(USDC) // 10**6


@pytest.mark.parametrize("answer", [None, at_once, failing("due"), failing("due", "failed", "amount_invalid: no")])
def test_a_record_is_enough_to_go_on(answer: Answer | None) -> None:
    """What is recalled of a job is what a desk knows of it, but for whom it has tried and what it remembers of times."""
    for change in played(begun(), CLOSES_MS + 400_000, answer).of(JobChange):
        again = change_of(job_of(change), change.as_of)
        assert change == again
        assert job_of(again).is_out == (change.state in OUT and change.attempt > 0 and change.due_at is None)


def test_whoever_does_badly_is_asked_when_nobody_does_well() -> None:
    """A provider that has failed often is asked again when it is the only one, once its breaker lets it."""
    policy = POLICY.model_copy(update={"health_attempts_min": 2, "failures_to_open": 3, "retry_seconds": 90})
    run = played(begun(ENOUGH | {USDC: 8_000}, terms("due")), CLOSES_MS + 3_600_000, failing("due"), policy)
    assert 8 <= len(run.of(ConversionRequest))
