"""How the cases of buffers, providers, conversions and control are run.

Amounts of cases are decimals with up to 18 digits on either side of the point; the product counts whole units, so here
one unit is the eighteenth digit.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError

from domain.control.approvals import count
from domain.control.states import Steps, refused_at
from domain.ledger.accounts import CHART, Account
from domain.ledger.journal import CREDIT, DEBIT, Entry, Outcome, Transaction
from domain.ledger.memory import MemoryLedger
from domain.messages.provider import ProviderEvent
from domain.messages.treasury import ConversionRequest, JobChange, PositiveAmount
from domain.postings.buffers import post_conversion
from domain.streams.records import Record
from domain.templates.buffers import buffer_flow
from domain.templates.entries import moved, settled
from domain.templates.transfer import transfer
from domain.times import ms_of
from domain.treasury import job as job_states
from domain.treasury.backtest import backtest
from domain.treasury.buffer import Buffer, Thresholds, missing, status
from domain.treasury.caps import Acted, Caps, is_capped
from domain.treasury.conversions import ConversionBook, ConversionDone, wrong_by
from domain.treasury.decide import BufferPolicy, decide_buffer
from domain.treasury.fees import cost_of, fee_of, gross_up
from domain.treasury.health import (
    BreakerEvent,
    BreakerPolicy,
    BreakerState,
    HealthPolicy,
    Tally,
    break_on,
    is_healthy,
    last_of,
)
from domain.treasury.job import is_late
from domain.treasury.job_book import JobBook
from domain.treasury.jobs import Job, accepted, done, mismatched, posted, tried_with
from domain.treasury.netting import Obligation, net_obligations
from domain.treasury.policy import TreasuryPolicy
from domain.treasury.retries import BackOff, retry_at_ms
from domain.treasury.selection import Direction, Provider, Wish, select
from domain.treasury.stale import act_on_stale, is_orphan, is_stale
from domain.treasury.threshold import critical_fractile, miller_orr, newsvendor, service_level, share_of_assets
from domain.treasury.window import Flow, Span, net_window, sort_flows
from domain.treasury.worth import CURRENCY_OF, MICROS_PER_UNIT, micros
from domain.wallet import kyc, withdrawal
from domain.wallet import transfer as transfer_states

Given = dict[str, Any]

SCALE = 18
WIDE = Context(prec=80)
ROOMY = str(10**18)


def units(text: str) -> int:
    """An amount in whole units."""
    found = Decimal(text).scaleb(SCALE, WIDE)
    assert found == int(found), f"{text} has more than {SCALE} digits"
    return int(found)


def text(amount: int) -> str:
    """An amount in units as a case has it, without zeros at its end."""
    return plain(Decimal(amount).scaleb(-SCALE, WIDE))


def plain(value: Decimal) -> str:
    """A decimal without an exponent, without zeros at its end."""
    return format(value.normalize(WIDE), "f") if value else "0"


def rounded(value: Decimal | Fraction, digits: int) -> str:
    """A number with so many digits behind the point, half to even."""
    exact = WIDE.divide(Decimal(value.numerator), Decimal(value.denominator)) if isinstance(value, Fraction) else value
    return str(exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN, WIDE))


def percent(share: Fraction) -> str:
    """A share as a percentage."""
    return rounded(share * 100, 2)


def at_ms(time: str) -> int:
    """A time in milliseconds."""
    return ms_of(datetime.fromisoformat(time))


def _thresholds(given: Given) -> Thresholds:
    return Thresholds(*(units(given[name]) for name in ("min", "target", "max", "batch")))


def _buffer(given: Given) -> Buffer:
    amounts = (units(given[name]) for name in ("posted", "inflight_in", "reserved_out"))
    return Buffer(given["name"], given["currency"], *amounts, _thresholds(given))


def _policy(given: Given) -> BufferPolicy:
    more = {"emergency_ratio": Decimal(given["emergency_ratio"]), "ticket_min": units(given["min_ticket"])}
    return BufferPolicy(given["trigger"], given["rounding"], given["protect_source_min"], **more)  # type: ignore[arg-type]


def buffer_status(given: Given) -> Given:
    """How a balance stands to its thresholds."""
    limits, balance = _thresholds(given["thresholds"]), units(given["balance"])
    return {"status": status(balance, limits), "amount_to_target": text(missing(balance, limits))}


def buffer_decision(given: Given) -> Given:
    """What is done about a buffer."""
    buffer, sources = _buffer(given["buffer"]), [_buffer(one) for one in given["sources"]]
    found = decide_buffer(buffer, sources, _policy(given["policy"]))
    currencies = {one.name: one.currency for one in sources}
    ways = {
        leg.source: f"{currencies[leg.source]}_to_{buffer.currency}".lower() if leg.how == "conversion" else None
        for leg in found.legs
    }
    return {
        "action": found.action,
        "trigger_reason": "emergency" if found.is_emergency else "buffer_replenishment",
        "emergency": found.is_emergency,
        **{name: text(getattr(found, name)) for name in ("need", "amount", "shortfall", "excess")},
        "reason": "BELOW_MIN_TICKET" if found.rule == "below_ticket" else None,
        "legs": [
            {"source": leg.source, "how": leg.how, "direction": ways[leg.source], "amount": text(leg.amount)}
            for leg in found.legs
        ],
    }


def gross_up_case(given: Given) -> Given:
    """What is ordered so that enough arrives."""
    step = Decimal(given["step"])
    # The unit of an order is its step.
    found = gross_up(-int(-Decimal(given["need"]) // step), Decimal(given["fee_rate"]))
    return {name: plain(getattr(found, name) * step) for name in ("order", "fee", "received")}


def conversion_cost(given: Given) -> Given:
    """Where the difference went."""
    amounts = units(given["source"]), Decimal(given["quoted_rate"]), units(given["destination"]), units(given["fee"])
    found = cost_of(*amounts)
    told = {name: plain(Decimal(rounded(getattr(found, name), SCALE))) for name in ("fee_bps", "slippage_bps")}
    return {"fee": text(found.fee), "slippage": text(found.slippage), **told}


def dynamic_threshold(given: Given) -> Given:
    """What a model proposes."""
    numbers = {name: Decimal(value) for name, value in given.items() if name != "model"}
    days = int(numbers.pop("days_per_year", 0))
    match given["model"]:
        case "miller_orr":
            found = miller_orr(**numbers, days_per_year=days)
            return {
                "target": rounded(found.target, 2),
                "upper": rounded(found.upper, 2),
                "average": rounded(found.average, 3),
            }
        case "service_level":
            return {"min": rounded(service_level(**numbers), 2)}
        case "pct_aum":
            return {"min": plain(Decimal(rounded(share_of_assets(numbers["aum"], numbers["pct"], numbers["floor"]), 2)))}
        case "newsvendor":
            fractile = critical_fractile(numbers["cost_under"], numbers["cost_over_annual"], days)
            stock = newsvendor(numbers["mean"], numbers["sigma"], fractile)
            return {"fractile": rounded(fractile, 4), "order_up_to": rounded(stock, 2)}
    return {"model": f"there is no model {given['model']}"}


def net_window_case(given: Given) -> Given:
    """What a window comes to."""
    limits, opened = _thresholds(given["thresholds"]), units(given["open"])
    start, end = map(at_ms, given["window"])
    sorted_flows = sort_flows(
        [Flow(at_ms(at), units(amount), at_ms(heard[0] if heard else at)) for at, amount, *heard in given["flows"]],
        Span(start, end, given.get("allowed_lateness_seconds", 30) * 1000),
    )
    policy = BufferPolicy(emergency_ratio=Decimal(given.get("emergency_ratio", 0)))
    buffer = Buffer(given["buffer"], "", opened, 0, 0, limits)
    found = net_window(buffer, sorted_flows.counted, policy)
    urgent, fee_rate = found.urgent[0] if found.urgent else None, Decimal(given["fee_rate"])
    return {
        **{name: text(getattr(found, name)) for name in ("net", "close", "low", "gross")},
        "status": status(found.close, limits),
        "convert": text(found.at_close),
        "gross_fee": rounded(Decimal(text(fee_of(found.gross, fee_rate))), 2),
        "net_fee": rounded(Decimal(text(fee_of(found.at_close, fee_rate))), 2),
        "emergency_at": urgent
        and (datetime.fromisoformat("1970-01-01T00:00:00+00:00") + timedelta(milliseconds=urgent.at_ms))
        .isoformat()
        .replace("+00:00", "Z"),
        "emergency_convert": urgent and text(sum(one.amount for one in found.urgent)),
        "next_window_flows": len(sorted_flows.next),
        "late_flows": len(sorted_flows.late),
    }


def multilateral_net(given: Given) -> Given:
    """What is left of obligations."""
    found = net_obligations(Obligation(debtor, creditor, units(amount)) for debtor, creditor, amount in given["obligations"])
    return {
        "net": {party: text(amount) for party, amount in found.net.items()},
        "gross": text(found.gross),
        "settled": text(found.settled),
        "reduction_pct": percent(found.reduction),
        "payments": sum(amount < 0 for amount in found.net.values()),
    }


def _provider(given: Given) -> Provider:
    directions: tuple[Direction, ...] = ("usdc_to_usd", "usd_to_usdc")
    most, daily = (units(given[name]) if given[name] is not None else None for name in ("max", "daily_limit"))
    return Provider(
        given["name"],
        given["priority"],
        given["status"],
        frozenset(one for one in directions if given[one]),
        units(given["min"]),
        most,
        daily,
        units(given["daily_used"]),
        Tally(given["success"], given["failure"]),
        Decimal(given["fee_bps"]),
    )


def provider_select(given: Given) -> Given:
    """Who converts an amount."""
    names = {
        "allow_degraded": "may_be_degraded",
        "allow_split": "may_split",
        "forbid_single": "several",
        "cost_aware": "cost_counts",
    }
    options = {names[name]: value for name, value in given.get("options", {}).items()}
    wish = Wish(units(given["amount"]), given["direction"], **options)
    found = select([_provider(one) for one in given["providers"]], wish)
    choice = [{"provider": one.provider, "amount": text(one.amount)} for one in found.slices]
    return {"choice": choice, "reason": None if choice else "NO_PROVIDER"}


def provider_health(given: Given) -> Given:
    """How a provider did, ever and of late."""
    policy = HealthPolicy(given["window"], given["min_attempts"], Decimal(given["threshold_pct"]) / 100)
    last = last_of([one == "S" for one in given["last_outcomes"]], policy)
    return {
        "lifetime_rate_pct": percent(Tally(given["lifetime_success"], given["lifetime_failure"]).rate),
        "window_rate_pct": percent(last.rate),
        "healthy": is_healthy(last, policy),
    }


def circuit_breaker(given: Given) -> Given:
    """What state a breaker is in after each event."""
    policy = BreakerPolicy(given["failure_threshold"], given["open_seconds"] * 1000, given["success_threshold"])
    words: dict[str, BreakerEvent] = {"F": "failure", "S": "success", "?": "asked"}
    breaker, states = BreakerState(), []
    for seconds, event in given["events"]:
        breaker = break_on(breaker, words[event], seconds * 1000, policy)
        states.append(breaker.state)
    return {"states": states}


def rate_stats(given: Given) -> Given:
    """How many conversions fail, and how long the others take."""
    failed = 1 - Tally(given["completed"], given["failed"]).rate
    lasted = given.get("durations_completed", [])
    return {
        "failure_rate_pct": percent(failed),
        "alert": failed * 100 > Fraction(given["threshold_pct"]),
        "avg_seconds": plain(Decimal(rounded(Fraction(sum(lasted), len(lasted)), 2))) if lasted else None,
    }


def fsm_path(given: Given) -> Given:
    """How far a machine gets along a path."""
    at = refused_at(MACHINES[given["machine"]], given["path"])
    late = given["machine"] == "conversion_job" and is_late(given["path"][: None if at is None else at])
    return {"valid": at is None, "rejected_at": at, "flag": "LATE_COMPLETION" if late else None}


def job_lifecycle(given: Given) -> Given:
    """The states of a job, what it books, and what is in the buffers after it."""
    told = given["job"]
    request = ConversionRequest.model_construct(**_asked(told))
    job = Job(told["id"], "d", "manual", told["source"], told["destination"], request.amount, request.amount, 0)
    ledger, steps, at = _funded(given["balances_before"]), [job], [at_ms(time) for time, *_ in given["events"]]
    booked, off = None, 0
    for when, (_, word, *facts) in zip(at, given["events"], strict=True):
        match word:
            case "submitted":
                out = tried_with(steps[-1], facts[0]["provider"], 0, when)
                request = request.model_copy(update={"provider": out.provider, "client_conversion_id": out.client_id})
                steps += [out, *accepted(out, out.client_id or "", is_processing=False)]
            case "processing":
                steps += accepted(steps[-1], request.client_conversion_id, is_processing=True)
            case "provider_completed":
                event = _completed(request, given["events"], facts[0], when)
                off = wrong_by(request, event)
                move = partial(mismatched, difference=off) if off else partial(done, received=0, fee=0)
                steps += move(steps[-1], event.client_conversion_id, event.provider_tx_id, at_ms=when)
                book = ConversionBook()
                effects = book.apply(when, [Record(when, "x", n, one) for n, one in enumerate((request, event))])
                booked = next(
                    (post for n, one in enumerate(effects) if (post := post_conversion(Record(0, "x", n, one)))), None
                )
            case "ledger_posted":
                assert booked is not None
                assert ["posted"] == [str(one.outcome) for one in ledger.post([booked]).verdicts]
                steps += posted(steps[-1])
    states = [one.state for n, one in enumerate(steps) if not n or one.state != steps[n - 1].state]
    return {
        "statuses": states,
        "ledger": [_entry(one) for one in booked.entries] if booked else [],
        "balances_after": {name: text(_worth(ledger, name)) for name in given["balances_before"]},
        "idempotency_key": f"conversion-{told['id']}",
        "seconds_created_to_completed": (at[-1] - at[0]) // 1000,
        "exception": {"type": steps[-1].error, "difference": text(micros(off, request.destination_currency) * MICRO)},
    }


MICRO = 10 ** (SCALE - 6)
"""Units of a case in a micro-dollar."""


def _asked(told: Given) -> Given:
    source, destination = told["source"], told["destination"]
    amount = units(told["amount"]) // MICRO // MICROS_PER_UNIT[CURRENCY_OF[source]]
    said = {"source": source, "destination": destination, "amount": amount, "job_id": told["id"]}
    return {**said, "source_currency": CURRENCY_OF[source], "destination_currency": CURRENCY_OF[destination]}


def _completed(request: ConversionRequest, events: list[Any], facts: Given, when: int) -> ProviderEvent:
    tx_id = next(one[2]["provider_tx_id"] for one in events if one[1] == "submitted")
    source, destination = (MICROS_PER_UNIT[one] * MICRO for one in (request.source_currency, request.destination_currency))
    return ProviderEvent(
        provider=request.provider,
        id=tx_id,
        client_conversion_id=request.client_conversion_id,
        provider_tx_id=tx_id,
        state="completed",
        source_amount=units(facts["source_amount"]) // source,
        destination_amount=units(facts["destination_amount"]) // destination,
        fee_amount=units(facts["fee"]) // destination,
        via="poll",
        as_of=when,
    )


def _funded(balances: Given) -> MemoryLedger:
    ledger = MemoryLedger(CHART)
    for name, amount in balances.items():
        worth = units(amount) // MICRO // MICROS_PER_UNIT[CURRENCY_OF[name]]  # type: ignore[index]
        currency = CURRENCY_OF[name]  # type: ignore[index]
        at: Given = {"effective_at_ms": 0, "source": "x", "source_offset": 0}
        ledger.post([buffer_flow(name, name, currency, worth, "funding", reverts=None, **at)] if worth else [])
    return ledger


def _worth(ledger: MemoryLedger, name: str) -> int:
    return sum(
        micros(one.settled, one.currency) * MICRO  # type: ignore[arg-type]
        for one in ledger.balances()
        if one.account == name.upper()
    )


def _entry(entry: Entry) -> Given:
    account = entry.account.lower()
    return {
        "account": f"{account}:{entry.currency}" if account == "fx_clearing" else account,
        "side": "debit" if entry.side == DEBIT else "credit",
        "currency": entry.currency,
        "amount": text(micros(entry.amount, entry.currency) * MICRO),  # type: ignore[arg-type]
    }


def idempotent_events(given: Given) -> Given:
    """How often the same is done: a completion is booked once, a job is ordered once, a key is posted once."""
    events = given["events"]
    if events[0].startswith("provider_"):
        return _words_of_a_provider(events)
    if events[0].startswith("replenish:"):
        book, at = JobBook(TreasuryPolicy()), 0
        for name in events:
            book.take((Job(name, "d", "manual", "system_buffer_fiat", "system_buffer_usdc", 1, 1, at),), at)
        jobs = sum(isinstance(one, JobChange) for one in book.said())
        return {"jobs": jobs, "duplicates_ignored": len(events) - jobs}
    by_day = given.get("identity") == "trade_id_only"
    names = [name.partition("@")[0] if by_day else name for name in events]
    at_zero: Given = {"effective_at_ms": 0, "source": "x", "source_offset": 0}
    posted_ = MemoryLedger(CHART).post(
        [transfer(name, "TREASURY_WALLET", "NETWORK_FEES", "BTC", 1, **at_zero) for name in names]
    )
    outcomes = [str(verdict.outcome) for verdict in posted_.verdicts]
    return {"applied": outcomes.count("posted"), "duplicates_ignored": outcomes.count("duplicate")}


def _words_of_a_provider(events: list[str]) -> Given:
    request = ConversionRequest.model_construct(
        **_asked({"id": "J1", "source": "system_buffer_fiat", "destination": "system_buffer_usdc", "amount": "42000"})
    )
    out = tried_with(Job("J1", "d", "manual", request.source, request.destination, request.amount, 1, 0), "due", 0, 0)
    request = request.model_copy(update={"provider": "due", "client_conversion_id": out.client_id})
    job, book = accepted(out, out.client_id or "", is_processing=False)[-1], ConversionBook()
    list(book.apply(0, [Record(0, "x", 0, request)]))
    posted_, ignored = 0, 0
    for n, (word, _, tx_id) in enumerate(event.partition(":") for event in events):
        amounts = {"source_amount": "42000", "destination_amount": "42000", "fee": "0"}
        event = _completed(request, [["", "submitted", {"provider_tx_id": tx_id}]], amounts, n)
        event = event.model_copy(update={"state": word.removeprefix("provider_"), "provider_tx_id": tx_id})
        effects = [one for one in book.apply(n, [Record(n, "x", n, event)]) if isinstance(one, ConversionDone)]
        if event.state == "completed":
            steps = done(job, event.client_conversion_id, tx_id, 0, 0, n)
            steps += posted(steps[-1]) if steps else ()
        else:
            steps = accepted(job, event.client_conversion_id, is_processing=True)
        job = steps[-1] if steps else job
        posted_ += len(effects)
        ignored += not effects and not steps
    return {"ledger_transactions": posted_, "duplicates_ignored": ignored, "final_status": job.state}


def recon_orphans(given: Given) -> Given:
    """Which jobs say that they are done and have no posting."""
    limit = given.get("stuck_after_minutes", 10)
    found = []
    for told in given["jobs"]:
        age_ms = told.get("age_minutes", 0) * 60_000
        if is_orphan(told["status"], age_ms, limit * 60_000, is_booked=told["ledger_tx"] is not None):
            found.append({"entity": told["id"], "severity": "high", "amount": told["amount"]})
    return {"exceptions": found}


def posting_check(given: Given) -> Given:
    """Whether the ledger takes entries, and what balances are then."""
    if not all(_is_amount(units(amount)) for *_, amount in given["entries"]):
        return {"accepted": False, "reason": "INVALID_AMOUNT", "balances_after": None}
    accounts = {
        name: Account(1000 + n, name, DEBIT, "Case", min_available=0 if name in given["non_negative"] else None)
        for n, name in enumerate({**given["balances"], **{entry[0]: None for entry in given["entries"]}})
    }
    accounts["opening"] = Account(999, "opening", CREDIT, "Case")
    held = {name: entry[2] for entry in given["entries"] for name in [entry[0]]}
    sides = {"debit": DEBIT, "credit": CREDIT}
    entries = [settled(name, currency, sides[side], units(amount)) for name, side, currency, amount in given["entries"]]
    ledger = MemoryLedger(accounts.values())
    opening = [
        _posting(f"open {name}", *moved(held.get(name, "USD"), name, "opening", units(amount)))
        for name, amount in given["balances"].items()
        if units(amount)
    ]
    ledger.post(opening)
    (verdict,) = ledger.post([_posting("asked", *entries)]).verdicts
    accepted_ = verdict.outcome is Outcome.POSTED
    after = {name: text(_settled(ledger, name)) for name in given["balances"]}
    reason = None if accepted_ else REASONS.get(verdict.reason or "", verdict.reason)
    return {"accepted": accepted_, "reason": reason, "balances_after": after if accepted_ else None}


REASONS = {"unbalanced": "UNBALANCED", "one_legged": "UNBALANCED", "over_limit": "NEGATIVE_BALANCE"}


def _is_amount(amount: int) -> bool:
    """Whether a message may ask for so much; the ledger itself takes what is taken back, too."""
    try:
        TypeAdapter(PositiveAmount).validate_python(amount)
    except ValidationError:
        return False
    return True


def _posting(name: str, *entries: Entry) -> Transaction:
    return Transaction(name, "CASE", 0, tuple(entries), name, "x", 0, "{}")


def _settled(ledger: MemoryLedger, name: str) -> int:
    return sum(one.settled for one in ledger.balances() if one.account == name)


MACHINES: dict[str, Steps[Any]] = {
    "conversion_job": job_states.STEPS,
    "kyc": kyc.STEPS,
    "transfer": transfer_states.STEPS,
    "withdrawal": withdrawal.STEPS,
}


def stale_job(given: Given) -> Given:
    """What is done about a job that takes long."""
    submitted, now = at_ms(given["submitted_at"]), at_ms(given["now"])
    stale = is_stale(given["status"], submitted, now, given["timeout_minutes"] * 60_000)
    eta = given.get("provider_eta_hours")
    action = act_on_stale(submitted, now, given["enquiry"], None if eta is None else eta * 3_600_000) if stale else "none"
    return {"stale": stale, "action": action}


def retry_schedule(given: Given) -> Given:
    """When a conversion is tried, and what becomes of it."""
    back_off = BackOff(given["base_seconds"] * 1000, Decimal(given["multiplier"]), given["max_retries"])
    attempts, state, error = [at_ms(given["first_attempt"])], "pending", None
    for outcome in given["outcomes"]:
        if outcome != "retryable":
            state, error = ("provider_submitted", None) if outcome == "ok" else ("failed", "PROVIDER_ERROR")
            break
        again = retry_at_ms(len(attempts) - 1, attempts[-1], back_off)
        if again is None:
            state, error = "failed", "MAX_RETRIES"
            break
        attempts.append(again)
    told = [datetime.fromisoformat("1970-01-01T00:00:00+00:00") + timedelta(milliseconds=one) for one in attempts]
    return {
        "attempts": [one.isoformat().replace("+00:00", "Z") for one in told],
        "final_status": state,
        "error_code": error,
        "retry_count": len(attempts) - 1,
    }


def approval(given: Given) -> Given:
    """What becomes of a request, by the votes of others."""
    found = count(
        given["requester"], set(given["eligible"]), given["required"], [(who, said) for who, said in given["votes"]]
    )
    return {"state": found.verdict, "counted": len(found.agreed)}


def action_caps(given: Given) -> Given:
    """Which actions are within their caps."""
    caps = Caps(units(given["per_action"]), units(given["per_cycle"]), given["cycle_seconds"] * 1000)
    acted, results = list[Acted](), list[str]()
    for seconds, amount in given["actions"]:
        asked = Acted(seconds * 1000, units(amount))
        capped = is_capped(asked.amount, asked.at_ms, acted, caps)
        results.append("cap_exceeded" if capped else "acted")
        acted += [] if capped else [asked]
    return {"results": results}


def policy_replay(given: Given) -> Given:
    """What policies would have done over the same flows."""
    buffer = Buffer("", "", units(given["open"]), 0, 0, _thresholds(given["thresholds"]))
    flows, fee_rate = [units(flow) for flow in given["flows"]], Decimal(given["fee_rate"])
    results = {}
    for trigger in given["policies"]:
        found = backtest(buffer, flows, BufferPolicy(trigger), fee_rate)
        results[trigger] = {
            "conversions": found.conversions,
            **{name: text(getattr(found, name)) for name in ("volume", "low", "close")},
            "fees": rounded(Decimal(text(found.fees)), 2),
        }
    return {"results": results}


TREASURY: dict[str, Callable[[Given], Any]] = {
    "action_caps": action_caps,
    "approval": approval,
    "buffer_decision": buffer_decision,
    "buffer_status": buffer_status,
    "circuit_breaker": circuit_breaker,
    "conversion_cost": conversion_cost,
    "dynamic_threshold": dynamic_threshold,
    "fsm_path": fsm_path,
    "idempotent_events": idempotent_events,
    "job_lifecycle": job_lifecycle,
    "gross_up": gross_up_case,
    "multilateral_net": multilateral_net,
    "net_window": net_window_case,
    "policy_replay": policy_replay,
    "posting_check": posting_check,
    "provider_health": provider_health,
    "provider_select": provider_select,
    "rate_stats": rate_stats,
    "recon_orphans": recon_orphans,
    "retry_schedule": retry_schedule,
    "stale_job": stale_job,
}
