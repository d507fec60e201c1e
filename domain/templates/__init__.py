"""Templates turn business events into transactions: a small pure module per kind of event, reversals beside it.

All amounts are in minor units, sats and cents. A template answers None when there is nothing to book. Ids come from the
business key, so the same event gives the same transaction in any run.
"""

from domain.templates.adjust_exchange_allocation import ADJUST_EXCHANGE_ALLOCATION, adjust_exchange_allocation
from domain.templates.cash_flows import (
    CASH_FLOWS,
    collateral_moved,
    deposit,
    funding_payment,
    realised_pnl,
    trading_fee,
    withdrawal,
    withdrawal_fee,
)
from domain.templates.exchange_position import (
    DECREASE_EXCHANGE_POSITION,
    INCREASE_EXCHANGE_POSITION,
    decrease_exchange_position,
    increase_exchange_position,
    mirror_position,
)
from domain.templates.quotes import (
    BUY_USD_QUOTE_ACCEPTED,
    SELL_USD_QUOTE_ACCEPTED,
    buy_usd_quote_accepted,
    sell_usd_quote_accepted,
)
from domain.templates.user_trades import (
    REVERT_USER_BUYS_USD,
    REVERT_USER_SELLS_USD,
    USER_BUYS_USD,
    USER_SELLS_USD,
    revert_user_buys_usd,
    revert_user_sells_usd,
    trade_correlation,
    trade_id,
    user_buys_usd,
    user_sells_usd,
)

__all__ = [
    "ADJUST_EXCHANGE_ALLOCATION",
    "BUY_USD_QUOTE_ACCEPTED",
    "CASH_FLOWS",
    "DECREASE_EXCHANGE_POSITION",
    "INCREASE_EXCHANGE_POSITION",
    "REVERT_USER_BUYS_USD",
    "REVERT_USER_SELLS_USD",
    "SELL_USD_QUOTE_ACCEPTED",
    "USER_BUYS_USD",
    "USER_SELLS_USD",
    "adjust_exchange_allocation",
    "buy_usd_quote_accepted",
    "collateral_moved",
    "decrease_exchange_position",
    "deposit",
    "funding_payment",
    "increase_exchange_position",
    "mirror_position",
    "realised_pnl",
    "revert_user_buys_usd",
    "revert_user_sells_usd",
    "sell_usd_quote_accepted",
    "trade_correlation",
    "trade_id",
    "trading_fee",
    "user_buys_usd",
    "user_sells_usd",
    "withdrawal",
    "withdrawal_fee",
]
