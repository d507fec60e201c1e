"""Templates turn business events into transactions: one small pure module each, its reversal beside it.

All amounts are in minor units, sats and cents. A template answers None when there is nothing to book. Ids come from the
business key, so the same event gives the same transaction in any run.
"""

from domain.templates.adjust_exchange_allocation import ADJUST_EXCHANGE_ALLOCATION, adjust_exchange_allocation
from domain.templates.buy_usd_quote_accepted import BUY_USD_QUOTE_ACCEPTED, buy_usd_quote_accepted
from domain.templates.collateral_moved import COLLATERAL_MOVED, collateral_moved
from domain.templates.deposit import DEPOSIT, deposit
from domain.templates.exchange_position import (
    DECREASE_EXCHANGE_POSITION,
    INCREASE_EXCHANGE_POSITION,
    decrease_exchange_position,
    increase_exchange_position,
    mirror_position,
)
from domain.templates.funding_payment import FUNDING_PAYMENT, funding_payment
from domain.templates.realised_pnl import REALISED_PNL, realised_pnl
from domain.templates.sell_usd_quote_accepted import SELL_USD_QUOTE_ACCEPTED, sell_usd_quote_accepted
from domain.templates.trading_fee import TRADING_FEE, trading_fee
from domain.templates.user_buys_usd import (
    REVERT_USER_BUYS_USD,
    USER_BUYS_USD,
    revert_user_buys_usd,
    user_buys_usd,
)
from domain.templates.user_sells_usd import (
    REVERT_USER_SELLS_USD,
    USER_SELLS_USD,
    revert_user_sells_usd,
    user_sells_usd,
)
from domain.templates.user_trade import trade_correlation, trade_id
from domain.templates.withdrawal import WITHDRAWAL, withdrawal
from domain.templates.withdrawal_fee import WITHDRAWAL_FEE, withdrawal_fee

CASH_FLOWS = {
    "fee": trading_fee,
    "realised_pnl": realised_pnl,
    "funding_payment": funding_payment,
    "pocket_transfer": collateral_moved,
    "deposit": deposit,
    "withdrawal": withdrawal,
    "withdrawal_fee": withdrawal_fee,
}
"""The template for each kind of line in an exchange's history; all take the same arguments."""

__all__ = [
    "ADJUST_EXCHANGE_ALLOCATION",
    "BUY_USD_QUOTE_ACCEPTED",
    "CASH_FLOWS",
    "COLLATERAL_MOVED",
    "DECREASE_EXCHANGE_POSITION",
    "DEPOSIT",
    "FUNDING_PAYMENT",
    "INCREASE_EXCHANGE_POSITION",
    "REALISED_PNL",
    "REVERT_USER_BUYS_USD",
    "REVERT_USER_SELLS_USD",
    "SELL_USD_QUOTE_ACCEPTED",
    "TRADING_FEE",
    "USER_BUYS_USD",
    "USER_SELLS_USD",
    "WITHDRAWAL",
    "WITHDRAWAL_FEE",
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
