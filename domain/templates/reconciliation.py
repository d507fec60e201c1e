"""What corrects a break between the books and a statement: two people have said so, and both are named with their reason.

    RECONCILIATION   CUR  DR account   CR counter      a negative amount goes the other way

It names the break with the lines and transactions in it, by which the next comparison finds it. The correction's id makes its
own: however often it is posted, it is posted once. It is taken back by `templates/reversal.py`, and then the break is open again.
"""

from collections.abc import Sequence
from typing import NamedTuple

from domain.ids import content_id, timeless_id
from domain.ledger.body import meta_text
from domain.ledger.journal import Transaction
from domain.templates.entries import moved

RECONCILIATION = "RECONCILIATION"
SOURCE = "console/corrections"


class Correction(NamedTuple):
    """What two people have agreed upon; `amount` debits the account, and a negative one credits it."""

    id: str
    break_id: str
    account: str
    counter: str
    currency: str
    amount: int
    effective_at_ms: int
    line_ids: Sequence[str]
    transaction_ids: Sequence[str]
    why: str
    asked_by: str
    approved_by: str


def reconciliation_id(correction_id: str) -> str:
    """Return the id of the posting of a correction."""
    return timeless_id(RECONCILIATION, correction_id)


def reconciliation(asked: Correction) -> Transaction:
    """Move what a break comes to between the account and the one that stands against it."""
    return Transaction(
        reconciliation_id(asked.id),
        RECONCILIATION,
        asked.effective_at_ms,
        moved(asked.currency, asked.account, asked.counter, asked.amount),
        content_id("break", asked.break_id),
        SOURCE,
        0,
        meta_text(
            {
                "account": asked.account,
                "approved_by": asked.approved_by,
                "asked_by": asked.asked_by,
                "break_id": asked.break_id,
                "line_ids": list(asked.line_ids),
                "reason": asked.why,
                "transaction_ids": list(asked.transaction_ids),
            }
        ),
    )
