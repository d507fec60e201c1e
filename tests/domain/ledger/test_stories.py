"""The ledger in memory over stories whose verdicts are known beforehand."""

import pytest

from domain.ledger.journal import Verdict
from domain.ledger.memory import MemoryLedger
from tests.domain.ledger.ledger_stories import ACCOUNTS, CLOSED_UNTIL_MS, Expected, Step, runs


def said(verdict: Verdict) -> Expected:
    """A verdict as stories expect it."""
    return Expected(str(verdict.outcome), verdict.reason, verdict.shortfall)


def again(expected: Expected) -> Expected:
    """What a transaction gets the second time."""
    return expected._replace(outcome="duplicate") if expected.outcome == "posted" else expected


@pytest.mark.parametrize("seed", range(3))
def test_every_step_gets_the_verdict_that_its_story_expects(seed: int) -> None:
    """In runs of any size, and again when all of it is posted once more."""
    ledger = MemoryLedger(ACCOUNTS, CLOSED_UNTIL_MS)
    told: Step = []
    for run in runs(seed, 600, 100):
        assert [expected for _, expected in run] == [
            said(verdict) for verdict in ledger.post([one for one, _ in run]).verdicts
        ]
        told += run
    entries, balances = ledger.entry_rows(), ledger.balances()
    repeated = [said(verdict) for verdict in ledger.post([one for one, _ in told]).verdicts]
    assert [again(expected) for _, expected in told] == repeated
    assert (entries, balances) == (ledger.entry_rows(), ledger.balances())


def test_stories_tell_of_every_reason() -> None:
    """A workload of some length meets each outcome, and more than twenty reasons."""
    met = {(expected.outcome, expected.reason) for run in runs(1, 800, 100) for _, expected in run}
    assert {"posted", "duplicate", "conflict", "rejected"} == {outcome for outcome, _ in met}
    assert 20 <= len({reason for outcome, reason in met if outcome == "rejected"})
