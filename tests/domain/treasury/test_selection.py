"""Who converts an amount; the table of cases is in tests/cases/treasury.json."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.treasury.health import HealthPolicy, Tally
from domain.treasury.selection import HEALTH, REASONS, Direction, Provider, Wish, refusals, select

DIRECTIONS: tuple[Direction, ...] = ("usdc_to_usd", "usd_to_usdc")
PROVIDERS = st.lists(
    st.builds(
        Provider,
        st.just(""),
        st.integers(1, 2),
        st.sampled_from(("active", "active", "degraded", "inactive")),
        st.sampled_from((frozenset(DIRECTIONS), frozenset(DIRECTIONS[:1]))),
        st.integers(1, 9),
        st.none() | st.integers(5, 40),
        st.none() | st.integers(5, 60),
        st.integers(0, 30),
        st.builds(Tally, st.integers(0, 12), st.integers(0, 4)),
        st.sampled_from((Decimal(20), Decimal(50))),
        st.sampled_from(("closed", "closed", "open", "half_open")),
        st.sampled_from((0, 60)),
    ),
    max_size=4,
).map(lambda found: [one._replace(name="ABCD"[at]) for at, one in enumerate(found)])
WISHES = st.builds(
    Wish,
    st.integers(1, 90),
    st.sampled_from(DIRECTIONS),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.none() | st.just(30),
)


@given(PROVIDERS, WISHES)
def test_slices_add_up_and_fit(providers: list[Provider], wish: Wish) -> None:
    """Slices come to the amount, each within what its provider takes at once and today, and none of one that may not."""
    found, by_name = select(providers, wish).slices, {one.name: one for one in providers}
    assert not found or wish.amount == sum(one.amount for one in found)
    assert len(found) <= 1 or wish.may_split
    assert not (wish.several and len(found) == 1)
    for part in found:
        one = by_name[part.provider]
        assert one.ticket_min <= part.amount <= one.room
        whole = refusals(one, wish, HEALTH)
        assert whole <= {"ABOVE_MAX", "DAILY_LIMIT", *(("DEGRADED",) if wish.may_be_degraded else ())}


@given(PROVIDERS, WISHES)
def test_each_is_chosen_or_has_a_reason(providers: list[Provider], wish: Wish) -> None:
    """Who could take all of it and was not chosen came after one that was; every other has the first reason that applies."""
    found = select(providers, wish)
    for one in providers:
        reasons = [reason for reason in REASONS if reason in refusals(one, wish, HEALTH)]
        chosen = one.name in {part.provider for part in found.slices}
        assert (reasons[0] if reasons and not chosen else None) == found.refused.get(one.name)


@given(PROVIDERS, WISHES, st.randoms(use_true_random=False))
def test_the_order_of_providers_does_not_matter(providers: list[Provider], wish: Wish, dice: st.DataObject) -> None:
    """The same providers in another order convert the same."""
    other = list(providers)
    dice.shuffle(other)  # type: ignore[attr-defined]
    one, again = select(providers, wish), select(other, wish)
    assert (one.slices, dict(one.refused)) == (again.slices, dict(again.refused))


@given(PROVIDERS, WISHES)
def test_whoever_can_take_all_is_found(providers: list[Provider], wish: Wish) -> None:
    """If somebody may take the whole amount alone, and nobody wants several, it is converted by one."""
    able = [one for one in providers if not refusals(one, wish, HEALTH)]
    if able and not wish.several:
        (found,) = select(providers, wish).slices
        assert found.provider in {one.name for one in able}
        if not wish.cost_counts:
            assert min(one.priority for one in able) == next(one for one in able if one.name == found.provider).priority


@given(st.integers(0, 30), st.integers(0, 30))
def test_too_few_attempts_judge_nobody(successes: int, failures: int) -> None:
    """One is unhealthy by its rate alone, from the least number of attempts on."""
    policy = HealthPolicy(attempts_min=10, rate_min=Decimal("0.8"))
    one = Provider("A", 1, "active", frozenset(DIRECTIONS), 1, None, None, 0, Tally(successes, failures), Decimal(0))
    is_unhealthy = "UNHEALTHY" in refusals(one, Wish(1, "usdc_to_usd"), policy)
    assert is_unhealthy == (successes + failures >= 10 and 10 * successes < 8 * (successes + failures))
