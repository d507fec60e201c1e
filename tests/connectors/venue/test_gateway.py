"""The gateway against the pure exchange, with a virtual clock, faults on the road, and restarts."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from connectors.answers import NotFound, Refused, Unknown
from connectors.venue.gateway import START, Cursor, VenueGateway
from connectors.venue.simulated.in_process import InProcessExchange
from domain.errors import InvariantError
from domain.messages.fields import Message
from domain.messages.hedging import CollateralTransfer, HedgeOrder
from domain.messages.ops import Alert
from domain.messages.venue import CashFlow, Fill, OrderReport, TransferReport, VenuePosition
from domain.outbox.kinds import ORDER
from domain.outbox.lifecycle import Row
from domain.outbox.memory import MemoryReservations
from domain.outbox.slots import Reserved
from domain.simulated.exchange import SimulatedExchange
from domain.simulated.exchange_terms import Terms
from domain.simulated.faults import Faults
from domain.topics import TOPIC_OF
from domain.venue.account import AccountEvent, Filled
from tests.connectors.fuse import POLICY, Crash, Fuse

BTC = 10**8
CALM = Faults()


class World:
    """An exchange, its road, what is reserved, and a clock that only the test turns."""

    def __init__(self, terms: Terms, faults: Faults, seed: int = 3) -> None:
        self.now_ms = 1_000
        self.truth = SimulatedExchange(terms, seed)
        self.truth.tick(Decimal(40_000), self.now_ms)
        self.truth.transfer("seedmoney", "deposit", 10 * BTC, 2**60, self.now_ms)
        self.truth.transfer("seedmargin", "funding_to_trading", 10 * BTC, 2**60, 60_000)
        self.now_ms = 60_000
        self.road = InProcessExchange(self.truth, lambda: self.now_ms)
        self.store = MemoryReservations(lambda: self.now_ms, POLICY)
        self.fuse = Fuse()
        self.road.carry_out = self.fuse.around(self.road.carry_out)
        self.store.record = self.fuse.around(self.store.record)
        self.told: list[Message] = []
        self.cursor = START
        self.gateway = self.started()
        # What is reserved before the first round counts as found at a start.
        self.go_round()
        self.road.faults = faults

    def started(self, cursor: Cursor = START) -> VenueGateway:
        return VenueGateway("sim", self.road, self.store, lambda: self.now_ms, policy=POLICY, cursor=cursor)

    def go_round(self, rounds: int = 1) -> None:
        for _ in range(rounds):
            self.now_ms += 50
            try:
                told = self.gateway.round()
            except Crash:
                self.gateway = self.started(self.cursor)
                continue
            self.told.extend(told.told)
            self.cursor = told.cursor

    def reserve(self, number: int, contracts: int, late_ms: int = 0) -> bool:
        sequence = self.truth.position(self.now_ms).sequence
        order = HedgeOrder(
            decision_id=f"d{number}",
            client_order_id=f"o{number}",
            venue="sim",
            action="sell" if contracts < 0 else "buy",
            contracts=contracts,
            based_on_sequence=sequence,
            as_of=self.now_ms - late_ms,
        )
        return isinstance(self.store.reserve(order), Reserved)

    def reserve_transfer(self, number: int, amount_sats: int) -> bool:
        transfer = CollateralTransfer(
            decision_id=f"e{number}",
            client_transfer_id=f"t{number}",
            venue="sim",
            kind="deposit" if amount_sats % 2 else "trading_to_funding",
            amount_sats=amount_sats,
            based_on_sequence=self.truth.position(self.now_ms).sequence,
            as_of=self.now_ms,
        )
        return isinstance(self.store.reserve(transfer), Reserved)

    def order(self, number: int) -> Row:
        found = self.store.row(ORDER, f"o{number}")
        assert found is not None
        return found

    def messages(self, model: type) -> list[object]:
        return [message for message in self.told if isinstance(message, model)]


def calm(**terms: int) -> World:
    """A world without faults."""
    return World(Terms(**terms), CALM)


def states(world: World, model: type[OrderReport] | type[TransferReport]) -> list[str]:
    """The states that were reported."""
    return [message.state for message in world.messages(model) if isinstance(message, model)]


def test_an_order_goes_through_its_life() -> None:
    """Reserved, sent, open, filled: each is told, and the position is told after the fills."""
    world = calm(fill_steps_max=1)
    assert world.reserve(1, -10)
    world.go_round(6)
    assert states(world, OrderReport) == ["reserved", "sent", "open", "filled"]
    fill = next(n for n, m in enumerate(world.told) if isinstance(m, Fill))
    position = next(n for n, m in enumerate(world.told) if isinstance(m, VenuePosition) and m.contracts == -10)
    assert fill < position
    assert (world.order(1).filled, world.told[position].exposure_cents) == (10, -100_000)
    topics = {"venue.orders", "venue.fills", "venue.cashflows", "venue.positions", "venue.balances"}
    assert topics == {TOPIC_OF[type(message)].name for message in world.told}


def test_an_order_is_told_before_its_fills() -> None:
    """Also when a gateway without memory tells all of history in one round: a fill is of an order that was spoken of."""
    world = calm(fill_steps_max=1)
    assert world.reserve(1, -10)
    world.go_round(6)
    world.told.clear()
    world.gateway = world.started()
    world.go_round()
    kinds = [type(message) for message in world.told if isinstance(message, OrderReport | Fill)]
    assert kinds.index(OrderReport) < kinds.index(Fill)


def test_a_lost_answer_is_asked_about_and_never_doubled() -> None:
    """The exchange has the order, the answer is lost: one order at the exchange, and it is found to be filled."""
    world = World(Terms(), Faults(lost_after_ppm=10**6))
    world.reserve(1, -10)
    world.go_round(2)
    assert world.order(1).state == "unknown"
    world.road.faults = CALM
    world.go_round(20)
    assert (world.order(1).state, list(world.truth.orders)) == ("filled", ["o1"])


def test_a_request_that_never_arrived_is_given_up_after_its_deadline() -> None:
    """It is never sent again; several not-founds after the deadline say that it was not placed."""
    world = World(Terms(), Faults(lost_before_ppm=10**6))
    world.reserve(1, -10)
    world.go_round(1)
    world.road.faults = CALM
    world.go_round(29)
    assert world.order(1).state == "unknown"
    world.go_round(20)
    assert (world.order(1).state, list(world.truth.orders)) == ("not_placed", [])


@pytest.mark.parametrize(("late_ms", "expected"), [(900, "filled"), (1_100, "not_placed")])
def test_a_request_that_arrives_late(late_ms: int, expected: str) -> None:
    """Before its deadline it counts, after it the exchange refuses it; we find out which, and do nothing twice."""
    world = World(Terms(visible_after_ms=500), Faults(late_ppm=10**6, late_ms=late_ms))
    world.reserve(1, -10)
    world.go_round(1)
    world.road.faults = CALM
    world.go_round(60)
    assert expected == world.order(1).state
    assert (expected == "filled") == ("o1" in world.truth.orders)


def test_a_refusal_ends_the_order() -> None:
    """What the exchange refuses is rejected with its words."""
    world = calm()
    world.reserve(1, -100_000)
    world.go_round(2)
    assert (world.order(1).state, "51008" in (world.order(1).reason or "")) == ("rejected", True)


@pytest.mark.parametrize("was_sent", [True, False])
@pytest.mark.parametrize("visible_after_ms", [0, 400])
def test_a_row_found_at_a_start_is_asked_about_first(was_sent: bool, visible_after_ms: int) -> None:
    """Whether or not the process that is gone had sent it, there is one order at the exchange, under the same id."""
    world = calm(visible_after_ms=visible_after_ms, order_latency_ms=300)
    world.reserve(1, -10)
    if was_sent:
        world.truth.place("o1", "sell", -10, 2**60, world.now_ms)
    world.gateway = world.started()
    world.go_round(20)
    assert (world.order(1).state, list(world.truth.orders)) == ("filled", ["o1"])


@pytest.mark.parametrize("restarts", [True, False])
def test_an_order_found_an_hour_later_is_never_sent(restarts: bool) -> None:
    """Reserved, and then an outage: what it was decided on is gone, so it is asked about and settled as never placed."""
    world = calm()
    assert world.reserve(1, -10)
    world.now_ms += 3_600_000
    if restarts:
        world.gateway = world.started()
    world.go_round(20)
    assert {} == world.truth.orders
    assert ("not_placed", "decided on facts 3600 s old") == (world.order(1).state, world.order(1).reason)
    assert ["reserved", "not_placed"] == states(world, OrderReport)
    assert world.reserve(2, -10)


def test_an_order_decided_an_hour_ago_is_not_reserved() -> None:
    """After an outage stream time is the past: a decision of then gets no row, and one of now does."""
    world = calm()
    world.now_ms += 3_600_000
    assert not world.reserve(1, -10, late_ms=3_600_000)
    assert world.reserve(2, -10)


def test_silence_is_told_by_facts_growing_old() -> None:
    """An exchange that does not answer tells nothing new and stops nothing; afterwards all goes on."""
    world = World(Terms(), Faults(lost_before_ppm=10**6))
    before = list(world.told)
    world.go_round(40)
    assert (before, 60_100) == (world.told, world.gateway.unreachable_since_ms)
    world.road.faults = CALM
    world.go_round()
    assert world.gateway.unreachable_since_ms is None
    assert len(world.messages(VenuePosition)) == 2


@pytest.mark.parametrize("error", [Unknown("ConnectError: refused"), NotFound("<html>"), Refused("51000", "nonsense")])
def test_silence_is_said_once_a_minute(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the log and as an alert, one trouble per silence; whatever answers there is no answer unless it is an exchange's."""
    world = calm()

    def nobody(*_: object) -> Sequence[AccountEvent]:
        raise error

    with monkeypatch.context() as silent, capture_logs() as logs:
        silent.setattr(world.road, "events", nobody)
        world.go_round(199)
        assert [] == world.messages(Alert)
        world.go_round(2 * 60 * 20)
    alerts = [alert for alert in world.messages(Alert) if isinstance(alert, Alert)]
    assert [70_100, 130_100] == [alert.as_of for alert in alerts]
    assert {"venue_silent"} == {alert.subject for alert in alerts}
    assert 1 == len({alert.id for alert in alerts})
    assert f"of sim has not answered since 1970-01-01 00:01:00 UTC ({error})" in alerts[0].text
    assert [alert.text for alert in alerts] == [line["text"] for line in logs]
    world.go_round(2)
    monkeypatch.setattr(world.road, "events", nobody)
    world.go_round(201)
    assert alerts[0].id != world.messages(Alert)[-1].id  # type: ignore[attr-defined]


def test_facts_are_told_on_change_and_every_second() -> None:
    """In three quiet seconds the position is told three times."""
    world = calm()
    world.go_round(59)
    assert len(world.messages(VenuePosition)) == 3


def test_an_exchange_that_lost_its_history_stops_us() -> None:
    """A sequence smaller than what was read means that this is another account."""
    world = calm()
    world.gateway = world.started((10_000, 0))
    with pytest.raises(InvariantError, match="another account"):
        world.go_round()


FAULTS = st.builds(
    Faults,
    lost_before_ppm=st.integers(0, 300_000),
    late_ppm=st.integers(0, 300_000),
    late_ms=st.integers(0, 2_500),
    lost_after_ppm=st.integers(0, 300_000),
)
TERMS = st.builds(
    Terms,
    visible_after_ms=st.integers(0, POLICY.visible_within_ms),
    order_latency_ms=st.integers(0, 400),
    fill_steps_max=st.integers(1, 4),
    deposit_delay_ms=st.integers(0, 800),
)
ACTS = st.lists(
    st.tuples(st.sampled_from(["order", "transfer", "wait", "restart", "stale", "crash"]), st.integers(1, 30)),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(TERMS, FAULTS, ACTS, st.integers(0, 10**6))
def test_what_is_at_the_exchange_is_what_was_meant(
    terms: Terms, faults: Faults, acts: Sequence[tuple[str, int]], seed: int
) -> None:
    """Under any faults and restarts, once they stop: each row has one end, and the exchange has exactly those that
    did.
    """
    world = World(terms, faults, seed)
    older = START
    for number, (act, size) in enumerate(acts):
        if act == "order":
            world.reserve(number, size if size % 3 else -size)
        elif act == "transfer":
            world.reserve_transfer(number, size * 1_000 + size % 2)
        elif act == "restart":
            world.gateway = world.started(older if size % 2 else world.cursor)
        elif act == "stale":
            older = world.cursor
        elif act == "crash":
            world.fuse.left = size // 2
        world.go_round(1 if act == "order" and size % 2 else size)
    world.road.faults = CALM
    world.fuse.left = None
    world.go_round(150)
    check_nothing_is_lost_or_doubled(world)


def check_nothing_is_lost_or_doubled(world: World) -> None:
    """Rows against the truth, and what was told against both."""
    assert list(world.store.open_rows("sim")) == []
    ends = {}
    for change in world.store.changes("sim", 0, 10**6):
        assert ends.get((change.kind, change.client_id)) not in change.kind.ends
        ends[change.kind, change.client_id] = change.state
    reached = ("filled", "canceled", "done")
    orders = {client_id for (kind, client_id), state in ends.items() if kind is ORDER and state in reached}
    transfers = {client_id for (kind, client_id), state in ends.items() if kind is not ORDER and state in reached}
    assert orders == set(world.truth.orders)
    assert transfers == {client_id for client_id in world.truth.transfers if not client_id.startswith("seed")}
    reports = [message for message in world.told if isinstance(message, OrderReport)]
    assert {key: state for (kind, key), state in ends.items() if kind is ORDER} == {
        report.client_order_id: report.state for report in reports
    }
    check_told(world)


def check_told(world: World) -> None:
    """Fills and cash flows were told whole, and the newest position is the truth."""
    fills = {fill.id: fill.contracts for fill in world.told if isinstance(fill, Fill)}
    assert fills == {fill.id: fill.contracts for fill in world.truth.events if isinstance(fill, Filled)}
    cash = {flow.id: flow.amount_sats for flow in world.told if isinstance(flow, CashFlow)}
    assert world.truth.account.pots["trading"] + world.truth.account.pots["funding"] == sum(
        amount for flow_id, amount in cash.items() if flow_id not in pocket_moves(world)
    )
    newest = [message for message in world.told if isinstance(message, VenuePosition)][-1]
    assert (sum(fills.values()), world.truth.account.sequence) == (newest.contracts, newest.sequence)


def pocket_moves(world: World) -> set[str]:
    """The ids of the cash flows between our own pockets."""
    return {flow.id for flow in world.told if isinstance(flow, CashFlow) and flow.kind == "pocket_transfer"}
