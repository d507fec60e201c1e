"""The books as a file of beancount, so that a program that knows nothing of ours adds them up again.

beancount reads plain text: accounts are opened, the amounts of a transaction come to nothing in every commodity, and balances
are asserted at the beginning of a day. What its `bean-check` accepts was added up from the entries by somebody else's code. What
is asserted, other tables tell than the entries: the sums by date at the last midnight of every closed period, and the balances
on the day after all there is. A transaction stands where it was recorded, however late, and counts on the day when it happened.

A balance is asserted with a tolerance of nothing: the one that beancount infers from its decimals is a whole minor unit.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import accumulate, chain, islice
from typing import NamedTuple, TypeVar

from domain.errors import InvariantError
from domain.ledger.body import cause_text
from domain.ledger.journal import Layer
from domain.money import DECIMALS
from domain.proof.beancount_text import account_text, commodity_text, layer_text, number_text, quoted
from domain.proof.rows import ACCOUNT_COLUMNS, NULL, BatchRow, Cells, EntryRow, HeaderRow, batch_row, entry_row, header_row
from domain.proof.verify import Head
from domain.times import EPOCH, datetime_of

FIRST_LINE = ";; -*- mode: beancount -*- A ledger of Ballast, whole.\n"
"""What every file of ours begins with."""

_UNITS = ", ".join([f"{currency} with {digits} decimals" for currency, digits in DECIMALS.items()])
_HEAD = f"""{FIRST_LINE};;
;; Amounts are exact, debits positive: {_UNITS}, whatever else in minor units.
;; Accounts are named after their code, which stands with them, and after the layer: settled, pending, encumbered.
;; Balances: what the sums by date come to where a period was closed, and at the end what the balances are.

option "title" "Ballast"
"""

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)

Place = tuple[int, str, int]
"""What has a balance: an account by its number, a currency and a layer."""

Row = TypeVar("Row")


class Tables(NamedTuple):
    """The tables of an export of which the file is made, as rows of text.

    Headers and entries, of which there are as many as there is history, are read side by side and not kept.
    """

    accounts: Iterable[Cells]
    periods: Iterable[Cells]
    sums: Iterable[Cells]
    balances: Iterable[Cells]
    headers: Iterable[Cells]
    entries: Iterable[Cells]
    batches: Iterable[Cells]


def beancount_lines(tables: Tables) -> Iterator[str]:
    """Write the file, some lines at a time. InvariantError if a row is none of a ledger's, or rows do not fit each other."""
    accounts = {account.id: account for account in _rows(_account, tables.accounts)}
    closed = sorted(set(_rows(_closed_day, tables.periods)))
    dates, added = _added(_rows(_sum, tables.sums), closed)
    balances = dict(chain.from_iterable(_rows(_balances, tables.balances)))
    places = sorted(added.keys() | {place for place, balance in balances.items() if balance})
    begins = min([*dates, *closed], default=EPOCH.date())
    ends = max(dates, default=begins) + _DAY
    yield from (_HEAD, *(f'option "operating_currency" "{currency}"\n' for currency in DECIMALS))
    yield from _commodities(begins, {currency for _, currency, _ in places} | DECIMALS.keys())
    yield from _opened(begins, accounts, places)
    yield from _transactions(accounts, _rows(_posted, tables.headers), _rows(entry_row, tables.entries))
    yield from _asserted_when_closed(accounts, places, closed, added)
    yield "\n;; What the balances are, after all that stands above.\n"
    yield from _asserted(accounts, ends, {place: balances.get(place, 0) for place in places})
    yield from _heads(_rows(batch_row, tables.batches))


# Reading ------------------------------------------------------------------------------------------------------------------


class _Account(NamedTuple):
    """An account as it is opened; `currency` is what it is bound to, if it is, and `parent_id` 0 where nothing is above it."""

    id: int
    code: str
    name: str
    currency: str | None
    is_summary: bool
    parent_id: int
    journal: str
    meaning: str


class _Posted(NamedTuple):
    """A transaction without its entries, and the text of it."""

    id: str
    n_entries: int
    text: str


def _rows(read: Callable[[Cells], Row], lines: Iterable[Cells]) -> Iterator[Row]:
    for cells in lines:
        try:
            row = read(cells)
        except (ValueError, TypeError, OverflowError) as error:
            msg = f"{','.join(cells)[:120]} is no row of a ledger; what was changed is named by: ballast ledger verify"
            raise InvariantError(msg) from error
        yield row


def _account(cells: Cells) -> _Account:
    said = dict(zip(ACCOUNT_COLUMNS, cells, strict=True))
    name = account_text(said["code"], int(said["normal_side"]))
    currency = None if said["currency"] == NULL else said["currency"]
    parent_id = 0 if said["parent_id"] == NULL else int(said["parent_id"])
    is_summary = said["is_summary"] == "true"
    return _Account(int(cells[0]), said["code"], name, currency, is_summary, parent_id, said["journal"], said["meaning"])


def _closed_day(cells: Cells) -> date:
    """The day that begins with the last midnight of the period, before which nothing more can come to lie."""
    until_us, _, _, _ = cells
    return (EPOCH + int(until_us) * _MICROSECOND).date()


def _sum(cells: Cells) -> tuple[Place, date, int]:
    _, account_id, currency, layer, day, delta = cells
    return (int(account_id), currency, Layer(int(layer))), date.fromisoformat(day), int(delta)


def _balances(cells: Cells) -> list[tuple[Place, int]]:
    account_id, currency, _, *totals = cells
    debits, credits_ = map(int, totals[::2]), map(int, totals[1::2])
    return [
        ((int(account_id), currency, layer), debit - credit)
        for layer, debit, credit in zip(Layer, debits, credits_, strict=True)
    ]


def _posted(cells: Cells) -> _Posted:
    header = header_row(cells)
    at = datetime_of(header.transaction.effective_at_ms)
    text = f"\n{at.date()} txn {quoted(header.transaction.template)}\n{_metadata(_said_of(header, at))}"
    return _Posted(header.transaction.id, header.n_entries, text)


def _said_of(header: HeaderRow, at: datetime) -> dict[str, str | int | None]:
    id_, _, _, _, correlation_id, source, source_offset, meta, cause, expires_at_ms, group = header.transaction
    return {
        "tx_id": id_,
        "batch": header.batch_id,
        "effective_at": _time_text(at),
        "correlation_id": correlation_id,
        "source": source,
        "source_offset": source_offset,
        "cause": cause and cause_text(cause),
        "is_final": cause and str(cause.is_final).lower(),
        "expires_at": None if expires_at_ms is None else _time_text(datetime_of(expires_at_ms)),
        "group": group and group.id,
        "group_size": group and group.size,
        "meta": meta,
    }


def _time_text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _added(sums: Iterable[tuple[Place, date, int]], closed: Sequence[date]) -> tuple[set[date], dict[Place, list[int]]]:
    """The days on which something happened; what was added before each closed day, after the one before it, and after all."""
    dates: set[date] = set()
    added: dict[Place, list[int]] = {}
    for place, day, delta in sums:
        dates.add(day)
        added.setdefault(place, [0] * (len(closed) + 1))[bisect_right(closed, day)] += delta
    return dates, added


# Writing ------------------------------------------------------------------------------------------------------------------


def _metadata(facts: Mapping[str, str | int | None]) -> str:
    """A line for each fact that there is."""
    told = {name: quoted(fact) if isinstance(fact, str) else fact for name, fact in facts.items() if fact is not None}
    return "".join([f"  {name}: {fact}\n" for name, fact in told.items()])


def _commodities(begins: date, currencies: Iterable[str]) -> Iterator[str]:
    for currency in sorted(currencies):
        facts = _metadata({"code": currency, "decimals": DECIMALS.get(currency, 0)})
        yield f"\n{begins} commodity {commodity_text(currency)}\n{facts}"


def _opened(begins: date, accounts: Mapping[int, _Account], places: Iterable[Place]) -> Iterator[str]:
    """Open every account that takes entries, and of its other layers those that have some."""
    used = {(account_id, layer) for account_id, _, layer in places}
    used |= {(account.id, int(Layer.SETTLED)) for account in accounts.values() if not account.is_summary}
    for account_id, layer in sorted(used):
        name, account = _name(accounts, account_id, layer), accounts[account_id]
        bound = "" if account.currency is None else f" {commodity_text(account.currency)}"
        above = accounts.get(account.parent_id)
        facts = {
            "code": account.code,
            "journal": account.journal,
            "meaning": account.meaning,
            "parent": above and above.code,
        }
        yield f"\n{begins} open {name}{bound}\n{_metadata(facts)}"


def _name(accounts: Mapping[int, _Account], account_id: int, layer: int) -> str:
    account = accounts.get(account_id)
    if account is None:
        msg = f"account {account_id} has entries and is not there; what was changed is named by: ballast ledger verify"
        raise InvariantError(msg)
    return layer_text(account.name, layer)


def _transactions(accounts: Mapping[int, _Account], posted: Iterable[_Posted], entries: Iterator[EntryRow]) -> Iterator[str]:
    for one in posted:
        own = list(islice(entries, one.n_entries))
        if [entry.tx_id for entry in own] != [one.id] * one.n_entries:
            msg = f"transaction {one.id} has not the entries that it says; all that was changed: ballast ledger verify"
            raise InvariantError(msg)
        yield one.text
        yield from (_entry(accounts, entry) for entry in own)
    for entry in entries:
        msg = f"transaction {entry.tx_id} has an entry and is not there; all that was changed: ballast ledger verify"
        raise InvariantError(msg)


def _entry(accounts: Mapping[int, _Account], entry: EntryRow) -> str:
    number = number_text(entry.side * entry.amount, entry.currency)
    return f"  {_name(accounts, entry.account_id, entry.layer)}  {number} {commodity_text(entry.currency)}\n"


def _asserted_when_closed(
    accounts: Mapping[int, _Account], places: Iterable[Place], closed: Sequence[date], added: Mapping[Place, Sequence[int]]
) -> Iterator[str]:
    """Assert at every closed day what was added before it, on all that is used at any time."""
    nothing = [0] * len(closed)
    balances = {place: list(accumulate(added.get(place, nothing))) for place in places}
    for index, day in enumerate(closed):
        yield f"\n;; What the sums by date come to before {day}, in a closed period.\n"
        yield from _asserted(accounts, day, {place: balance[index] for place, balance in balances.items()})


def _asserted(accounts: Mapping[int, _Account], day: date, balances: Mapping[Place, int]) -> Iterator[str]:
    for (account_id, currency, layer), balance in balances.items():
        number = number_text(balance, currency)
        yield f"{day} balance {_name(accounts, account_id, layer)}  {number} ~ 0 {commodity_text(currency)}\n"


def _heads(batches: Iterable[BatchRow]) -> Iterator[str]:
    """Tell the heads of the chains, by which a ledger shows that this file is of its history."""
    heads = {batch.shard: Head(batch.shard, batch.batch_id, batch.hash) for batch in batches}
    yield "\n;; The heads of the chains, for: ballast ledger verify --head\n"
    yield from (f";; {heads[shard]}\n" for shard in sorted(heads))
