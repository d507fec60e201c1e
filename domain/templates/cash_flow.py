"""What all movements of money at an exchange share: one line of its history moves bitcoin between two accounts.

Amounts are signed as the exchange writes them: positive is money into our account there. A line that is taken back
comes as a line of the opposite sign, so the same template books the reversal, with an id of its own.
"""

from domain.ids import content_id, timed_id
from domain.journal import Transaction
from domain.templates.entries import moved


def cash_flow(
    template: str,
    debited: str,
    credited: str,
    amount_sats: int,
    *,
    effective_at_ms: int,
    venue: str,
    flow_id: str,
    client_id: str | None,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Debit and credit `amount_sats`, the other way round when it is negative; None if it is zero.

    `client_id` is our own id of the order or transfer that the line belongs to, where it has one: it joins them.
    """
    entries = moved("BTC", debited, credited, amount_sats)
    if not entries:
        return None
    return Transaction(
        timed_id(effective_at_ms, template, venue, flow_id),
        template,
        effective_at_ms,
        entries,
        content_id("client", client_id) if client_id else content_id("cash_flow", venue, flow_id),
        source,
        source_offset,
        {"client_id": client_id, "flow_id": flow_id, "venue": venue},
    )
