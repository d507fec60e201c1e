"""The short way of the fold, for what is frequent and plain; whatever is not goes the general way (`domain/ledger/judge.py`).

Plain is a transaction that moves settled money between open accounts that have no limit but one on what has to be left, each
currency balanced before the next begins, under an id that nobody has used, without cause, expiry and group. It is
booked in one loop, which writes the lines of its entries and the text of its body as it goes. The loop refuses nothing: where it
meets anything odd it takes back what it has booked, and the transaction is judged as any other.
"""

from collections.abc import Sequence
from typing import NamedTuple

from domain.ledger.body import ENTRY_PLACE, can_be_stored, hash_of
from domain.ledger.books import ACCOUNT_ID, Books, Key, Known, Row
from domain.ledger.journal import Layer, Outcome, Transaction, Verdict
from domain.ledger.judge import SAFE, Folded, Posted, copied, judge, take_back
from domain.ledger.refusals import EFFECTIVE_MS_MAX, ENTRIES_MAX, ENTRIES_MIN

Side = tuple[str, str, int]
"""Account code, currency, and debit or credit."""


class Place(NamedTuple):
    """Where an entry is booked, with all of its texts that are the same for every entry there: in the line of an entry before
    and after the leg, and in a body. `least` is what has to be left available, None if nothing has; what is pending or promised
    of it stands in the slots `held`."""

    row: Row
    slot: int
    before_leg: str
    after_leg: str
    in_body: str
    least: int | None
    normal_side: int
    held: tuple[int, int]


class Places(dict[Side, Place | None]):
    """The places of a batch, each found when the first entry asks for it; None if the account has other limits, or takes no such
    entries."""

    def __init__(self, books: Books, rows: dict[Key, Row]) -> None:
        super().__init__()
        self._books, self._rows = books, rows

    def __missing__(self, key: Side) -> Place | None:
        self[key] = place = self._find(*key)
        return place

    def _find(self, account: str, currency: str, side: int) -> Place | None:
        row = self._rows.get((account, currency)) or copied(self._books, self._rows, (account, currency))
        if row is None or side * side != 1:
            return None
        of = self._books.accounts[account]
        if of.max_balance is not None or of.velocities:
            return None
        texts = (
            f"\t{row[ACCOUNT_ID]}\t",
            f"\t1\t{side:d}\t{currency}\t",
            ENTRY_PLACE % (account, currency, Layer.SETTLED, side),
        )
        held = (4, 6) if of.normal_side > 0 else (3, 5)
        return Place(row, 1 if side > 0 else 2, *texts, of.min_available, of.normal_side, held)


def post_each(books: Books, folded: Folded, transactions: Sequence[Transaction]) -> None:
    """Post transactions that are of no group, one after the other."""
    verdicts, posted, lines, answered, known = folded.verdicts, folded.posted, folded.entries, folded.answered, books.known
    named, earliest_ms = folded.named, max(0, books.closed_until_ms)
    places = Places(books, folded.rows)
    settled, outcome, new = Layer.SETTLED, Outcome.POSTED, tuple.__new__
    # By far the most frequent of all that a ledger does, so it is one loop, and makes its tuples without their constructors: a
    # call per entry, or a constructor, costs as much as booking an entry.
    for transaction in transactions:
        id_, template, at_ms, entries, correlation_id, _, _, meta, cause, expires_at_ms, _ = transaction
        if (
            cause is None
            and expires_at_ms is None
            and not (id_ in answered or id_ in known or id_ in named)
            and earliest_ms <= at_ms <= EFFECTIVE_MS_MAX
            and ENTRIES_MIN <= len(entries) <= ENTRIES_MAX
            and can_be_stored(meta)
        ):
            start, legs, net, balanced = len(lines), "", 0, ""
            for leg, (account, currency, layer, side, amount) in enumerate(entries, 1):
                place = places[account, currency, side]
                if place is None or layer is not settled or not amount or type(amount) is not int:
                    break
                if currency != balanced:
                    if net:
                        break
                    balanced = currency
                row, slot, before_leg, after_leg, in_body, least, normal_side, held = place
                total, signed = row[slot] + amount, side * amount
                after = row[1] - row[2] + signed
                if not (-SAFE < total < SAFE and -SAFE < after < SAFE):
                    break
                if least is not None and normal_side * after - row[held[0]] - row[held[1]] < least:
                    break
                row[slot] = total
                row[0] = version = row[0] + 1
                net += signed
                lines.append(f"{id_}\t{version}{before_leg}{leg}{after_leg}{amount}\t{after}\n")
                legs += f"{in_body}{amount}\x1e"
            else:
                if not net:
                    body = hash_of(f"{template}\x1f{at_ms}\x1f{correlation_id}\x1fNone\x1e{legs}{meta}")
                    posted.append(new(Posted, (transaction, body, ())))
                    answered[id_] = new(Known, (body, None, ()))
                    verdicts.append(new(Verdict, (id_, outcome, None, None, None, None)))
                    continue
            take_back(folded, entries, start)
        verdicts.append(judge(books, folded, transaction))
