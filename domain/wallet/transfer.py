"""The life of a transfer between two customers whose accounts may be in two shards: both ends finish, or neither.

    init -> source_pending -> source_done -> target_pending -> committed
     |            |                              |
     +------------+--> failed                    +--> compensating -> rolled_back

Until the source has paid, the transfer fails and nothing has moved. From then on it is committed when the target has the money,
or compensated when the target refuses it; a compensation is not given up. Committed, rolled back and failed are final.

Ahead of its flow. Source: the settlement's document, S28; `settled` 23 leaves the table to us.
"""

from typing import Literal

from domain.control.states import Steps

TransferState = Literal[
    "init", "source_pending", "source_done", "target_pending", "committed", "compensating", "rolled_back", "failed"
]

STEPS: Steps[TransferState] = {
    "init": frozenset(("source_pending", "failed")),
    "source_pending": frozenset(("source_done", "failed")),
    "source_done": frozenset(("target_pending",)),
    "target_pending": frozenset(("committed", "compensating")),
    "compensating": frozenset(("rolled_back",)),
    "committed": frozenset(),
    "rolled_back": frozenset(),
    "failed": frozenset(),
}
"""Where a transfer may go from where it is."""
