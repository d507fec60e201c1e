"""A balance as it goes out to whoever decides on it: one signed amount per layer."""

from domain.ledger.journal import Balance
from domain.messages.ledger import LedgerBalance


def balance_message(balance: Balance, as_of_ms: int) -> LedgerBalance:
    """Return the message that tells of a balance: debits less credits, in minor units."""
    return LedgerBalance(
        account=balance.account,
        currency=balance.currency,
        version=balance.version,
        settled=balance.settled,
        pending=balance.pending_debit - balance.pending_credit,
        encumbered=balance.encumbered_debit - balance.encumbered_credit,
        as_of=as_of_ms,
    )
