"""Waiting legs: a queue by age, and sums that agree with it."""

from hypothesis import given
from hypothesis import strategies as st

from domain.pairing.waiting import Waiting, WaitingLegs

STEPS = st.lists(st.tuples(st.sampled_from(("add", "remove", "rename", "old")), st.integers(0, 5)), max_size=30)


@given(STEPS, st.integers(1, 9))
def test_sums_agree_with_the_queue(steps: list[tuple[str, int]], age_max_ms: int) -> None:
    """Count, worth, oldest and wake-up are those of a plain dictionary, and each leg grows old once."""
    legs, plain, told = WaitingLegs(age_max_ms), dict[str, int](), list[str]()
    for at_ms, (step, number) in enumerate(steps):
        leg_id = f"b{number}"
        waiting = legs.get(leg_id)
        if step == "add" and waiting is None:
            legs.add(leg_id, Waiting("key", at_ms, "waiting", number))
            plain[leg_id] = at_ms
        elif step == "remove" and waiting is not None:
            legs.remove(leg_id)
            del plain[leg_id]
            told = [one for one in told if one != leg_id]
        elif step == "rename" and waiting is not None and waiting.state != "too_old":
            legs.rename(leg_id, "pending")
        elif step == "old":
            told += [one for one, _ in legs.grow_old(at_ms)]
            assert all((at_ms - since_ms >= age_max_ms) == (one in told) for one, since_ms in plain.items())
        assert plain == {one: waiting.since_ms for one, waiting in legs}
        assert (len(plain), sum(int(one[1:]) for one in plain)) == (len(legs), legs.worth_cents)
        assert min(plain.values(), default=None) == legs.oldest_since_ms
        fresh = [since_ms for one, since_ms in plain.items() if one not in told]
        assert (min(fresh) + age_max_ms if fresh else None) == legs.wake_at_ms()
        assert len(told) == len({*told})
