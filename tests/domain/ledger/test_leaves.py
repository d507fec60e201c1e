"""Leaves: user trades spread over shards come to what they come to on one."""

from collections.abc import Sequence
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger.accounts import CHART
from domain.ledger.journal import CREDIT, DEBIT, Entry, Layer, Transaction
from domain.ledger.leaves import SPREAD, Sums, leaf_of, on_leaves, shard_of, watched_in, with_leaves
from domain.ledger.memory import MemoryLedger
from domain.messages.ledger import LedgerBalance
from domain.pairing.effects import TradePaired, TradeUnpaired
from domain.pairing.legs import leg_from, pairing_key
from domain.postings.trades import post_effect
from tests.words import START_MS, pair, record, settled

SHARDS = st.sampled_from([(0, 2), (0, 2, 3), (0, 2, 3, 4, 5, 6, 7, 8, 9)])
TRADES = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9_000), st.booleans(), st.booleans()), max_size=12)


def booked_and_taken_back(trades: Sequence[tuple[int, int, bool, bool]]) -> list[Transaction]:
    """Trades in seconds of their own or not, some of them taken back at the end."""
    effects: list[tuple[bool, TradePaired | TradeUnpaired]] = []
    for number, (second, cents, buys, is_taken_back) in enumerate(trades):
        btc, usd = map(leg_from, pair(str(number), cents, buys=buys, second=second))
        for kind, counts in ((TradePaired, True), (TradeUnpaired, is_taken_back)):
            effects += [(kind is TradeUnpaired, kind(btc, usd, 0, pairing_key(btc), "s/0", number))] if counts else []
    made = [post_effect(record(effect)) for _, effect in sorted(effects, key=lambda one: one[0])]
    return [transaction for transaction in made if transaction is not None]


@given(TRADES, SHARDS)
def test_the_leaves_come_to_what_one_shard_comes_to(
    trades: list[tuple[int, int, bool, bool]], shards: tuple[int, ...]
) -> None:
    """Each posting is booked in exactly one shard, none is refused there, and the leaves of an account add up to it."""
    transactions = booked_and_taken_back(trades)
    one, chart = MemoryLedger(), with_leaves(CHART, shards)
    one.post(transactions)
    come_to: dict[tuple[str, str], int] = {}
    posted: list[str] = []
    for shard in shards:
        ledger = MemoryLedger([account for account in chart if account.shard == shard or account.code in SPREAD])
        ledger.post([part for each in transactions if (part := on_leaves(each, shards, shard)) is not None])
        assert [] == ledger.rejected
        posted += [transaction.id for transaction in ledger.transactions()]
        for (code, currency), amount in settled(ledger).items():
            summary, _, leaf = code.partition("/")
            assert leaf == f"{shard:02d}"
            come_to[summary, currency] = come_to.get((summary, currency), 0) + amount
    assert settled(one) == {key: amount for key, amount in come_to.items() if amount}
    assert sorted(posted) == sorted(transaction.id for transaction in one.transactions())


def on(*codes: str, matter: str = "m") -> Transaction:
    """A posting on two accounts."""
    debited, credited = (
        Entry(code, "USD", Layer.SETTLED, side, 1) for code, side in zip(codes, (DEBIT, CREDIT), strict=True)
    )
    return Transaction("id", "T", START_MS, (debited, credited), matter, "s/0", 1, "{}")


@pytest.mark.parametrize(
    ("codes", "accounts"),
    [
        (("STABLESATS_LIABILITY", "ALLOCATION/main"), ["STABLESATS_LIABILITY/00", "ALLOCATION/main"]),
        (("POSITION/okx", "POSITION_SUSPENSE/okx"), ["POSITION/okx", "POSITION_SUSPENSE/okx"]),
    ],
)
def test_what_books_other_accounts_too_is_booked_in_the_first_shard(codes: tuple[str, str], accounts: list[str]) -> None:
    """On its leaves, and in no other shard."""
    at_home, elsewhere = (on_leaves(on(*codes), (0, 2, 3), shard) for shard in (0, 2))
    assert at_home is not None
    assert accounts == [entry.account for entry in at_home.entries]
    assert elsewhere is None


def test_a_matter_is_always_booked_in_one_shard() -> None:
    """Where is said by its name alone, for ever: these must not change; and matters are spread evenly."""
    names = ("STABLESATS_OMNIBUS", "STABLESATS_LIABILITY")
    assert [3, 0, 0, 2, 3, 2] == [shard_of(on(*names, matter=f"m{n}"), (0, 2, 3)) for n in range(6)]
    found = [shard_of(on(*names, matter=f"matter {n}"), (0, 2, 3)) for n in range(3_000)]
    assert all(900 < found.count(shard) < 1_100 for shard in (0, 2, 3))


def test_one_shard_has_no_leaves() -> None:
    """Its chart is as it was."""
    assert with_leaves(CHART, (0,)) == CHART


def test_what_is_watched_is_watched_where_it_is() -> None:
    """An account with leaves on its leaf in each shard, any other one in the first shard alone."""
    keys = [("STABLESATS_OMNIBUS", "USD"), ("USER_DEPOSITS", "USD")]
    assert [("STABLESATS_OMNIBUS/00", "USD"), ("USER_DEPOSITS", "USD")] == watched_in(keys, (0, 2), 0)
    assert [("STABLESATS_OMNIBUS/02", "USD")] == watched_in(keys, (0, 2), 2)


# The sums.

WORDS = st.lists(
    st.tuples(st.sampled_from((0, 2, 3)), st.sampled_from(("STABLESATS_OMNIBUS", "CASH")), st.integers(-99, 99)), max_size=20
)


def balance(account: str, settled: int, number: int) -> LedgerBalance:
    """What an account is said to have."""
    return LedgerBalance(
        account=account,
        currency="USD",
        version=number,
        settled=settled,
        pending=number,
        encumbered=-number,
        as_of=START_MS + number,
    )


@given(WORDS, st.lists(st.integers(0, 20)), st.integers(1, 4))
def test_a_sum_is_that_of_the_newest_words_of_all_leaves(
    words: list[tuple[int, str, int]], stops: list[int], together: int
) -> None:
    """It is said when a leaf was heard, once in an instant, and when none is missing; saving and going on changes nothing."""
    sums, newest = Sums((0, 2, 3)), dict[int, LedgerBalance]()
    heard = [
        (START_MS + n // together, balance(leaf_of(code, shard), amount, n)) for n, (shard, code, amount) in enumerate(words)
    ]
    for at_ms, instant in groupby(heard, key=lambda one: one[0]):
        if at_ms - START_MS in stops:
            sums = Sums((0, 2, 3), sums.snapshot())
        said = [word for _, word in instant]
        leaves = {int(one.account[-2:]): one for one in said if one.account != "CASH"}
        newest |= leaves
        expected = (
            "STABLESATS_OMNIBUS",
            sum(one.version for one in newest.values()),
            sum(one.settled for one in newest.values()),
            sum(one.pending for one in newest.values()),
            sum(one.encumbered for one in newest.values()),
            min((one.as_of for one in newest.values()), default=0),
        )
        told = [
            (one.account, one.version, one.settled, one.pending, one.encumbered, one.as_of)
            for one in sums.apply(at_ms, [record(one, at_ms) for one in said])
        ]
        assert told == ([expected] if leaves and len(newest) == 3 else [])
