"""The simulated provider as a state machine: it forgets nothing, doubles nothing, and money is conserved in it."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.simulated.provider import SimulatedProvider
from domain.simulated.provider_faults import NO_FAULTS, ProviderFaults, is_down, suffers, webhook_times
from domain.simulated.provider_terms import Kept, ProviderTerms, quoted
from domain.treasury.conversion import ConversionState, minor_units, whole_text
from domain.venue.account import Refusal
from tests.connectors.providers.asking import cancel, client_id, conversion, off_ramp

NEVER_MS = 2**40
ALL = 10**6
TERMS = ProviderTerms(
    fee_bps=Decimal("37.5"), rates={"USDC/USD": Decimal("0.9991"), "USD/USDC": Decimal("1.0003")}, eta_ms=100
)


@pytest.mark.parametrize(
    ("amount", "fee_bps", "rate", "received", "fee"),
    [
        (4_000_000, "50", "1", 39_800_000_000, 200_000_000),
        (100, "0", "1", 1_000_000, 0),
        (100, "0.005", "1", 1_000_000, 0),
        (300, "0.005", "1", 2_999_998, 2),
        (100, "50", "0.5", 497_500, 2_500),
    ],
)
def test_a_fee_is_rounded_half_to_even(amount: int, fee_bps: str, rate: str, received: int, fee: int) -> None:
    """Dollars become USDC at a rate, less a fee in USDC; 0.5 of a millionth is none and 1.5 are two."""
    quote = quoted(ProviderTerms(fee_bps=Decimal(fee_bps), rates={"USD/USDC": Decimal(rate)}), ("USD", "USDC"), amount)
    assert quote is not None
    assert (received, fee) == (quote.destination_amount, quote.fee_amount)


@pytest.mark.parametrize(
    ("terms", "faults", "expires_at_ms", "code"),
    [
        (ProviderTerms(), NO_FAULTS, 5, "expired"),
        (ProviderTerms(rates={}), NO_FAULTS, NEVER_MS, "unsupported_pair"),
        (ProviderTerms(amount_min=5_000_000), NO_FAULTS, NEVER_MS, "amount_invalid"),
        (ProviderTerms(amount_max=3), NO_FAULTS, NEVER_MS, "amount_invalid"),
        (ProviderTerms(), ProviderFaults(refuse_now_ppm=ALL), NEVER_MS, "temporarily_unavailable"),
        (ProviderTerms(), ProviderFaults(refuse_for_good_ppm=ALL), NEVER_MS, "amount_invalid"),
    ],
)
def test_a_refusal_changes_nothing(terms: ProviderTerms, faults: ProviderFaults, expires_at_ms: int, code: str) -> None:
    """What is refused is not known afterwards, and no money has moved."""
    provider = SimulatedProvider(terms, 1, faults)
    answer = provider.convert(conversion(1), expires_at_ms, 10)
    assert isinstance(answer, Refusal)
    assert (code, None) == (answer.code, provider.conversion_state(client_id(1), 10))
    assert {0} == set(provider.account.books["USD"].values())


def test_another_request_under_a_taken_id_is_refused() -> None:
    """The same again is answered by what has become of it, another amount under that id is not."""
    provider = SimulatedProvider(TERMS, 1)
    first = provider.convert(conversion(1), NEVER_MS, 0)
    assert first == provider.convert(conversion(1), NEVER_MS, 10)
    other = provider.convert(conversion(1, amount=5), NEVER_MS, 10)
    assert isinstance(other, Refusal)
    assert ("conflict", 1) == (other.code, len(provider.changes))


def test_a_lie_is_in_the_word_and_not_in_the_statement() -> None:
    """What it says it gave is less than what moved; its statement shows what moved."""
    provider = SimulatedProvider(TERMS, 1, ProviderFaults(lie_ppm=ALL))
    provider.convert(conversion(1), NEVER_MS, 0)
    provider.advance(100)
    said, quote = provider.changes[-1], provider.conversions[client_id(1)].quote
    assert said.destination_amount is not None
    assert said.destination_amount < quote.destination_amount
    assert [-quote.source_amount, quote.destination_amount] == [line.amount for line in provider.statement(0, 200, 200)]


ACTS = st.lists(
    st.tuples(st.sampled_from(["on", "off", "cancel", "again"]), st.integers(1, 10**9), st.integers(0, 200)), max_size=25
)
FAULTS = st.builds(
    ProviderFaults,
    fail_ppm=st.sampled_from([0, ALL // 2]),
    late_ppm=st.sampled_from([0, ALL // 2]),
    slow_ppm=st.sampled_from([0, ALL // 2]),
    lie_ppm=st.sampled_from([0, ALL // 2]),
    refuse_now_ppm=st.sampled_from([0, ALL // 4]),
)


def played(provider: SimulatedProvider, acts: Sequence[tuple[str, int, int]], at_ms: int = 0) -> int:
    """Play requests into a provider, and return when the last one was."""
    for number, (act, amount, wait_ms) in enumerate(acts):
        at_ms += wait_ms
        if act == "cancel":
            provider.cancel(cancel(number // 2), NEVER_MS, at_ms)
        elif act == "again":
            provider.convert(conversion(max(0, number - 1), amount), NEVER_MS, at_ms)
        else:
            provider.convert((conversion if act == "on" else off_ramp)(number, amount), NEVER_MS, at_ms)
    return at_ms


@given(FAULTS, ACTS, st.integers(0, 1000))
def test_money_is_conserved(faults: ProviderFaults, acts: Sequence[tuple[str, int, int]], seed: int) -> None:
    """The pots of a currency add up to zero at all times, ours is what the statement says, and nothing is held in the end."""
    provider = SimulatedProvider(TERMS, seed, faults)
    at_ms = played(provider, acts)
    assert {0} == {sum(pots.values()) for pots in provider.account.books.values()}
    end_ms = at_ms + 10**6
    lines = provider.statement(0, end_ms + 1, end_ms)
    for currency, pots in provider.account.books.items():
        assert (sum(line.amount for line in lines if line.currency == currency), 0) == (pots["customer"], pots["held"])
    assert {1} >= set(Counter(line.client_conversion_id for line in lines if line.amount < 0).values())


@given(FAULTS, ACTS, ACTS, st.integers(0, 1000))
def test_it_goes_on_from_what_was_kept(
    faults: ProviderFaults, before: Sequence[tuple[str, int, int]], after: Sequence[tuple[str, int, int]], seed: int
) -> None:
    """Restored, it says the same as one that never stopped; and asking in between changes nothing."""
    steady, first = SimulatedProvider(TERMS, seed, faults), SimulatedProvider(TERMS, seed, faults)
    at_ms = played(steady, before)
    played(first, before)
    kept = Kept(first.account, list(first.conversions.values()), list(first.cancels.values()), first.changes, first.lines)
    again = SimulatedProvider.restored(TERMS, seed, faults, kept)
    for step_ms in range(0, 200, 50):
        again.conversion_state(client_id(1), at_ms + step_ms // 10)
    for provider in (steady, again):
        provider.advance(played(provider, after, at_ms + 500) + 10**6)
    assert (steady.changes, steady.lines, steady.account) == (again.changes, again.lines, again.account)


def test_faults_depend_on_seed_and_id_alone() -> None:
    """About as many ids as were asked for suffer one, the same ones each time, and others under another seed."""
    faults = ProviderFaults(fail_ppm=300_000, down_ppm=300_000, webhook_lost_ppm=300_000, webhook_repeated_ppm=300_000)
    drawn = [[suffers(faults, seed, "fail", str(number)) for number in range(1000)] for seed in (1, 1, 2)]
    assert (drawn[0] == drawn[1], drawn[0] == drawn[2]) == (True, False)
    assert 250 < sum(drawn[0]) < 350
    assert 250 < sum(is_down(faults, 1, at_ms) for at_ms in range(0, 5_000_000, 5_000)) < 350
    words = [
        ConversionState(id=str(n), client_conversion_id="c", provider_tx_id="t", state="processing", sequence=n, at_ms=n)
        for n in range(1000)
    ]
    counts = Counter(len(webhook_times(faults, 1, word)) for word in words)
    assert {0, 1, 2} == counts.keys()
    assert 250 < counts[0] < 350


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("40000.00", "USD", 4_000_000),
        ("0.000001", "USDC", 1),
        ("1.10", "USD", 110),
        ("-3", "USD", -300),
        ("1.000", "USD", 100),
        ("0.001", "USD", None),
        ("0.0000001", "USDC", None),
        ("1e3", "USD", None),
        ("NaN", "USD", None),
        ("", "USD", None),
    ],
)
def test_an_amount_is_made_minor_units_exactly_or_not_at_all(text: str, currency: str, amount: int | None) -> None:
    """What is finer than the minor unit, or no plain number, is an error and never rounded."""
    if amount is None:
        with pytest.raises(ValueError, match=currency):
            minor_units(text, currency)
    else:
        assert amount == minor_units(text, currency)


@given(st.integers(-(10**30), 10**30), st.sampled_from(["USD", "USDC"]))
def test_whole_units_lose_nothing(amount: int, currency: str) -> None:
    """An amount written in whole units reads as itself."""
    assert amount == minor_units(whole_text(amount, currency), currency)
