"""The life of a withdrawal: debited at the broker, converted, sent on chain; or taken back.

    initiated -> pending -> alpaca_debited -> due_processing -> onchain_transfer -> completed
        |           |             |                 |                  |
        +-----------+-------------+-----------------+------------------+--> failed -> reversed
                    +-------------+-----------------+------------------+--> timeout -> completed, failed

No step is left out, so nothing is sent that was not debited. What has failed is compensated, which is `reversed`; where nothing
was debited yet that moves nothing. A time-out is no end: the money may have moved, so it completes or fails when that is known,
and only what has failed is reversed. Completed and reversed are final: what comes back after that is another matter.

Ahead of its flow. Source: the treasury's document, T59; `settled` 22 leaves the table to us.
"""

from typing import Literal

from domain.control.states import Steps

WithdrawalState = Literal[
    "initiated",
    "pending",
    "alpaca_debited",
    "due_processing",
    "onchain_transfer",
    "timeout",
    "completed",
    "failed",
    "reversed",
]

STEPS: Steps[WithdrawalState] = {
    "initiated": frozenset(("pending", "failed")),
    "pending": frozenset(("alpaca_debited", "failed", "timeout")),
    "alpaca_debited": frozenset(("due_processing", "failed", "timeout")),
    "due_processing": frozenset(("onchain_transfer", "failed", "timeout")),
    "onchain_transfer": frozenset(("completed", "failed", "timeout")),
    "timeout": frozenset(("completed", "failed")),
    "failed": frozenset(("reversed",)),
    "completed": frozenset(),
    "reversed": frozenset(),
}
"""Where a withdrawal may go from where it is."""
