"""Where the simulated exchange keeps its truth: one SQLite file, committed before anything is answered.

Every change of the truth comes with events, so what has to be written is what the new events name: the orders and
transfers they are about, the account, and the events themselves. The cost of a commit does not grow with the history.
"""

from collections.abc import Sequence
from pathlib import Path

from connectors.truth import all_of, open_truth
from domain.simulated.exchange import SimulatedExchange
from domain.simulated.exchange_terms import Account, Kept, Order, Transfer
from domain.venue.account import ACCOUNT_EVENT, AccountEvent, OrderChanged, TransferChanged

_SCHEMA = """
CREATE TABLE IF NOT EXISTS account (one INTEGER PRIMARY KEY, ticks INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS transfers (number INTEGER PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (sequence INTEGER PRIMARY KEY, body TEXT NOT NULL);
"""
_ACCOUNT = (
    "INSERT INTO account VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET ticks = excluded.ticks, body = excluded.body"
)
_ORDER = "INSERT INTO orders (client_id, body) VALUES (?, ?) ON CONFLICT (client_id) DO UPDATE SET body = excluded.body"
_TRANSFER = (
    "INSERT INTO transfers (client_id, body) VALUES (?, ?) ON CONFLICT (client_id) DO UPDATE SET body = excluded.body"
)
_EVENT = "INSERT INTO events VALUES (?, ?)"


class TruthFile:
    """The file of one exchange process; `ticks` says how far the price path had come when it was last written."""

    def __init__(self, path: Path) -> None:
        self._connection = open_truth(path, _SCHEMA, "exchange")
        self._kept_events = 0

    def load(self) -> tuple[Kept, int] | None:
        """What was kept, and how many ticks had been played; None when the file is new."""
        found = self._connection.execute("SELECT body, ticks FROM account").fetchone()
        if found is None:
            return None
        events = [
            ACCOUNT_EVENT.validate_json(body)
            for (body,) in self._connection.execute("SELECT body FROM events ORDER BY sequence")
        ]
        self._kept_events = len(events)
        account = Account.model_validate_json(found[0])
        orders, transfers = all_of(self._connection, "orders", Order), all_of(self._connection, "transfers", Transfer)
        return Kept(account, orders, transfers, events), int(found[1])

    def keep(self, truth: SimulatedExchange, ticks: int) -> None:
        """Write down what changed since the last time; nothing is written when there are no new events."""
        if len(truth.events) > self._kept_events:
            self.keep_all(truth, ticks)

    def keep_all(self, truth: SimulatedExchange, ticks: int) -> None:
        """Write down what changed, and in any case the account and how far the price path has come."""
        events = truth.events[self._kept_events :]
        with self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany(_EVENT, [(event.sequence, event.model_dump_json()) for event in events])
            self._connection.executemany(_ORDER, _touched_orders(truth, events))
            self._connection.executemany(_TRANSFER, _touched_transfers(truth, events))
            self._connection.execute(_ACCOUNT, (ticks, truth.account.model_dump_json()))
        self._kept_events = len(truth.events)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _touched_orders(truth: SimulatedExchange, events: Sequence[AccountEvent]) -> list[tuple[str, str]]:
    ids = dict.fromkeys(event.client_order_id for event in events if isinstance(event, OrderChanged))
    return [(client_id, truth.orders[client_id].model_dump_json()) for client_id in ids]


def _touched_transfers(truth: SimulatedExchange, events: Sequence[AccountEvent]) -> list[tuple[str, str]]:
    ids = dict.fromkeys(event.client_transfer_id for event in events if isinstance(event, TransferChanged))
    return [(client_id, truth.transfers[client_id].model_dump_json()) for client_id in ids]
