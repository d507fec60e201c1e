"""Runs a treasury desk with a ledger in memory: facts in, and what the desk says out, with the postings in between.

It does by hand what the flow does with Bytewax: an instant's flows and conversions are booked first, then the desk hears it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from domain.ledger.accounts import CHART
from domain.ledger.balances import balance_message
from domain.ledger.journal import Judged
from domain.ledger.memory import MemoryLedger
from domain.messages.fields import Message
from domain.messages.provider import ProviderEvent
from domain.messages.treasury import BufferFlow, BufferName, ConversionRequest
from domain.postings.buffers import post_conversion, post_flow
from domain.streams.records import Record
from domain.treasury.conversions import ConversionBook
from domain.treasury.desk import Past, TreasuryDesk
from domain.treasury.policy import TreasuryPolicy
from domain.treasury.worth import BUFFERS, CURRENCY_OF, micros
from tests.treasury_words import limits
from tests.words import START_MS

M = TypeVar("M", bound=Message)
Answer = Callable[["Played", Message, int], Iterable[tuple[int, Message]]]
"""What is said later in answer to a message, with when."""


class Played:
    """A desk that was told things, what it said with when, and its books; `restored` saves it after each instant."""

    def __init__(self, policy: TreasuryPolicy, *, restored: bool = False, past: Past | None = None) -> None:
        self.policy, self.restored = policy, restored
        self.desk, self.book = TreasuryDesk(policy, None, past), ConversionBook()
        self.ledger = MemoryLedger(CHART)
        self.said: list[tuple[int, Message]] = []
        self.heard: list[tuple[int, Message]] = []
        self._offset = 0

    def tell(self, facts: Iterable[tuple[int, Any]], until_ms: int = 0, answer: Answer | None = None) -> "Played":
        """Say facts at their times after the start, and what is answered; time passes until `until_ms`."""
        waiting = sorted(((START_MS + at_ms, fact) for at_ms, fact in facts), key=lambda one: one[0])
        end_ms = max([START_MS + until_ms, *(at_ms for at_ms, _ in waiting)])
        while True:
            due_ms = self._due_ms()
            next_ms = waiting[0][0] if waiting else None
            if due_ms is not None and due_ms <= (end_ms if next_ms is None else min(next_ms, end_ms)):
                says = self._wake(due_ms)
                now_ms = due_ms
            elif next_ms is not None:
                instant = [fact for at_ms, fact in waiting if at_ms == next_ms]
                waiting = [one for one in waiting if one[0] != next_ms]
                self.heard += [(next_ms - START_MS, fact) for fact in instant]
                says, now_ms = self._instant(next_ms, instant), next_ms
            else:
                return self
            self.said += [(now_ms - START_MS, message) for message in says]
            heard = [(message, now_ms) for message in says if isinstance(message, ConversionRequest)]
            waiting += [(now_ms + 1, message) for message, _ in heard]
            if answer is not None:
                waiting += [(now_ms + after, more) for message in says for after, more in answer(self, message, now_ms)]
            waiting.sort(key=lambda one: one[0])

    def _due_ms(self) -> int | None:
        return min((ms for ms in (self.desk.wake_at_ms(), self.book.wake_at_ms()) if ms is not None), default=None)

    def _wake(self, at_ms: int) -> list[Message]:
        if self.book.wake_at_ms() == at_ms:
            list(self.book.wake(at_ms))
        return list(self.desk.wake(at_ms)) if self.desk.wake_at_ms() == at_ms else []

    def _instant(self, at_ms: int, facts: list[Any]) -> list[Message]:
        records = [self._record(at_ms, fact) for fact in facts]
        words = [one for one in records if isinstance(one.value, ConversionRequest | ProviderEvent)]
        effects = [self._record(at_ms, effect) for effect in self.book.apply(at_ms, words)]
        postings = [post_flow(one) for one in records if isinstance(one.value, BufferFlow)]
        postings += [booked for one in effects if (booked := post_conversion(one)) is not None]
        verdicts = self.ledger.post(postings).verdicts
        judged = [self._record(at_ms, Judged(*pair)) for pair in zip(postings, verdicts, strict=True)]
        balances = [self._record(at_ms, balance_message(one, at_ms)) for one in self.ledger.balances()]
        heard = [one for one in records if not isinstance(one.value, ConversionRequest)]
        says = list(self.desk.apply(at_ms, [*balances, *judged, *heard]))
        if self.restored:
            self.desk = TreasuryDesk(self.policy, self.desk.snapshot())
            self.book = ConversionBook(self.book.snapshot())
        return says

    def _record(self, at_ms: int, value: Any) -> Record[Any]:
        self._offset += 1
        return Record(at_ms, "test/0", self._offset, value)

    def of(self, kind: type[M]) -> list[M]:
        """What was said of a kind."""
        return [message for _, message in self.said if isinstance(message, kind)]

    def posted(self, buffer: BufferName) -> int:
        """What the books have in a buffer, in micro-dollars."""
        return sum(
            micros(one.settled, CURRENCY_OF[buffer]) for one in self.ledger.balances() if one.account == buffer.upper()
        )


def all_limits() -> Iterator[tuple[int, Message]]:
    """The document's thresholds of all buffers, at the start."""
    for buffer in BUFFERS:
        yield 0, limits(buffer)
