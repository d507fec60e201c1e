"""Judges a scenario that was played: what its providers really did is held against the books and against what was said.

The providers' statements are the truth about money. What a provider told wrongly must not be booked, and waits for a person. So
does what the books refuse because the source has not so much any more, as when a conversion that had failed is carried out after
all. Everything else has to stand in the books to the minor unit, once. Each breach is a name and a sentence.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from app.rehearsal.stage import Partner, Stage, is_at_rest
from domain.errors import InvariantError
from domain.ledger.journal import Transaction
from domain.ledger.memory import MemoryLedger
from domain.messages.ops import Alert
from domain.messages.treasury import BufferName, ConversionRequest
from domain.outbox.kinds import CONVERSION
from domain.simulated.provider_faults import suffers
from domain.templates.buffers import BUFFER_TRANSFER, account_of_buffer, booked_id
from domain.templates.buffers import CONVERSION as CONVERSION_TEMPLATE
from domain.treasury.jobs import MISMATCH
from domain.treasury.worth import BUFFERS, CURRENCY_OF

LATE_ALERTS = frozenset(("late_completion", "conversion_paid_twice"))


class Breach(NamedTuple):
    """A promise that was broken, and how."""

    promise: str
    text: str


class Done(NamedTuple):
    """A conversion that a provider has carried out: what was asked, what it moved by its statement, and what it said before."""

    provider: str
    request: ConversionRequest
    provider_tx_id: str
    taken: int
    given: int
    is_lie: bool
    is_refused: bool
    was_given_up: bool

    @property
    def is_booked(self) -> bool:
        """Whether it has to be in the books: it was told rightly, and the source had so much, or a person knows that not."""
        return not self.is_lie and not self.is_refused

    @property
    def posting_id(self) -> str:
        """The id under which it is booked."""
        asked = self.request
        pair = asked.source_currency, asked.destination_currency
        return booked_id(*pair, self.provider, asked.client_conversion_id, self.provider_tx_id)


def judge(stage: Stage, *, is_settled: bool) -> list[Breach]:
    """Return what was broken in a scenario."""
    done = [one for partner in stage.partners.values() for one in done_at(stage, partner)]
    booked = conversions_in(stage.flow.ledger)
    breaches = [
        *_not_settled(stage, is_settled=is_settled),
        *_not_conserved(stage, done),
        *_against_statements(done, booked),
        *_jobs_lost(stage),
        *_paid_twice(stage, done),
        *_jobs_against_postings(stage, booked),
        *_as_asked(stage),
        *_books_at_providers(stage),
    ]
    return sorted(set(breaches))


def done_at(stage: Stage, partner: Partner) -> Iterator[Done]:
    """Yield what a provider has carried out, by its statement."""
    truth, moved = partner.truth, defaultdict[tuple[str, str], list[int]](list)
    for line in truth.lines:
        moved[line.client_conversion_id, line.provider_tx_id].append(line.amount)
    given_up = {word.client_conversion_id for word in truth.changes if word.state in ("failed", "cancelled")}
    refused = {json.loads(one.transaction.meta).get("client_id") for one in stage.flow.ledger.rejected}
    told = " ".join(one.text for one in alerts(stage) if one.subject == "conversion_not_booked")
    for (client_id, tx_id), (taken, given) in moved.items():
        request = asked_under(stage, client_id)
        if request is None:
            msg = f"{partner.name} has carried out {client_id}, which nobody has reserved"
            raise InvariantError(msg)
        is_lie = suffers(truth.faults, truth.seed, "lie", client_id)
        is_refused = client_id in refused and request.job_id in told
        yield Done(partner.name, request, tx_id, -taken, given, is_lie, is_refused, client_id in given_up)


def asked_under(stage: Stage, client_id: str) -> ConversionRequest | None:
    """Return what was reserved under an id."""
    row = stage.outbox.row(CONVERSION, client_id)
    return row.request if row is not None and isinstance(row.request, ConversionRequest) else None


def conversions_in(ledger: MemoryLedger) -> Mapping[str, Transaction]:
    """Return what the books have of conversions, by id."""
    kinds = (CONVERSION_TEMPLATE, BUFFER_TRANSFER)
    return {one.id: one for one in ledger.transactions() if one.template in kinds}


def _not_settled(stage: Stage, *, is_settled: bool) -> Iterator[Breach]:
    if not is_settled:
        names = [name for name, job in stage.jobs.items() if not is_at_rest(job)]
        yield Breach("settled", f"something is under way at the end: {', '.join(names) or 'at a provider'}")


def _not_conserved(stage: Stage, done: Iterable[Done]) -> Iterator[Breach]:
    """A buffer has what flowed, less what providers took, plus what they gave; what was told wrongly is not booked."""
    should = Counter[BufferName]()
    for flow in stage.flows:
        should[flow.buffer] += flow.amount
    for one in done:
        if one.is_booked:
            should[one.request.source] -= one.taken
            should[one.request.destination] += one.given
    for name in BUFFERS:
        has = sum(one.settled for one in stage.flow.ledger.balances([(account_of_buffer(name), CURRENCY_OF[name])]))
        if has != should[name]:
            yield Breach("conserved", f"{name} has {has} in the books, and should have {should[name]}")


def _against_statements(done: Iterable[Done], booked: Mapping[str, Transaction]) -> Iterator[Breach]:
    real = {one.posting_id: one for one in done}
    for id_, one in real.items():
        what = f"{one.request.job_id} by {one.provider_tx_id}"
        if not one.is_booked and id_ in booked:
            yield Breach("statements", f"{what} was told wrongly or refused, and is booked")
        elif one.is_booked and id_ not in booked:
            yield Breach("statements", f"{what} is not booked")
        elif one.is_booked and _moved(booked[id_], one) != (one.taken, one.given):
            yield Breach("statements", f"{what} moved {one.taken} and {one.given}; booked are {_moved(booked[id_], one)}")
    for id_ in booked.keys() - real.keys():
        yield Breach("statements", f"{id_} is booked, and no provider has done it")


def _moved(posting: Transaction, done: Done) -> tuple[int, int]:
    """What a posting takes out of the source and puts into the destination; entries have a sign each."""
    asked = done.request
    moved = Counter[str]()
    for entry in posting.entries:
        moved[entry.account] += entry.side * entry.amount
    return -moved[account_of_buffer(asked.source)], moved[account_of_buffer(asked.destination)]


def _jobs_lost(stage: Stage) -> Iterator[Breach]:
    parked = {one.text.partition(": what the provider")[0] for one in alerts(stage) if one.subject == "amount_mismatch"}
    for name, job in stage.jobs.items():
        if job.error == MISMATCH and name not in parked:
            yield Breach("jobs", f"{name} waits for a person, and nobody was told")
    for request in requests(stage):
        if request.job_id not in stage.jobs:
            yield Breach("jobs", f"{request.job_id} was asked for, and is not known")


def _paid_twice(stage: Stage, done: Iterable[Done]) -> Iterator[Breach]:
    by_job = defaultdict[str, list[Done]](list)
    for one in done:
        by_job[one.request.job_id].append(one)
    told = " ".join(one.text for one in alerts(stage) if one.subject in LATE_ALERTS)
    for name, all_of_it in by_job.items():
        if sum(not one.was_given_up for one in all_of_it) > 1:
            by = ", ".join(one.provider_tx_id for one in all_of_it)
            yield Breach("paid once", f"{name} was carried out by {by}")
        is_sound = all(not one.is_lie for one in all_of_it)
        if len(all_of_it) > 1 and is_sound and name not in told:
            yield Breach("paid once", f"{name} was carried out late as well, and nobody was told")


def _jobs_against_postings(stage: Stage, booked: Mapping[str, Transaction]) -> Iterator[Breach]:
    of_jobs = {json.loads(one.meta)["job_id"] for one in booked.values()}
    completed = {name for name, job in stage.jobs.items() if job.state == "completed"}
    yield from (Breach("postings", f"{name} is completed, and has no posting") for name in completed - of_jobs)
    yield from (Breach("postings", f"{name} has a posting, and is not completed") for name in of_jobs - completed)


def _as_asked(stage: Stage) -> Iterator[Breach]:
    """A job is what was asked for under its id, whatever was decided anew after a crash."""
    for name, job in stage.jobs.items():
        asked = asked_under(stage, job.client_conversion_id or "")
        if asked and (asked.provider, asked.amount, asked.source) != (job.provider, job.amount, job.source):
            yield Breach(
                "one job per key", f"{name} is {job.amount} by {job.provider}, asked: {asked.amount} by {asked.provider}"
            )


def _books_at_providers(stage: Stage) -> Iterator[Breach]:
    """The providers themselves are sound, or nothing that is held against them means anything."""
    for name, partner in stage.partners.items():
        for currency, pots in partner.truth.account.books.items():
            lines = sum(line.amount for line in partner.truth.lines if line.currency == currency)
            if sum(pots.values()) or pots["customer"] + pots["held"] != lines:
                yield Breach("providers", f"the {currency} of {name} do not add up: {pots}, and {lines} by its statement")


def alerts(stage: Stage) -> list[Alert]:
    """Return what a person was told."""
    return [said for _, said in stage.said if isinstance(said, Alert)]


def requests(stage: Stage) -> list[ConversionRequest]:
    """Return what was asked for."""
    return [said for _, said in stage.said if isinstance(said, ConversionRequest)]
