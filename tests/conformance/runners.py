"""How each kind of acceptance case is run: from what is given, as JSON, to what comes out, as JSON."""

from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any, NamedTuple

from domain import money
from domain.hedging import actions as a
from domain.hedging.reference_funding import FundingPolicy, decide_funding_reference, split_deposit, split_withdraw
from domain.hedging.reference_hedge import HedgePolicy, decide_hedge_reference
from domain.pairing.corrections import NewTrade, RecordedTrade, correct
from domain.pairing.legs import Leg
from domain.pairing.match import Trade, match_first, trade_from
from domain.reconciling.breaks import difference_of, severity_of
from domain.reconciling.items import Entry, Line
from domain.reconciling.match import match
from domain.reconciling.rules import Rules
from domain.times import parse_ms
from domain.treasury.retries import RetryPolicy, delays_seconds, levels
from domain.venue.okx import UnreadablePosition, parse_position
from tests.conformance.settlement import SETTLEMENT
from tests.conformance.treasury import TREASURY

Given = dict[str, Any]


class Failure(NamedTuple):
    """The case is expected to fail, by this name."""

    error: str


def _policy_fields(config: Given, model: type[HedgePolicy] | type[FundingPolicy]) -> Given:
    """Those settings that a policy knows; the reference's own configuration has some that other parts read."""
    return {name: value for name, value in config.items() if name in model.model_fields}


def hedge(given: Given) -> Given:
    """The reference hedge decision."""
    policy = HedgePolicy(**_policy_fields(given.get("config", {}), HedgePolicy))
    facts = given["input"]
    action = decide_hedge_reference(Decimal(facts["abs_liability_cents"]), Decimal(facts["signed_exposure_cents"]), policy)
    names = {"nothing": "do_nothing", "close": "close_position"}
    contracts = action.contracts if isinstance(action, a.Sell | a.Buy) else None
    return {"action": names.get(action.name, action.name), "contracts": contracts}


_FUNDING_NAMES = {
    "nothing": "do_nothing",
    "deposit": "onchain_deposit",
    "withdraw": "onchain_withdraw",
    "funding_to_trading": "transfer_funding_to_trading",
    "trading_to_funding": "transfer_trading_to_funding",
}


def funding(given: Given) -> Given:
    """The reference funding decision, with the branch that fired."""
    facts = given["input"]
    action = decide_funding_reference(
        Decimal(facts["abs_liability_cents"]),
        Decimal(facts["signed_exposure_cents"]),
        Decimal(facts["total_collateral_btc"]),
        Decimal(facts["btc_price_cents"]),
        Decimal(facts["funding_btc_total_balance"]),
        FundingPolicy(**_policy_fields(given.get("config", {}), FundingPolicy)),
    )
    amount, unit = a.quantity(action)
    return {
        "action": _FUNDING_NAMES.get(action.name, action.name),
        "amount_btc": money.plain(money.btc_from_sats(amount)) if unit == "sats" else None,
        "branch": int(action.rule.removeprefix("branch_")) if action.rule.startswith("branch_") else None,
    }


def funding_split(given: Given) -> Given:
    """How an amount splits into a move inside the exchange and one on chain."""
    facts = given["input"]
    split = {"deposit": split_deposit, "withdraw": split_withdraw}[given["kind"]]
    internal, external = split(
        Decimal(facts["funding_btc_total_balance"]),
        Decimal(facts["amount_btc"]),
        Decimal(facts["minimum_funding_balance_btc"]),
    )
    return {"internal_btc": money.plain(internal), "external_btc": money.plain(external)}


def rounding(given: Given) -> str:
    """The roundings by name."""
    value = Decimal(given["input"])
    match given["fn"]:
        case "round_btc":
            return money.plain(money.btc_from_sats(money.round_sats(value)))
        case "floor_btc":
            return money.plain(money.btc_from_sats(money.floor_sats(value)))
        case "round_contract_in_cents":
            return str(money.round_contract_cents(value))
        case other:
            return f"there is no rounding called {other}"


def _leg(row: Given) -> Leg:
    return Leg(
        row["id"],
        row["created_at"] * 1000,
        "SUCCESS",
        row["direction"],
        row["settlement_currency"],
        abs(int(row["settlement_amount"])),
        row["settlement_method"],
        row["memo"],
        abs(int(row["amount_in_usd_cents"])),
    )


def _trade_json(trade: Trade) -> Given:
    sats = ("satoshi", str(trade.amount_sats))
    cents = ("usd_cent", str(trade.amount_cents))
    buy, sell = (cents, sats) if trade.buys == "USD" else (sats, cents)
    return {
        "buy_unit": buy[0],
        "buy_amount": buy[1],
        "sell_unit": sell[0],
        "sell_amount": sell[1],
        "timestamp": trade.created_at_ms // 1000,
        "btc_tx_id": trade.btc_leg_id,
        "usd_tx_id": trade.usd_leg_id,
    }


def pairing(given: Given) -> Given:
    """The reference's pairing of a list of legs."""
    legs = [_leg(row) for row in given["input"]]
    pairs = match_first(legs)
    paired = [leg.id for pair in pairs for leg in pair]
    return {
        "trades": [_trade_json(trade_from(*pair)) for pair in pairs],
        "paired_ids": paired,
        "unpaired_ids": [leg.id for leg in legs if leg.id not in paired],
    }


def pairing_corrections(given: Given) -> Given:
    """What new pairings do to recorded trades."""
    new = [NewTrade(row["btc_tx_id"], row["usd_tx_id"]) for row in given["input"]["new_trades"]]
    recorded = [
        RecordedTrade(row["id"], row["btc_tx_id"], row["usd_tx_id"]) for row in given["input"]["existing_uncorrected_trades"]
    ]
    found = correct(new, recorded)
    insert = [{"btc_tx_id": trade.btc_id, "usd_tx_id": trade.usd_id} for trade in found.insert]
    return {"insert": insert, "mark_bad_ids": found.bad_rows}


def worth(given: Given) -> Given:
    """What a leg is worth, from the price on the wire."""
    row = given["input"]
    price = money.cents_per_unit(int(row["price_base"]), row["price_offset"])
    cents = money.worth_cents(int(row["settlement_amount"]), price)
    return {"cents_per_unit": money.plain(price), "amount_in_usd_cents": str(cents)}


def okx_position(given: Given) -> Given | Failure:
    """What OKX says of a position."""
    position = parse_position(given["input"])
    if isinstance(position, UnreadablePosition):
        return Failure("NonParsablePositionData")
    return {
        "usd_cents": money.plain(position.exposure_cents),
        "last_price_cents": money.plain(position.last_price_cents),
    }


def job_retry(given: Given) -> Given:
    """The delays before attempts, and how loud their failures are."""
    names = {
        "initial_retry_delay_s": "delay_first_seconds",
        "max_retry_delay_s": "delay_max_seconds",
        "max_attempts": "attempts_max",
        "warn_retries": "warn_retries",
    }
    policy = RetryPolicy(**{names[name]: int(value) for name, value in given["input"].items()})
    return {
        f"delay_before_attempt_2_to_{policy.attempts_max}_s": delays_seconds(policy),
        "levels": levels(policy),
    }


def ledger_sequence(given: Given) -> Given:
    """A sequence of postings and the balances after it."""
    from tests.conformance.ledger_sequences import run  # noqa: PLC0415 - only needed for this kind

    return run(given)


_PLACES = 18
"""Amounts of cases have so many digits behind the point; here they are whole ones of that unit."""


def _whole(text: str) -> int:
    return int(Decimal(text).scaleb(_PLACES, _WIDE))


_WIDE = Context(prec=60)


def _as_written(amount: int, *like: str) -> str:
    """An amount with as many digits behind the point as the longest of those that it comes from."""
    places = max(len(text.partition(".")[2]) for text in like)
    return f"{Decimal(amount).scaleb(-_PLACES, _WIDE).quantize(Decimal(1).scaleb(-places), context=_WIDE):f}"


def recon_tolerance(given: Given) -> Given:
    """A total of the books beside one of the outside; bounds are one, a hundred and a thousand dollars."""
    told = [given["book"], given["external"], given.get("in_transit", "0")]
    difference = difference_of(*map(_whole, told))
    bounds = (_whole("1"), _whole("100"), _whole("1000"))
    severity = severity_of(difference, _whole(given["tolerance"]), bounds)
    return {"passed": severity is None, "difference": _as_written(difference, *told), "severity": severity}


def venue_journal(given: Given) -> Given:
    """What a venue's own journal comes to, beside what the venue says."""
    moved = [amount for _, amount in given["deltas"]]
    told = [given["baseline"], *moved, given.get("upnl_change", "0")]
    expected = sum(map(_whole, told))
    drift = difference_of(expected, _whole(given["account_value"]))
    return {
        "expected": _as_written(expected, *told),
        "drift": _as_written(drift, *told, given["account_value"]),
        "passed": severity_of(drift, _whole(given["tolerance"]), (0, 0, 0)) is None,
    }


def statement_match(given: Given) -> Given:
    """Lines of a statement and entries of the books, matched one to one."""
    said = given["rules"]
    rules = Rules(tolerance_ratio=Decimal(said["amount_drift"]), window_seconds=int(said["date_drift_seconds"]))
    lines = [Line(id_, parse_ms(at), _whole(amount)) for id_, amount, at in given["external"]]
    entries = [Entry(id_, parse_ms(at), _whole(amount)) for id_, amount, at in given["internal"]]
    matched = match(lines, entries, rules)
    ties = matched.ties
    pairs = [(line.id, entry.id) for one in matched.matches for line, entry in zip(one.lines, one.entries, strict=True)]
    return {
        "matches": sorted(map(list, pairs)),
        "unmatched_external": sorted([*(x.id for x in matched.lines), *(x.id for one in ties for x in one.lines)]),
        "unmatched_internal": sorted([*(x.id for x in matched.entries), *(x.id for one in ties for x in one.entries)]),
    }


RUNNERS: dict[str, Callable[[Given], Any]] = {
    "funding": funding,
    "funding_split_helpers": funding_split,
    "galoy_amount_in_usd_cents": worth,
    "hedge": hedge,
    "job_retry": job_retry,
    "ledger_sequence": ledger_sequence,
    "okx_position_parse": okx_position,
    "pairing": pairing,
    "pairing_corrections": pairing_corrections,
    "recon_tolerance": recon_tolerance,
    "rounding": rounding,
    "statement_match": statement_match,
    "venue_journal": venue_journal,
    **SETTLEMENT,
    **TREASURY,
}
