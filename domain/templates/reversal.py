"""Taking a transaction back: a new one with its settled entries on the other side, which names the one that it reverses.

It belongs to the same matter as its original, and happens when its caller says: to date it now or then is a decision for a
person, since it changes the balances of that day. What is held is not reversed but voided, so a hold has nothing here.
"""

from domain.ids import timed_id
from domain.ledger.body import meta_text
from domain.ledger.journal import Layer, Transaction, reversal_of

REVERSAL = "REVERSAL"
SOURCE = "console/reversals"


def reversal(original: Transaction, effective_at_ms: int, reason: str | None = None) -> Transaction | None:
    """The mirror of `original`, which has its entries; None if nothing of it is settled. Told twice, it is the same."""
    entries = tuple([entry._replace(side=-entry.side) for entry in original.entries if entry.layer is Layer.SETTLED])
    if not entries:
        return None
    return Transaction(
        timed_id(effective_at_ms, REVERSAL, original.id),
        REVERSAL,
        effective_at_ms,
        entries,
        original.correlation_id,
        SOURCE,
        0,
        meta_text({} if reason is None else {"reason": reason}),
        reversal_of(original.id),
    )
