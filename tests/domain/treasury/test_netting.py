"""Netting; the table of cases is in tests/cases/treasury.json."""

from hypothesis import given
from hypothesis import strategies as st

from domain.treasury.netting import Obligation, net_obligations

PARTIES = st.sampled_from("ABCDE")
OBLIGATIONS = st.lists(st.builds(Obligation, PARTIES, PARTIES, st.integers(1, 100)), max_size=20)


@given(OBLIGATIONS, st.randoms(use_true_random=False))
def test_payments_settle_exactly_what_was_owed(owed: list[Obligation], dice: st.DataObject) -> None:
    """Everybody gets and pays in the end what all obligations come to, in fewer payments than there are parties."""
    found = net_obligations(owed)
    assert 0 == sum(found.net.values())
    even = {party: 0 for party, amount in found.net.items() if not amount}
    assert found.net == {**net_obligations(found.payments).net, **even}
    assert len(found.payments) < max(1, len(found.net))
    assert found.settled == sum(one.amount for one in found.payments) <= found.gross
    other = list(owed)
    dice.shuffle(other)  # type: ignore[attr-defined]
    assert found == net_obligations(other)
