"""From what an exchange says to the messages that the flows read."""

from domain.ids import content_id
from domain.messages.ops import Alert
from domain.messages.venue import CashFlow, Fill, VenueBalance, VenuePosition
from domain.outbox.lifecycle import Says
from domain.times import datetime_of
from domain.venue.account import Balances, CashMoved, Filled, OrderState, Position, TransferState


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


def silence_alert(venue: str, since_ms: int, why: str, now_ms: int) -> Alert:
    """The alert that an exchange does not answer: one trouble for as long as it lasts."""
    since, heard = f"{datetime_of(since_ms):%Y-%m-%d %H:%M:%S} UTC", " ".join(why.split())[:200]
    told = f"the exchange of {venue} has not answered since {since} ({heard}), so nothing is sent there and facts grow old"
    return Alert(
        id=content_id("venue_silent", venue, str(since_ms)),
        severity="critical",
        subject="venue_silent",
        text=f"{told}; see that it runs, and venues.{venue}.url",
        as_of=now_ms,
    )
