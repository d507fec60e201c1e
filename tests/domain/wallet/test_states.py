"""The tables of the wallet's machines: every state is in them, nothing repeats itself, and every path comes to an end."""

from typing import Any, get_args

import pytest

from domain.control.states import Steps, ends, refused_at
from domain.wallet import kyc, transfer, withdrawal
from domain.wallet.kyc import KycState
from domain.wallet.transfer import TransferState
from domain.wallet.withdrawal import WithdrawalState

MACHINES: list[tuple[Steps[Any], Any, set[str]]] = [
    (kyc.STEPS, KycState, {"approved", "rejected"}),
    (transfer.STEPS, TransferState, {"committed", "rolled_back", "failed"}),
    (withdrawal.STEPS, WithdrawalState, {"completed", "reversed"}),
]


@pytest.mark.parametrize(("steps", "states", "final"), MACHINES)
def test_a_table_is_whole(steps: Steps[Any], states: Any, final: set[str]) -> None:
    """It has every state and no other, none leads to itself, and from each an end is reached."""
    assert set(get_args(states)) == set(steps)
    assert not any(state in after for state, after in steps.items())
    assert final == ends(steps)
    reaching = set(final)
    while found := {state for state, after in steps.items() if state not in reaching and after & reaching}:
        reaching |= found
    assert set(steps) == reaching


@pytest.mark.parametrize(
    ("steps", "path", "expected"),
    [
        (withdrawal.STEPS, ["initiated", "failed", "reversed"], None),
        (withdrawal.STEPS, ["initiated", "pending", "alpaca_debited", "timeout", "failed", "reversed"], None),
        (withdrawal.STEPS, ["initiated", "pending", "alpaca_debited", "reversed"], 3),
        (withdrawal.STEPS, ["initiated", "alpaca_debited"], 1),
        (withdrawal.STEPS, ["onchain_transfer", "completed", "reversed"], 2),
        (withdrawal.STEPS, ["timeout", "reversed"], 1),
        (transfer.STEPS, ["init", "source_done"], 1),
        (transfer.STEPS, ["init", "source_pending", "failed"], None),
        (transfer.STEPS, ["source_done", "compensating"], 1),
        (transfer.STEPS, ["compensating", "committed"], 1),
        (kyc.STEPS, ["in_progress", "rejected", "approved"], 2),
    ],
)
def test_what_the_documents_leave_open_is_settled_so(steps: Steps[Any], path: list[str], expected: int | None) -> None:
    """Only what has failed is reversed, no step is left out, and an end is an end."""
    assert expected == refused_at(steps, path)
