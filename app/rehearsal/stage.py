"""Plays a scenario: desk, books, outbox and gateway as they are, on simulated time, with a topic between them that delays.

It goes from one moment at which something is due to the next. A fact is heard when its message is old enough; whatever is said
is on its topic some time later, so words overtake each other. The flow saves its state now and then. When it dies it goes on from
there a while later: what it had heard since is heard again, with the balances that the ledger has by then, and what it says
again is reserved again. When the gateway dies, in the middle of a request as a rule, what it remembers is gone, and it goes on
from the cursor that was saved.
"""

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Any, Literal, TypeVar

from app.rehearsal.scenario import ACTIVE_MS, PATIENCE_MS, POLICY, START_MS, Actor, Scenario
from connectors.providers.dealings import Dealings, Told
from connectors.providers.simulated.in_process import InProcessProvider
from domain.ledger.accounts import CHART
from domain.ledger.balances import balance_message
from domain.ledger.journal import Judged
from domain.ledger.memory import MemoryLedger
from domain.messages.fields import Message
from domain.messages.gov import Vote
from domain.messages.ops import Alert, Control
from domain.messages.provider import ProviderEvent
from domain.messages.treasury import BufferFlow, BufferName, ConversionRequest, JobChange
from domain.outbox.kinds import is_request, refusal_of
from domain.outbox.lifecycle import DEFAULT_POLICY
from domain.outbox.memory import MemoryReservations
from domain.outbox.slots import Refused
from domain.postings.buffers import post_conversion, post_flow
from domain.simulated.exchange import draw
from domain.simulated.provider import SimulatedProvider
from domain.simulated.provider_faults import webhook_times
from domain.simulated.provider_terms import Account
from domain.streams.records import Record, Snapshot
from domain.treasury.conversion import event_of
from domain.treasury.conversions import ConversionBook, ConversionDoubted
from domain.treasury.desk import Past, TreasuryDesk
from domain.treasury.jobs import DIVERGED, ENDED, MISMATCH
from domain.treasury.telling import alert
from domain.treasury.worth import BUFFERS, CURRENCY_OF
from domain.venue.account import Refusal

DELAY_MS, REPAIR_MS = 1_500, 30_000
"""A message is on its topic so long after it was said, and who dies is there again so long after that, at the most."""

BALANCES = [(name.upper(), CURRENCY_OF[name]) for name in BUFFERS]
T = TypeVar("T")
OpenProvider = Callable[[Actor, int], SimulatedProvider]
Heard = tuple[int, list[Record[Any]]]


class Killed(Exception):  # noqa: N818 - no error: the process is gone
    """The gateway dies here."""


def open_provider(actor: Actor, seed: int) -> SimulatedProvider:
    """Return the provider of an actor, as nobody has asked it for anything."""
    return SimulatedProvider(actor.terms, seed, actor.faults, Account(name=actor.config.provider))


class Flow:
    """The treasury's flow: the books of conversions and the desk, over a ledger that outlives it; `said` is what comes out."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self.ledger = ledger
        self.desk, self.book = TreasuryDesk(POLICY), ConversionBook()
        self._saved: tuple[Snapshot, Snapshot] = (self.desk.snapshot(), self.book.snapshot())
        self._since: list[Heard] = []

    def wake_at_ms(self) -> int | None:
        """When something is due by itself."""
        return min((ms for ms in (self.desk.wake_at_ms(), self.book.wake_at_ms()) if ms is not None), default=None)

    def hear(self, at_ms: int, records: list[Record[Any]]) -> list[tuple[int, Message]]:
        """Let time pass until an instant and hear what there is; return what is said, with when."""
        self._since.append((at_ms, records))
        return self._hear(at_ms, records)

    def save(self) -> None:
        """Save the state: what was heard before is not heard again."""
        self._saved, self._since = (self.desk.snapshot(), self.book.snapshot()), []

    def restart(self, recorded: Iterable[JobChange]) -> list[tuple[int, Message]]:
        """Go on from the saved state and from what is recorded of jobs, and return what is said again."""
        self.desk, self.book = TreasuryDesk(POLICY, self._saved[0], Past([*recorded])), ConversionBook(self._saved[1])
        return [one for heard in self._since for one in self._hear(*heard)]

    def _hear(self, at_ms: int, records: list[Record[Any]]) -> list[tuple[int, Message]]:
        said: list[tuple[int, Message]] = []
        while (due_ms := self.wake_at_ms()) is not None and due_ms <= at_ms:
            said += [(due_ms, one) for one in self._wake(due_ms)]
        return [*said, *((at_ms, one) for one in self._instant(at_ms, records))] if records else said

    def _wake(self, due_ms: int) -> list[Message]:
        """Wake whoever is due, in the order in which the flow has them."""
        said: list[Message] = []
        if self.book.wake_at_ms() == due_ms:
            said += _doubts(self.book.wake(due_ms), due_ms)
        if self.desk.wake_at_ms() == due_ms:
            said += self.desk.wake(due_ms)
        return said

    def _instant(self, at_ms: int, records: list[Record[Any]]) -> list[Message]:
        words = [one for one in records if isinstance(one.value, ConversionRequest | ProviderEvent)]
        effects = [Record(at_ms, "explained", n, one) for n, one in enumerate(self.book.apply(at_ms, words))]
        postings = [post_flow(one) for one in records if isinstance(one.value, BufferFlow)]
        postings += [posting for one in effects if (posting := post_conversion(one)) is not None]
        verdicts = self.ledger.post(postings).verdicts
        judged = [Record(at_ms, "ledger", n, Judged(*pair)) for n, pair in enumerate(zip(postings, verdicts, strict=True))]
        balances = self.ledger.balances(BALANCES)
        known = [Record(at_ms, "ledger", n, balance_message(one, at_ms)) for n, one in enumerate(balances)]
        return [*_doubts((one.value for one in effects), at_ms), *self.desk.apply(at_ms, [*known, *judged, *records])]


def _doubts(effects: Iterable[Any], at_ms: int) -> list[Message]:
    return [
        alert(one.what, f"{one.event.client_conversion_id} {one.event.provider_tx_id}", one.why, at_ms)
        for one in effects
        if isinstance(one, ConversionDoubted)
    ]


class Road(InProcessProvider):
    """The way to a provider, on which the gateway may die: before a request has arrived, or before its answer has."""

    def __init__(self, truth: SimulatedProvider, clock: Callable[[], int], fate: Callable[[], str]) -> None:
        super().__init__(truth, clock)
        self._fate = fate

    def _on_the_road(self, client_id: str, carry_out: Callable[[int], T | Refusal | None]) -> T:
        fate = self._fate()
        if fate == "dies before":
            raise Killed
        try:
            return super()._on_the_road(client_id, carry_out)
        finally:
            if fate == "dies after":
                raise Killed


class Partner:
    """One provider: its truth, how far it has been told and saved, which webhooks are under way, and when it is asked next."""

    def __init__(self, actor: Actor, truth: SimulatedProvider) -> None:
        self.actor, self.truth = actor, truth
        self.saved = Told(actor.config.provider)
        self.dealings: Dealings | None = None
        self.next_ms: int | None = None
        self.hooked = 0

    @property
    def name(self) -> str:
        """The name of the provider."""
        return self.actor.config.provider

    @property
    def told(self) -> Told:
        """How far it has been told."""
        return self.dealings.told if self.dealings else self.saved

    def due_ms(self) -> int | None:
        """When it works on something by itself."""
        return min((one.due_ms for one in self.truth.conversions.values() if not one.is_done), default=None)


class Stage:
    """One scenario while it is played. `said` is everything that was said with when, `flows` what customers brought and took,
    `jobs` the newest word on each job."""

    def __init__(self, scenario: Scenario, ledger: MemoryLedger | None = None, opened: OpenProvider = open_provider) -> None:
        self.scenario = scenario
        self.now_ms = START_MS
        self.flow = Flow(MemoryLedger(CHART) if ledger is None else ledger)
        self.outbox = MemoryReservations(lambda: self.now_ms)
        self.partners = {one.config.provider: Partner(one, opened(one, scenario.seed)) for one in scenario.actors}
        self.said: list[tuple[int, Message]] = []
        self.flows: list[BufferFlow] = []
        self.jobs: dict[str, JobChange] = {}
        self.restarts = 0
        self._facts: list[tuple[int, int, Message]] = []
        self._count = 0
        self._flow_deaths, self._gateway_deaths = list(scenario.flow_dies_ms), list(scenario.gateway_dies_ms)
        self._flow_up_ms = self._gateway_up_ms = self._save_ms = START_MS
        self._is_flow_down = self._is_flow_doomed = self._is_doomed = False
        for at_ms, fact in scenario.facts:
            self._put(at_ms, fact)

    def play(self) -> bool:
        """Play it until everything is settled; whether it came to that."""
        while self.now_ms <= START_MS + ACTIVE_MS + PATIENCE_MS:
            if self._is_settled():
                return True
            self.now_ms = max(self.now_ms + 1, self._next_ms())
            self._step()
        return False

    def _is_settled(self) -> bool:
        """Whether money has stopped flowing, some windows have closed since, and nobody has anything under way."""
        if self._facts or self._is_flow_down or self.now_ms < START_MS + ACTIVE_MS * 3 // 2:
            return False
        return all(map(is_at_rest, self.jobs.values())) and not any(map(self._is_busy, self.partners.values()))

    def _is_busy(self, partner: Partner) -> bool:
        told = partner.told
        is_behind = told.sequence < partner.truth.account.sequence or self.outbox.changes(partner.name, told.change_id, 1)
        return bool(is_behind or self.outbox.open_rows(partner.name) or partner.due_ms() is not None)

    def _next_ms(self) -> int:
        flow_ms = [*(fact[0] for fact in self._facts[:1]), self.flow.wake_at_ms()]
        own_ms = [max(one, self._flow_up_ms) for one in flow_ms if one is not None]
        asked_ms = [max(one.next_ms, self._gateway_up_ms) for one in self.partners.values() if one.next_ms is not None]
        works_ms = [due_ms for one in self.partners.values() if (due_ms := one.due_ms()) is not None]
        return min([*own_ms, *asked_ms, *works_ms, *self._flow_deaths[:1], *self._gateway_deaths[:1]])

    def _step(self) -> None:
        self._die()
        for partner in self.partners.values():
            self._work(partner)
        if self._flow_up_ms <= self.now_ms:
            self._hear()

    def _draw(self, below: int, what: str) -> int:
        self._count += 1
        return draw(self.scenario.seed, below, what, str(self._count))

    # ---- who dies

    def _die(self) -> None:
        if self._flow_deaths and self._flow_deaths[0] <= self.now_ms:
            del self._flow_deaths[0]
            if self._draw(3, "flow doomed"):
                self._is_flow_doomed = True
            else:
                self._flow_dies()
        if self._gateway_deaths and self._gateway_deaths[0] <= self.now_ms:
            del self._gateway_deaths[0]
            if self._draw(3, "doomed"):
                self._is_doomed = True
            else:
                self._gateway_dies()

    def _flow_dies(self) -> None:
        self._flow_up_ms, self._is_flow_down = self.now_ms + self._draw(REPAIR_MS, "flow"), True
        self.restarts += 1

    def _fate(self) -> str:
        """What happens to the gateway while a request is on its way."""
        if not self._is_doomed:
            return "lives"
        self._is_doomed = False
        return "dies after" if self._draw(2, "fate") else "dies before"

    def _gateway_dies(self) -> None:
        self._gateway_up_ms = self.now_ms + self._draw(REPAIR_MS, "gateway")
        self.restarts += 1
        for partner in self.partners.values():
            partner.dealings, partner.next_ms = None, self._gateway_up_ms

    # ---- providers

    def _work(self, partner: Partner) -> None:
        partner.truth.advance(self.now_ms)
        self._post_webhooks(partner)
        if self._gateway_up_ms <= self.now_ms and partner.next_ms is not None and partner.next_ms <= self.now_ms:
            self._go_round(partner)
        if partner.next_ms is None and self._is_busy(partner):
            partner.next_ms = self.now_ms + 1 + self._draw(self.scenario.pause_ms, "round")

    def _post_webhooks(self, partner: Partner) -> None:
        truth = partner.truth
        news, partner.hooked = truth.changes[partner.hooked :], len(truth.changes)
        for word in news if partner.actor.posts_webhooks else ():
            for at_ms in webhook_times(truth.faults, truth.seed, word):
                self._put(max(at_ms, self.now_ms) + 1, event_of(partner.name, word, "webhook"))

    def _go_round(self, partner: Partner) -> None:
        partner.next_ms = None
        if partner.dealings is None:
            road = Road(partner.truth, lambda: self.now_ms, self._fate)
            config, clock = partner.actor.config, lambda: self.now_ms
            partner.dealings = Dealings(config, road, self.outbox, clock, DEFAULT_POLICY, partner.saved)
        try:
            told = partner.dealings.round()
        except Killed:
            self._gateway_dies()
            return
        for message in told:
            self._note(self.now_ms, message)
            self._put_later(message)

    # ---- the flow

    def _put(self, at_ms: int, fact: Message) -> None:
        self._count += 1
        heappush(self._facts, (at_ms, self._count, fact))

    def _put_later(self, message: Message) -> None:
        """Have a message heard when it has been on its topic for a while."""
        if not isinstance(message, Alert):
            self._put(self.now_ms + 1 + self._draw(DELAY_MS, "delay"), message)

    def _hear(self) -> None:
        if self._is_flow_down:
            self._is_flow_down = False
            self._tell(self.flow.restart([*self.jobs.values()]))
        while self._facts and self._facts[0][0] <= self.now_ms and not self._is_flow_down:
            self._hear_instant()
        if self._is_flow_down:
            return
        self._tell(self.flow.hear(self.now_ms, []))
        if self._save_ms <= self.now_ms and not self._is_flow_down:
            self._save_ms = self.now_ms + self.scenario.epoch_ms
            self.flow.save()
            for partner in self.partners.values():
                partner.saved = partner.told

    def _hear_instant(self) -> None:
        at_ms, records = self._facts[0][0], list[Record[Any]]()
        while self._facts and self._facts[0][0] == at_ms:
            _, number, fact = heappop(self._facts)
            if self._happens(fact):
                records.append(Record(at_ms, "topics", number, fact))
        self._tell(self.flow.hear(at_ms, records))

    def _happens(self, fact: Message) -> bool:
        """Whether it happens: who wants more than a buffer has beyond what is promised goes away."""
        if isinstance(fact, BufferFlow):
            if fact.amount < -self._free(fact.buffer):
                return False
            self.flows.append(fact)
        if isinstance(fact, Control) and fact.source is not None and fact.amount is not None:
            return fact.amount <= self._free(fact.source)
        return True

    def _free(self, buffer: BufferName) -> int:
        """What a buffer has beyond what jobs may still take, those included that a provider may carry out after all."""
        has = sum(one.settled for one in self.flow.ledger.balances([(buffer.upper(), CURRENCY_OF[buffer])]))
        under_way = {
            id_ for one in self.partners.values() for id_, that in one.truth.conversions.items() if not that.is_done
        }
        jobs = [job for job in self.jobs.values() if job.source == buffer]
        return has - sum(one.amount for one in jobs if one.state not in ENDED or one.client_conversion_id in under_way)

    def _tell(self, said: Iterable[tuple[int, Message]]) -> None:
        """Put on topics what the flow says, and reserve what it asks for; who is doomed dies in the middle of that."""
        said = [*said]
        if self._is_flow_doomed and any(is_request(message) for _, message in said):
            self._is_flow_doomed = False
            self._flow_dies()
            del said[self._draw(len(said) + 1, "says") :]
        for at_ms, message in said:
            self._note(at_ms, message)
            if isinstance(message, JobChange):
                self._keep(message)
            elif is_request(message):
                self._reserve(message)

    def _note(self, at_ms: int, message: Message) -> None:
        self.said.append((at_ms, message))

    def _keep(self, change: JobChange) -> None:
        before = self.jobs.get(change.job_id)
        if before is None or before.sequence < change.sequence:
            self.jobs[change.job_id] = change
        if change.awaits_approval:
            self._vote(change.job_id)
        if change.state == "provider_submitted":
            self._cancel(change.job_id)

    def _vote(self, job_id: str) -> None:
        """Have a person vote on a job, two times of three for it."""
        vote: Literal["approve", "deny"] = "approve" if self._draw(3, "votes") else "deny"
        self._put_later(Vote(subject=job_id, vote=vote, by="ben", reason="rehearsal", as_of=self.now_ms))

    def _cancel(self, job_id: str) -> None:
        """Have a person give a job up, one time of twenty."""
        if self._draw(20, "cancels") == 0:
            said: dict[str, Any] = {"id": f"cancel-{self._count}", "by": "anna", "reason": "rehearsal"}
            self._put_later(Control(command="cancel", job_id=job_id, as_of=self.now_ms, **said))

    def _reserve(self, request: Any) -> None:
        answer = self.outbox.reserve(request)
        if isinstance(answer, Refused):
            report = refusal_of(request, answer.reason, self.now_ms)
            self._note(self.now_ms, report)
            self._put_later(report)
        if isinstance(request, ConversionRequest):
            self._put_later(request)


def is_at_rest(change: JobChange) -> bool:
    """Whether nothing more comes of a job by itself: it has ended, or a person has to look at its amounts or at the books."""
    return change.state in ENDED or change.error in (MISMATCH, DIVERGED)
