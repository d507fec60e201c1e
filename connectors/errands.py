"""The errands of one counterparty: takes what is reserved in the outbox one step further each round, and tells what became of it.

A kind of request is sent and asked about as its `Errand` says; when to do which, and what an answer means, is decided by
`domain.outbox.lifecycle`. What a process remembers of its own asking is remembered here and nowhere else.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from connectors.answers import NotFound, Refused, Unknown
from connectors.clock import Clock
from domain.messages.fields import Message
from domain.outbox.kinds import report_of
from domain.outbox.lifecycle import (
    Ask,
    ExecutionPolicy,
    FateUnknown,
    Kind,
    Outbox,
    Row,
    Says,
    SaysNotFound,
    Send,
    Sending,
    Settle,
    Word,
    follow,
    next_step,
)
from domain.venue.account import Refusal

PAGE = 500


class Errand(NamedTuple):
    """How a kind of request is sent, with a deadline in epoch milliseconds, and how it is asked about.

    Both are given the request, and may raise what `connectors.answers` has.
    """

    send: Callable[[Any, int], Says]
    ask: Callable[[Any], Says]


class _Asked(NamedTuple):
    """What this process remembers of its asking about a row."""

    resumed: bool
    asked_at_ms: int | None = None
    not_found: int = 0


class Errands:
    """The open requests of one counterparty. Not thread-safe; the outbox belongs to whoever made this."""

    def __init__(
        self,
        counterparty: str,
        outbox: Outbox,
        clock: Clock,
        policy: ExecutionPolicy,
        errands: Mapping[Kind, Errand],
        change_id: int = 0,
    ) -> None:
        self.change_id = change_id
        self._counterparty = counterparty
        self._outbox = outbox
        self._clock = clock
        self._policy = policy
        self._errands = errands
        self._asked: dict[tuple[Kind, str], _Asked] = {}
        self._is_first_round = True

    def work(self) -> int:
        """Take each open request one step further, and return how many there were."""
        rows = self._outbox.open_rows(self._counterparty)
        found = _Asked(self._is_first_round)
        self._asked = {(row.kind, row.client_id): self._asked.get((row.kind, row.client_id), found) for row in rows}
        self._is_first_round = False
        for row in rows:
            self._work(row._replace(**self._asked[row.kind, row.client_id]._asdict()))
        return len(rows)

    def _work(self, row: Row) -> None:
        step = next_step(row, self._clock(), self._policy)
        if isinstance(step, Send):
            row = self._send(row, step.expires_at_ms)
        elif isinstance(step, Ask):
            row = follow(row, self._look_up(row), self._clock(), self._policy)
        elif isinstance(step, Settle):
            row = row._replace(state=step.state, reason=step.reason)
        else:
            return
        self._asked[row.kind, row.client_id] = _Asked(row.resumed, row.asked_at_ms, row.not_found)
        self._outbox.record(row, self._clock())

    def _send(self, row: Row, expires_at_ms: int) -> Row:
        row = follow(row, Sending(), self._clock(), self._policy)
        # Recorded before it leaves: whatever happens next, somebody will ask about it.
        self._outbox.record(row, self._clock())
        return follow(row, self._place(row, expires_at_ms), self._clock(), self._policy)

    def _place(self, row: Row, expires_at_ms: int) -> Word:
        try:
            return self._errands[row.kind].send(row.request, expires_at_ms)
        except Refused as error:
            return Refusal(error.code, error.text)
        except (Unknown, NotFound) as error:
            return FateUnknown(str(error))

    def _look_up(self, row: Row) -> Word:
        try:
            return self._errands[row.kind].ask(row.request)
        except NotFound:
            return SaysNotFound()
        except (Unknown, Refused) as error:
            # Whoever refuses to answer a question says nothing about the request.
            return FateUnknown(str(error))

    def settle(self, kind: Kind, client_id: str, word: Says) -> None:
        """Record what the other side has said by itself; a request that is not ours is none of our business."""
        row = self._outbox.row(kind, client_id)
        if row is not None and row.counterparty == self._counterparty:
            now_ms = self._clock()
            self._outbox.record(follow(row, word, now_ms, self._policy), now_ms)

    def reports(self) -> Iterator[Message]:
        """Yield what has become of requests since the last time, from the record of changes and not from memory."""
        while changes := self._outbox.changes(self._counterparty, self.change_id, PAGE):
            self.change_id = changes[-1].id
            yield from map(report_of, changes)
            if len(changes) < PAGE:
                break
