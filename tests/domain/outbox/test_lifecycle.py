"""The life of an order or transfer: the table is total, ends are final, and nothing is sent when it might be there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.exchange_facts import DUPLICATE_ID, NO_POSITION, Refusal
from domain.execution import (
    WORDS,
    Ask,
    ExecutionPolicy,
    FateUnknown,
    Row,
    Says,
    SaysNotFound,
    Send,
    Sending,
    Settle,
    Step,
    Wait,
    What,
    Word,
    follow,
    next_step,
)
from domain.messages import CollateralTransfer, HedgeOrder
from domain.reservations import Refused, Reserved, Slot, judge, reserved_row

POLICY = ExecutionPolicy(5_000, 2_000, ask_interval_ms=500, not_found_min=3, send_age_max_ms=30_000)
ORDER = HedgeOrder(
    decision_id="d", client_order_id="c", venue="sim", action="sell", contracts=-5, based_on_sequence=4, as_of=0
)
TRANSFER = CollateralTransfer(
    decision_id="d", client_transfer_id="c", venue="sim", kind="deposit", amount_sats=5, based_on_sequence=4, as_of=0
)
STATES: dict[What, tuple[str, ...]] = {
    "order": ("reserved", "sent", "unknown", "open", "filled", "canceled", "rejected", "not_placed"),
    "transfer": ("reserved", "sent", "unknown", "pending", "done", "failed", "not_sent"),
}


def row(state: str = "reserved", what: What = "order", **fields: object) -> Row:
    """A row reserved at 1,000."""
    return reserved_row(ORDER if what == "order" else TRANSFER, 1_000)._replace(state=state, **fields)


WHATS: st.SearchStrategy[What] = st.sampled_from(["order", "transfer"])
ROWS = WHATS.flatmap(
    lambda what: st.builds(
        row,
        st.sampled_from(STATES[what]),
        st.just(what),
        resumed=st.booleans(),
        sent_at_ms=st.none() | st.integers(1_000, 9_000),
        asked_at_ms=st.none() | st.integers(1_000, 9_000),
        not_found=st.integers(0, 4),
        sequence=st.integers(0, 9),
    )
)
TIMES = st.integers(1_000, 50_000)


def words_for(what: What) -> st.SearchStrategy[Word]:
    """Anything that an exchange may say about an order or a transfer."""
    words = WORDS[what]
    said = st.sampled_from([words.under_way, *[w for w in words.final if w not in (words.refused, words.never)]])
    return st.one_of(
        st.just(Sending()),
        st.just(SaysNotFound()),
        st.just(FateUnknown("time-out")),
        st.builds(Refusal, st.sampled_from([DUPLICATE_ID, NO_POSITION, "51008"]), st.just("no")),
        st.builds(Says, said, st.integers(0, 5), st.integers(0, 9), st.none()),
    )


@pytest.mark.parametrize(
    ("given_row", "now_ms", "expected"),
    [
        (row(), 1_000, Send(6_000)),
        (row(), 31_000, Send(36_000)),
        (row(), 31_001, Ask()),
        (row(not_found=2), 31_001, Ask()),
        (row(not_found=3), 31_001, Settle("not_placed", "reserved too long ago to be sent")),
        (row(resumed=True), 1_000, Ask()),
        (row(resumed=True, asked_at_ms=1_000), 1_499, Wait(1_500)),
        (row(resumed=True, asked_at_ms=1_000), 1_500, Ask()),
        (row(resumed=True, asked_at_ms=1_000, not_found=1), 1_001, Send(6_001)),
        (row("sent", sent_at_ms=1_000), 1_000, Ask()),
        (row("unknown", sent_at_ms=1_000, asked_at_ms=1_000), 1_000, Wait(1_500)),
        (row("unknown", sent_at_ms=1_000, not_found=2), 9_000, Ask()),
        (row("unknown", not_found=3), 9_000, Settle("not_placed", "not found 3 times after its deadline")),
        (row("unknown", "transfer", not_found=3), 9_000, Settle("not_sent", "not found 3 times after its deadline")),
        (row("open", not_found=9), 9_000, Ask()),
        (row("open", asked_at_ms=9_000), 9_000, Wait(9_500)),
        (row("filled"), 9_000, Wait(None)),
        (row("done", "transfer"), 9_000, Wait(None)),
    ],
)
def test_next_step(given_row: Row, now_ms: int, expected: Step) -> None:
    """The table of steps, case by case."""
    assert expected == next_step(given_row, now_ms, POLICY)


@pytest.mark.parametrize(
    ("given_row", "word", "expected"),
    [
        (row(), Sending(), ("sent", 0)),
        (row("sent"), FateUnknown("x"), ("unknown", 0)),
        (row("sent"), Refusal("51008", "no"), ("rejected", 0)),
        (row("sent", "transfer"), Refusal("58350", "no"), ("failed", 0)),
        (row("sent"), Refusal(DUPLICATE_ID, "taken"), ("unknown", 0)),
        (row("sent"), Refusal(NO_POSITION, "flat"), ("filled", 0)),
        (row("sent"), Says("open", 0, 7, None), ("open", 0)),
        (row("unknown"), Says("filled", 5, 7, None), ("filled", 5)),
        (row("open", sequence=8), Says("open", 5, 7, None), ("open", 0)),
        (row("filled", filled=5), Says("open", 0, 99, None), ("filled", 5)),
        (row("not_placed"), Says("filled", 5, 7, None), ("filled", 5)),
        (row("not_placed"), Says("open", 0, 7, None), ("not_placed", 0)),
        (row("canceled"), SaysNotFound(), ("canceled", 0)),
        (row("pending", "transfer"), Says("done", 0, 7, None), ("done", 0)),
    ],
)
def test_follow(given_row: Row, word: Word, expected: tuple[str, int]) -> None:
    """The table of states, case by case."""
    after = follow(given_row, word, 9_000, POLICY)
    assert expected == (after.state, after.filled)


@given(ROWS, TIMES, st.data())
def test_the_table_is_total_and_ends_are_final(given_row: Row, at_ms: int, data: st.DataObject) -> None:
    """Every word in every state gives a known state; only one that never arrived may still end otherwise."""
    after = follow(given_row, data.draw(words_for(given_row.what)), at_ms, POLICY)
    assert after.state in STATES[given_row.what]
    assert (after.client_id, after.request) == (given_row.client_id, given_row.request)
    if given_row.is_final and given_row.state != WORDS[given_row.what].never:
        assert given_row == after
    if given_row.is_final:
        assert after.is_final


@given(ROWS, TIMES)
def test_only_a_reserved_row_is_sent(given_row: Row, now_ms: int) -> None:
    """What was sent, or may have been, is never sent again; a final row is left alone."""
    step = next_step(given_row, now_ms, POLICY)
    if isinstance(step, Send):
        assert given_row.state == "reserved"
        assert not given_row.resumed or given_row.not_found
    assert given_row.is_final == (step == Wait(None))


@given(st.integers(0, 20_000))
def test_not_found_counts_only_after_the_deadline(after_ms: int) -> None:
    """A request that may still arrive is not given up, however often it is not found."""
    asked = row("unknown", sent_at_ms=1_000)
    for _ in range(5):
        asked = follow(asked, SaysNotFound(), 1_000 + after_ms, POLICY)
    assert (after_ms > POLICY.deadline_ms + POLICY.visible_within_ms) == isinstance(next_step(asked, 60_000, POLICY), Settle)


@given(WHATS, st.booleans(), st.integers(10**6, 2**40))
def test_silence_ends_every_row(what: What, resumed: bool, start_ms: int) -> None:
    """With an exchange that never finds it, a row ends after a bounded number of steps, sent at most once."""
    asked = row(what=what)._replace(resumed=resumed, reserved_at_ms=start_ms)
    now_ms, sent = start_ms, 0
    for _ in range(150):
        step = next_step(asked, now_ms, POLICY)
        if isinstance(step, Send):
            sent += 1
            asked = follow(asked, Sending(), now_ms, POLICY)
            asked = follow(asked, FateUnknown("x"), now_ms, POLICY)
        elif isinstance(step, Ask):
            asked = follow(asked, SaysNotFound(), now_ms, POLICY)
        elif isinstance(step, Settle):
            asked = asked._replace(state=step.state)
        now_ms += 100
    assert (WORDS[what].never, 1) == (asked.state, sent)


FREE = Slot(None, None, 0)


@pytest.mark.parametrize(
    ("existing", "slot", "expected"),
    [
        (None, FREE, Reserved("c", False)),
        (ORDER, FREE, Reserved("c", True)),
        (ORDER, Slot("c", "b", 9), Reserved("c", True)),
        (ORDER.model_copy(update={"contracts": -6}), FREE, Refused("c stands for another request")),
        (None, Slot("b", None, 0), Refused("slot taken by b")),
        (None, Slot(None, "b", 4), Reserved("c", False)),
        (None, Slot(None, "b", 5), Refused("decided on a position that does not cover b")),
    ],
)
def test_judge(existing: HedgeOrder | None, slot: Slot, expected: Reserved | Refused) -> None:
    """Who may have a row: replays always, others when the slot is free and they know how the last one ended."""
    assert expected == judge(ORDER, existing, slot)


def test_a_transfer_is_judged_on_balances() -> None:
    """The reason names the fact that was too old."""
    assert Refused("decided on a balance that does not cover b") == judge(TRANSFER, None, Slot(None, "b", 5))
