"""The fold: verdicts and balances of a batch against a sequential oracle, and each refusal by its name."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger.books import Books, Known, Origin, Window
from domain.ledger.causes import origin_of
from domain.ledger.fold import advance, fold
from domain.ledger.journal import Entry, Group, Layer, Outcome, Relation, Transaction, Verdict, reversal_of
from domain.ledger.judge import Folded
from domain.ledger.lines import read_entry
from tests.domain.ledger.ledger_oracle import Oracle, totals
from tests.domain.ledger.ledger_workloads import (
    ACCOUNTS,
    ASSETS,
    BITCOIN,
    CAPPED,
    CASH,
    FAST,
    FROZEN,
    LIMITED,
    START_MS,
    USER,
    WORKLOADS,
    captured,
    credit,
    debit,
    ended,
    moved,
    posting,
    reversal,
)

BY_CODE = {account.code: account for account in ACCOUNTS}


def books() -> Books:
    """Empty books over the test's chart."""
    return Books(BY_CODE, summaries=frozenset([ASSETS]))


def post_in_batches(transactions: Sequence[Transaction], sizes: Sequence[int]) -> tuple[list[Folded], Books]:
    """Fold in batches of these sizes, in turn and without cutting groups, each on what the ones before it left."""
    now, known, origins, used = books(), dict[str, Known](), dict[str, Origin](), dict[Window, int]()
    now.known, now.origins, now.used = known, origins, used
    folds, rest, turn = [], list(transactions), 0
    while rest:
        size = sizes[turn % len(sizes)]
        while size < len(rest) and rest[size].group is not None and rest[size].group == rest[size - 1].group:
            size += 1
        folded = fold(now, rest[:size])
        advance(now, folded)
        known.update(folded.answered)
        origins.update({posted.transaction.id: origin_of(posted.transaction) for posted in folded.posted})
        origins.update(folded.origins)
        used.update(folded.used)
        folds.append(folded)
        rest, turn = rest[size:], turn + 1
    return folds, now


def test_versions_and_balances_go_on_from_entry_to_entry() -> None:
    """Every entry carries the next version of its account and the balance of its layer after it."""
    folded = fold(books(), [moved(1, CASH, USER, 5), moved(2, CASH, USER, 7)])
    told = [(one.version, one.account_id, one.amount, one.balance_after) for one in map(read_entry, folded.entries)]
    assert told == [(1, 101, 5, 5), (1, 102, 5, -5), (2, 101, 7, 12), (2, 102, 7, -12)]


@given(WORKLOADS)
def test_fold_gives_the_verdicts_of_the_oracle(transactions: list[Transaction]) -> None:
    """Each transaction gets the verdict that it gets from the rules applied one by one."""
    assert Oracle(BY_CODE).post(transactions) == [verdict.outcome for verdict in fold(books(), transactions).verdicts]


@given(WORKLOADS)
def test_fold_gives_the_balances_of_the_oracle(transactions: list[Transaction]) -> None:
    """Totals are the sums of what was accepted, with what the ledger added, and nothing else leaves a trace."""
    oracle = Oracle(BY_CODE)
    oracle.post(transactions)
    rows = fold(books(), transactions).rows
    sums = totals([entry for _, entries in oracle.posted.values() for entry in entries])
    assert set(rows) == {key[:2] for key in sums}
    slots = {(1, 1): 1, (1, -1): 2, (2, 1): 3, (2, -1): 4, (3, 1): 5, (3, -1): 6}
    assert dict(sums) == {key: rows[key[:2]][slots[key[2:]]] for key in sums}


@given(WORKLOADS, st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_a_batch_is_the_same_as_its_transactions_one_by_one(transactions: list[Transaction], sizes: list[int]) -> None:
    """However a workload is cut into batches, verdicts, entries and balances are the same."""
    whole, after = post_in_batches(transactions, [len(transactions) or 1])
    split, split_after = post_in_batches(transactions, sizes)
    assert after.rows == split_after.rows
    for part in ("verdicts", "entries", "posted", "rejected", "conflicts"):
        assert [row for one in whole for row in getattr(one, part)] == [row for one in split for row in getattr(one, part)]


@given(WORKLOADS)
def test_a_replay_writes_nothing(transactions: list[Transaction]) -> None:
    """Posting all of it once more gives no entry, no reject, no conflict and no changed balance."""
    _, after = post_in_batches(transactions, [len(transactions) or 1])
    again = fold(after, transactions)
    assert (again.entries, again.rejected, again.conflicts, again.rows, again.answered) == ([], [], [], {}, {})


@given(WORKLOADS)
def test_what_is_handed_in_is_not_changed(transactions: list[Transaction]) -> None:
    """Folding twice on the same books gives the same answer."""
    _, after = post_in_batches(transactions, [3])
    now = books()
    now.rows = {key: list(row) for key, row in after.rows.items()}
    assert fold(now, transactions) == fold(now, transactions)
    assert after.rows == now.rows


REFUSED = [
    ("one_legged", posting(1, debit(CASH, 1)), (None, None, None)),
    ("one_legged", posting(1), (None, None, None)),
    ("too_many_entries", posting(1, *[debit(CASH, 1), credit(USER, 1)] * 33), (None, None, None)),
    ("bad_time", posting(1, debit(CASH, 1), credit(USER, 1))._replace(effective_at_ms=-1), (None, None, None)),
    ("bad_time", posting(1, debit(CASH, 1), credit(USER, 1))._replace(effective_at_ms=10**15), (None, None, None)),
    ("bad_meta", posting(1, debit(CASH, 1), credit(USER, 1), meta={"memo": "\x00"}), (None, None, None)),
    ("bad_meta", posting(1, debit(CASH, 1), credit(USER, 1), meta={"memo": "\ud800"}), (None, None, None)),
    ("bad_meta", moved(1, CASH, USER, 1)._replace(meta='{"memo":"\ud800"}'), (None, None, None)),
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
    ("over_velocity", moved(1, FAST, USER, 47), (FAST, "USD", 7)),
    ("over_velocity", moved(1, FAST, USER, 47, Layer.ENCUMBERED), (FAST, "USD", 7)),
    ("unnamed_release", moved(1, CASH, USER, -3, Layer.PENDING), (CASH, "USD", None)),
    ("not_a_leaf", moved(1, ASSETS, USER, 3), (ASSETS, "USD", None)),
    ("bad_time", moved(1, CASH, USER, 3)._replace(expires_at_ms=START_MS), (None, None, None)),
    ("bad_group", moved(1, CASH, USER, 3)._replace(group=Group("a b", 1)), (None, None, None)),
    ("group_incomplete", moved(1, CASH, USER, 3)._replace(group=Group("a", 2)), (None, None, None)),
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


def test_a_balance_may_not_have_more_digits_either() -> None:
    """Where both totals of an account are within bounds and their difference is not, the transaction is refused."""
    taken_back = posting(2, debit(USER, -2 * 10**37), credit(CASH, -2 * 10**37))
    folded = fold(books(), [moved(1, CASH, USER, 9 * 10**37), taken_back])
    assert [verdict.reason for verdict in folded.verdicts] == [None, "too_large"]


def test_limits_are_judged_between_transactions_not_between_entries() -> None:
    """An account may cross its limit inside a transaction that ends within it."""
    crossing = posting(1, debit(LIMITED, 5), credit(USER, 5), debit(USER, 5), credit(LIMITED, 5))
    assert Outcome.POSTED is fold(books(), [crossing]).verdicts[0].outcome


def test_a_hold_takes_what_is_available_and_its_void_gives_it_back() -> None:
    """Of two holds over the same money the second is refused, until the first is voided."""
    hold = moved(2, LIMITED, CASH, 8, Layer.PENDING)
    steps = [
        moved(1, CASH, LIMITED, 10),
        hold,
        moved(3, LIMITED, CASH, 8, Layer.PENDING),
        ended(4, hold, Relation.VOIDS),
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
        {"meta": '{"memo":"other"}'},
        {"cause": reversal_of("00000000-0000-8000-8000-000000000000")},
        {"expires_at_ms": START_MS + 1},
        {"group": Group("a", 1)},
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


HOLD = moved(1, USER, CASH, 30, Layer.PENDING)
BRIEF = HOLD._replace(expires_at_ms=START_MS + 1000)
PAID = moved(1, CASH, USER, 5)
PART, REST = captured(2, HOLD, 20, is_final=False), captured(3, HOLD, 10, is_final=False)
VOID = ended(3, HOLD, Relation.VOIDS)
LATE = START_MS + 1000

STEPS = [
    ("a hold is captured whole", [HOLD, captured(2, HOLD, 30)], None),
    ("a final capture of a part releases the rest", [HOLD, captured(2, HOLD, 10), captured(3, HOLD, 1)], "already_captured"),
    ("a final capture may leave all releases to the ledger", [HOLD, captured(2, HOLD, 0), VOID], "already_captured"),
    ("a hold is captured in parts", [HOLD, PART, REST], None),
    ("a hold that is used up has ended", [HOLD, PART, REST, ended(4, HOLD, Relation.VOIDS)], "already_captured"),
    ("what others have captured is gone", [HOLD, PART, captured(3, HOLD, 11)], "over_capture"),
    ("a void takes what is left", [HOLD, PART, VOID], None),
    ("a hold is voided once", [HOLD, VOID, ended(4, HOLD, Relation.VOIDS)], "already_voided"),
    ("a capture comes too late after a void", [HOLD, VOID, captured(4, HOLD, 1)], "already_voided"),
    ("a hold expires at its time", [BRIEF, ended(2, BRIEF, Relation.EXPIRES, LATE)], None),
    ("and not before", [BRIEF, ended(2, BRIEF, Relation.EXPIRES, LATE - 1)], "not_expired"),
    ("a hold without an end does not expire", [HOLD, ended(2, HOLD, Relation.EXPIRES, LATE)], "not_expired"),
    ("from then on it is not voided", [BRIEF, ended(2, BRIEF, Relation.VOIDS, LATE)], "hold_expired"),
    ("nor captured", [BRIEF, captured(2, BRIEF, 1)._replace(effective_at_ms=LATE)], "hold_expired"),
    ("a capture in time holds though it comes late", [BRIEF, captured(2, BRIEF, 1)], None),
    (
        "but not after the expiry",
        [BRIEF, ended(2, BRIEF, Relation.EXPIRES, LATE), captured(3, BRIEF, 1)],
        "already_expired",
    ),
    ("nothing happens before its cause", [HOLD, ended(2, HOLD, Relation.VOIDS, START_MS - 1)], "before_cause"),
    ("what moved money holds none", [PAID, ended(2, PAID, Relation.VOIDS)], "not_a_hold"),
    ("what was never posted cannot be voided", [VOID], "unknown_cause"),
    ("a part that releases nothing is none", [HOLD, captured(2, HOLD, 0, is_final=False)], "nothing_captured"),
    ("a void has no entries", [HOLD, VOID._replace(entries=HOLD.entries)], "unexpected_entries"),
    (
        "a capture holds nothing",
        [HOLD, captured(2, HOLD, 5)._replace(entries=(*HOLD.entries, *PART.entries))],
        "unexpected_hold",
    ),
    ("a hold is voided, not reversed", [HOLD, reversal(2, HOLD)], "not_a_mirror"),
    (
        "a capture can be reversed",
        [HOLD, PART, reversal(3, PART)._replace(entries=(credit(CASH, -20), debit(USER, -20)))],
        None,
    ),
    ("a reversal takes all of it back", [PAID, reversal(2, moved(1, CASH, USER, 4))], "not_a_mirror"),
    (
        "a reversal may use the other side",
        [PAID, posting(2, credit(CASH, 5), debit(USER, 5), cause=reversal_of(PAID.id))],
        None,
    ),
]


@pytest.mark.parametrize(("steps", "reason"), [pytest.param(steps, reason, id=name) for name, steps, reason in STEPS])
def test_what_may_be_done_to_a_cause(steps: list[Transaction], reason: str | None) -> None:
    """All steps but the last are posted, and the last is posted or refused for this reason, in one batch and in many."""
    for sizes in ([len(steps)], [1]):
        verdicts = [verdict for folded in post_in_batches(steps, sizes)[0] for verdict in folded.verdicts]
        assert [None] * (len(steps) - 1) == [verdict.reason for verdict in verdicts[:-1]]
        assert reason == verdicts[-1].reason


def test_a_void_releases_to_the_unit_what_is_left() -> None:
    """After captures in part and a void nothing is held, and only what was captured has moved."""
    rows = fold(books(), [HOLD, PART, VOID]).rows
    assert ([20, 0, 0, 0, 0, 0], [0, 20, 0, 0, 0, 0]) == (rows[USER, "USD"][1:7], rows[CASH, "USD"][1:7])


def test_the_shortfall_of_a_capture_is_what_it_is_over() -> None:
    """A capture over the hold says by how much."""
    verdict = fold(books(), [HOLD, captured(2, HOLD, 37)]).verdicts[1]
    assert Verdict(verdict.transaction_id, Outcome.REJECTED, "over_capture", USER, "USD", 7) == verdict


VELOCITIES = [
    ("a window takes its limit to the unit", [(0, 40)], None),
    ("and nothing more", [(0, 40), (0, 1)], 1),
    ("the next window starts with nothing", [(0, 40), (40_000, 40)], None),
    ("a longer window bounds several shorter ones", [(0, 40), (40_000, 40), (100_000, 21)], 1),
    ("what comes in makes no room", [(0, 40), (0, -40), (0, 1)], 1),
]


@pytest.mark.parametrize(("moves", "shortfall"), [pytest.param(moves, over, id=name) for name, moves, over in VELOCITIES])
def test_velocity_limits_bound_what_leaves_in_a_window(moves: list[tuple[int, int]], shortfall: int | None) -> None:
    """All moves but the last are posted; the last is too, or is refused by this much. The start is 20 s into a minute."""
    steps = [
        posting(n, debit(FAST, amount), credit(CASH, amount), at_ms=START_MS + after)
        for n, (after, amount) in enumerate(moves)
    ]
    verdicts = fold(books(), steps).verdicts
    assert [None] * (len(steps) - 1) == [verdict.reason for verdict in verdicts[:-1]]
    assert (shortfall and "over_velocity", shortfall) == (verdicts[-1].reason, verdicts[-1].shortfall)


def test_a_void_gives_room_back_to_the_window_of_its_hold() -> None:
    """What was held and voided later may be used again in the window in which it was held, and in no other."""
    hold = moved(1, FAST, CASH, 40, Layer.PENDING)
    void = ended(2, hold, Relation.VOIDS, START_MS + 61_000)
    then = [posting(n, debit(FAST, 40), credit(CASH, 40), at_ms=START_MS + 61_000 * (n - 3)) for n in (3, 4)]
    more = [one._replace(id=moved(n, CASH, USER, 1).id) for n, one in zip((5, 6), then, strict=True)]
    verdicts = fold(books(), [hold, void, *then, *more]).verdicts
    assert [None] * 4 + ["over_velocity"] * 2 == [verdict.reason for verdict in verdicts]


def grouped(size: int, *members: Transaction) -> list[Transaction]:
    """The transactions as one group that is said to have this size."""
    return [one._replace(group=Group("g", size)) for one in members]


GOOD, POOR, MORE = moved(1, CASH, USER, 5), moved(2, LIMITED, CASH, 5), moved(3, CASH, USER, 6)
GROUPS = [
    ("all good, all posted", grouped(2, GOOD, MORE), [None, None]),
    ("one bad, none posted", grouped(3, GOOD, POOR, MORE), ["group_refused", "over_limit", "group_refused"]),
    ("too few", grouped(3, GOOD, MORE), ["group_incomplete", "group_incomplete"]),
    ("too many", grouped(1, GOOD, MORE), ["group_incomplete", "group_incomplete"]),
    ("a known rejection refuses the rest", [POOR, *grouped(2, GOOD, POOR)], ["over_limit", "group_refused", "other_body"]),
    ("a hold and its capture", grouped(2, HOLD, captured(2, HOLD, 3)), [None, None]),
    (
        "a hold of a refused group was never posted",
        [*grouped(2, HOLD, POOR), captured(4, HOLD, 3)],
        ["group_refused", "over_limit", "unknown_cause"],
    ),
]


@pytest.mark.parametrize(("steps", "reasons"), [pytest.param(steps, why, id=name) for name, steps, why in GROUPS])
def test_a_group_is_posted_whole_or_not_at_all(steps: list[Transaction], reasons: list[str | None]) -> None:
    """Each member has its verdict, a refused group leaves no entry and no balance, and a repeat is answered the same."""
    folded = fold(books(), steps)
    assert reasons == [verdict.reason for verdict in folded.verdicts]
    assert any(reasons) == (folded.entries == [])
    assert any(reasons) == (folded.rows == {})
    now = books()
    now.known = folded.answered
    assert reasons == [verdict.reason for verdict in fold(now, steps).verdicts]


def test_a_transaction_is_reversed_at_most_once_and_only_if_it_was_posted() -> None:
    """The second reversal is refused, as is one of what is not there; the reversal itself can be reversed."""
    first = moved(1, CASH, USER, 5)
    back = posting(2, debit(CASH, -5), credit(USER, -5), cause=reversal_of(first.id))
    twice = posting(3, debit(CASH, -5), credit(USER, -5), cause=reversal_of(first.id))
    forth = posting(4, debit(CASH, 5), credit(USER, 5), cause=reversal_of(back.id))
    nothing = posting(5, debit(CASH, 5), credit(USER, 5), cause=reversal_of(twice.id))
    verdicts = fold(books(), [first, back, twice, forth, nothing]).verdicts
    assert [verdict.reason for verdict in verdicts] == [None, None, "already_reversed", None, "unknown_cause"]
