"""Movements of money at an exchange: each line of its history moves bitcoin between two accounts, the venue's own or shared.

Amounts are signed as the exchange writes them: positive is money into our account there, and a negative amount goes the other
way. A line that is taken back comes as a line of the opposite sign, so the same template books the reversal, with an id of its
own. The venue and the line's id name it, whatever kind, time or sequence are told with them.
"""

from functools import partial

from domain.ids import content_id, timeless_id
from domain.ledger.accounts import at_venue
from domain.ledger.body import meta_text
from domain.ledger.journal import Transaction
from domain.templates.entries import moved


def cash_flow_id(venue: str, flow_id: str) -> str:
    """Return the id of the posting of a line."""
    return timeless_id("CASH_FLOW", venue, flow_id)


def _cash_flow(
    template: str,
    debited: str,
    credited: str,
    amount_sats: int,
    *,
    effective_at_ms: int,
    venue: str,
    flow_id: str,
    client_id: str | None = None,
    sequence: int = 0,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Debit and credit `amount_sats`, the other way round when it is negative; None if it is zero.

    `client_id` is our own id of the order or transfer that the line belongs to, where it has one: it joins them.
    """
    entries = moved("BTC", at_venue(debited, venue), at_venue(credited, venue), amount_sats)
    if not entries:
        return None
    return Transaction(
        cash_flow_id(venue, flow_id),
        template,
        effective_at_ms,
        entries,
        content_id("client", client_id) if client_id else content_id("cash_flow", venue, flow_id),
        source,
        source_offset,
        meta_text({"client_id": client_id, "flow_id": flow_id, "sequence": sequence, "venue": venue}),
    )


trading_fee = partial(_cash_flow, "TRADING_FEE", "TRADING_ACCOUNT", "TRADING_FEES")
realised_pnl = partial(_cash_flow, "REALISED_PNL", "TRADING_ACCOUNT", "TRADING_PNL")
funding_payment = partial(_cash_flow, "FUNDING_PAYMENT", "TRADING_ACCOUNT", "FUNDING_RATE_PAYMENTS")
collateral_moved = partial(_cash_flow, "COLLATERAL_MOVED", "TRADING_ACCOUNT", "FUNDING_ACCOUNT")
deposit = partial(_cash_flow, "DEPOSIT", "FUNDING_ACCOUNT", "TREASURY_WALLET")
withdrawal = partial(_cash_flow, "WITHDRAWAL", "FUNDING_ACCOUNT", "TREASURY_WALLET")
withdrawal_fee = partial(_cash_flow, "WITHDRAWAL_FEE", "FUNDING_ACCOUNT", "NETWORK_FEES")

CASH_FLOWS = {
    "fee": trading_fee,
    "realised_pnl": realised_pnl,
    "funding_payment": funding_payment,
    "pocket_transfer": collateral_moved,
    "deposit": deposit,
    "withdrawal": withdrawal,
    "withdrawal_fee": withdrawal_fee,
}
"""The template for each kind of line in an exchange's history."""
