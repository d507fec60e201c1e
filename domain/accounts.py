"""The chart of accounts: every account there is from the start, as data.

An account keeps one balance per currency. Its normal side says which side makes it grow; its limits, where it has any,
are judged on what is *available*, so a hold counts before it is captured. An account that is bound to a currency takes
no other. The first eleven are those of the reference system, with its codes; the others book what it leaves out: the
money in the exchange's two pockets, on its way and on chain, and what trading costs and earns. The ids are small, and
frozen.

Accounts that are opened while the system runs live in the ledger's own table, with ids from 1000 up.
"""

from typing import Literal, NamedTuple

from domain.journal import CREDIT, DEBIT

Status = Literal["open", "frozen", "closed"]

STABLESATS = "Stablesats"
EXCHANGE_POSITION = "Exchange Position"
EXCHANGE_CASH = "Exchange Cash"


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
    in one `shard`, whose writer alone books on it.
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


CHART = (
    Account(1, "EXTERNAL_OMNIBUS", DEBIT, STABLESATS, "BTC", "counter account for users' bitcoin"),
    Account(2, "STABLESATS_BTC_WALLET", CREDIT, STABLESATS, "BTC", "bitcoin held for users' dollars"),
    Account(3, "STABLESATS_OMNIBUS", DEBIT, STABLESATS, "USD", "all that is owed to users in dollars"),
    Account(4, "STABLESATS_LIABILITY", CREDIT, STABLESATS, "USD", "liability that no exchange hedges yet"),
    Account(5, "OKEX_ALLOCATION", CREDIT, STABLESATS, "USD", "liability that OKX has to hedge: the hedge target"),
    Account(6, "BITFINEX_ALLOCATION", CREDIT, STABLESATS, "USD", "liability that Bitfinex has to hedge"),
    Account(7, "QUOTES_OMNIBUS", CREDIT, STABLESATS, None, "counter account for accepted quotes"),
    Account(8, "QUOTES_LIABILITIES", CREDIT, STABLESATS, "USD", "dollars owed by accepted quotes"),
    Account(9, "QUOTES_ASSETS", DEBIT, STABLESATS, "BTC", "bitcoin expected from accepted quotes"),
    Account(10, "EXCHANGE_POSITION_OMNIBUS", CREDIT, EXCHANGE_POSITION, "USD", "counter account for positions"),
    Account(11, "OKEX_POSITION", DEBIT, EXCHANGE_POSITION, "USD", "size of the short on OKX, positive when short"),
    Account(12, "EXCHANGE_FUNDING", DEBIT, EXCHANGE_CASH, "BTC", "bitcoin in the exchange's funding account"),
    Account(13, "EXCHANGE_TRADING", DEBIT, EXCHANGE_CASH, "BTC", "collateral in the exchange's trading account"),
    Account(14, "EXCHANGE_TRANSIT", DEBIT, EXCHANGE_CASH, "BTC", "bitcoin on its way to or from an exchange"),
    Account(15, "TREASURY_WALLET", DEBIT, EXCHANGE_CASH, "BTC", "bitcoin on chain, in our own wallet"),
    Account(16, "TRADING_FEES", DEBIT, EXCHANGE_CASH, "BTC", "what the exchange charged for trading"),
    Account(17, "TRADING_PNL", CREDIT, EXCHANGE_CASH, "BTC", "realised profit less loss of the hedge"),
    Account(18, "FUNDING_PAYMENTS", CREDIT, EXCHANGE_CASH, "BTC", "funding-rate payments received less paid"),
    Account(19, "NETWORK_FEES", DEBIT, EXCHANGE_CASH, "BTC", "what moving bitcoin on chain cost"),
    Account(20, "ROUNDING", CREDIT, STABLESATS, None, "residues of rounding, never left inside an amount"),
    Account(21, "FX_POSITION", CREDIT, STABLESATS, None, "what exchanging currencies has left us with, in each of them"),
)

BY_CODE = {account.code: account for account in CHART}

LIABILITY = ("STABLESATS_OMNIBUS", "USD")
"""All that is owed in dollars, whatever exchange it is allocated to: the account and currency that hedging watches."""
