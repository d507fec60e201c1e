"""Velocity limits: by how much what is available of an account may fall within a window of effective time.

Each transaction counts with what it takes from what is available, once, into the window of its effective time; what comes
in does not make room. A transaction that ends a hold counts into the window in which the hold was taken: its capture is
not counted a second time, and what it gives back is given back to that window.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from domain.ledger.accounts import Account
from domain.ledger.books import Key, Window
from domain.ledger.journal import Entry, Layer


class Use(NamedTuple):
    """What a transaction adds to a window, and how much the window may come to."""

    window: Window
    amount: int
    amount_max: int


def window_of(account: str, currency: str, window_seconds: int, at_ms: int) -> Window:
    """The window of this length that an effective time falls into."""
    at_seconds = at_ms // 1000
    return account, currency, window_seconds, at_seconds - at_seconds % window_seconds


def fallen(accounts: Mapping[str, Account], entries: Iterable[Entry]) -> dict[Key, int]:
    """By how much what is available falls, of each account that has a velocity limit; negative if it rises."""
    falls: dict[Key, int] = {}
    for code, currency, layer, side, amount in entries:
        account = accounts[code]
        if not account.velocities:
            continue
        contrary = -side * account.normal_side
        fall = contrary * amount if layer == Layer.SETTLED else amount if contrary > 0 else 0
        falls[code, currency] = falls.get((code, currency), 0) + fall
    return falls


def uses(accounts: Mapping[str, Account], entries: Iterable[Entry], at_ms: int, *, ends_hold: bool) -> list[Use]:
    """What a transaction uses of which windows; `at_ms` is the effective time of the hold if it ends one."""
    return [
        Use(window_of(code, currency, velocity.window_seconds, at_ms), amount, velocity.amount_max)
        for (code, currency), fall in fallen(accounts, entries).items()
        if (amount := fall if ends_hold else max(fall, 0))
        for velocity in accounts[code].velocities
        if velocity.currency == currency
    ]


def windows(accounts: Mapping[str, Account], entries: Iterable[Entry], at_ms: int) -> set[Window]:
    """Every window that a transaction at that time could use."""
    return {
        window_of(entry.account, velocity.currency, velocity.window_seconds, at_ms)
        for entry in entries
        if (account := accounts.get(entry.account)) is not None
        for velocity in account.velocities
        if velocity.currency == entry.currency
    }
