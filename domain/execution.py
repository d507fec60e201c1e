"""The life of an order or a transfer that we ask an exchange for, as a table.

A row is reserved (written down) before anything is sent, so that whatever happens afterwards there is something to ask
about. From then on:

| state | what is known | what is done next |
|---|---|---|
| reserved | this process wrote it down and has not sent it | send it |
| reserved, found at a start | a process that is gone may have sent it | ask; send it under the same id once it is not
found |
| reserved, too old | the facts it was decided on are gone | ask; after enough not-founds it was not placed |
| sent, unknown | the exchange may have it | ask; not found counts only after the request's deadline |
| open, pending | the exchange has it | listen to its events, ask now and then |
| filled, canceled, rejected, not_placed; done, failed, not_sent | how it ended | nothing |

What is unknown is asked about and never guessed, and nothing is ever sent again under another id. `not_placed` is
said only after several not-founds that came later than the deadline the request carried, when the exchange can no
longer accept it. Should the exchange afterwards say that such an order ended there after all, its word is taken.

Orders and transfers share the table and differ in four words, see `WORDS`.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from domain.exchange_facts import DUPLICATE_ID, NO_POSITION, Refusal
from domain.messages import CollateralTransfer, HedgeOrder

What = Literal["order", "transfer"]
Request = HedgeOrder | CollateralTransfer


class Words(NamedTuple):
    """How the states are called: under way at the exchange, done, refused by it, and never arrived there."""

    under_way: str
    done: str
    refused: str
    never: str
    final: tuple[str, ...]


WORDS: dict[What, Words] = {
    "order": Words("open", "filled", "rejected", "not_placed", ("filled", "canceled", "rejected", "not_placed")),
    "transfer": Words("pending", "done", "failed", "not_sent", ("done", "failed", "not_sent")),
}
BEFORE = ("reserved", "sent", "unknown")
"""The states in which the exchange has not answered yet."""


class ExecutionPolicy(NamedTuple):
    """What is assumed of an exchange, and how patient we are; all in milliseconds but `not_found_min`.

    A request is void at the exchange `deadline_ms` after it was sent, and one that was accepted is found by its id
    `visible_within_ms` later; only what is not found after both counts. `not_found_min` such answers, at least
    `ask_interval_ms` apart, settle it. What was reserved longer ago than `send_age_max_ms` is not sent any more.
    """

    deadline_ms: int = 5_000
    visible_within_ms: int = 2_000
    ask_interval_ms: int = 500
    not_found_min: int = 3
    send_age_max_ms: int = 30_000


class Row(NamedTuple):
    """One order or transfer; `sequence` is that of the newest word of the exchange.

    `resumed`, `asked_at_ms` and `not_found` are what a process remembers of its own asking: they are not stored, so a
    process that starts anew asks anew.
    """

    what: What
    client_id: str
    decision_id: str
    venue: str
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
    def is_final(self) -> bool:
        return self.state in WORDS[self.what].final


class Send(NamedTuple):
    """Send it now; the exchange must refuse it after `expires_at_ms`."""

    expires_at_ms: int


class Ask(NamedTuple):
    """Look it up by its id."""


class Wait(NamedTuple):
    """Nothing to do before `until_ms`; None: until the exchange says something."""

    until_ms: int | None


class Settle(NamedTuple):
    """It ended in this state, for this reason."""

    state: str
    reason: str


Step = Send | Ask | Wait | Settle


def next_step(row: Row, now_ms: int, policy: ExecutionPolicy) -> Step:
    """What to do with a row now. Total: every state has an answer."""
    if row.is_final:
        return Wait(None)
    too_old = now_ms - row.reserved_at_ms > policy.send_age_max_ms
    if row.state == "reserved" and not too_old and (row.not_found or not row.resumed):
        return Send(now_ms + policy.deadline_ms)
    if row.state in BEFORE and row.not_found >= policy.not_found_min:
        return Settle(WORDS[row.what].never, _never_reason(row))
    due_ms = now_ms if row.asked_at_ms is None else row.asked_at_ms + policy.ask_interval_ms
    return Ask() if due_ms <= now_ms else Wait(due_ms)


def _never_reason(row: Row) -> str:
    if row.state == "reserved":
        return "reserved too long ago to be sent"
    return f"not found {row.not_found} times after its deadline"


class Sending(NamedTuple):
    """The request is about to leave; recorded before it does."""


class Says(NamedTuple):
    """The exchange's word: its state, contracts filled, and the sequence of its newest event about it."""

    state: str
    filled: int
    sequence: int
    reason: str | None


class FateUnknown(NamedTuple):
    """No answer, or one that says nothing."""

    text: str


class SaysNotFound(NamedTuple):
    """The exchange does not know the id (yet)."""


Word = Sending | Says | Refusal | FateUnknown | SaysNotFound


def follow(row: Row, word: Word, at_ms: int, policy: ExecutionPolicy) -> Row:
    """The row after a word came at `at_ms`. Total: a word that does not fit the state changes nothing."""
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
    words = WORDS[row.what]
    if row.is_final and not (row.state == words.never and word.state in words.final):
        return row
    if word.sequence < row.sequence:
        return row
    return row._replace(state=word.state, filled=word.filled, sequence=word.sequence, reason=word.reason, not_found=0)


def _refused(row: Row, refusal: Refusal) -> Row:
    if refusal.code == DUPLICATE_ID:
        # It is there already: an answer was lost. What became of it is asked next.
        return row._replace(state="unknown", reason=refusal.text, asked_at_ms=None)
    words = WORDS[row.what]
    if refusal.code == NO_POSITION:
        # Nothing is left to close, which is what was wanted; the reference system counts it as done, too.
        return row._replace(state=words.done, reason=refusal.text)
    return row._replace(state=words.refused, reason=f"{refusal.code}: {refusal.text}")


def _unknown(row: Row, text: str, at_ms: int) -> Row:
    if row.state == "sent":
        return row._replace(state="unknown", reason=text, asked_at_ms=at_ms)
    return row._replace(asked_at_ms=at_ms)


def _not_found(row: Row, at_ms: int, policy: ExecutionPolicy) -> Row:
    if row.state not in BEFORE:
        return row._replace(asked_at_ms=at_ms)
    # A request that left may still arrive, or have arrived and not be shown yet; until then, not found says nothing.
    counts_after_ms = (row.sent_at_ms or 0) + policy.deadline_ms + policy.visible_within_ms
    return row._replace(asked_at_ms=at_ms, not_found=row.not_found + (at_ms > counts_after_ms))


class Change(NamedTuple):
    """One step in the life of a row; `id` grows in the order in which the changes of a venue were committed."""

    id: int
    what: What
    client_id: str
    decision_id: str
    venue: str
    state: str
    filled: int
    sequence: int
    reason: str | None
    at_ms: int


class Outbox(Protocol):
    """The stored rows, as the one who works them sees them. Every call is its own committed transaction."""

    def open_rows(self, venue: str) -> Sequence[Row]:
        """The rows of a venue that have not ended, at most one order and one transfer."""
        ...

    def row(self, what: What, client_id: str) -> Row | None:
        """One row, whatever its state."""
        ...

    def record(self, row: Row, at_ms: int) -> None:
        """Store what is now known of a row; the same again changes nothing."""
        ...

    def changes(self, venue: str, after_id: int, limit: int) -> Sequence[Change]:
        """The changes of a venue with a larger id, oldest first."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...
