"""Whether a customer is known: asked once per customer, in the background.

    pending -> in_progress -> approved, rejected

Ahead of its flow. Source: the wallet's document, W04.
"""

from typing import Literal

from domain.control.states import Steps

KycState = Literal["pending", "in_progress", "approved", "rejected"]

STEPS: Steps[KycState] = {
    "pending": frozenset(("in_progress",)),
    "in_progress": frozenset(("approved", "rejected")),
    "approved": frozenset(),
    "rejected": frozenset(),
}
"""Where a case may go from where it is."""
