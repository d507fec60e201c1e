"""The account at the simulated exchange: what it is worth, what moves its money, and the history of both.

Every change writes its event in the same breath, so the history is complete by construction: event n has sequence n,
and the pots of the account follow from the cash flows among the events.
"""

from collections.abc import Sequence
from decimal import Decimal

from domain.market.swap import (
    CONTRACT_CENTS,
    PPM,
    average_entry_usd,
    margin_sats,
    share_up,
    trade,
    unrealised_sats,
    worth_sats_down,
    worth_sats_up,
)
from domain.simulated.exchange_terms import ROUTES, Account, Order, Terms, Transfer, move
from domain.venue.account import (
    INSUFFICIENT_BALANCE,
    INSUFFICIENT_MARGIN,
    UNAVAILABLE,
    AccountEvent,
    Balances,
    CashKind,
    CashMoved,
    Filled,
    OrderChanged,
    Position,
    Refusal,
    TransferChanged,
    TransferKind,
)


class AccountHistory:
    """One account with its events; `committed_contracts` in an argument is the position with all open orders filled."""

    def __init__(self, terms: Terms, account: Account, events: Sequence[AccountEvent] = ()) -> None:
        self.terms = terms
        self.account = account
        self.events: list[AccountEvent] = list(events)

    # ---- worth

    def equity_sats(self) -> int:
        """The money in the trading pocket with unrealised profit and loss at the newest price."""
        cash = self.account.pots["trading"]
        if self.account.price_usd is None or not self.account.contracts:
            return cash
        return cash + unrealised_sats(self.account.holding, self.account.price_usd)

    def used_sats(self, committed_contracts: int) -> int:
        """What the position, or what it will be when all orders are filled, ties up as margin."""
        size = max(abs(self.account.contracts), abs(committed_contracts))
        if self.account.price_usd is None or not size:
            return 0
        return margin_sats(size, self.account.price_usd, self.terms.leverage_max)

    def available_sats(self, kind: TransferKind, committed_contracts: int) -> int | None:
        """The largest transfer of this kind, None when there is no limit."""
        if kind == "deposit":
            return None
        if kind == "trading_to_funding":
            # Unrealised profit is not money yet, so it backs the position but cannot be moved.
            return max(0, min(self.account.pots["trading"], self.equity_sats()) - self.used_sats(committed_contracts))
        return self.account.pots["funding"]

    def margin_refusal(self, size: int, committed_contracts: int) -> Refusal | None:
        """Why an order of this size cannot be carried: what makes the position smaller always can."""
        price_usd = self.account.price_usd
        if price_usd is None:
            return Refusal(UNAVAILABLE, "there is no price yet")
        after = committed_contracts + size
        if abs(after) <= abs(committed_contracts):
            return None
        needed = margin_sats(after, price_usd, self.terms.leverage_max) + self.fee_sats(size, price_usd)
        equity = self.equity_sats()
        return Refusal(INSUFFICIENT_MARGIN, f"needs {needed} sats, has {equity}") if needed > equity else None

    def balance_refusal(self, kind: TransferKind, amount_sats: int, committed_contracts: int) -> Refusal | None:
        """Why so much cannot be transferred."""
        available = self.available_sats(kind, committed_contracts)
        if available is None or amount_sats <= available:
            return None
        return Refusal(INSUFFICIENT_BALANCE, f"{available} sats are available")

    def is_short_of_margin(self) -> bool:
        """Whether equity is below the maintenance margin of the position."""
        if self.account.price_usd is None or not self.account.contracts:
            return False
        worth = worth_sats_up(self.account.contracts, self.account.price_usd)
        return self.equity_sats() < share_up(worth, self.terms.maintenance_ppm)

    def position(self) -> Position:
        """The net position; a contract is 10,000 cents of exposure."""
        return Position(
            sequence=self.account.sequence,
            as_of_ms=self.account.at_ms,
            instrument=self.terms.instrument,
            contracts=self.account.contracts,
            exposure_cents=self.account.contracts * CONTRACT_CENTS,
            average_entry_usd=average_entry_usd(self.account.holding),
        )

    def balances(self, committed_contracts: int) -> Balances:
        """Both pockets at the newest price."""
        return Balances(
            sequence=self.account.sequence,
            as_of_ms=self.account.at_ms,
            trading_equity_sats=self.equity_sats(),
            trading_used_sats=self.used_sats(committed_contracts),
            funding_sats=self.account.pots["funding"],
            mark_price_usd=self.account.price_usd,
        )

    # ---- changes

    def execute(self, client_order_id: str, contracts: int, price_usd: Decimal) -> None:
        """Trade signed contracts at a price; book the realised profit and the fee."""
        holding, profit = trade(self.account.holding, contracts, price_usd)
        self.account.contracts, self.account.entry_sats = holding
        sequence = self._next_sequence()
        self.events.append(
            Filled(
                sequence=sequence,
                as_of_ms=self.account.at_ms,
                id=self._event_id(sequence),
                client_order_id=client_order_id,
                contracts=contracts,
                price_usd=price_usd,
            )
        )
        self.cash_moved("realised_pnl", profit, client_order_id)
        self.cash_moved("fee", -self.fee_sats(contracts, price_usd), client_order_id)

    def fee_sats(self, contracts: int, price_usd: Decimal) -> int:
        """The taker fee of a trade, rounded up."""
        return share_up(worth_sats_up(contracts, price_usd), self.terms.taker_fee_ppm)

    def pay_funding(self, price_usd: Decimal) -> None:
        """One funding-rate payment, rounded down when received and up when paid."""
        worth = worth_sats_down(self.account.contracts, price_usd)
        side = -1 if self.account.contracts > 0 else 1
        self.cash_moved("funding_payment", side * worth * self.terms.funding_rate_ppm // PPM, None)

    def liquidate(self, price_usd: Decimal) -> None:
        """Close the whole position; the exchange's insurance fund carries what is lost beyond the collateral."""
        client_id = f"liquidation-{self.account.sequence + 1}"
        self.execute(client_id, -self.account.contracts, price_usd)
        self.cash_moved("realised_pnl", max(0, -self.account.pots["trading"]), client_id)

    def start_transfer(self, transfer: Transfer) -> None:
        """Take the money where it is; between the pockets that is all, on chain it is now in transit."""
        if transfer.kind == "deposit":
            move(self.account.pots, "outside", "transit", transfer.amount_sats)
        elif transfer.kind == "withdraw":
            fee = self.terms.network_fee_sats
            self.cash_moved("withdrawal", fee - transfer.amount_sats, transfer.client_transfer_id)
            self.cash_moved("withdrawal_fee", -fee, transfer.client_transfer_id)
        else:
            side = 1 if transfer.kind == "funding_to_trading" else -1
            self.cash_moved("pocket_transfer", side * transfer.amount_sats, transfer.client_transfer_id)
            transfer.state = "done"
        self.transfer_changed(transfer)

    def end_transfer(self, transfer: Transfer) -> None:
        """What was in transit arrives."""
        transfer.state = "done"
        if transfer.kind == "deposit":
            self.cash_moved("deposit", transfer.amount_sats, transfer.client_transfer_id)
        else:
            move(self.account.pots, "transit", "outside", transfer.amount_sats - self.terms.network_fee_sats)
        self.transfer_changed(transfer)

    # ---- history

    def order_changed(self, order: Order) -> None:
        """The order as it is now becomes an event."""
        order.sequence, order.as_of_ms = self._next_sequence(), self.account.at_ms
        self.events.append(OrderChanged(**order.shown().model_dump()))

    def transfer_changed(self, transfer: Transfer) -> None:
        """The transfer as it is now becomes an event."""
        transfer.sequence, transfer.as_of_ms = self._next_sequence(), self.account.at_ms
        self.events.append(TransferChanged(**transfer.shown().model_dump()))

    def cash_moved(self, kind: CashKind, amount_sats: int, client_id: str | None) -> None:
        """Move money between pots and say so; nothing moved is no event."""
        if amount_sats == 0:
            return
        move(self.account.pots, *ROUTES[kind], amount_sats)
        sequence = self._next_sequence()
        self.events.append(
            CashMoved(
                sequence=sequence,
                as_of_ms=self.account.at_ms,
                id=self._event_id(sequence),
                kind=kind,
                amount_sats=amount_sats,
                client_id=client_id,
            )
        )

    def _next_sequence(self) -> int:
        self.account.sequence += 1
        return self.account.sequence

    def _event_id(self, sequence: int) -> str:
        return f"{self.account.name}-{sequence}"
