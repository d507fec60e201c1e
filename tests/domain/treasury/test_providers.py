"""What is known of providers: their newest terms, how our attempts ended there, and what they took today."""

from hypothesis import given
from hypothesis import strategies as st

from domain.times import DAY_MS
from domain.treasury.policy import TreasuryPolicy
from domain.treasury.providers import Providers
from domain.treasury.worth import MICROS_PER_CENT
from tests.treasury_words import terms

POLICY = TreasuryPolicy()


def known(*names: str) -> Providers:
    """Providers by these names."""
    found = Providers(POLICY)
    for name in names:
        found.learn(terms(name))
    return found


def test_the_newest_terms_hold() -> None:
    """A provider is changed by its next word, and left out where a job leaves it out."""
    found = known("due", "zerohash")
    found.learn(terms("due", status="degraded", priority=7))
    assert {"due": ("degraded", 7), "zerohash": ("active", 1)} == {
        one.name: (one.status, one.priority) for one in found.providers(0)
    }
    assert ["zerohash"] == [one.name for one in found.providers(0, ["due"])]


def test_a_day_s_volume_is_that_of_the_day() -> None:
    """What is under way and what was done counts until midnight, what came to nothing does not."""
    found = known("due")
    for name, amount in (("a", 5), ("b", 7), ("c", 11)):
        found.asks("due", name, "j", amount * MICROS_PER_CENT, DAY_MS)
    found.ended("due", "b", DAY_MS, is_success=False)
    found.ended("due", "a", DAY_MS, is_success=True)
    found.let_go("due", "c")
    assert [5] == [one.daily_used_cents for one in found.health(2 * DAY_MS - 1)]
    assert [0] == [one.daily_used_cents for one in found.health(2 * DAY_MS)]


def test_five_failures_in_a_row_open_the_breaker_and_two_successes_close_it() -> None:
    """A minute later the next who asks may try; being let go says nothing."""
    found = known("due")
    for n in range(5):
        found.asks("due", str(n), "j", 1, 0)
        found.ended("due", str(n), 0, is_success=False)
    assert ["open"] == [one.breaker for one in found.providers(59_999)]
    assert ["half_open"] == [one.breaker for one in found.providers(60_000)]
    for n in range(2):
        found.asks("due", f"s{n}", "j", 1, 60_000)
        found.ended("due", f"s{n}", 60_001, is_success=True)
    assert ["closed"] == [one.breaker for one in found.providers(60_002)]


@given(
    st.lists(
        st.tuples(st.sampled_from(["due", "zerohash"]), st.sampled_from(["asks", "good", "bad", "let go"])), max_size=30
    )
)
def test_a_snapshot_is_all_there_is(words: list[tuple[str, str]]) -> None:
    """Saved and restored after each word, the same is known."""
    once, saved = known("due", "zerohash"), known("due", "zerohash")
    for n, (name, word) in enumerate(words):
        for found in (once, saved):
            if word == "asks":
                found.asks(name, str(n), "j", n, n)
            elif word == "let go":
                found.let_go(name, str(n - 1))
            else:
                found.ended(name, str(n - 1), n, is_success=word == "good")
        saved = Providers(POLICY, saved.snapshot())
    assert list(once.health(99)) == list(saved.health(99))
    assert list(once.providers(99)) == list(saved.providers(99))
