"""How each kind of acceptance case is run: from what is given, as JSON, to what comes out, as JSON."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from domain import money
from domain.hedging import actions as a
from domain.hedging.reference_funding import FundingPolicy, decide_funding_reference, split_deposit, split_withdraw
from domain.hedging.reference_hedge import HedgePolicy, decide_hedge_reference
from domain.pairing.corrections import NewTrade, RecordedTrade, correct
from domain.pairing.legs import Leg
from domain.pairing.match import Trade, match_first, trade_from
from domain.treasury.retries import RetryPolicy, delays_seconds, levels
from domain.venue.okx import UnreadablePosition, parse_position

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
    "rounding": rounding,
}
