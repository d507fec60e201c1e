"""What a market says of itself."""

from domain.messages.fields import Message, Ms, Name, Price


class Tick(Message):
    """The last traded price of an instrument, in US dollars for one bitcoin."""

    examples = ('{"price_usd":"50000.5","as_of":"2026-01-31T12:00:00Z"}',)
    happened = "as_of"

    instrument: Name = "BTC-USD-SWAP"
    price_usd: Price
    as_of: Ms
