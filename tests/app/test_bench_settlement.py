"""The settlement's benchmark: it settles every trade that it counts, and measures what it says."""

import pytest

from app.bench.matched import Tape
from app.bench.settlement import Plan, measured, plans
from app.settings import Settings
from domain.messages.settlement import MatchedTrade
from domain.settlement.links import GENESIS, hash_of


@pytest.mark.parametrize("is_hot", [False, True])
def test_its_trades_follow_each_other(is_hot: bool) -> None:
    """Each names the hash of the one before it, between customers who are there."""
    last = GENESIS
    for line in Tape(10).trades(50, 1_767_571_200_000, is_hot=is_hot):
        trade = MatchedTrade.model_validate_json(line)
        assert (last, hash_of(trade)) == (trade.previous_hash, trade.hash)
        assert {int(trade.buyer[1:]) % 2, int(trade.seller[1:]) % 2, *map(int, (trade.buyer[1:], trade.seller[1:]))} <= set(
            range(10)
        )
        last = trade.hash


def test_plans_are_compared_one_thing_at_a_time() -> None:
    """More customers, fixed batches, a hot pair: each beside the first."""
    first, *others = plans([20, 40], 4_000)
    assert [first._replace(name="", users=40), first._replace(name="", trades=1_000, batch_max=50)] == [
        one._replace(name="") for one in others[:2]
    ]
    assert first._replace(name="", is_hot=True) == others[2]._replace(name="")


def test_a_plan_is_measured() -> None:
    """Every trade settles, and there are rates, reads, and COPY beside it."""
    found = measured(Settings(), Plan("few", 20, 4_000))
    assert min(found["trades_per_second"], found["copy_per_second"], found["reads"], found["flow_us_per_trade"]) > 0
