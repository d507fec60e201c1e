"""The life of a request: the table is total, ends are final, and nothing is sent when it might be there or is too old."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.messages.hedging import CollateralTransfer, HedgeOrder
from domain.messages.treasury import ConversionCancel, ConversionRequest
from domain.outbox.kinds import CANCEL, CONVERSION, KINDS, ORDER, TRANSFER
from domain.outbox.lifecycle import (
    Ask,
    ExecutionPolicy,
    FateUnknown,
    Kind,
    Row,
    Says,
    SaysNotFound,
    Send,
    Sending,
    Settle,
    Step,
    Wait,
    Word,
    follow,
    next_step,
)
from domain.venue.account import DUPLICATE_ID, NO_POSITION, Refusal

POLICY = ExecutionPolicy()
REQUESTS = {
    ORDER: HedgeOrder(
        decision_id="d", client_order_id="c", venue="sim", action="sell", contracts=-5, based_on_sequence=4, as_of=900
    ),
    TRANSFER: CollateralTransfer(
        decision_id="d", client_transfer_id="c", venue="sim", kind="deposit", amount_sats=5, based_on_sequence=4, as_of=900
    ),
    CONVERSION: ConversionRequest(
        decision_id="d",
        client_conversion_id="c",
        job_id="j",
        attempt=1,
        provider="sim",
        source="system_buffer_fiat",
        destination="system_buffer_usdc",
        source_currency="USD",
        destination_currency="USDC",
        amount=5,
        based_on_sequence=4,
        as_of=900,
    ),
    CANCEL: ConversionCancel(
        decision_id="d",
        client_cancel_id="c",
        client_conversion_id="o",
        job_id="j",
        provider="sim",
        based_on_sequence=4,
        as_of=900,
    ),
}


def row(state: str = "reserved", kind: Kind = ORDER, **fields: object) -> Row:
    """A row that was decided at 900 and reserved at 1,000."""
    return Row(kind, REQUESTS[kind], state, 1_000)._replace(**fields)


ROWS = st.sampled_from([*KINDS.values()]).flatmap(
    lambda kind: st.builds(
        row,
        st.sampled_from(sorted(kind.stages)),
        st.just(kind),
        resumed=st.booleans(),
        sent_at_ms=st.none() | st.integers(1_000, 9_000),
        asked_at_ms=st.none() | st.integers(1_000, 9_000),
        not_found=st.integers(0, 4),
        sequence=st.integers(0, 9),
    )
)
TIMES = st.integers(1_000, 50_000)


def words_for(kind: Kind) -> st.SearchStrategy[Word]:
    """Anything that a counterparty may say about a request."""
    said = st.sampled_from(sorted(kind.answers.keys() - {kind.refused, kind.never}))
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
        (row(), 20_900, Send(25_900)),
        (row(), 20_901, Ask()),
        (row(not_found=2), 20_901, Ask()),
        (row(not_found=3), 20_901, Settle("not_placed", "decided on facts 20 s old")),
        (row(reserved_at_ms=20_800), 20_901, Ask()),
        (row(reserved_at_ms=500), 20_501, Ask()),
        (row(resumed=True), 1_000, Ask()),
        (row(resumed=True, asked_at_ms=1_000), 1_499, Wait(1_500)),
        (row(resumed=True, asked_at_ms=1_000), 1_500, Ask()),
        (row(resumed=True, asked_at_ms=1_000, not_found=1), 1_001, Send(6_001)),
        (row("sent", sent_at_ms=1_000), 1_000, Ask()),
        (row("unknown", sent_at_ms=1_000, asked_at_ms=1_000), 1_000, Wait(1_500)),
        (row("unknown", sent_at_ms=1_000, not_found=2), 9_000, Ask()),
        (row("unknown", not_found=3), 9_000, Settle("not_placed", "not found 3 times after its deadline")),
        (row("unknown", TRANSFER, not_found=3), 9_000, Settle("not_sent", "not found 3 times after its deadline")),
        (row("unknown", sent_at_ms=1_000), 99_000, Ask()),
        (row("open", not_found=9), 9_000, Ask()),
        (row("open", asked_at_ms=9_000), 9_000, Wait(9_500)),
        (row("filled"), 9_000, Wait(None)),
        (row("done", TRANSFER), 9_000, Wait(None)),
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
        (row("sent", TRANSFER), Refusal("58350", "no"), ("failed", 0)),
        (row("sent"), Refusal(DUPLICATE_ID, "taken"), ("unknown", 0)),
        (row("sent"), Refusal(NO_POSITION, "flat"), ("filled", 0)),
        (row("sent"), Says("open", 0, 7, None), ("open", 0)),
        (row("unknown"), Says("filled", 5, 7, None), ("filled", 5)),
        (row("open", sequence=8), Says("open", 5, 7, None), ("open", 0)),
        (row("filled", filled=5), Says("open", 0, 99, None), ("filled", 5)),
        (row("not_placed"), Says("filled", 5, 7, None), ("filled", 5)),
        (row("not_placed"), Says("open", 0, 7, None), ("not_placed", 0)),
        (row("canceled"), SaysNotFound(), ("canceled", 0)),
        (row("pending", TRANSFER), Says("done", 0, 7, None), ("done", 0)),
    ],
)
def test_follow(given_row: Row, word: Word, expected: tuple[str, int]) -> None:
    """The table of states, case by case."""
    after = follow(given_row, word, 9_000, POLICY)
    assert expected == (after.state, after.filled)


@given(ROWS, TIMES, st.data())
def test_the_table_is_total_and_ends_are_final(given_row: Row, at_ms: int, data: st.DataObject) -> None:
    """Every word in every state gives a known state; only one that never arrived may still end otherwise."""
    after = follow(given_row, data.draw(words_for(given_row.kind)), at_ms, POLICY)
    assert after.state in given_row.kind.stages
    assert (after.kind, after.request) == (given_row.kind, given_row.request)
    if given_row.stage == "ended":
        assert given_row == after
    if given_row.is_final:
        assert after.is_final


@given(ROWS, TIMES)
def test_only_a_reserved_row_is_sent(given_row: Row, now_ms: int) -> None:
    """What was sent or may have been is never sent again, nor what is too old; a final row is left alone."""
    step = next_step(given_row, now_ms, POLICY)
    if isinstance(step, Send):
        assert given_row.state == "reserved"
        assert not given_row.resumed or given_row.not_found
        assert now_ms - given_row.request.as_of <= POLICY.decision_age_max_ms
    assert given_row.is_final == (step == Wait(None))


@given(st.integers(0, 20_000))
def test_not_found_counts_only_after_the_deadline(after_ms: int) -> None:
    """A request that may still arrive is not given up, however often it is not found."""
    asked = row("unknown", sent_at_ms=1_000)
    for _ in range(5):
        asked = follow(asked, SaysNotFound(), 1_000 + after_ms, POLICY)
    assert (after_ms > POLICY.deadline_ms + POLICY.visible_within_ms) == isinstance(next_step(asked, 60_000, POLICY), Settle)


@given(st.sampled_from([*KINDS.values()]), st.booleans(), st.integers(0, 40_000))
def test_silence_ends_every_row(kind: Kind, resumed: bool, after_ms: int) -> None:
    """With a counterparty that never finds it, a row ends after a bounded number of steps; it is sent once, or too old."""
    decided_at_ms = 10**6
    request = REQUESTS[kind].model_copy(update={"as_of": decided_at_ms})
    asked = row(kind=kind, request=request, reserved_at_ms=decided_at_ms, resumed=resumed)
    now_ms, sent = decided_at_ms + after_ms, 0
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
    # One that was found at a start is asked about first.
    expected = after_ms + 100 * resumed <= POLICY.decision_age_max_ms
    assert (kind.never, expected) == (asked.state, sent)
