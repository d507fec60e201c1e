"""What accounts mean, proved by their history: every opening and every change of one, each hashed with the one before it.

An account is what its newest change says. Every batch has the hash of the newest change there was when it began in its own
hash. So whoever turns the normal side of an account, or gives it another parent, is betrayed by the history; and whoever
writes the history anew is betrayed by every batch since. What came after the last batch is bound by the next one.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from domain.proof.rows import ACCOUNT_COLUMNS, CHANGE_COLUMNS, NO_HASH, NULL, AccountRow, Cells

_HASH = re.compile(f"[0-9a-f]{{{len(NO_HASH)}}}")
_CODE, _SHARD = ACCOUNT_COLUMNS.index("code"), ACCOUNT_COLUMNS.index("shard")


class OtherAccount(NamedTuple):
    """Something that is said of an account, or of a change of it, and is not so; None is nothing at all."""

    account: str
    column: str
    said: str | None
    told: str | None


@dataclass(slots=True)
class Told:
    """What the history tells: `newest` of each account by number, and every hash that a batch can have seen."""

    newest: dict[str, Cells] = field(default_factory=dict)
    hashes: set[str] = field(default_factory=lambda: {NO_HASH})
    faults: list[OtherAccount] = field(default_factory=list)


def told(changes: Iterable[Cells]) -> Told:
    """Follow the history. A change that was changed is named, and the ones after it are not."""
    history, said, computed = Told(), NO_HASH, NO_HASH
    for cells in changes:
        facts = _facts(cells)
        if facts is None:
            history.faults.append(OtherAccount(cells[0], "unreadable", ",".join(cells)[:120], None))
            # Whatever became of the rest of the line, or of its end: what rests on its hashes is not doubted with it.
            found = _HASH.findall(",".join(cells))
            history.hashes.update(found)
            said = found[-1] if found else said
            continue
        expected = [_linked(before, cells) for before in (said, computed)]
        said, computed = cells[-1], cells[-1] if cells[-1] in expected else expected[1]
        history.hashes |= {said, computed}
        if said not in expected:
            history.faults.append(OtherAccount(facts[_CODE], f"change {cells[0]}", said, computed))
        history.newest[facts[0]] = facts
    return history


def _facts(cells: Cells) -> Cells | None:
    """What a change says of its account, in the order of the account's columns; None if that cannot be read."""
    try:
        facts = json.loads(cells[1]) if len(cells) == len(CHANGE_COLUMNS) else ()
        return [NULL if fact is None else str(fact) for fact in facts] if len(facts) == len(ACCOUNT_COLUMNS) else None
    except (ValueError, TypeError, RecursionError):
        return None


def _linked(before: str, cells: Cells) -> str:
    return sha256("\t".join((before, *cells[:-1])).encode(errors="surrogateescape")).hexdigest()


def other_accounts(history: Told, accounts: Iterable[Cells]) -> Iterator[OtherAccount]:
    """Everything in which an account is not what its history says, and every account that came or went without one."""
    yield from history.faults
    unseen = dict(history.newest)
    for cells in accounts:
        facts = unseen.pop(cells[0], None)
        if facts is None or len(cells) != len(facts):
            yield OtherAccount(cells[0], "account", ",".join(cells)[:120], None)
        else:
            yield from _compared(cells, facts)
    yield from (OtherAccount(facts[_CODE], "account", None, number) for number, facts in unseen.items())


def _compared(cells: Cells, facts: Cells) -> Iterator[OtherAccount]:
    for column, said, is_told in zip(ACCOUNT_COLUMNS, cells, facts, strict=True):
        if said != is_told:
            yield OtherAccount(facts[_CODE], column, said, is_told)


def booked_on(history: Told, accounts: Iterable[Cells]) -> dict[int, AccountRow]:
    """The accounts by number as their history tells them, or else as they stand; what cannot be read is missed by entries."""
    standing = {cells[0]: cells for cells in accounts if len(cells) == len(ACCOUNT_COLUMNS)}
    doubtful = {fault.account for fault in history.faults}
    told_of = {number: facts for number, facts in history.newest.items() if facts[_CODE] not in doubtful}
    return dict(filter(None, map(_account, {**history.newest, **standing, **told_of}.values())))


def _account(cells: Cells) -> tuple[int, AccountRow] | None:
    try:
        return int(cells[0]), AccountRow(cells[_CODE], int(cells[_SHARD]))
    except ValueError:
        return None
