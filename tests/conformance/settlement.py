"""How each kind of acceptance case of the settlement is run."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from domain.ledger.accounts import Account
from domain.ledger.journal import CREDIT, DEBIT, Outcome
from domain.ledger.memory import MemoryLedger
from domain.reconciling.breaks import severity_of
from domain.settlement.batching import Batch, Batcher
from domain.settlement.fees import Rates, fee_of, rates_of
from domain.settlement.holdings import Holding, locked, may_take_out, mismatches, paid_in, residual, spent, taken_by_force
from domain.settlement.locks import Order, locked_by
from domain.settlement.sequence import Broken, Chain, Duplicate, Link, Missing, Released
from domain.settlement.trade import Matched, Moves, Refusal, cost_of, moves_of
from domain.templates import settlement as templates
from domain.templates.settlement import Sides, Told, available_of, locked_of
from tests.conformance.treasury import text, units

Given = dict[str, Any]
DECIMALS = 18
TOLD = Told(0, "case", 0)
TERMS = templates.Terms("1", "seller", "b", "s", 0, 0, "0" * 32)
REASONS = {"over_limit": "INSUFFICIENT_FROZEN", "lock_too_small": "LOCK_TOO_SMALL", "fee_over_proceeds": "FEE_OVER_PROCEEDS"}
BOUNDS = (units("1"), units("100"), units("1000"))


def _books(*users: str) -> MemoryLedger:
    """Books with accounts of some customers, in which nothing is negative."""
    codes = [(code, CREDIT, 0) for user in users for code in (available_of(user), locked_of(user))]
    fixed = [(templates.CUSTODY, DEBIT, None), (templates.REVENUE, CREDIT, 0)]
    return MemoryLedger(
        [Account(1000 + n, *one[:2], "Case", min_available=one[2]) for n, one in enumerate((*codes, *fixed))]
    )


def _fund(ledger: MemoryLedger, user: str, asset: str, available: int, frozen: int) -> None:
    name = f"{user} {asset}"
    funding = [templates.customer_deposit(name, user, asset, available + frozen, 0, TOLD)] if available + frozen else []
    lock = [templates.order_locked(name, user, asset, frozen, TOLD)] if frozen else []
    assert all(verdict.outcome is Outcome.POSTED for verdict in ledger.post([*funding, *lock]).verdicts)


def _holdings(ledger: MemoryLedger, user: str) -> dict[str, tuple[int, int, int]]:
    """What a customer has of each asset, available and locked, and how many versions both have together."""
    found: dict[str, tuple[int, int, int]] = {}
    for one in ledger.balances():
        if one.account in (available_of(user), locked_of(user)):
            available, frozen, version = found.get(one.currency, (0, 0, 0))
            is_locked = one.account == locked_of(user)
            more = (0, -one.settled) if is_locked else (-one.settled, 0)
            found[one.currency] = available + more[0], frozen + more[1], version + one.version
    return found


def _revenue(ledger: MemoryLedger) -> dict[str, int]:
    return {one.currency: -one.settled for one in ledger.balances() if one.account == templates.REVENUE and one.settled}


def _settle(ledger: MemoryLedger, trade: Matched, name: str, base: str, quote: str, cost: int | Refusal) -> str | Moves:
    """Settle a trade in some books; what it moved, or why it did not."""
    moves = cost if isinstance(cost, Refusal) else moves_of(trade, cost)
    if isinstance(moves, Refusal):
        return REASONS.get(moves.reason, moves.reason.upper())
    sides = Sides(trade.buyer, trade.seller, base, quote, *moves)
    (verdict,) = ledger.post([templates.trade_settled(name, f"{base}_{quote}", 1, sides, TERMS, TOLD)]).verdicts
    return moves if verdict.outcome is Outcome.POSTED else REASONS.get(verdict.reason or "", str(verdict.reason))


def trade_settlement(given: Given) -> Given:
    """A trade in books in which both sides have locked what they have."""
    before, said = given["before"], given["trade"]
    ledger, (base, quote) = _books("buyer", "seller"), _assets(before)
    for user, assets in before.items():
        for asset, has in assets.items():
            _fund(ledger, user, asset, units(has["avail"]), units(has["frozen"]))
    first = {user: _holdings(ledger, user) for user in before}
    fees = units(said["buyer_fee"]), units(said["seller_fee"])
    trade = Matched("buyer", "seller", Decimal(said["price"]), units(said["qty"]), units(said["buyer_locked"]), *fees)
    cost = cost_of(trade.price, trade.quantity, DECIMALS, DECIMALS)
    done = _settle(ledger, trade, said["id"], base, quote, cost)
    last = {user: _holdings(ledger, user) for user in before}
    grown = {
        f"{user}.{asset}": last[user][asset][2] - first[user].get(asset, (0, 0, 0))[2]
        for user in before
        for asset in last[user]
    }
    return {
        "after": {user: {asset: _shown(last[user], asset) for asset in assets} for user, assets in before.items()},
        "revenue": {asset: text(amount) for asset, amount in _revenue(ledger).items()},
        "refund": text(done.refund) if isinstance(done, Moves) else "0",
        "version_delta": {name: more for name, more in grown.items() if more},
        "rejected": done if isinstance(done, str) else None,
    }


def _assets(before: Given) -> tuple[str, str]:
    """The base and the quote: the seller's first asset is what is sold, the buyer's first is what is paid."""
    return next(iter(before["seller"])), next(iter(before["buyer"]))


def _shown(holdings: dict[str, tuple[int, int, int]], asset: str) -> Given:
    available, frozen, _ = holdings.get(asset, (0, 0, 0))
    return {"avail": text(available), "frozen": text(frozen)}


def trade_settlement_lots(given: Given) -> Given:
    """A trade in lots and steps of the price, with fees per lot, where the buyer rested and had reserved for a taker."""
    lots, scale = given["lots"], given["quote_scale"]
    fees = given["maker_fee"] * lots, given["taker_fee"] * lots
    reserved = given["reserve_steps"] * scale * lots + max(fees)
    quantity = lots * given["base_scale"]
    ledger = _books("buyer", "seller")
    _fund(ledger, "buyer", "QUOTE", given["buyer_quote"] - reserved, reserved)
    _fund(ledger, "seller", "BASE", given["seller_base"] - quantity, quantity)
    trade = Matched("buyer", "seller", Decimal(given["price_steps"] * scale), quantity, reserved, *fees)
    _settle(ledger, trade, "T", "BASE", "QUOTE", given["price_steps"] * scale * lots)
    buyer, seller = _holdings(ledger, "buyer"), _holdings(ledger, "seller")
    return {
        "buyer_locked": reserved,
        "buyer_quote_after": sum(buyer["QUOTE"][:2]),
        "buyer_base_after": sum(buyer["BASE"][:2]),
        "seller_quote_after": sum(seller["QUOTE"][:2]),
        "seller_base_after": sum(seller["BASE"][:2]),
        "fees": _revenue(ledger)["QUOTE"],
        "clients_quote_sum": sum((*buyer["QUOTE"][:2], *seller["QUOTE"][:2])),
    }


def order_lock(given: Given) -> Given:
    """What an order locks, tried again after each deposit until it has been placed."""
    lots = given["lots"]
    order = Order("buy", Decimal(given["price_steps"] * given["quote_scale"]), lots, 0, 0)
    cost = locked_by(order, Rates(0, 0))
    assert isinstance(cost, int)
    required = cost + given["taker_fee_per_lot"] * lots
    holding, results = Holding(), []
    for deposit in given["deposits"]:
        holding, _ = paid_in(holding, deposit)
        placed = locked(holding, required)
        results.append("RISK_NSF" if placed is None else "SUCCESS")
        holding = placed or holding
    return {"required": required, "results": results}


def sequence_stream(given: Given) -> Given:
    """In which order trades are released, which are missing and which come again."""
    chain = Chain[int](given["last"], str(given["last"]))
    steps = [step for number in given["arrivals"] for step in chain.take(Link(number, str(number - 1), str(number), number))]
    return {
        "released": [step.link.sequence for step in steps if isinstance(step, Released)],
        "gap_alerts": [step.sequence for step in steps if isinstance(step, Missing)],
        "duplicates": [step.link.sequence for step in steps if isinstance(step, Duplicate)],
    }


def hash_chain(given: Given) -> Given:
    """Up to where the links hold."""
    links = [Link(one["seq"], one["prev"], one["hash"], None) for one in given["items"]]
    chain = Chain[None](links[0].sequence - 1 if links else 0, given["genesis"])
    steps = [step for link in links for step in chain.take(link)]
    broken = [step.link.sequence for step in steps if isinstance(step, Broken)]
    return {
        "accepted": [step.link.sequence for step in steps if isinstance(step, Released)],
        "halted_at": broken[0] if broken else None,
    }


def micro_batch(given: Given) -> Given:
    """How what comes is cut, by its number and by time."""
    batcher = Batcher[int](given["max_size"], given["max_wait_ms"])
    batches: list[Batch[int] | None] = []
    for at_ms in given["arrivals_ms"]:
        batches += [batcher.wake(at_ms), batcher.add(at_ms, at_ms)]
    found = [one for one in (*batches, batcher.wake(2**60)) if one]
    return {"batch_sizes": [len(one.items) for one in found], "flush_reasons": [one.why for one in found]}


def batch_isolation(given: Given) -> Given:
    """A batch in which those with a mark cannot be paid."""
    ledger, names = _books("buyer", "seller"), [name.rstrip("!") for name in given["batch"]]
    good = [name for name in given["batch"] if not name.endswith("!")]
    _fund(ledger, "buyer", "QUOTE", 0, max(1, len(good)))
    _fund(ledger, "seller", "BASE", 0, max(1, len(names)))
    moves = {name: 10**6 if asked.endswith("!") else 1 for name, asked in zip(names, given["batch"], strict=True)}
    sides = [Sides("buyer", "seller", "BASE", "QUOTE", 1, moves[name], 0, moves[name], 0) for name in names]
    batch = [
        templates.trade_settled(name, "BASE_QUOTE", n, one, TERMS, TOLD)
        for n, (name, one) in enumerate(zip(names, sides, strict=True))
    ]
    verdicts = dict(zip(names, ledger.post(batch).verdicts, strict=True))
    return {
        "settled": [name for name, verdict in verdicts.items() if verdict.outcome is Outcome.POSTED],
        "quarantined": [name for name, verdict in verdicts.items() if verdict.outcome is not Outcome.POSTED],
    }


def balance_from_history(given: Given) -> Given:
    """What deposits, withdrawals, trades and fees come to, beside what is stored."""
    stored = {asset: units(amount) for asset, amount in given["stored"].items()}
    expected, found = mismatches(stored, [change for event in given["events"] for change in _changes(*event)])
    return {
        "expected": {asset: text(amount) for asset, amount in expected.items()},
        "mismatches": [
            {
                "asset": one.asset,
                "stored": text(one.stored),
                "expected": text(one.expected),
                "difference": text(-one.correction),
                "severity": severity_of(one.correction, 0, BOUNDS),
                "correction": text(one.correction),
            }
            for one in found
        ],
    }


SIGNS = {"deposit": 1, "withdraw": -1, "withdrawal": -1, "fee": -1, "refund": 1, "transfer_in": 1, "transfer_out": -1}


def _changes(kind: str, *said: str) -> list[tuple[str, int]]:
    amounts = list(zip(said[::2], map(units, said[1::2]), strict=True))
    if kind in ("trade_buy", "trade_sell"):
        sign = 1 if kind == "trade_buy" else -1
        (base, quantity), (quote, cost), *fees = amounts
        return [(base, sign * quantity), (quote, -sign * cost), *[(asset, -fee) for asset, fee in fees]]
    return [(asset, SIGNS[kind] * amount) for asset, amount in amounts]


def zero_sum(given: Given) -> Given:
    """What is too much of each asset."""
    parts = [given[name] for name in ("client_avail", "client_frozen", "fees", "deposits", "withdrawals")]
    assets = dict.fromkeys(asset for part in parts for asset in part)
    found = {}
    for asset in assets:
        available, frozen, fees, deposits, withdrawals = (units(part.get(asset, "0")) for part in parts)
        found[asset] = residual(available + frozen, fees, deposits, withdrawals)
    return {"residual": {asset: text(amount) for asset, amount in found.items()}, "ok": not any(found.values())}


def running_balance(given: Given) -> Given:
    """A holding after one thing that happens to it."""
    holding = Holding(*(units(given.get(name, "0")) for name in ("avail", "frozen", "debt")))
    after: Holding | None = holding
    if "deposit" in given:
        after, _ = paid_in(holding, units(given["deposit"]))
    elif "forced_debit" in given:
        after, _ = taken_by_force(holding, units(given["forced_debit"]))
    elif "spend_frozen" in given:
        after = spent(holding, units(given["spend_frozen"]))
    elif "lock" in given:
        after = locked(holding, units(given["lock"]))
    elif "unlock" in given:
        after = locked(holding, -units(given["unlock"]))
    is_refused, after = after is None, after or holding
    return {
        "avail": text(after.available),
        "frozen": text(after.locked),
        "debt": text(after.debt),
        "debt_reason": "GhostMoney" if after.debt else None,
        "can_withdraw_any_asset": may_take_out([after]),
        "rejected": "INSUFFICIENT_FROZEN" if is_refused else None,
    }


def fee(given: Given) -> Given:
    """Fees by level and side."""
    rates = [(rates_of(int(level)), role, units(value)) for level, role, value in given["rows"]]
    return {"fees": [text(fee_of(value, getattr(of_level, f"{role}_ppm"))) for of_level, role, value in rates]}


def ledger_integrity(given: Given) -> Given:
    """What entries leave over, currency by currency."""
    sums: dict[str, int] = {}
    for currency, side, amount in given["entries"]:
        sums[currency] = sums.get(currency, 0) + (units(amount) if side == "debit" else -units(amount))
    return {"balanced": not any(sums.values()), "residual": {name: text(amount) for name, amount in sums.items() if amount}}


SETTLEMENT: dict[str, Callable[[Given], Any]] = {
    "balance_from_history": balance_from_history,
    "batch_isolation": batch_isolation,
    "fee": fee,
    "hash_chain": hash_chain,
    "ledger_integrity": ledger_integrity,
    "micro_batch": micro_batch,
    "order_lock": order_lock,
    "running_balance": running_balance,
    "sequence_stream": sequence_stream,
    "trade_settlement": trade_settlement,
    "trade_settlement_lots": trade_settlement_lots,
    "zero_sum": zero_sum,
}
