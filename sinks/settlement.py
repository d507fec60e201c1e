"""What the settlement keeps in Postgres beside the books, and what it asks of both: terms, refusals, balances, what is booked.

A run of words is looked up at once, in three questions: what is booked under their names, which of them were refused, and what
the customers have that are met for the first time. Between two runs nothing is kept here. A word of an earlier run that is
decided only now, such as a trade that had to wait for another one, is looked up by itself.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from domain.messages.fields import Message
from domain.messages.settlement import CustomerFlow, CustomerTerms, FeeSchedule, Instrument, MatchedTrade, TradeReplay
from domain.postings.settlement import posting_id
from domain.settlement.answers import Booked, Heard, Key, Word, key_of, stands
from domain.settlement.holdings import Holding
from domain.settlement.records import Put
from domain.settlement.trade import Refusal
from domain.templates.settlement import available_of, debt_of, locked_of
from sinks.ledger.history import BY_INDEX
from sinks.postgres import connect

_BOOKED = "SELECT tx_id::TEXT, source, source_offset, meta::TEXT FROM ledger.tx WHERE tx_id = ANY(%s::UUID[])"
_REFUSED = """
SELECT r.kind, r.word_id, r.digest, r.source, r."offset", r.reason, r.shortfall
FROM unnest(%s::TEXT[], %s::TEXT[]) AS w (kind, word_id) JOIN settlement.refusal r USING (kind, word_id)
"""
_HOLDINGS = """
SELECT a.code, b.currency, abs(b.settled_debit - b.settled_credit)
FROM ledger.account a JOIN ledger.balance b USING (account_id) WHERE a.code = ANY(%s::TEXT[])
"""
_REFUSE = """
INSERT INTO settlement.refusal (kind, word_id, digest, source, "offset", reason, shortfall, body)
SELECT r.* FROM unnest(%s::TEXT[], %s::TEXT[], %s::BYTEA[], %s::TEXT[], %s::BIGINT[], %s::TEXT[], %s::NUMERIC[], %s::JSONB[]) AS r
ON CONFLICT DO NOTHING
"""
_TERMS: Mapping[type[Message], str] = {
    Instrument: "INSERT INTO settlement.instrument (body) SELECT m.* FROM unnest(%s::JSONB[]) AS m ON CONFLICT DO NOTHING",
    FeeSchedule: "INSERT INTO settlement.fee_schedule (body) SELECT m.* FROM unnest(%s::JSONB[]) AS m ON CONFLICT DO NOTHING",
    CustomerTerms: "INSERT INTO settlement.customer_terms (body) SELECT m.* FROM unnest(%s::JSONB[]) AS m ON CONFLICT DO NOTHING",
}
_PARTS = (available_of, locked_of, debt_of)


class PostgresRecords:
    """`domain.settlement.records.Records` in the settlement's tables."""

    def __init__(self, dsn: str) -> None:
        self._connection = connect(dsn, "executor", "settlement")

    def refuse(self, refused: Sequence[Put]) -> None:
        """Write down what was refused, all or none; the same word at the same place is there once."""
        rows = [_refusal_row(put) for put in refused]
        self._connection.execute(_REFUSE.encode(), [list(column) for column in zip(*rows, strict=True)])

    def keep(self, terms: Sequence[Message]) -> None:
        """Write terms down, all or none; the same word is there once."""
        with self._connection.transaction():
            for model, statement in _TERMS.items():
                if bodies := [one.model_dump_json() for one in terms if type(one) is model]:
                    self._connection.execute(statement.encode(), [bodies])

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


class PostgresBooks:
    """`domain.settlement.answers.Books` over the ledger and the records of refusals."""

    def __init__(self, dsn: str) -> None:
        self._connection = connect(dsn, "reader", "settlement books")
        self._connection.execute(BY_INDEX)
        self._met: set[str] = set()
        self._holdings: dict[str, dict[str, Holding]] = {}
        self._names: set[Key] = set()
        self._booked: dict[Key, Booked] = {}
        self._refused: dict[Key, list[tuple[bytes, Heard, Refusal]]] = {}

    def meet(self, words: Sequence[Word]) -> None:
        """Look up what these words will ask for."""
        self._names.clear()
        self._booked.clear()
        self._refused.clear()
        self._look_up([*words, *[word.trade for word in words if isinstance(word, TradeReplay)]])

    def _look_up(self, words: Sequence[Word]) -> None:
        names = {name_of(word) for word in words}
        self._names |= names
        self._booked |= self._booked_of(words)
        self._refused |= self._refused_of(names)
        self._meet_customers({customer for word in words for customer in customers_of(word)})

    def holdings(self, customer: str) -> Mapping[str, Holding]:
        """Return what a customer has of each asset; it is asked for once in a run."""
        self._meet_customers({customer})
        return self._holdings.pop(customer, {})

    def booked(self, word: Word) -> Booked | None:
        """Return what is booked under the name of a word."""
        self._have(word)
        return self._booked.get(key_of(word))

    def refused(self, word: Word, heard: Heard | None = None) -> Refusal | None:
        """Return why exactly this word was refused, at these coordinates or before them."""
        self._have(word)
        found = self._refused.get(name_of(word))
        if not found:
            return None
        digest = digest_of(word)
        return next((why for told, place, why in found if told == digest and stands(place, heard)), None)

    def _have(self, word: Word) -> None:
        if name_of(word) not in self._names:
            self._look_up([word])

    def _booked_of(self, words: Iterable[Word]) -> dict[Key, Booked]:
        keys = {posting_id(word): key_of(word) for word in words}
        found: dict[Key, Booked] = {}
        for id_, source, offset, meta in self._connection.execute(_BOOKED, [list(keys)]):
            told = json.loads(meta)
            found[keys[id_]] = Booked(Heard(source, offset), told.get("part", 0), told.get("hash"))
        return found

    def _refused_of(self, names: set[Key]) -> dict[Key, list[tuple[bytes, Heard, Refusal]]]:
        found: dict[Key, list[tuple[bytes, Heard, Refusal]]] = defaultdict(list)
        columns = [list(column) for column in zip(*names, strict=True)] or [[], []]
        for kind, word_id, digest, source, offset, reason, shortfall in self._connection.execute(_REFUSED, columns):
            why = Refusal(reason, None if shortfall is None else int(shortfall))
            found[kind, word_id].append((digest, Heard(source, offset), why))
        return found

    def _meet_customers(self, customers: set[str]) -> None:
        fresh = customers - self._met
        if not fresh:
            return
        self._met |= fresh
        parts = {code(customer): (customer, place) for customer in fresh for place, code in enumerate(_PARTS)}
        found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        for account, asset, amount in self._connection.execute(_HOLDINGS, [list(parts)]):
            customer, place = parts[account]
            found[customer, asset][place] = int(amount)
        for (customer, asset), amounts in found.items():
            self._holdings.setdefault(customer, {})[asset] = Holding(*amounts)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def customers_of(word: Word) -> Iterable[str]:
    """Return whose money a word may move."""
    match word:
        case MatchedTrade():
            return word.buyer, word.seller
        case TradeReplay():
            return word.trade.buyer, word.trade.seller
        case CustomerFlow(to=str() as to):
            return word.customer, to
        case _:
            return (word.customer,)


def name_of(word: Word) -> Key:
    """Return under which kind and id a word is refused; a replay is told from its trade."""
    kind, name = key_of(word)
    return ("replay" if isinstance(word, TradeReplay) else kind), name


def digest_of(word: Word) -> bytes:
    """Return what tells a word from another one under its name."""
    return blake2b(word.model_dump_json().encode(), digest_size=16).digest()


def _refusal_row(put: Put) -> tuple[Any, ...]:
    word, heard, (reason, shortfall) = put
    return *name_of(word), digest_of(word), *heard, reason, shortfall, word.model_dump_json()
