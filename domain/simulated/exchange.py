"""The simulated exchange: one account that trades an inverse perpetual swap, as a pure state machine.

Requests and ticks come in with their time, answers and events come out; there is no clock, no I/O, and what looks
like chance is a digest of the seed and the order's id. Work that takes time (a fill, a deposit, a withdrawal) is done
when time is next told, in order of its due time, at the price of the newest tick. So the same requests and ticks at
the same times give the same events with the same ids, whatever is asked in between.

Nothing is ever answered that was not first put into the state: a client id is taken once and for ever, and a request
with a taken id is refused and leads to a look-up, which is how a request of unknown fate is found out.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from hashlib import blake2b

from domain.simulated.exchange_account import AccountHistory
from domain.simulated.exchange_terms import (
    Account,
    Kept,
    Order,
    Terms,
    Transfer,
    order_shape_refusal,
    transfer_shape_refusal,
)
from domain.venue.account import (
    DUPLICATE_ID,
    EXPIRED,
    AccountEvent,
    Balances,
    OrderAction,
    OrderState,
    OrderWord,
    Position,
    Refusal,
    TransferKind,
    TransferState,
)


def draw(seed: int, below: int, *parts: str) -> int:
    """A number from 0 to `below` - 1 that looks like chance and depends on the arguments alone."""
    text = "\x1f".join((str(seed), *parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") % below


class SimulatedExchange:
    """The truth about one account: its orders and transfers by client id, and in `history` its money and its events."""

    def __init__(self, terms: Terms, seed: int, account: Account | None = None) -> None:
        self.terms = terms
        self.seed = seed
        self.history = AccountHistory(terms, account or Account())
        self.orders: dict[str, Order] = {}
        self.transfers: dict[str, Transfer] = {}
        self._open_orders: dict[str, Order] = {}
        self._open_transfers: dict[str, Transfer] = {}

    @classmethod
    def restored(cls, terms: Terms, seed: int, kept: Kept) -> "SimulatedExchange":
        """The exchange as it was when `kept` was written down."""
        exchange = cls(terms, seed)
        exchange.history = AccountHistory(terms, kept.account, kept.events)
        exchange.orders = {order.client_order_id: order for order in kept.orders}
        exchange.transfers = {transfer.client_transfer_id: transfer for transfer in kept.transfers}
        exchange._open_orders = {key: order for key, order in exchange.orders.items() if order.state == "open"}
        exchange._open_transfers = {key: item for key, item in exchange.transfers.items() if item.state == "pending"}
        return exchange

    @property
    def account(self) -> Account:
        return self.history.account

    @property
    def events(self) -> list[AccountEvent]:
        return self.history.events

    # ---- requests

    def place(
        self, client_order_id: str, action: OrderAction, contracts: int, expires_at_ms: int, at_ms: int
    ) -> OrderState | Refusal:
        """Accept a market order for signed contracts, or refuse it; `close` takes the size of the position."""
        self.advance(at_ms)
        size = -self.account.contracts if action == "close" else contracts
        refusal = self._order_refusal(client_order_id, action, size, expires_at_ms)
        if refusal:
            return refusal
        order = Order(
            client_order_id=client_order_id,
            contracts=size,
            accepted_at_ms=self.account.at_ms,
            due_ms=self.account.at_ms + self.terms.order_latency_ms,
            steps_left=min(abs(size), 1 + draw(self.seed, self.terms.fill_steps_max, "steps", client_order_id)),
        )
        self.orders[client_order_id] = self._open_orders[client_order_id] = order
        self.history.order_changed(order)
        return order.shown()

    def _order_refusal(self, client_id: str, action: OrderAction, size: int, expires_at_ms: int) -> Refusal | None:
        if client_id in self.orders:
            return Refusal(DUPLICATE_ID, "client order id is taken")
        if self.account.at_ms > expires_at_ms:
            return Refusal(EXPIRED, "the request came after its deadline")
        refusal = order_shape_refusal(self.terms, action, size)
        return refusal or self.history.margin_refusal(size, self._committed_contracts())

    def transfer(
        self, client_transfer_id: str, kind: TransferKind, amount_sats: int, expires_at_ms: int, at_ms: int
    ) -> TransferState | Refusal:
        """Accept a transfer, or refuse it. Between the pockets it is done at once, on chain it takes its time."""
        self.advance(at_ms)
        refusal = self._transfer_refusal(client_transfer_id, kind, amount_sats, expires_at_ms)
        if refusal:
            return refusal
        delays = {"deposit": self.terms.deposit_delay_ms, "withdraw": self.terms.withdrawal_delay_ms}
        transfer = Transfer(
            client_transfer_id=client_transfer_id,
            kind=kind,
            amount_sats=amount_sats,
            accepted_at_ms=self.account.at_ms,
            due_ms=self.account.at_ms + delays.get(kind, 0),
        )
        self.transfers[client_transfer_id] = transfer
        self.history.start_transfer(transfer)
        if transfer.state == "pending":
            self._open_transfers[client_transfer_id] = transfer
        return transfer.shown()

    def _transfer_refusal(self, client_id: str, kind: TransferKind, amount_sats: int, expires_at_ms: int) -> Refusal | None:
        if client_id in self.transfers:
            return Refusal(DUPLICATE_ID, "client transfer id is taken")
        if self.account.at_ms > expires_at_ms:
            return Refusal(EXPIRED, "the request came after its deadline")
        refusal = transfer_shape_refusal(self.terms, kind, amount_sats)
        return refusal or self.history.balance_refusal(kind, amount_sats, self._committed_contracts())

    # ---- look-ups

    def order_state(self, client_order_id: str, at_ms: int) -> OrderState | None:
        """The order of this id, or None when it is not known (yet: see `Terms.visible_after_ms`)."""
        self.advance(at_ms)
        order = self.orders.get(client_order_id)
        return order.shown() if order and self._visible(order) else None

    def transfer_state(self, client_transfer_id: str, at_ms: int) -> TransferState | None:
        """The transfer of this id, or None when it is not known (yet)."""
        self.advance(at_ms)
        transfer = self.transfers.get(client_transfer_id)
        return transfer.shown() if transfer and self._visible(transfer) else None

    def _visible(self, item: Order | Transfer) -> bool:
        return self.account.at_ms >= item.accepted_at_ms + self.terms.visible_after_ms

    def position(self, at_ms: int) -> Position:
        """The net position now."""
        self.advance(at_ms)
        return self.history.position()

    def balances(self, at_ms: int) -> Balances:
        """Both pockets now, at the newest price."""
        self.advance(at_ms)
        return self.history.balances(self._committed_contracts())

    def events_after(self, sequence: int, limit: int, at_ms: int) -> Sequence[AccountEvent]:
        """At most `limit` events with a larger sequence, oldest first."""
        self.advance(at_ms)
        return self.events[sequence : sequence + limit]

    def _committed_contracts(self) -> int:
        return self.account.contracts + sum(order.left_contracts() for order in self._open_orders.values())

    # ---- time and price

    def tick(self, price_usd: Decimal, at_ms: int) -> None:
        """The market trades at a new price: what was due is done at the old one, margin is judged at the new one."""
        previous_ms = self.account.at_ms
        self.advance(at_ms)
        self.account.price_usd = price_usd
        interval = self.terms.funding_interval_ms
        if previous_ms and previous_ms // interval != self.account.at_ms // interval:
            self.history.pay_funding(price_usd)
        if self.history.is_short_of_margin():
            self._liquidate(price_usd)

    def _liquidate(self, price_usd: Decimal) -> None:
        for order in tuple(self._open_orders.values()):
            self._end_order(order, "canceled", "liquidation")
        self.history.liquidate(price_usd)

    def advance(self, at_ms: int) -> None:
        """Do everything that is due by `at_ms`, oldest first; a time before the last one counts as the last one."""
        now_ms = max(at_ms, self.account.at_ms)
        while due := [item for item in self._under_way() if item.due_ms <= now_ms]:
            item = min(due, key=lambda item: item.due_ms)
            self.account.at_ms = max(self.account.at_ms, item.due_ms)
            if isinstance(item, Order):
                self._fill(item)
            else:
                del self._open_transfers[item.client_transfer_id]
                self.history.end_transfer(item)
        self.account.at_ms = now_ms

    def _under_way(self) -> Iterator[Order | Transfer]:
        yield from self._open_orders.values()
        yield from self._open_transfers.values()

    def _fill(self, order: Order) -> None:
        price_usd = self.account.price_usd
        if price_usd is None:  # an order is accepted only when there is a price
            return
        contracts = order.step_contracts()
        order.filled_contracts += abs(contracts)
        order.steps_left -= 1
        order.due_ms += self.terms.fill_interval_ms
        self.history.execute(order.client_order_id, contracts, price_usd)
        if order.steps_left == 0:
            self._end_order(order, "filled", None)
        else:
            self.history.order_changed(order)

    def _end_order(self, order: Order, state: OrderWord, reason: str | None) -> None:
        del self._open_orders[order.client_order_id]
        order.state, order.reason = state, reason
        self.history.order_changed(order)
