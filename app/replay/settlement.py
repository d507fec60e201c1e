"""The settlement's books and records in memory, for replays: what the flow asks of them, and what it has them keep."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence

from domain.ledger.memory import MemoryLedger
from domain.messages.fields import Message
from domain.postings.settlement import posting_id
from domain.settlement.answers import Booked, Heard, Word, stands
from domain.settlement.holdings import Holding
from domain.settlement.records import Put
from domain.settlement.trade import Refusal
from domain.templates.settlement import available_of, debt_of, locked_of

PARTS = {code("").rstrip("/"): place for place, code in enumerate((available_of, locked_of, debt_of))}
"""Which accounts of a customer are what part of a holding."""


class MemoryRecords:
    """`domain.settlement.records.Records` in lists, which go on from what is in them."""

    def __init__(self, refused: list[Put], terms: list[Message]) -> None:
        self._refused, self._terms = refused, terms
        self._of_word: dict[Word, list[Put]] = defaultdict(list)
        for put in refused:
            self._of_word[put.word].append(put)

    def refuse(self, refused: Sequence[Put]) -> None:
        """Keep them, each word at each place once."""
        for put in refused:
            if put not in self._of_word[put.word]:
                self._of_word[put.word].append(put)
                self._refused.append(put)

    def keep(self, terms: Sequence[Message]) -> None:
        """Keep them, each once."""
        self._terms.extend(one for one in terms if one not in self._terms)

    def refusal(self, word: Word, heard: Heard | None) -> Refusal | None:
        """Return why this word was refused, at these coordinates or before them."""
        return next((put.refusal for put in self._of_word.get(word, ()) if stands(put.heard, heard)), None)


class MemoryBooks:
    """`domain.settlement.answers.Books` over a ledger in memory.

    What customers have is what they had when the run began: one is asked for before anything of his is posted in it.
    """

    def __init__(self, ledger: MemoryLedger, records: MemoryRecords) -> None:
        self._ledger, self._records = ledger, records
        self._amounts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
        for one in ledger.balances():
            part, _, customer = one.account.partition("/")
            if part in PARTS:
                self._amounts[customer][one.currency][PARTS[part]] = abs(one.settled)

    def meet(self, words: Sequence[Word]) -> None:
        """Everything is known already."""

    def holdings(self, customer: str) -> Mapping[str, Holding]:
        """Return what a customer has of each asset."""
        return {asset: Holding(*amounts) for asset, amounts in self._amounts.get(customer, {}).items()}

    def booked(self, word: Word) -> Booked | None:
        """Return what is booked under the name of a word."""
        found = self._ledger.find(posting_id(word))
        if found is None:
            return None
        meta = json.loads(found.meta)
        return Booked(Heard(found.source, found.source_offset), meta.get("part", 0), meta.get("hash"))

    def refused(self, word: Word, heard: Heard | None = None) -> Refusal | None:
        """Return why this word was refused."""
        return self._records.refusal(word, heard)
