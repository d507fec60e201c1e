"""A ledger in memory, with the fold of the real one: for tests, replays and backtests.

It keeps everything that it was given, so a test can look at transactions and entries as rows.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from domain.ledger.accounts import CHART, Account, numbered, opened
from domain.ledger.books import Books, Key, Known, Origin, Window, balances
from domain.ledger.causes import origin_of
from domain.ledger.fold import advance, fold
from domain.ledger.journal import Balance, Booked, Heard, History, Matter, Transaction, named_legs
from domain.ledger.judge import Folded, Posted, Refused
from domain.ledger.lines import EntryFacts, read_entry


class MemoryLedger:
    """A `Ledger` whose books end with the process."""

    def __init__(self, accounts: Iterable[Account] = CHART, closed_until_ms: int = 0) -> None:
        self._known: dict[str, Known] = {}
        self._origins: dict[str, Origin] = {}
        self._used: dict[Window, int] = {}
        by_code = {account.code: account for account in numbered(accounts)}
        summaries = {account.parent for account in by_code.values() if account.parent is not None}
        self._books = Books(by_code, {}, self._known, {}, self._used, closed_until_ms, summaries)
        self._codes = {account.id: account.code for account in by_code.values()}
        self._posted: list[Posted] = []
        self._by_id: dict[str, Transaction] = {}
        self._matters_of: dict[str, set[str]] = {}
        self._entries: list[str] = []
        self.rejected: list[Refused] = []
        self.conflicts: list[Refused] = []

    def post(self, transactions: Sequence[Transaction]) -> Booked:
        """Post a batch; equal to posting its transactions one by one."""
        named = {one.cause.transaction_id for one in transactions if one.cause is not None}
        self._books.origins = {id_: self._origin(id_) for id_ in named & self._by_id.keys()}
        self._open({entry[0] for one in transactions for entry in one.entries} - self._books.accounts.keys())
        folded = fold(self._books, transactions)
        advance(self._books, folded)
        self._keep(folded)
        return Booked(folded.verdicts, balances(self._books.rows, folded.seen))

    def _open(self, codes: Collection[str]) -> None:
        fresh = [account for account in map(opened, sorted(codes)) if account is not None]
        for account in numbered([*self._books.accounts.values(), *fresh])[len(self._books.accounts) :] if fresh else ():
            self._books.accounts[account.code] = account
            self._codes[account.id] = account.code
            self._books.summaries.add(str(account.parent))

    def _keep(self, folded: Folded) -> None:
        self._known.update(folded.answered)
        self._origins.update(folded.origins)
        self._used.update(folded.used)
        self._by_id.update({posted.transaction.id: posted.transaction for posted in folded.posted})
        self._posted += folded.posted
        for transaction in (posted.transaction for posted in folded.posted):
            named = named_legs(transaction.meta)
            for leg in (named.btc_leg, named.usd_leg):
                if leg is not None:
                    self._matters_of.setdefault(leg.id, set()).add(transaction.correlation_id)
        self._entries += folded.entries
        self.rejected += folded.rejected
        self.conflicts += folded.conflicts

    def _origin(self, id_: str) -> Origin:
        return self._origins.get(id_) or origin_of(self._by_id[id_])

    def balances(self, keys: Collection[Key] | None = None) -> list[Balance]:
        """The balances of these accounts and currencies, or every one there is, in order of account and currency."""
        return balances(self._books.rows, self._books.rows if keys is None else keys)

    def history(self) -> History:
        """What was posted, by matter and by leg."""
        return History(self._of_matters, self._of_legs)

    def _of_matters(self, matters: Sequence[Matter]) -> list[Transaction]:
        wanted = {matter.correlation_id: matter for matter in matters}
        about = [(posted.transaction, wanted.get(posted.transaction.correlation_id)) for posted in self._posted]
        return [one._replace(entries=()) for one, of in about if of and of.since_ms <= one.effective_at_ms < of.until_ms]

    def _of_legs(self, leg_ids: Sequence[str]) -> list[Transaction]:
        wanted = {matter for leg_id in leg_ids for matter in self._matters_of.get(leg_id, ())}
        about = (
            [posted.transaction for posted in self._posted if posted.transaction.correlation_id in wanted] if wanted else []
        )
        return [one._replace(entries=()) for one in about]

    def open_holds(self) -> list[Transaction]:
        """The holds that will expire if nothing ends them before, without their entries."""
        open_ = [
            p.transaction for p in self._posted if p.transaction.expires_at_ms and not self._origin(p.transaction.id).ended
        ]
        return [one._replace(entries=()) for one in open_]

    def heard(self, after_batch_id: int) -> Heard:
        """Nothing: nobody else has these books."""
        return Heard(after_batch_id)

    def newest_batch(self) -> int:
        """None: what is saved beside these books does not outlive them."""
        return 0

    def close(self) -> None:
        """Nothing to give back."""

    def find(self, id_: str) -> Transaction | None:
        """Return a posted transaction, None where there is none of this id."""
        return self._by_id.get(id_)

    def transactions(self) -> list[Transaction]:
        """All posted transactions with their entries, oldest first."""
        return [posted.transaction for posted in self._posted]

    def transaction_rows(self) -> list[dict[str, Any]]:
        """All posted transactions as flat rows, oldest first."""
        return [_transaction_row(posted) for posted in self._posted]

    def entry_rows(self) -> list[dict[str, Any]]:
        """All entries as flat rows, in the order in which they were booked."""
        return [self._entry_row(read_entry(line)) for line in self._entries]

    def _entry_row(self, entry: EntryFacts) -> dict[str, Any]:
        return {
            "tx_id": entry.tx_id,
            "leg": entry.leg,
            "account": self._codes[entry.account_id],
            "currency": entry.currency,
            "layer": entry.layer,
            "side": entry.side,
            "amount": entry.amount,
            "balance_after": entry.balance_after,
            "version": entry.version,
        }

    def balance_rows(self) -> list[dict[str, Any]]:
        """All balances as flat rows."""
        return [balance._asdict() for balance in self.balances()]


def _transaction_row(posted: Posted) -> dict[str, Any]:
    row = posted.transaction._asdict()
    cause, group = row.pop("cause"), row.pop("group")
    return row | {
        "entries": len(posted.transaction.entries) + len(posted.added),
        "body_hash": posted.body_hash,
        "relation": cause and cause.relation,
        "cause_tx_id": cause and cause.transaction_id,
        "group_id": group and group.id,
    }
