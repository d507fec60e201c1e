"""Every kind of request is whole: its words, its messages and its states fit together, and nobody says them otherwise."""

from typing import get_args

import pytest

from domain.messages.venue import OrderReport, TransferReport
from domain.outbox.kinds import KINDS, ORDER, REASON_LENGTH_MAX, TRANSFER, is_request, kind_of, refusal_of, report_of, states
from domain.outbox.lifecycle import REFUSED, UNANSWERED, Change, Kind
from domain.venue.account import OrderWord, TransferWord
from tests.domain.outbox.test_lifecycle import REQUESTS

EVERY = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@EVERY
def test_a_kind_is_whole(kind: Kind) -> None:
    """It is found by its name and its message, has one state for what never arrived, and ends as its words say."""
    assert kind is KINDS[kind.name]
    assert {"ended"} == {kind.stages[kind.done], kind.stages[kind.refused]}
    assert ["never_arrived"] == [stage for stage in kind.stages.values() if stage == "never_arrived"]
    assert "under_way" in kind.stages.values()
    assert not UNANSWERED.keys() & kind.answers.keys()
    fields = {kind.client_id, kind.counterparty}
    assert fields | {kind.slot_by or kind.counterparty} <= kind.model.__annotations__.keys()
    assert fields | {kind.filled or kind.client_id} <= kind.report.model_fields.keys()


@EVERY
def test_a_report_can_tell_every_state(kind: Kind) -> None:
    """The words of the report are the states of the kind, and that it was refused a row."""
    assert kind.stages.keys() | {REFUSED} == {*get_args(kind.report.model_fields["state"].annotation)}


@pytest.mark.parametrize(("kind", "words"), [(ORDER, OrderWord), (TRANSFER, TransferWord)])
def test_an_exchange_says_what_we_know(kind: Kind, words: object) -> None:
    """What an exchange says of a request is one of our states after the first answer."""
    assert {*get_args(words)} < kind.answers.keys()


def test_the_ends_of_orders_and_transfers() -> None:
    """What a desk waits for: every end, and the refusal of a row."""
    assert {"refused", "filled", "canceled", "rejected", "not_placed"} == ORDER.last_words
    assert {"refused", "done", "failed", "not_sent"} == TRANSFER.last_words
    assert ("not_placed", "not_sent") == (ORDER.never, TRANSFER.never)


def test_states_are_told_with_their_stage() -> None:
    """What SQL is told has a row for each state of each kind."""
    assert sum(len(kind.stages) for kind in KINDS.values()) == len(states())
    assert ("order", "open", "under_way", True) in states()


def test_a_change_is_reported() -> None:
    """An order's report tells how much was filled, a transfer's has no such field; a long reason is cut."""
    said = report_of(Change(7, ORDER, "c", "d", "sim", "canceled", 5, 9, "x" * 999, 1_000))
    expected = {"client_order_id": "c", "decision_id": "d", "venue": "sim", "state": "canceled", "filled_contracts": 5}
    assert OrderReport(**expected, sequence=9, reason="x" * REASON_LENGTH_MAX, as_of=1_000) == said
    said = report_of(Change(8, TRANSFER, "c", "d", "sim", "done", 0, 9, None, 1_000))
    assert (
        TransferReport(client_transfer_id="c", decision_id="d", venue="sim", state="done", sequence=9, as_of=1_000) == said
    )


@EVERY
def test_a_refusal_names_what_it_refuses(kind: Kind) -> None:
    """It is the report of its kind, and no reason is too long for it."""
    said = refusal_of(REQUESTS[kind], "x" * 999, 1_000)
    assert isinstance(said, kind.report)
    told = said.model_dump()
    assert ("c", "sim", REFUSED, "x" * REASON_LENGTH_MAX) == tuple(
        told[name] for name in (kind.client_id, kind.counterparty, "state", "reason")
    )


@EVERY
def test_only_requests_are_requests(kind: Kind) -> None:
    """A message of a kind asks for something; the report of it, or a word, does not."""
    request = REQUESTS[kind]
    assert kind is kind_of(request)
    assert [True, False, False] == [is_request(value) for value in (request, refusal_of(request, "x", 0), "order")]
