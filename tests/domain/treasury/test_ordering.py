"""What a group of buffers needs: the emptiest first, nothing spent twice, and what was refused with its reason."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.messages.treasury import BufferName
from domain.treasury.buffer import Buffer, Thresholds
from domain.treasury.caps import Acted
from domain.treasury.health import Tally
from domain.treasury.ordering import Evaluated, Means, after, direction_of, evaluate
from domain.treasury.policy import Rules, TreasuryPolicy
from domain.treasury.selection import Provider
from domain.treasury.worth import BUFFERS, CURRENCY_OF, MICROS_PER_CENT
from tests.treasury_words import BROKER, FIAT, LIMITS, USDC

DOLLAR = 1_000_000
POLICY = TreasuryPolicy(approval_from_cents=100_000_000, action_max_cents=100_000_000, cycle_max_cents=1_000_000_000)
EVERY = frozenset(("usdc_to_usd", "usd_to_usdc", "usd_to_usd"))


def provider(name: str = "due", ticket_max: int | None = None, fee_bps: str = "0", eta_seconds: int = 900) -> Provider:
    """A provider that takes everything, up to so many dollars."""
    most = None if ticket_max is None else ticket_max * DOLLAR
    return Provider(
        name, 1, "active", EVERY, 100 * DOLLAR, most, None, 0, Tally(0, 0), Decimal(fee_bps), eta_seconds=eta_seconds
    )


def group(**dollars: int) -> dict[BufferName, Buffer]:
    """Buffers with so many dollars in each, by their short names, between the document's thresholds."""
    short: dict[str, BufferName] = {"usdc": USDC, "fiat": FIAT, "broker": BROKER}
    return {
        short[name]: Buffer(
            short[name],
            CURRENCY_OF[short[name]],
            amount * DOLLAR,
            0,
            0,
            Thresholds(*(limit * DOLLAR for limit in LIMITS[short[name]])),
        )
        for name, amount in dollars.items()
    }


def wanted(done: list[Evaluated]) -> list[tuple[str, str, int]]:
    """What is to be ordered from where to where, in dollars."""
    return [(one.source, one.destination, one.amount // DOLLAR) for each in done for one in each.wanted]


def decided(buffers: dict[BufferName, Buffer], *providers: Provider, rules: Rules | None = None) -> list[Evaluated]:
    """What is decided about a group."""
    return list(evaluate(buffers, Means(0, providers or (provider(),), ()), rules or Rules(), POLICY))


@pytest.mark.parametrize(
    ("buffers", "expected"),
    [
        (group(usdc=8_000, fiat=150_000), [(FIAT, USDC, 42_000)]),
        (group(usdc=45_000, fiat=15_000), [(USDC, FIAT, 35_000)]),
        (group(usdc=9_000, fiat=19_000), []),
        (group(usdc=120_000, fiat=180_000, broker=30_000), [(FIAT, BROKER, 80_000), (USDC, BROKER, 90_000)]),
        (group(usdc=30_000, fiat=260_000, broker=200_000), [(FIAT, USDC, 20_000)]),
        (group(usdc=20_000, fiat=250_000, broker=100_000), [(FIAT, USDC, 30_000), (FIAT, BROKER, 100_000)]),
        (group(usdc=8_000), []),
        (group(), []),
    ],
)
def test_what_is_ordered(buffers: dict[BufferName, Buffer], expected: list[tuple[str, str, int]]) -> None:
    """Worked by hand from the document's thresholds; a buffer whose partner is not known gets nothing."""
    assert expected == wanted(decided(buffers))


def test_a_large_amount_is_shared_by_providers() -> None:
    """Each slice is a job of its own, within what its provider takes, and together they are the whole."""
    done = decided(group(usdc=8_000, fiat=150_000), provider("a", 30_000), provider("b", 30_000))
    assert [30_000, 12_000] == [amount for *_, amount in wanted(done)]


def test_a_provider_that_is_too_slow_is_passed_over_unless_it_is_the_last() -> None:
    """Who brings the money after the buffer is empty is asked when nobody else is there."""
    means = Means(0, (provider("a", eta_seconds=9_000), provider("b", eta_seconds=60)), (), {USDC: 600})
    quick = next(one for one in evaluate(group(usdc=8_000, fiat=150_000), means, Rules(), POLICY) if one.wanted)
    assert ("a: ETA",) == tuple(quick.refused)
    alone = means._replace(providers=(provider("a", eta_seconds=9_000),))
    assert [(FIAT, USDC, 42_000)] == wanted(list(evaluate(group(usdc=8_000, fiat=150_000), alone, Rules(), POLICY)))


def test_what_was_ordered_lately_leaves_less_to_order() -> None:
    """Of the cap of a cycle what is left is ordered, and the rest is refused by name."""
    policy = POLICY.model_copy(update={"cycle_max_cents": 5_000_000})
    means = Means(10, (provider(),), (Acted(5, 30_000 * DOLLAR),))
    (done,) = [one for one in evaluate(group(usdc=8_000, fiat=150_000), means, Rules(), policy) if one.buffer.name == USDC]
    assert [(FIAT, USDC, 20_000)] == wanted([done])
    assert any(word.startswith("cap: ") for word in done.refused)


@given(st.lists(st.integers(0, 600_000), min_size=3, max_size=3), st.sampled_from(["0", "20", "50"]), st.booleans())
def test_nothing_is_spent_twice(levels: list[int], fee_bps: str, exact: bool) -> None:
    """No source gives more than it has over its floor, orders are whole cents, and what arrives is that less fees."""
    buffers = group(usdc=levels[0], fiat=levels[1], broker=levels[2])
    rules = Rules(rounding="exact" if exact else "batch")
    known = dict(buffers)
    for done in decided(buffers, provider(fee_bps=fee_bps), rules=rules):
        for want in done.wanted:
            known = after(known, want)
            assert want.amount % MICROS_PER_CENT == 0
            assert 0 < want.expected <= want.amount
    for name in BUFFERS:
        given_away = known[name].reserved
        floor = buffers[name].thresholds.min if given_away else 0
        assert buffers[name].posted - given_away >= min(floor, buffers[name].posted)


def test_every_pair_of_buffers_has_a_direction() -> None:
    """From dollars to dollars is moving, everything else converts."""
    assert "usd_to_usdc" == direction_of(FIAT, USDC)
    assert "usdc_to_usd" == direction_of(USDC, BROKER)
    assert "usd_to_usd" == direction_of(FIAT, BROKER)
