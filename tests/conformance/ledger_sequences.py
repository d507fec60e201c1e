"""Runs a sequence of postings on a ledger in memory and shows what the reference system would show.

A step names a template with its amounts, or mirrors a position, or posts entries as they are; `observe` names the
measures to show after it, `delta` those whose change it shows. Measures are the balances that the reference system
gives to its callers, and settled balances by `ACCOUNT_CURRENCY`. Amounts are in whole bitcoins and dollars, unless a
measure is named in cents. Accounts have the reference system's names, which are mapped to ours here.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from domain.ids import content_id, timed_id
from domain.ledger.accounts import chart
from domain.ledger.journal import Entry, Layer, Transaction, Verdict
from domain.ledger.memory import MemoryLedger
from domain.templates.adjust_exchange_allocation import adjust_exchange_allocation
from domain.templates.exchange_position import mirror_position
from domain.templates.quotes import buy_usd_quote_accepted, sell_usd_quote_accepted
from domain.templates.user_trades import revert_user_buys_usd, revert_user_sells_usd, user_buys_usd, user_sells_usd

Step = Mapping[str, Any]

_AT_MS = 1_700_000_000_000
_DIGITS = {"BTC": 8, "USD": 2}

_VENUE = "okx"
_CHART = chart([_VENUE], ["okex", "bitfinex"])
_SIDES = {account.code: account.normal_side for account in _CHART}
_OURS = {
    "OKEX_ALLOCATION": "ALLOCATION/okex",
    "BITFINEX_ALLOCATION": "ALLOCATION/bitfinex",
    "OKEX_POSITION": "POSITION/okx",
}
"""The accounts that the reference system calls by the name of an exchange."""

MEASURES = {
    "unallocated_usd": ("STABLESATS_LIABILITY", "USD", 2),
    "total_liability_cents": ("STABLESATS_OMNIBUS", "USD", 0),
    "okex_allocation_cents": ("ALLOCATION/okex", "USD", 0),
    "bitfinex_allocation_cents": ("ALLOCATION/bitfinex", "USD", 0),
    "stablesats_btc": ("STABLESATS_BTC_WALLET", "BTC", 8),
    "quotes_usd_liabilities": ("QUOTES_LIABILITIES", "USD", 2),
    "quotes_btc_assets": ("QUOTES_ASSETS", "BTC", 8),
    "okex_position_settled_usd": ("POSITION/okx", "USD", 2),
}
"""The account, the currency and the digits behind the point."""


def run(given: Mapping[str, Any]) -> dict[str, Any]:
    """Take the steps; return per step what is to be observed, and under `net` what all of them came to."""
    ledger = MemoryLedger(_CHART)
    steps = [_take(ledger, number, step) for number, step in enumerate(given["steps"])]
    return {"steps": steps, "net": {name: _shown(ledger, name) for name in given.get("net", ())}}


def _take(ledger: MemoryLedger, number: int, step: Step) -> dict[str, Any]:
    before = {name: _measured(ledger, name) for name in step.get("delta", ())}
    posting = _posting(ledger, number, step)
    verdicts = ledger.post([posting] if posting else []).verdicts
    shown: dict[str, Any] = {"posted": _told(posting, verdicts[0] if verdicts else None)}
    if "observe" in step:
        shown["after"] = {name: _shown(ledger, name) for name in step["observe"]}
    if before:
        shown["delta"] = {name: _text(name, _measured(ledger, name) - amount) for name, amount in before.items()}
    return shown


def _told(posting: Transaction | None, verdict: Verdict | None) -> dict[str, Any] | None:
    if posting is None or verdict is None:
        return None
    told = {"template": posting.template, "outcome": str(verdict.outcome)}
    return told if verdict.reason is None else told | {"reason": verdict.reason}


def _posting(ledger: MemoryLedger, number: int, step: Step) -> Transaction | None:
    at: dict[str, Any] = {"effective_at_ms": _AT_MS + number, "source": "case/0", "source_offset": number}
    if step.get("op") == "adjust_okex_position":
        posted, exposure = -_measured(ledger, "okex_position_settled_usd"), int(step["signed_usd_cents"])
        where: dict[str, Any] = {"venue": _VENUE, "instrument": "BTC-USD-SWAP", "sequence": number}
        return mirror_position(posted, exposure, **where, **at)
    if step.get("op") == "post":
        return _as_given(number, step)
    return _BUILDERS[step["template"]](ledger, step, at)


def _as_given(number: int, step: Step) -> Transaction:
    sides = {"debit": 1, "credit": -1}
    entries = [
        Entry(_ours(one["account"]), one["currency"], Layer.SETTLED, sides[one["side"]], int(one["amount"]))
        for one in step["entries"]
    ]
    id_ = timed_id(_AT_MS + number, "AS_GIVEN", str(number))
    return Transaction(id_, "AS_GIVEN", _AT_MS + number, tuple(entries), content_id("case"), "case/0", number, "{}")


_LEG = '{"amount":1,"id":"%s"}'
Builder = Callable[[MemoryLedger, Step, dict[str, Any]], Transaction | None]


def _trade(build: Callable[..., Transaction | None]) -> Builder:
    def built(_: MemoryLedger, step: Step, at: dict[str, Any]) -> Transaction | None:
        legs = {"pairing_key": "case", "btc_leg": ("btc", _LEG % "btc"), "usd_leg": ("usd", _LEG % "usd")}
        return build(int(step["satoshi_amount"]), int(step["usd_cents_amount"]), **legs, **at)

    return built


def _reversal(original: str, build: Callable[..., Transaction | None]) -> Builder:
    def built(ledger: MemoryLedger, step: Step, at: dict[str, Any]) -> Transaction | None:
        booked = [one.id for one in ledger.transactions() if one.template == original]
        return _trade(build)(ledger, step, at | {"reverses": booked[-1]})

    return built


def _quote(build: Callable[..., Transaction | None]) -> Builder:
    def built(_: MemoryLedger, step: Step, at: dict[str, Any]) -> Transaction | None:
        quote_id = f"quote-{at['source_offset']}"
        return build(int(step["satoshi_amount"]), int(step["usd_cents_amount"]), quote_id=quote_id, **at)

    return built


def _allocation(_: MemoryLedger, step: Step, at: dict[str, Any]) -> Transaction | None:
    cents = {"okex": int(step["okex_cents"]), "bitfinex": int(step["bitfinex_cents"])}
    return adjust_exchange_allocation(cents, caused_by=f"step-{at['source_offset']}", **at)


_BUILDERS: dict[str, Builder] = {
    "USER_BUYS_USD": _trade(user_buys_usd),
    "USER_SELLS_USD": _trade(user_sells_usd),
    "REVERT_USER_BUYS_USD": _reversal("USER_BUYS_USD", revert_user_buys_usd),
    "REVERT_USER_SELLS_USD": _reversal("USER_SELLS_USD", revert_user_sells_usd),
    "BUY_USD_QUOTE_ACCEPTED": _quote(buy_usd_quote_accepted),
    "SELL_USD_QUOTE_ACCEPTED": _quote(sell_usd_quote_accepted),
    "ADJUST_EXCHANGE_ALLOCATION": _allocation,
}


def _ours(account: str) -> str:
    return _OURS.get(account, account)


def _found(name: str) -> tuple[str, str, int]:
    if name in MEASURES:
        return MEASURES[name]
    account, _, currency = name.rpartition("_")
    return _ours(account), currency, _DIGITS[currency]


def _measured(ledger: MemoryLedger, name: str) -> int:
    """The settled balance in minor units, in the normal direction of its account; a missing one is zero."""
    account, currency, _ = _found(name)
    return sum(
        _SIDES[account] * one.settled for one in ledger.balances() if (one.account, one.currency) == (account, currency)
    )


def _shown(ledger: MemoryLedger, name: str) -> str:
    return _text(name, _measured(ledger, name))


def _text(name: str, minor: int) -> str:
    amount = Decimal(minor).scaleb(-_found(name)[2])
    return f"{amount.normalize():f}" if amount else "0"
