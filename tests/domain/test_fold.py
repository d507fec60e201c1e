"""The fold: verdicts and balances of a batch against a sequential oracle, and each refusal by its name."""

from collections import defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.books import Books, Key, Known, Row
from domain.fold import Folded, advance, fold
from domain.journal import Entry, Layer, Outcome, Transaction, Verdict
from tests.domain.ledger_workloads import (
    ACCOUNTS,
    BITCOIN,
    CAPPED,
    CASH,
    FROZEN,
    LIMITED,
    USER,
    WORKLOADS,
    credit,
    debit,
    moved,
    posting,
)

BY_CODE = {account.code: account for account in ACCOUNTS}


def books() -> Books:
    """Empty books over the test's chart."""
    return Books(BY_CODE)


class Oracle:
    """The rules again, one transaction at a time, with no regard for speed: no rows, no copies, sums from the start."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[object, Outcome]] = {}
        self.reversed: set[str] = set()
        self.totals: dict[tuple[str, str, int, int], int] = defaultdict(int)

    def post(self, t: Transaction) -> Outcome:
        body = (t.template, t.effective_at_ms, t.entries, t.correlation_id, t.meta, t.reverses)
        if t.id in self.seen:
            before, outcome = self.seen[t.id]
            repeated = Outcome.DUPLICATE if outcome is Outcome.POSTED else outcome
            return repeated if before == body else Outcome.CONFLICT
        outcome = Outcome.POSTED if self.allows(t) else Outcome.REJECTED
        self.seen[t.id] = (body, outcome)
        return outcome

    def allows(self, t: Transaction) -> bool:
        net: dict[tuple[str, int], int] = defaultdict(int)
        after = self.totals.copy()
        for e in t.entries:
            net[e.currency, e.layer] += e.side * e.amount
            after[e.account, e.currency, e.layer, e.side] += e.amount
        well_formed = len(t.entries) > 1 and "\x00" not in str(t.meta.get("memo", "")) and not any(net.values())
        if not well_formed or not all(self.takes(e.account, e.currency, e.amount) for e in t.entries):
            return False
        if t.reverses and (self.seen.get(t.reverses, (0, 0))[1] != Outcome.POSTED or t.reverses in self.reversed):
            return False
        if not all(within_limits(after, e.account, e.currency) for e in t.entries):
            return False
        self.totals = after
        self.reversed |= {t.reverses} if t.reverses else set()
        return True

    def takes(self, account: str, currency: str, amount: int) -> bool:
        known = BY_CODE.get(account)
        right = known is not None and known.status == "open" and known.currency in (None, currency)
        return right and 0 != abs(amount) < 10**38


def within_limits(totals: dict[tuple[str, str, int, int], int], account: str, currency: str) -> bool:
    """Whether holds are not negative, and what is available and reachable is within the account's limits."""
    known = BY_CODE[account]
    normal = known.normal_side
    held = {(layer, side): totals[account, currency, layer, side] for layer in (2, 3) for side in (1, -1)}
    settled = totals[account, currency, 1, normal] - totals[account, currency, 1, -normal]
    available = settled - held[2, -normal] - held[3, -normal]
    reachable = settled + held[2, normal] + held[3, normal]
    return (
        min(held.values()) >= 0
        and (known.min_available is None or available >= known.min_available)
        and (known.max_balance is None or reachable <= known.max_balance)
    )


def post_in_batches(transactions: Sequence[Transaction], sizes: Sequence[int]) -> tuple[list[Folded], dict[Key, Row]]:
    """Fold in batches of these sizes, in turn, each on what the ones before it left."""
    now, known, originals = books(), dict[str, Known](), dict[str, bool]()
    now.known, now.originals = known, originals
    folds, rest, turn = [], list(transactions), 0
    while rest:
        size = sizes[turn % len(sizes)]
        folded = fold(now, rest[:size])
        advance(now, folded)
        known.update(folded.answered)
        originals.update({posted.transaction.id: False for posted in folded.posted})
        originals.update(dict.fromkeys(folded.reversed, True))
        folds.append(folded)
        rest, turn = rest[size:], turn + 1
    return folds, now.rows


def test_versions_and_balances_go_on_from_entry_to_entry() -> None:
    """Every entry carries the next version of its account and the balance of its layer after it."""
    folded = fold(books(), [moved(1, CASH, USER, 5), moved(2, CASH, USER, 7)])
    told = [(line[1], line[2], line[7], line[8]) for line in folded.entries]
    assert told == [(1, 101, 5, 5), (1, 102, 5, -5), (2, 101, 7, 12), (2, 102, 7, -12)]


@given(WORKLOADS)
def test_fold_gives_the_verdicts_of_the_oracle(transactions: list[Transaction]) -> None:
    """Each transaction gets the verdict that it gets from the rules applied one by one."""
    oracle = Oracle()
    expected = [oracle.post(transaction) for transaction in transactions]
    assert expected == [verdict.outcome for verdict in fold(books(), transactions).verdicts]


@given(WORKLOADS)
def test_fold_gives_the_balances_of_the_oracle(transactions: list[Transaction]) -> None:
    """Totals are the sums of what was accepted, and nothing else leaves a trace."""
    oracle = Oracle()
    for transaction in transactions:
        oracle.post(transaction)
    rows = fold(books(), transactions).rows
    slots = {(1, 1): 1, (1, -1): 2, (2, 1): 3, (2, -1): 4, (3, 1): 5, (3, -1): 6}
    assert oracle.totals == {key: rows[key[:2]][slots[key[2:]]] for key in oracle.totals}


@given(WORKLOADS, st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_a_batch_is_the_same_as_its_transactions_one_by_one(transactions: list[Transaction], sizes: list[int]) -> None:
    """However a workload is cut into batches, verdicts, entries and balances are the same."""
    whole, rows = post_in_batches(transactions, [len(transactions) or 1])
    split, split_rows = post_in_batches(transactions, sizes)
    assert rows == split_rows
    for part in ("verdicts", "entries", "posted", "rejected", "conflicts"):
        assert [row for one in whole for row in getattr(one, part)] == [row for one in split for row in getattr(one, part)]


@given(WORKLOADS)
def test_a_replay_writes_nothing(transactions: list[Transaction]) -> None:
    """Posting all of it once more gives no entry, no reject, no conflict and no changed balance."""
    folds, rows = post_in_batches([*transactions, *transactions], [len(transactions) or 1])
    again = folds[1] if transactions else fold(books(), [])
    assert (again.entries, again.rejected, again.conflicts, again.rows, again.answered) == ([], [], [], {}, {})
    assert rows == (folds[0].rows if transactions else {})


@given(WORKLOADS)
def test_what_is_handed_in_is_not_changed(transactions: list[Transaction]) -> None:
    """Folding twice on the same books gives the same answer."""
    _, rows = post_in_batches(transactions, [3])
    now = Books(BY_CODE, {key: list(row) for key, row in rows.items()})
    assert fold(now, transactions) == fold(now, transactions)
    assert rows == now.rows


REFUSED = [
    ("one_legged", posting(1, debit(CASH, 1)), (None, None, None)),
    ("one_legged", posting(1), (None, None, None)),
    ("too_many_entries", posting(1, *[debit(CASH, 1), credit(USER, 1)] * 33), (None, None, None)),
    ("bad_time", posting(1, debit(CASH, 1), credit(USER, 1))._replace(effective_at_ms=-1), (None, None, None)),
    ("bad_time", posting(1, debit(CASH, 1), credit(USER, 1))._replace(effective_at_ms=10**15), (None, None, None)),
    ("bad_meta", posting(1, debit(CASH, 1), credit(USER, 1), meta={"memo": "\x00"}), (None, None, None)),
    ("bad_meta", posting(1, debit(CASH, 1), credit(USER, 1), meta={"memo": "\ud800"}), (None, None, None)),
    ("bad_meta", posting(1, debit(CASH, 1), credit(USER, 1), meta={"price": float("nan")}), (None, None, None)),
    ("bad_meta", posting(1, debit(CASH, 1), credit(USER, 1), meta={"seen": {1, 2}}), (None, None, None)),
    ("unknown_account", posting(1, debit("NOBODY", 1), credit(USER, 1)), ("NOBODY", "USD", None)),
    ("account_frozen", posting(1, debit(FROZEN, 1), credit(USER, 1)), (FROZEN, "USD", None)),
    ("wrong_currency", posting(1, debit(BITCOIN, 1), credit(USER, 1)), (BITCOIN, "USD", None)),
    ("bad_currency", posting(1, debit(CASH, 1, "US\tD"), credit(USER, 1, "US\tD")), (CASH, "US\tD", None)),
    ("zero_amount", posting(1, debit(CASH, 0), credit(USER, 0)), (CASH, "USD", None)),
    ("not_whole", posting(1, debit(CASH, 1.0), credit(USER, 1.0)), (CASH, "USD", None)),  # type: ignore[arg-type]
    ("bad_side", posting(1, Entry(CASH, "USD", Layer.SETTLED, 2, 1), credit(USER, 2)), (CASH, "USD", None)),
    ("bad_layer", posting(1, debit(CASH, 1, layer=4), credit(USER, 1, layer=4)), (CASH, "USD", None)),  # type: ignore[arg-type]
    ("too_large", posting(1, debit(CASH, 10**38), credit(USER, 10**38)), (CASH, "USD", None)),
    ("unbalanced", posting(1, debit(CASH, 2), credit(USER, 1)), (None, "USD", None)),
    ("unbalanced", posting(1, debit(CASH, 1), credit(USER, 1, "EUR")), (None, "USD", None)),
    ("unbalanced", posting(1, debit(CASH, 1), credit(USER, 1, layer=Layer.PENDING)), (None, "USD", None)),
    ("over_limit", moved(1, LIMITED, USER, 7), (LIMITED, "USD", 7)),
    ("over_limit", moved(1, LIMITED, USER, 7, Layer.PENDING), (LIMITED, "USD", 7)),
    ("over_limit", moved(1, CAPPED, USER, 57), (CAPPED, "USD", 7)),
    ("over_limit", moved(1, CAPPED, USER, 57, Layer.PENDING), (CAPPED, "USD", 7)),
    ("over_release", moved(1, CASH, USER, -3, Layer.PENDING), (CASH, "USD", 3)),
]


@pytest.mark.parametrize(("reason", "transaction", "where"), REFUSED)
def test_each_refusal_has_its_name(
    reason: str, transaction: Transaction, where: tuple[str | None, str | None, int | None]
) -> None:
    """A refused transaction says why, which account and currency, and by how much; it leaves no trace."""
    folded = fold(books(), [transaction])
    assert [Verdict(transaction.id, Outcome.REJECTED, reason, *where)] == folded.verdicts
    assert (folded.posted, folded.entries, folded.rows) == ([], [], {})


def test_closed_accounts_and_periods_refuse() -> None:
    """A closed account takes nothing, and nothing is booked before the end of a closed period."""
    now = books()
    now.accounts = {**BY_CODE, CASH: BY_CODE[CASH]._replace(status="closed")}
    now.closed_until_ms = 1_700_000_000_001
    late, shut = moved(1, CAPPED, USER, 1), posting(2, debit(CASH, 1), credit(USER, 1), at_ms=1_700_000_000_001)
    assert [verdict.reason for verdict in fold(now, [late, shut]).verdicts] == ["closed_period", "account_closed"]


def test_a_total_may_not_have_more_digits_than_the_database_holds() -> None:
    """Amounts of 38 digits are booked, and the one that would carry a total beyond them is refused."""
    most = 10**38 - 1
    folded = fold(books(), [moved(1, CASH, USER, most), moved(2, CASH, USER, 1), moved(3, USER, CASH, 1)])
    assert [verdict.outcome for verdict in folded.verdicts] == ["posted", "rejected", "posted"]
    assert folded.verdicts[1].reason == "too_large"


def test_limits_are_judged_between_transactions_not_between_entries() -> None:
    """An account may cross its limit inside a transaction that ends within it."""
    crossing = posting(1, debit(LIMITED, 5), credit(USER, 5), debit(USER, 5), credit(LIMITED, 5))
    assert Outcome.POSTED is fold(books(), [crossing]).verdicts[0].outcome


def test_a_hold_takes_what_is_available_and_its_release_gives_it_back() -> None:
    """Of two holds over the same money the second is refused, until the first is released."""
    steps = [
        moved(1, CASH, LIMITED, 10),
        moved(2, LIMITED, CASH, 8, Layer.PENDING),
        moved(3, LIMITED, CASH, 8, Layer.PENDING),
        moved(4, LIMITED, CASH, -8, Layer.PENDING),
        moved(5, LIMITED, CASH, 8, Layer.PENDING),
    ]
    verdicts = fold(books(), steps).verdicts
    assert [verdict.outcome for verdict in verdicts] == ["posted", "posted", "rejected", "posted", "posted"]
    assert (verdicts[2].account, verdicts[2].currency, verdicts[2].shortfall) == (LIMITED, "USD", 6)


def test_money_that_is_only_on_its_way_cannot_be_spent() -> None:
    """Incoming pending money does not count as available."""
    steps = [moved(1, CASH, LIMITED, 10, Layer.PENDING), moved(2, LIMITED, CASH, 1)]
    assert [verdict.outcome for verdict in fold(books(), steps).verdicts] == ["posted", "rejected"]


def test_a_rejected_id_stays_rejected() -> None:
    """What was refused for want of money is refused again when there is money, and under another body is a conflict."""
    want, money = moved(1, LIMITED, CASH, 5), moved(2, CASH, LIMITED, 100)
    verdicts = fold(books(), [want, money, want, moved(1, LIMITED, CASH, 4)]).verdicts
    assert [verdict.outcome for verdict in verdicts] == ["rejected", "posted", "rejected", "conflict"]
    assert verdicts[0] == verdicts[2]


def test_a_repeat_from_another_offset_is_a_repeat() -> None:
    """Where a posting was read does not belong to its body."""
    first = moved(1, CASH, USER, 5)
    again = first._replace(source="other/3", source_offset=99)
    assert Outcome.DUPLICATE is fold(books(), [first, again]).verdicts[1].outcome


@pytest.mark.parametrize(
    "change",
    [
        {"effective_at_ms": 1_700_000_000_001},
        {"template": "OTHER"},
        {"correlation_id": "00000000-0000-8000-8000-000000000000"},
        {"meta": {"memo": "other"}},
        {"reverses": "00000000-0000-8000-8000-000000000000"},
        {"entries": (debit(CASH, 6), credit(USER, 6))},
        {"entries": (credit(USER, 5), debit(CASH, 5))},
    ],
)
def test_the_same_id_with_another_body_is_a_conflict(change: dict[str, object]) -> None:
    """Whatever part of the body differs, it is a conflict, which is recorded once per body and changes nothing."""
    first = moved(1, CASH, USER, 5)
    other = first._replace(**change)  # type: ignore[arg-type]
    folded = fold(books(), [first, other, other])
    assert [verdict.outcome for verdict in folded.verdicts] == ["posted", "conflict", "conflict"]
    assert (len(folded.posted), len(folded.conflicts)) == (1, 1)


def test_the_order_of_keys_in_metadata_does_not_matter() -> None:
    """Metadata that says the same in another order is the same."""
    legs = [debit(CASH, 5), credit(USER, 5)]
    one = posting(1, *legs, meta={"a": {"x": 1, "y": [1, {"p": 1, "q": 2}]}, "b": 2})
    other = posting(1, *legs, meta={"b": 2, "a": {"y": [1, {"q": 2, "p": 1}], "x": 1}})
    assert Outcome.DUPLICATE is fold(books(), [one, other]).verdicts[1].outcome


def test_a_transaction_is_reversed_at_most_once_and_only_if_it_was_posted() -> None:
    """The second reversal is refused, as is one of what is not there; the reversal itself can be reversed."""
    first = moved(1, CASH, USER, 5)
    back = posting(2, debit(CASH, -5), credit(USER, -5), reverses=first.id)
    twice = posting(3, debit(CASH, -5), credit(USER, -5), reverses=first.id)
    forth = posting(4, debit(CASH, 5), credit(USER, 5), reverses=back.id)
    nothing = posting(5, debit(CASH, 5), credit(USER, 5), reverses=twice.id)
    verdicts = fold(books(), [first, back, twice, forth, nothing]).verdicts
    assert [verdict.reason for verdict in verdicts] == [None, None, "already_reversed", None, "unknown_reversal"]
