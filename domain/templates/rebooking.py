"""Booking what was rejected: a new transaction with the template and the entries of the one that the ledger refused.

A rejected id stays rejected, so the same facts need another one when what stood against them is out of the way. It is made of
the rejected id alone: whoever books it again twice, at whatever time, books it once. When it is effective is for a person to
say, since its own time may lie in a period that is closed; what it says of its own time, as the legs of a trade do, it keeps.
"""

import json

from domain.ids import timeless_id
from domain.ledger.body import meta_text
from domain.ledger.journal import Transaction

SOURCE = "console/rebookings"


def rebooking_id(rejected_id: str) -> str:
    """Return the id of what books a rejected transaction after all."""
    return timeless_id("REBOOKING", rejected_id)


def rebooking(rejected: Transaction, effective_at_ms: int, reason: str | None = None) -> Transaction:
    """Return what books a rejected transaction after all; taken back it is by `templates/reversal.py`."""
    told = {"rebooks": rejected.id} | ({} if reason is None else {"reason": reason})
    return rejected._replace(
        id=rebooking_id(rejected.id),
        effective_at_ms=effective_at_ms,
        source=SOURCE,
        source_offset=0,
        meta=meta_text({**json.loads(rejected.meta), **told}),
    )
