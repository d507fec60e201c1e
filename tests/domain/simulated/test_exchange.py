"""The simulated exchange: its money adds up, its history is complete, and its requests are done once."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.market.swap import trade
from domain.simulated.exchange import SimulatedExchange
from domain.simulated.exchange_terms import Account, Kept, Order, Terms, Transfer
from domain.simulated.faults import Faults, delay_ms_of, fault_of
from domain.venue.account import ACCOUNT_EVENTS, CashMoved, Filled, OrderChanged, Refusal, TransferChanged

NEVER_MS = 2**60
PRICE = Decimal(40_000)
BTC = 10**8

SMALL_TERMS = st.builds(
    Terms,
    leverage_max=st.integers(1, 20),
    taker_fee_ppm=st.integers(0, 2_000),
    maintenance_ppm=st.integers(0, 100_000),
    funding_rate_ppm=st.integers(-5_000, 5_000),
    funding_interval_ms=st.integers(1, 2_000),
    fill_steps_max=st.integers(1, 5),
    order_latency_ms=st.integers(0, 300),
)
COMMANDS = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.integers(1_000, 200_000).map(lambda tenths: Decimal(tenths).scaleb(-1) * 10)),
        st.tuples(st.just("order"), st.integers(-3_000, 3_000)),
        st.tuples(st.just("close"), st.just(0)),
        st.tuples(st.sampled_from(["deposit", "withdraw"]), st.integers(-1, 3 * BTC)),
        st.tuples(st.sampled_from(["funding_to_trading", "trading_to_funding"]), st.integers(0, 2 * BTC)),
        st.tuples(st.just("wait"), st.integers(0, 3_000)),
    ),
    max_size=40,
)


def play(terms: Terms, commands: Sequence[tuple[str, object]], seed: int = 7) -> SimulatedExchange:
    """Run commands a hundred milliseconds apart, on an account that starts with a bitcoin on its way."""
    exchange = SimulatedExchange(terms, seed)
    at_ms = 1_000
    exchange.tick(PRICE, at_ms)
    exchange.transfer("first", "deposit", BTC, NEVER_MS, at_ms)
    for number, (name, value) in enumerate(commands):
        at_ms += 100 + (int(value) if name == "wait" else 0)
        one_command(exchange, name, value, f"c{number}", at_ms)
    exchange.advance(at_ms + 60_000)
    return exchange


def one_command(exchange: SimulatedExchange, name: str, value: object, client_id: str, at_ms: int) -> None:
    """Do one of `COMMANDS`."""
    if name == "tick":
        exchange.tick(Decimal(str(value)), at_ms)
    elif name in ("order", "close"):
        contracts = int(str(value))
        action = "close" if name == "close" else "sell" if contracts < 0 else "buy"
        exchange.place(client_id, action, contracts, NEVER_MS, at_ms)
    elif name != "wait":
        exchange.transfer(client_id, name, int(str(value)), NEVER_MS, at_ms)


def funded(terms: Terms | None = None) -> SimulatedExchange:
    """An exchange at 40,000 dollars with half a bitcoin in each pocket, at 10 seconds."""
    exchange = SimulatedExchange(terms or Terms(fill_steps_max=1), 7)
    exchange.tick(PRICE, 1_000)
    exchange.transfer("in", "deposit", BTC, NEVER_MS, 1_000)
    exchange.transfer("over", "funding_to_trading", BTC // 2, NEVER_MS, 10_000)
    return exchange


def cash(exchange: SimulatedExchange, *kinds: str) -> int:
    """The sum of the cash flows of some kinds."""
    return sum(event.amount_sats for event in exchange.events if isinstance(event, CashMoved) and event.kind in kinds)


@given(SMALL_TERMS, COMMANDS)
def test_money_is_conserved(terms: Terms, commands: Sequence[tuple[str, object]]) -> None:
    """All pots together are zero, and both pockets are the sums of the cash flows that the history shows."""
    exchange = play(terms, commands)
    pots = exchange.account.pots
    moved = cash(exchange, "pocket_transfer")
    assert sum(pots.values()) == 0
    assert pots["funding"] == cash(exchange, "deposit", "withdrawal", "withdrawal_fee") - moved
    assert pots["trading"] == cash(exchange, "fee", "realised_pnl", "funding_payment") + moved
    assert pots["funding"] >= 0
    assert pots["transit"] >= 0


@given(SMALL_TERMS, COMMANDS)
def test_history_explains_the_position(terms: Terms, commands: Sequence[tuple[str, object]]) -> None:
    """Replaying the fills gives the position; sequences count without gaps; times do not go back; ids are distinct."""
    exchange = play(terms, commands)
    fills = [event for event in exchange.events if isinstance(event, Filled)]
    holding = Account().holding
    for fill in fills:
        holding, _ = trade(holding, fill.contracts, fill.price_usd)
    times = [event.as_of_ms for event in exchange.events]
    ids = [event.id for event in exchange.events if isinstance(event, Filled | CashMoved)]
    assert exchange.account.holding == holding
    assert list(range(1, len(exchange.events) + 1)) == [event.sequence for event in exchange.events]
    assert sorted(times) == times
    assert len(ids) == len(set(ids))


@given(SMALL_TERMS, COMMANDS)
def test_every_order_and_transfer_ends_once(terms: Terms, commands: Sequence[tuple[str, object]]) -> None:
    """Given time, each accepted request has exactly one end, and what was filled is the sum of its fills."""
    exchange = play(terms, commands)
    for client_id, order in exchange.orders.items():
        words = [e for e in exchange.events if isinstance(e, OrderChanged) and e.client_order_id == client_id]
        fills = [e.contracts for e in exchange.events if isinstance(e, Filled) and e.client_order_id == client_id]
        assert sum(word.state != "open" for word in words) == 1
        assert words[-1].state == order.state != "open"
        assert abs(sum(fills)) == words[-1].filled_contracts == order.filled_contracts
    for client_id in exchange.transfers:
        ends = [e.state for e in exchange.events if isinstance(e, TransferChanged) and e.client_transfer_id == client_id]
        assert ends[-1] == "done"
        assert ends.count("done") == 1


@given(SMALL_TERMS, COMMANDS, st.integers(0, 40))
def test_same_commands_same_bytes(terms: Terms, commands: Sequence[tuple[str, object]], cut: int) -> None:
    """The history is the same byte for byte, also when the exchange is put away and restored in the middle."""
    whole = play(terms, commands)
    exchange = SimulatedExchange(terms, 7)
    at_ms = 1_000
    exchange.tick(PRICE, at_ms)
    exchange.transfer("first", "deposit", BTC, NEVER_MS, at_ms)
    for number, (name, value) in enumerate(commands):
        if number == cut:
            exchange = reloaded(exchange)
        at_ms += 100 + (int(str(value)) if name == "wait" else 0)
        one_command(exchange, name, value, f"c{number}", at_ms)
    exchange.advance(at_ms + 60_000)
    assert ACCOUNT_EVENTS.dump_json(whole.events) == ACCOUNT_EVENTS.dump_json(exchange.events)


def reloaded(exchange: SimulatedExchange) -> SimulatedExchange:
    """The exchange after a round trip through JSON."""
    kept = Kept(
        Account.model_validate_json(exchange.account.model_dump_json()),
        [Order.model_validate_json(order.model_dump_json()) for order in exchange.orders.values()],
        [Transfer.model_validate_json(transfer.model_dump_json()) for transfer in exchange.transfers.values()],
        ACCOUNT_EVENTS.validate_json(ACCOUNT_EVENTS.dump_json(exchange.events)),
    )
    return SimulatedExchange.restored(exchange.terms, exchange.seed, kept)


@given(SMALL_TERMS, COMMANDS)
def test_the_pocket_never_gives_what_backs_the_position(terms: Terms, commands: Sequence[tuple[str, object]]) -> None:
    """Right after a transfer out of trading, equity still covers the margin of the position."""
    exchange = SimulatedExchange(terms, 7)
    exchange.tick(PRICE, 1_000)
    exchange.transfer("first", "deposit", BTC, NEVER_MS, 1_000)
    at_ms = 5_000
    for number, (name, value) in enumerate(commands):
        at_ms += 100
        one_command(exchange, name, value, f"c{number}", at_ms)
        if name == "trading_to_funding" and f"c{number}" in exchange.transfers:
            money = exchange.balances(at_ms)
            assert money.trading_equity_sats >= money.trading_used_sats


@pytest.mark.parametrize(
    ("action", "contracts", "code"),
    [
        ("sell", 0, "51000"),
        ("sell", 5, "51000"),
        ("buy", -5, "51000"),
        ("buy", 10**7, "51000"),
        ("close", 0, "51023"),
        ("sell", -1_001, "51008"),
    ],
)
def test_refusals(action: str, contracts: int, code: str) -> None:
    """What cannot be done is refused by name and leaves no trace; half a bitcoin carries 997 contracts."""
    exchange = funded()
    before = len(exchange.events)
    answer = exchange.place("x", action, contracts, NEVER_MS, 10_100)
    assert isinstance(answer, Refusal)
    assert (code, before, {}) == (answer.code, len(exchange.events), exchange.orders)


@pytest.mark.parametrize(
    ("kind", "amount_sats", "code"),
    [
        ("deposit", 0, "51000"),
        ("withdraw", 99_999, "51000"),
        ("withdraw", BTC // 2 + 1, "58350"),
        ("funding_to_trading", BTC // 2 + 1, "58350"),
        ("trading_to_funding", BTC // 2 + 1, "58350"),
    ],
)
def test_transfer_refusals(kind: str, amount_sats: int, code: str) -> None:
    """A transfer of more than is there, or of less than the smallest, is refused."""
    answer = funded().transfer("x", kind, amount_sats, NEVER_MS, 10_100)
    assert isinstance(answer, Refusal)
    assert code == answer.code


def test_a_taken_id_is_refused_and_found() -> None:
    """The same client id again is refused as a duplicate, and the look-up tells what became of the first."""
    exchange = funded()
    exchange.place("x", "sell", -10, NEVER_MS, 10_100)
    again = exchange.place("x", "sell", -10, NEVER_MS, 10_110)
    found = exchange.order_state("x", 11_000)
    assert isinstance(again, Refusal)
    assert again.code == "51016"
    assert found is not None
    assert (found.state, found.filled_contracts, exchange.position(11_000).contracts) == ("filled", 10, -10)


def test_an_order_after_its_deadline_is_refused() -> None:
    """A request that arrives too late is not carried out."""
    assert funded().place("x", "sell", -10, 10_099, 10_100)[0] == "expired"


def test_an_accepted_order_can_be_hidden_for_a_while() -> None:
    """A look-up finds nothing until the terms say so, though the order is there all the time."""
    exchange = funded(Terms(visible_after_ms=500))
    exchange.place("x", "sell", -10, NEVER_MS, 10_100)
    assert [exchange.order_state("x", at_ms) for at_ms in (10_100, 10_599)] == [None, None]
    assert exchange.order_state("x", 10_600) is not None


def test_fills_come_in_steps() -> None:
    """An order of five steps is open in between, and its fills add up."""
    exchange = funded(Terms(fill_steps_max=5, order_latency_ms=100, fill_interval_ms=100))
    exchange.place("steps4", "sell", -11, NEVER_MS, 10_000)
    exchange.advance(11_000)
    fills = [event.contracts for event in exchange.events if isinstance(event, Filled)]
    assert sum(fills) == -11
    assert len(fills) == len([e for e in exchange.events if isinstance(e, OrderChanged)]) - 1


@pytest.mark.parametrize(("action", "contracts", "crash_usd"), [("sell", -900, 200_000), ("buy", 900, 20_000)])
def test_liquidation_costs_no_more_than_the_pocket(action: str, contracts: int, crash_usd: int) -> None:
    """A price far beyond bankruptcy closes the position, cancels orders, empties the pocket, and takes no more."""
    exchange = funded()
    exchange.place("x", action, contracts, NEVER_MS, 10_000)
    exchange.tick(PRICE, 11_000)
    exchange.place("y", "buy" if action == "sell" else "sell", -contracts // 90, NEVER_MS, 11_000)
    exchange.tick(Decimal(crash_usd), 11_001)
    assert (exchange.account.contracts, exchange.account.pots["trading"]) == (0, 0)
    assert (exchange.orders["y"].state, exchange.orders["y"].reason) == ("canceled", "liquidation")
    assert exchange.account.pots["funding"] == BTC // 2


def test_funding_is_paid_when_its_hour_comes() -> None:
    """A short position receives a positive rate, a long one pays it, once per interval."""
    for action, contracts, expected in (("sell", -100, 2_500), ("buy", 100, -2_500)):
        exchange = funded(Terms(fill_steps_max=1, funding_interval_ms=60_000))
        exchange.place("x", action, contracts, NEVER_MS, 10_000)
        for at_ms in (30_000, 59_999, 60_000, 60_001, 119_999):
            exchange.tick(PRICE, at_ms)
        assert expected == cash(exchange, "funding_payment")


def test_a_withdrawal_takes_its_fee_out_of_the_amount() -> None:
    """The whole pocket can be withdrawn: what arrives is less by the network fee."""
    exchange = funded()
    exchange.transfer("w", "withdraw", BTC // 2, NEVER_MS, 10_100)
    assert exchange.account.pots["funding"] == 0
    exchange.advance(20_000)
    assert exchange.account.pots["outside"] == BTC // 2 - 20_000 - BTC


@given(st.integers(0, 10**6), st.integers(1, 10**4))
def test_faults_are_drawn_at_their_rates(seed: int, first: int) -> None:
    """A rate of a million is always, of zero never, and the same number draws the same fault."""
    always = Faults(lost_before_ppm=300_000, late_ppm=300_000, lost_after_ppm=400_000, delayed_ppm=10**6, delay_ms=5)
    drawn = [fault_of(always, seed, first + number) for number in range(5)]
    assert "none" not in drawn
    assert drawn == [fault_of(always, seed, first + number) for number in range(5)]
    assert (
        fault_of(Faults(), seed, first),
        delay_ms_of(Faults(), seed, first),
        delay_ms_of(always, seed, first),
    ) == ("none", 0, 5)
