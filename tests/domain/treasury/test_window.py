"""Windows; the table of cases is in tests/cases/treasury.json."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.treasury.buffer import Buffer, Thresholds
from domain.treasury.decide import BufferPolicy
from domain.treasury.window import Flow, Span, net_window, sort_flows

SPAN = Span(0, 100, 30)
FLOWS = st.lists(
    st.tuples(st.integers(0, 140), st.integers(-60, 60), st.integers(0, 60)).map(
        lambda found: Flow(found[0], found[1], found[0] + found[2])
    ),
    max_size=12,
)
POLICY = BufferPolicy(emergency_ratio=Decimal("0.5"))
OPENED = Buffer("mine", "USDC", 60, 0, 0, Thresholds(20, 60, 100, 10))


@given(FLOWS, st.randoms(use_true_random=False))
def test_every_flow_is_in_one_place_whatever_order_they_came_in(flows: list[Flow], dice: st.DataObject) -> None:
    """Each counts here, or is for a later window, or came late; no word is lost, and the order of the words says nothing."""
    other = list(flows)
    dice.shuffle(other)  # type: ignore[attr-defined]
    found = sort_flows(flows, SPAN)
    assert found == sort_flows(other, SPAN)
    assert sorted(flows) == sorted([*found.counted, *found.next, *found.late])
    assert all(flow.at_ms < 100 and flow.heard_at_ms <= 130 for flow in found.counted)
    assert all(flow.at_ms < 100 < flow.heard_at_ms - 30 for flow in found.late)


@given(FLOWS)
def test_a_window_adds_up(flows: list[Flow]) -> None:
    """The balance at its end is what it was and the sum of its flows, the lowest is on the way there."""
    found = net_window(OPENED, sorted(flows), POLICY)
    balances = [OPENED.posted]
    for flow in sorted(flows):
        balances.append(balances[-1] + flow.amount)
    assert (balances[-1], balances[-1] - OPENED.posted, min(balances)) == (found.close, found.net, found.low)
    assert sum(abs(flow.amount) for flow in flows) == found.gross


@given(FLOWS)
def test_orders_bring_the_position_to_the_target_once(flows: list[Flow]) -> None:
    """After every order the position is the target; so there is none at the end of a window that has not fallen since."""
    found = net_window(OPENED, sorted(flows), POLICY)
    balance, ordered, urgent = OPENED.posted, 0, list(found.urgent)
    for flow in sorted(flows):
        balance += flow.amount
        if urgent and balance < 10 and balance + ordered < 20:
            ordered += urgent.pop(0).amount
            assert 60 == balance + ordered
    assert [] == urgent
    assert found.at_close == (60 - balance - ordered if balance + ordered < 20 else 0)
