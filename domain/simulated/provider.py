"""The simulated provider of conversions: our account there, as a pure state machine.

Requests come in with their time, answers and words come out; there is no clock, no I/O, and what looks like chance is a digest of
the seed and the id. Work that takes time is done when time is next told, in order of its due time, so the same requests at the
same times give the same words with the same ids, whatever is asked in between.

The same request under the same id is the same conversion, however often it comes; another one under that id is refused. What it
says of amounts may be a lie (a fault), what its books and its statement say never is.
"""

from collections.abc import Sequence
from typing import Any

from domain.messages.treasury import BufferCurrency
from domain.simulated.exchange_terms import move
from domain.simulated.provider_faults import NO_FAULTS, Fault, ProviderFaults, suffers
from domain.simulated.provider_terms import (
    AMOUNT_INVALID,
    CONFLICT,
    EXPIRED,
    NOT_FOUND,
    UNAVAILABLE,
    UNSUPPORTED,
    Account,
    CancelWanted,
    Conversion,
    Kept,
    Pair,
    ProviderTerms,
    Wanted,
    quoted,
)
from domain.treasury.conversion import CancelState, CancelWord, ConversionState, ConversionWord, Quote, StatementLine
from domain.venue.account import Refusal


class SimulatedProvider:
    """The truth about one account: conversions and cancels by our ids, every word that was said, and every movement of money."""

    def __init__(
        self, terms: ProviderTerms, seed: int, faults: ProviderFaults = NO_FAULTS, account: Account | None = None
    ) -> None:
        self.terms = terms
        self.seed = seed
        self.faults = faults
        self.account = account or Account()
        self.conversions: dict[str, Conversion] = {}
        self.cancels: dict[str, CancelState] = {}
        self.changes: list[ConversionState] = []
        self.lines: list[StatementLine] = []
        self._open: dict[str, Conversion] = {}

    @classmethod
    def restored(cls, terms: ProviderTerms, seed: int, faults: ProviderFaults, kept: Kept) -> "SimulatedProvider":
        """Return the provider as it was when `kept` was written down."""
        provider = cls(terms, seed, faults, kept.account)
        provider.conversions = {one.client_conversion_id: one for one in kept.conversions}
        provider.cancels = {one.client_cancel_id: one for one in kept.cancels}
        provider._open = {key: one for key, one in provider.conversions.items() if not one.is_done}
        provider.changes, provider.lines = list(kept.changes), list(kept.statement)
        return provider

    # ---- requests

    def convert(self, request: Wanted, expires_at_ms: int, at_ms: int) -> ConversionState | Refusal:
        """Accept a conversion, or refuse it; the same one again is answered by what has become of it."""
        self.advance(at_ms)
        known = self.conversions.get(request.client_conversion_id)
        if known is not None:
            return self._said(known) if _is_same(known, request) else Refusal(CONFLICT, "the id stands for another one")
        if self.account.at_ms > expires_at_ms:
            return Refusal(EXPIRED, "the request came after its deadline")
        quote = self._quote((request.source_currency, request.destination_currency), request.amount)
        refusal = self._refusal(request)
        return quote if isinstance(quote, Refusal) else refusal or self._accept(request, quote)

    def _refusal(self, request: Wanted) -> Refusal | None:
        if not self.terms.amount_min <= request.amount <= self.terms.amount_max:
            return Refusal(AMOUNT_INVALID, f"from {self.terms.amount_min} to {self.terms.amount_max} are converted")
        if self._suffers("refuse_for_good", request.client_conversion_id):
            return Refusal(AMOUNT_INVALID, "this amount is not converted")
        if self._suffers("refuse_now", request.client_conversion_id):
            return Refusal(UNAVAILABLE, "come again later")
        return None

    def _accept(self, request: Wanted, quote: Quote) -> ConversionState:
        client_id, now_ms = request.client_conversion_id, self.account.at_ms
        slow_ms = self.faults.slow_ms if self._suffers("slow", client_id) else 0
        conversion = Conversion(
            client_conversion_id=client_id,
            provider_tx_id=f"{self.account.name}-{len(self.conversions) + 1}",
            source_currency=request.source_currency,
            destination_currency=request.destination_currency,
            quote=quote,
            accepted_at_ms=now_ms,
            due_ms=now_ms + self.terms.eta_ms + slow_ms,
        )
        self.conversions[client_id] = self._open[client_id] = conversion
        move(self.account.books[conversion.source_currency], "customer", "held", request.amount)
        return self._say(conversion, "processing")

    def cancel(self, request: CancelWanted, expires_at_ms: int, at_ms: int) -> CancelState | Refusal:
        """Let go of a conversion that is under way, or say that it is too late."""
        self.advance(at_ms)
        if request.client_cancel_id in self.cancels:
            return self.cancels[request.client_cancel_id]
        conversion = self.conversions.get(request.client_conversion_id)
        if self.account.at_ms > expires_at_ms:
            return Refusal(EXPIRED, "the request came after its deadline")
        if conversion is None:
            return Refusal(NOT_FOUND, "there is no such conversion")
        if conversion.state == "processing":
            self._give_back(conversion, "cancelled", "cancelled")
        word: CancelWord = "accepted" if conversion.state == "cancelled" else "too_late"
        cancel = CancelState(
            client_cancel_id=request.client_cancel_id,
            client_conversion_id=request.client_conversion_id,
            state=word,
            sequence=self.account.sequence,
            at_ms=self.account.at_ms,
        )
        self.cancels[cancel.client_cancel_id] = cancel
        return cancel

    # ---- look-ups

    def conversion_state(self, client_conversion_id: str, at_ms: int) -> ConversionState | None:
        """Return the conversion of this id, None when it is not known (yet)."""
        self.advance(at_ms)
        found = self.conversions.get(client_conversion_id)
        is_visible = found is not None and self.account.at_ms >= found.accepted_at_ms + self.terms.visible_after_ms
        return self._said(found) if found and is_visible else None

    def cancel_state(self, client_cancel_id: str, at_ms: int) -> CancelState | None:
        """Return what became of a request to cancel, None when it is not known."""
        self.advance(at_ms)
        return self.cancels.get(client_cancel_id)

    def changes_after(self, sequence: int, limit: int, at_ms: int) -> Sequence[ConversionState]:
        """Return at most `limit` words with a larger sequence, oldest first."""
        self.advance(at_ms)
        return self.changes[sequence : sequence + limit]

    def quote(self, pair: Pair, amount: int, at_ms: int) -> Quote | Refusal:
        """Return what an amount gives."""
        self.advance(at_ms)
        return self._quote(pair, amount)

    def _quote(self, pair: Pair, amount: int) -> Quote | Refusal:
        return quoted(self.terms, pair, amount) or Refusal(UNSUPPORTED, f"{'/'.join(pair)} is not converted here")

    def statement(self, since_ms: int, until_ms: int, at_ms: int) -> Sequence[StatementLine]:
        """Return how our money moved in a time."""
        self.advance(at_ms)
        return [line for line in self.lines if since_ms <= line.at_ms < until_ms]

    # ---- time

    def advance(self, at_ms: int) -> None:
        """Do everything that is due by `at_ms`, oldest first; a time before the last one counts as the last one."""
        now_ms = max(at_ms, self.account.at_ms)
        while due := [one for one in self._open.values() if one.due_ms <= now_ms]:
            conversion = min(due, key=lambda one: one.due_ms)
            self.account.at_ms = max(self.account.at_ms, conversion.due_ms)
            self._work(conversion)
        self.account.at_ms = now_ms

    def _work(self, conversion: Conversion) -> None:
        client_id = conversion.client_conversion_id
        fails = conversion.state == "processing" and self._suffers("fail", client_id)
        if fails and self._suffers("late", client_id):
            # It says that it failed and goes on with it: the money stays where it is.
            conversion.due_ms += self.faults.late_ms
            self._say(conversion, "failed", "timed_out")
        elif fails:
            self._give_back(conversion, "failed", "rejected_by_bank")
        else:
            self._complete(conversion)

    def _complete(self, conversion: Conversion) -> None:
        source, destination = conversion.pair
        quote = conversion.quote
        move(self.account.books[source], "held", "inventory", quote.source_amount)
        move(self.account.books[destination], "inventory", "customer", quote.destination_amount)
        move(self.account.books[destination], "inventory", "fees", quote.fee_amount)
        self._end(conversion)
        said = self._say(conversion, "completed")
        self.lines.append(_line(said, "taken", source, -quote.source_amount))
        self.lines.append(_line(said, "given", destination, quote.destination_amount))

    def _give_back(self, conversion: Conversion, state: ConversionWord, error: str) -> None:
        move(self.account.books[conversion.source_currency], "held", "customer", conversion.quote.source_amount)
        self._end(conversion)
        self._say(conversion, state, error)

    def _end(self, conversion: Conversion) -> None:
        conversion.is_done = True
        del self._open[conversion.client_conversion_id]

    def _say(self, conversion: Conversion, state: ConversionWord, error: str | None = None) -> ConversionState:
        self.account.sequence += 1
        conversion.state, conversion.sequence = state, self.account.sequence
        said = ConversionState(
            id=f"{self.account.name}-{self.account.sequence}",
            client_conversion_id=conversion.client_conversion_id,
            provider_tx_id=conversion.provider_tx_id,
            state=state,
            sequence=self.account.sequence,
            error=error,
            at_ms=self.account.at_ms,
            **(self._amounts(conversion) if state == "completed" else {}),
        )
        self.changes.append(said)
        return said

    def _amounts(self, conversion: Conversion) -> dict[str, Any]:
        amounts = conversion.quote.model_dump()
        if self._suffers("lie", conversion.client_conversion_id):
            amounts["destination_amount"] -= 1 + amounts["destination_amount"] // 100
        return amounts

    def _said(self, conversion: Conversion) -> ConversionState:
        return self.changes[conversion.sequence - 1]

    def _suffers(self, fault: Fault, client_id: str) -> bool:
        return suffers(self.faults, self.seed, fault, client_id)


def _is_same(conversion: Conversion, request: Wanted) -> bool:
    asked = (request.source_currency, request.destination_currency, request.amount)
    return (*conversion.pair, conversion.quote.source_amount) == asked


def _line(said: ConversionState, what: str, currency: BufferCurrency, amount: int) -> StatementLine:
    return StatementLine(
        id=f"{said.id}-{what}",
        at_ms=said.at_ms,
        currency=currency,
        amount=amount,
        client_conversion_id=said.client_conversion_id,
        provider_tx_id=said.provider_tx_id,
    )
