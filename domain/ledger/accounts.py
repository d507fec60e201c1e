"""The chart of accounts: every account there is from the start, as data.

An account keeps one balance per currency. Its normal side says which side makes it grow; its limits, where it has any,
are judged on what is *available*, so a hold counts before it is captured. An account that is bound to a currency takes
no other.

Some accounts are always there; their ids are small, and frozen. A venue, which is our name of one account at an exchange,
brings accounts of its own for what we hold there and for what nobody ordered, for the money in its two pockets and on its way,
and for what trading costs and earns. A book, which is one liability that is hedged at one venue, brings one for that
liability. Each stands below the account that is the sum over all venues, or all books, and has its code:
`POSITION/simulated` below `POSITION`.

Accounts that are opened while the system runs live in the ledger's own table. They, and those of venues and books, have the
ids that the ledger gives them, from 1000 up.
"""

from collections.abc import Iterable
from itertools import count
from typing import Literal, NamedTuple

from domain.ledger.journal import CREDIT, DEBIT

Status = Literal["open", "frozen", "closed"]

STABLESATS = "Stablesats"
EXCHANGE_POSITION = "Exchange Position"
EXCHANGE_CASH = "Exchange Cash"
BUFFERS = "Buffers"
SETTLEMENT = "Settlement"

TREASURY_SHARD = 9
"""What is in buffers is booked by a writer of its own, so that neither it nor the hedge waits for the other."""


SETTLEMENT_SHARD = 8
"""What customers trade with each other is booked by a writer of its own."""


class Velocity(NamedTuple):
    """By how much, in minor units, what is available may fall within a window of effective time.

    Windows follow each other without a gap, from the start of 1970 in UTC on.
    """

    currency: str
    window_seconds: int
    amount_max: int


class Account(NamedTuple):
    """One account, as the fold judges it.

    `min_available` is the least that may be left of settled money less what is promised away; `max_balance` is the most
    that settled money and what is promised to come may reach. Both are in minor units, in the normal direction. An account
    that others have as their `parent` is the sum of them, for reports, and takes no entries of its own. An account lives
    in one `shard`, whose writer alone books on it. Its `id` is 0 until the ledger that opens it gives it one.
    """

    id: int
    code: str
    normal_side: int
    journal: str
    currency: str | None = None
    meaning: str = ""
    min_available: int | None = None
    max_balance: int | None = None
    status: Status = "open"
    parent: str | None = None
    shard: int = 0
    velocities: tuple[Velocity, ...] = ()


SHARED = (
    Account(1, "EXTERNAL_OMNIBUS", DEBIT, STABLESATS, "BTC", "counter account for users' bitcoin"),
    Account(2, "STABLESATS_BTC_WALLET", CREDIT, STABLESATS, "BTC", "bitcoin held for users' dollars"),
    Account(3, "STABLESATS_OMNIBUS", DEBIT, STABLESATS, "USD", "all that is owed to users in dollars"),
    Account(4, "STABLESATS_LIABILITY", CREDIT, STABLESATS, "USD", "liability that no book hedges yet"),
    Account(5, "QUOTES_OMNIBUS", CREDIT, STABLESATS, None, "counter account for accepted quotes"),
    Account(6, "QUOTES_LIABILITIES", CREDIT, STABLESATS, "USD", "dollars owed by accepted quotes"),
    Account(7, "QUOTES_ASSETS", DEBIT, STABLESATS, "BTC", "bitcoin expected from accepted quotes"),
    Account(8, "EXCHANGE_POSITION_OMNIBUS", CREDIT, EXCHANGE_POSITION, "USD", "counter account for positions"),
    Account(9, "TREASURY_WALLET", DEBIT, EXCHANGE_CASH, "BTC", "bitcoin on chain, in our own wallet"),
    Account(10, "NETWORK_FEES", DEBIT, EXCHANGE_CASH, "BTC", "what moving bitcoin on chain cost"),
    Account(11, "ROUNDING", CREDIT, STABLESATS, None, "residues of rounding, never left inside an amount"),
    Account(12, "FX_POSITION", CREDIT, STABLESATS, None, "what exchanging currencies has left us with, in each of them"),
)
"""The accounts that are nobody's own."""

OF_BOOKS = (Account(13, "ALLOCATION", CREDIT, STABLESATS, "USD", "liability that a book has to hedge"),)
"""The sums over all books; a book has an account below each."""

OF_VENUES = (
    Account(14, "POSITION", DEBIT, EXCHANGE_POSITION, "USD", "size of the short at the exchange, positive when short"),
    Account(15, "FUNDING_ACCOUNT", DEBIT, EXCHANGE_CASH, "BTC", "bitcoin in the exchange's funding account"),
    Account(16, "TRADING_ACCOUNT", DEBIT, EXCHANGE_CASH, "BTC", "collateral in the exchange's trading account"),
    Account(17, "TRANSIT", DEBIT, EXCHANGE_CASH, "BTC", "bitcoin on its way to or from the exchange"),
    Account(18, "TRADING_FEES", DEBIT, EXCHANGE_CASH, "BTC", "what the exchange charged for trading"),
    Account(19, "TRADING_PNL", CREDIT, EXCHANGE_CASH, "BTC", "realised profit less loss of the hedge"),
    Account(20, "FUNDING_RATE_PAYMENTS", CREDIT, EXCHANGE_CASH, "BTC", "funding-rate payments received less paid"),
    Account(21, "POSITION_SUSPENSE", DEBIT, EXCHANGE_POSITION, "USD", "executed, and not yet explained by an order"),
)
"""The sums over all venues; a venue has an account below each."""

OF_BUFFERS = (
    Account(22, "SYSTEM_BUFFER_USDC", DEBIT, BUFFERS, "USDC", "USDC on chain, for withdrawals at once", 0),
    Account(23, "SYSTEM_BUFFER_FIAT", DEBIT, BUFFERS, "USD", "dollars at the conversion providers", 0),
    Account(24, "BROKER_OPERATIONAL", DEBIT, BUFFERS, "USD", "cash at the broker", 0),
    Account(25, "CUSTOMER_FUNDS", CREDIT, BUFFERS, None, "what customers have put into buffers less what they took"),
    Account(26, "TREASURY_CAPITAL", CREDIT, BUFFERS, None, "our own money in buffers"),
    Account(27, "FX_CLEARING", DEBIT, BUFFERS, None, "what conversions have left us with, in each currency"),
    Account(28, "CONVERSION_FEES", DEBIT, BUFFERS, None, "what providers kept for converting"),
)
"""The accounts of the buffers, and what stands against them; the shard is the treasury's own."""

OF_CUSTOMERS = (
    Account(29, "CUSTOMER", CREDIT, SETTLEMENT, None, "what a customer may use", 0, shard=SETTLEMENT_SHARD),
    Account(
        30, "CUSTOMER_LOCKED", CREDIT, SETTLEMENT, None, "what a customer has locked for orders", 0, shard=SETTLEMENT_SHARD
    ),
    Account(31, "CUSTOMER_DEBT", DEBIT, SETTLEMENT, None, "what a customer owes us", 0, shard=SETTLEMENT_SHARD),
)
"""The sums over all customers; a customer has an account below each from the first entry on it on."""

OF_SETTLEMENT = (
    Account(32, "CUSTODY", DEBIT, SETTLEMENT, None, "what is held for customers", shard=SETTLEMENT_SHARD),
    Account(33, "TRADING_REVENUE", CREDIT, SETTLEMENT, None, "fees of customers' trades", 0, shard=SETTLEMENT_SHARD),
    Account(
        34, "CUSTOMER_CORRECTIONS", DEBIT, SETTLEMENT, None, "corrections of customers' balances", shard=SETTLEMENT_SHARD
    ),
)
"""What stands against the accounts of customers."""

_BUFFERED = [account._replace(shard=TREASURY_SHARD) for account in OF_BUFFERS]
FIXED = (*SHARED, *OF_BOOKS, *OF_VENUES, *_BUFFERED, *OF_CUSTOMERS, *OF_SETTLEMENT)
"""The accounts that are always there; a new one takes the next id."""

_KEPT_BY_VENUES = frozenset([account.code for account in OF_VENUES])

FIRST_GIVEN = 1000
"""The first id that a ledger gives; those below are the program's."""


def account_of(summary: str, name: str) -> str:
    """Return the code of the account below a summary that is one venue's, or one book's."""
    return f"{summary}/{name}"


def at_venue(code: str, venue: str) -> str:
    """Return the code of the venue's own account where each venue has one, else that of the one that all share."""
    return account_of(code, venue) if code in _KEPT_BY_VENUES else code


def venue_accounts(venue: str) -> tuple[Account, ...]:
    """Return the accounts that a venue brings, each below its summary."""
    return tuple([_below(summary, venue) for summary in OF_VENUES])


def book_accounts(book: str) -> tuple[Account, ...]:
    """Return the accounts that a book brings, each below its summary."""
    return tuple([_below(summary, book) for summary in OF_BOOKS])


_OPENED = {account.code: account for account in OF_CUSTOMERS}


def opened(code: str) -> Account | None:
    """Return the account that opens by itself with the first entry on it: that of a customer. None for any other code."""
    summary, _, name = code.partition("/")
    return _below(_OPENED[summary], name) if name and summary in _OPENED else None


def _below(summary: Account, name: str) -> Account:
    code, meaning = account_of(summary.code, name), f"{name}: {summary.meaning}"
    return summary._replace(id=0, code=code, meaning=meaning, parent=summary.code)


def chart(venues: Iterable[str], books: Iterable[str]) -> tuple[Account, ...]:
    """Return all accounts that are there from the start, parents before children; what is booked on others is refused."""
    own = [account for venue in venues for account in venue_accounts(venue)]
    own += [account for book in books for account in book_accounts(book)]
    return (*FIXED, *own)


def numbered(accounts: Iterable[Account]) -> list[Account]:
    """Return the accounts with ids for those that had none, in order."""
    found = list(accounts)
    ids = count(max([FIRST_GIVEN - 1, *(account.id for account in found)]) + 1)
    return [account if account.id else account._replace(id=next(ids)) for account in found]


CHART = chart(["simulated"], ["main"])
"""The chart of one venue and one book, by the names that they have where nobody gave them others."""

LIABILITY = ("STABLESATS_OMNIBUS", "USD")
"""All that is owed in dollars, whatever book it is allocated to: the account and currency that hedging watches."""
