"""From what an exchange says and what was recorded to the messages that the flows read."""

from domain.exchange_facts import Balances, CashMoved, Filled, OrderState, Position, TransferState
from domain.execution import Change, Says
from domain.messages import CashFlow, Fill, Message, OrderReport, TransferReport, VenueBalance, VenuePosition
from domain.topics import VENUE_ORDERS, VENUE_TRANSFERS

REASON_LENGTH_MAX = 256


def says(state: OrderState | TransferState) -> Says:
    """The exchange's word about an order or a transfer."""
    filled = state.filled_contracts if isinstance(state, OrderState) else 0
    return Says(state.state, filled, state.sequence, state.reason)


def fill_message(venue: str, fill: Filled) -> Fill:
    """A fill, on the topic of fills."""
    return Fill(venue=venue, as_of=fill.as_of_ms, **fill.model_dump(exclude={"event", "as_of_ms"}))


def cash_message(venue: str, cash: CashMoved) -> CashFlow:
    """A line of the account's own history of money."""
    return CashFlow(venue=venue, as_of=cash.as_of_ms, **cash.model_dump(exclude={"event", "as_of_ms"}))


def position_message(venue: str, position: Position) -> VenuePosition:
    """The net position, as of the exchange's answer."""
    own = position.model_dump(include={"instrument", "exposure_cents", "contracts", "sequence"})
    return VenuePosition(venue=venue, as_of=position.as_of_ms, **own)


def balance_message(venue: str, balances: Balances) -> VenueBalance:
    """Both pockets, as of the exchange's answer."""
    return VenueBalance(venue=venue, as_of=balances.as_of_ms, **balances.model_dump(exclude={"as_of_ms"}))


def report_message(change: Change) -> tuple[str, Message]:
    """The report of a state change, with its topic."""
    common = {
        "venue": change.venue,
        "decision_id": change.decision_id,
        "state": change.state,
        "reason": change.reason[:REASON_LENGTH_MAX] if change.reason else None,
        "sequence": change.sequence,
        "as_of": change.at_ms,
    }
    if change.what == "order":
        report = {"client_order_id": change.client_id, "filled_contracts": change.filled} | common
        return VENUE_ORDERS.name, OrderReport.model_validate(report)
    return VENUE_TRANSFERS.name, TransferReport.model_validate({"client_transfer_id": change.client_id} | common)
