"""A plain movement between two accounts, as a person or another system asks for it by name.

    TRANSFER   CUR  DR debit   CR credit

It is taken back by `templates/reversal.py`, at a time that its caller says.
"""

from domain.ids import content_id, timeless_id
from domain.ledger.body import meta_text
from domain.ledger.journal import Transaction
from domain.templates.entries import moved

TRANSFER = "TRANSFER"


def transfer(
    key: str,
    debit: str,
    credit: str,
    currency: str,
    amount: int,
    *,
    effective_at_ms: int,
    source: str,
    source_offset: int,
    memo: str | None = None,
) -> Transaction:
    """Move `amount` in minor units; `key` is the business key."""
    return Transaction(
        timeless_id(TRANSFER, key),
        TRANSFER,
        effective_at_ms,
        moved(currency, debit, credit, amount),
        content_id("posting", key),
        source,
        source_offset,
        meta_text({} if memo is None else {"memo": memo}),
    )
