"""The life of a request to the outside, as a table of stages that all kinds of requests share.

A request is reserved (written down) before anything is sent, so that whatever happens afterwards there is something to
ask about. From then on:

| stage | what is known | what is done next |
|---|---|---|
| reserved | this process wrote it down and has not sent it | send it |
| reserved, found at a start | a process that is gone may have sent it | ask; once not found, send it under the same id |
| reserved, on facts too old by now | it must not leave any more | ask; after enough not-founds it never arrived |
| sent, unknown | the other side may have it | ask; not found counts only after the request's deadline |
| under way | the other side has it | listen to its events, ask now and then |
| ended, never arrived | how it ended | nothing |

What is unknown is asked about and never guessed, and nothing is ever sent again under another id. That a request never
arrived is said only after several not-founds that came later than the deadline it carried, when the other side can no
longer accept it. Should that one afterwards say that the request ended there after all, its word is taken.

Kinds differ in the words for their states, which a `Kind` puts at these stages; `domain/outbox/kinds.py` lists them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from domain.messages.fields import Message
from domain.venue.account import DUPLICATE_ID, NO_POSITION, Refusal

Stage = Literal["reserved", "sent", "unknown", "under_way", "ended", "never_arrived"]
UNANSWERED: Mapping[str, Stage] = {"reserved": "reserved", "sent": "sent", "unknown": "unknown"}
"""The states that every kind has, before the other side has answered."""

ENDS: frozenset[Stage] = frozenset(("ended", "never_arrived"))
REFUSED = "refused"
"""What a report says of a request that got no row: its first word and its last."""


class Request(Protocol):
    """A message that asks the outside for something, as it was decided at `as_of`, in epoch milliseconds of stream time.

    `based_on_sequence` is the newest event of the counterparty that the decision knew.
    """

    @property
    def decision_id(self) -> str: ...
    @property
    def based_on_sequence(self) -> int: ...
    @property
    def as_of(self) -> int: ...
    def model_dump_json(self) -> str: ...
    @classmethod
    def model_validate_json(cls, json_data: str) -> Self: ...


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of request: its messages, what their fields are called, and its states with their stages.

    `model` is the message that asks, `report` the one that tells what became of it; `client_id` and `counterparty` name
    fields of both, and `filled` the field of the report that counts what was done so far, if it has one. `answers` are the
    states after the first answer: `done` is the one that was wanted, `refused` the other side's no.

    `slot_by` names the field of the message by which at most one request is open at a time, None where many may be. Then a
    decision has to know how the last one ended, from the fact that is called `fact` in refusals.
    """

    name: str
    model: type[Request]
    report: type[Message]
    client_id: str
    counterparty: str
    answers: Mapping[str, Stage]
    done: str
    refused: str
    filled: str | None = None
    slot_by: str | None = None
    fact: str = "fact"

    @cached_property
    def stages(self) -> Mapping[str, Stage]:
        """Every state that a row of this kind can be in, with its stage."""
        return {**UNANSWERED, **self.answers}

    @cached_property
    def ends(self) -> frozenset[str]:
        """The states that are left no more."""
        return frozenset(state for state, stage in self.stages.items() if stage in ENDS)

    @cached_property
    def last_words(self) -> frozenset[str]:
        """The states of reports after which nothing more happens: the ends, and the refusal of a row."""
        return self.ends | {REFUSED}

    @cached_property
    def never(self) -> str:
        """The state of what never arrived."""
        return next(state for state, stage in self.stages.items() if stage == "never_arrived")

    def client_id_of(self, request: Request) -> str:
        """Return our own id of a request at its counterparty."""
        return str(getattr(request, self.client_id))

    def counterparty_of(self, request: Request) -> str:
        """Return who is asked."""
        return str(getattr(request, self.counterparty))

    def slot_of(self, request: Request) -> str | None:
        """Return the name of what a request occupies while it is open, None for what leaves room for others."""
        return f"{self.name} {getattr(request, self.slot_by)}" if self.slot_by else None


class ExecutionPolicy(BaseModel):
    """How old a decision may be that is acted on, and how patient we are with whoever was asked for something."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    decision_age_max_ms: PositiveInt = Field(20_000, description="what was decided longer ago is neither reserved nor sent")
    deadline_ms: PositiveInt = Field(5_000, description="so long after it was sent a request is void at the other side")
    visible_within_ms: PositiveInt = Field(
        2_000, description="what was accepted is found by its id after so long at the latest; sooner, not found says nothing"
    )
    ask_interval_ms: PositiveInt = Field(500, description="two questions about the same request keep this distance")
    not_found_min: PositiveInt = Field(
        3, description="a request that is not found so often after its deadline never arrived"
    )


DEFAULT_POLICY = ExecutionPolicy()


class Row(NamedTuple):
    """One request; `sequence` is that of the counterparty's newest word.

    `resumed`, `asked_at_ms` and `not_found` are what a process remembers of its own asking: they are not stored, so a
    process that starts anew asks anew.
    """

    kind: Kind
    request: Request
    state: str
    reserved_at_ms: int
    sent_at_ms: int | None = None
    filled: int = 0
    sequence: int = 0
    reason: str | None = None
    resumed: bool = False
    asked_at_ms: int | None = None
    not_found: int = 0

    @property
    def client_id(self) -> str:
        return self.kind.client_id_of(self.request)

    @property
    def counterparty(self) -> str:
        return self.kind.counterparty_of(self.request)

    @property
    def stage(self) -> Stage:
        return self.kind.stages[self.state]

    @property
    def is_final(self) -> bool:
        return self.stage in ENDS

    def may_become(self, after: "Row") -> bool:
        """Whether a row may be replaced by a later one: an end stays, but of what never arrived one may hear that it did."""
        return not self.is_final or (self.stage == "never_arrived" and after.stage == "ended")


class Send(NamedTuple):
    """Send it now; the other side must refuse it after `expires_at_ms`."""

    expires_at_ms: int


class Ask(NamedTuple):
    """Look it up by its id."""


class Wait(NamedTuple):
    """Nothing to do before `until_ms`; None: until the other side says something."""

    until_ms: int | None


class Settle(NamedTuple):
    """It ended in this state, for this reason."""

    state: str
    reason: str


Step = Send | Ask | Wait | Settle


def too_old(decided_at_ms: int, now_ms: int, age_max_ms: int) -> str | None:
    """Return why what was decided then must not leave now, None when it may."""
    age_ms = now_ms - decided_at_ms
    return f"decided on facts {age_ms // 1000} s old" if age_ms > age_max_ms else None


def next_step(row: Row, now_ms: int, policy: ExecutionPolicy) -> Step:
    """Return what to do with a row now. Total: every state has an answer."""
    if row.is_final:
        return Wait(None)
    # A decision that claims to come from the future ages from its reservation on.
    decided_at_ms = min(row.request.as_of, row.reserved_at_ms)
    missed = too_old(decided_at_ms, now_ms, policy.decision_age_max_ms) if row.stage == "reserved" else None
    if row.stage == "reserved" and not missed and (row.not_found or not row.resumed):
        return Send(now_ms + policy.deadline_ms)
    if row.state in UNANSWERED and row.not_found >= policy.not_found_min:
        return Settle(row.kind.never, missed or f"not found {row.not_found} times after its deadline")
    due_ms = now_ms if row.asked_at_ms is None else row.asked_at_ms + policy.ask_interval_ms
    return Ask() if due_ms <= now_ms else Wait(due_ms)


class Sending(NamedTuple):
    """The request is about to leave; recorded before it does."""


class Says(NamedTuple):
    """The other side's word: its state, how much of it is done, and the sequence of its newest event about it."""

    state: str
    filled: int
    sequence: int
    reason: str | None


class FateUnknown(NamedTuple):
    """No answer, or one that says nothing."""

    text: str


class SaysNotFound(NamedTuple):
    """The other side does not know the id (yet)."""


Word = Sending | Says | Refusal | FateUnknown | SaysNotFound


def follow(row: Row, word: Word, at_ms: int, policy: ExecutionPolicy) -> Row:
    """Return the row after a word came at `at_ms`. Total: a word that does not fit the state changes nothing."""
    if isinstance(word, Says):
        return _says(row, word)
    if row.is_final:
        return row
    if isinstance(word, Sending):
        return row._replace(state="sent", sent_at_ms=at_ms, not_found=0, asked_at_ms=None)
    if isinstance(word, Refusal):
        return _refused(row, word)
    if isinstance(word, FateUnknown):
        return _unknown(row, word.text, at_ms)
    return _not_found(row, at_ms, policy)


def _says(row: Row, word: Says) -> Row:
    said = row._replace(state=word.state, filled=word.filled, sequence=word.sequence, reason=word.reason, not_found=0)
    return said if row.may_become(said) and word.sequence >= row.sequence else row


def _refused(row: Row, refusal: Refusal) -> Row:
    if refusal.code == DUPLICATE_ID:
        # It is there already: an answer was lost. What became of it is asked next.
        return row._replace(state="unknown", reason=refusal.text, asked_at_ms=None)
    if refusal.code == NO_POSITION:
        # Nothing is left to close, which is what was wanted; the reference system counts it as done, too.
        return row._replace(state=row.kind.done, reason=refusal.text)
    return row._replace(state=row.kind.refused, reason=f"{refusal.code}: {refusal.text}")


def _unknown(row: Row, text: str, at_ms: int) -> Row:
    if row.stage == "sent":
        return row._replace(state="unknown", reason=text, asked_at_ms=at_ms)
    return row._replace(asked_at_ms=at_ms)


def _not_found(row: Row, at_ms: int, policy: ExecutionPolicy) -> Row:
    if row.state not in UNANSWERED:
        return row._replace(asked_at_ms=at_ms)
    # A request that left may still arrive, or have arrived and not be shown yet; until then, not found says nothing.
    counts_after_ms = (row.sent_at_ms or 0) + policy.deadline_ms + policy.visible_within_ms
    return row._replace(asked_at_ms=at_ms, not_found=row.not_found + (at_ms > counts_after_ms))


class Change(NamedTuple):
    """One step in the life of a row; `id` grows in the order in which the changes of a counterparty were committed."""

    id: int
    kind: Kind
    client_id: str
    decision_id: str
    counterparty: str
    state: str
    filled: int
    sequence: int
    reason: str | None
    at_ms: int


class Outbox(Protocol):
    """The stored rows, as the one who works them sees them. Every call is its own committed transaction."""

    def open_rows(self, counterparty: str) -> Sequence[Row]:
        """Return the rows of a counterparty that have not ended, the one that was reserved first before the others."""
        ...

    def row(self, kind: Kind, client_id: str) -> Row | None:
        """Return one row, whatever its state."""
        ...

    def record(self, row: Row, at_ms: int) -> None:
        """Store what is now known of a row; the same again changes nothing, and neither does what may not follow."""
        ...

    def changes(self, counterparty: str, after_id: int, limit: int) -> Sequence[Change]:
        """Return the changes of a counterparty with a larger id, oldest first."""
        ...

    def wait(self, counterparty: str, seconds: float) -> None:
        """Return when something was reserved there, after so many seconds at the latest."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...
