"""The treasury desk: it keeps what is known of all buffers, decides when a window closes, and has its jobs worked.

All buffers stand under one key, so two decisions never spend the same money. What is in a buffer comes from the ledger alone;
what is on its way and what is promised follow from the jobs that are open. A window is evaluated once, when it and its
lateness are over, and in between only a buffer that is nearly empty is, at once. A person may ask for an evaluation as well.

Time, ids and facts come in; decisions, job changes, requests and alerts go out, and are recorded before anybody acts on them.
Source: the treasury's document §7.3 and §7.4.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from domain.control.approvals import Ballot, vote
from domain.ids import content_id
from domain.ledger.journal import Judged
from domain.messages.fields import Message
from domain.messages.gov import Vote
from domain.messages.ledger import LedgerBalance
from domain.messages.ops import Control
from domain.messages.provider import CancelReport, ConversionReport, ProviderConfig, ProviderEvent, ProviderHealth
from domain.messages.treasury import (
    BufferFlow,
    BufferLevel,
    BufferName,
    BufferThresholds,
    JobChange,
    Obligation,
    job_id,
)
from domain.streams.records import Record, Snapshot
from domain.treasury import jobs
from domain.treasury.buffer import Buffer, Thresholds
from domain.treasury.caps import Acted
from domain.treasury.decide import is_triggered, is_urgent
from domain.treasury.following import follow
from domain.treasury.forecast import Depletion, depletion
from domain.treasury.job_book import JobBook
from domain.treasury.jobs import NOTHING_CAME, Job, Steps
from domain.treasury.ordering import Evaluated, Means, Wanted, evaluate, evaluate_one
from domain.treasury.pace import Paces
from domain.treasury.policy import Rules, TreasuryPolicy
from domain.treasury.telling import Mode, State, alert, decision_of, level_of, wants_text
from domain.treasury.windows import Windows, netted, settled
from domain.treasury.worth import BUFFERS, CURRENCY_OF, MICROS_PER_UNIT, dollars, micros, units_down, units_up

TELL_EVERY_MS = 1_000
"""A level that goes on moving is told so often; a change of its status is told at once."""

ACCOUNTS: Mapping[str, BufferName] = {name.upper(): name for name in BUFFERS}
"""The buffer of each account."""

STATES: Mapping[str, State] = {"halt": "halted", "reduce": "reducing", "resume": "active"}


class Posted(NamedTuple):
    """What the ledger has in a buffer, and what of it is held, in micro-dollars."""

    amount: int
    held: int


class Past(NamedTuple):
    """What a desk is told of an earlier life: its jobs as they were recorded, and the moment from which this life acts.

    Jobs were recorded before anybody acted on them, so the records know of some that a snapshot does not. A desk that has no
    snapshot learns what topics tell of the time before, and decides nothing on it: the books are those of today.
    """

    jobs: Sequence[JobChange] = ()
    acts_from_ms: int = 0


class TreasuryDesk:
    """One treasury group (a `domain.streams.records.Machine`)."""

    version = 1

    def __init__(self, policy: TreasuryPolicy, snapshot: Snapshot | None = None, past: Past | None = None) -> None:
        earlier = past or Past()
        state = snapshot or (None, None, None, (), (), (), (), (), (), (), "active", "", earlier.acts_from_ms)
        windows, book, paces, posted, limits, levels, health, looked, said, ballots, control, stopped_by, from_ms = state
        self._policy = policy
        self._acts_from_ms: int = from_ms
        self._windows = Windows(policy, windows)
        self._book = JobBook(policy, book, earlier.jobs)
        self._paces = Paces(policy.forecast_windows, paces)
        self._posted: dict[BufferName, Posted] = {name: Posted(*one) for name, one in posted}
        self._limits = {name: BufferThresholds.model_validate_json(line) for name, line in limits}
        self._levels = {name: BufferLevel.model_validate_json(line) for name, line in levels}
        self._health = {name: ProviderHealth.model_validate_json(line) for name, line in health}
        # The position at which an urgent look came to its end: only one that is lower is looked at again.
        self._looked: dict[BufferName, int] = dict(looked)
        self._decided: dict[str, str] = dict(said)
        self._ballots = {name: Ballot(who, frozenset(may), n, frozenset(agreed)) for name, who, may, n, agreed in ballots}
        for job in self._waiting():
            self._ballots.setdefault(job.id, self._ballot(job.asked_by))
        self._control: State = control
        self._stopped_by: str = stopped_by
        self._says: list[Message] = []

    def snapshot(self) -> Snapshot:
        """All of it as tuples."""
        ballots = tuple(
            (name, one.requester, tuple(sorted(one.eligible)), one.required, tuple(sorted(one.agreed)))
            for name, one in self._ballots.items()
        )
        return (
            self._windows.snapshot(),
            self._book.snapshot(),
            self._paces.snapshot(),
            tuple((name, tuple(one)) for name, one in self._posted.items()),
            *(tuple((name, one.model_dump_json()) for name, one in of.items()) for of in self._messages()),
            tuple(self._looked.items()),
            tuple(self._decided.items()),
            ballots,
            self._control,
            self._stopped_by,
            self._acts_from_ms,
        )

    def _messages(self) -> tuple[Mapping[str, Message], ...]:
        return self._limits, self._levels, self._health

    def gauges(self) -> dict[str, int]:
        """How many jobs are open, and how many of them wait for an approval."""
        open_ = self._book.open.values()
        return {"jobs_open": len(open_), "jobs_await_approval": sum(job.awaits_approval for job in open_)}

    # ---- facts in

    def apply(self, at_ms: int, records: Sequence[Record[Any]]) -> Iterable[Message]:
        """Learn the facts of an instant, what providers say before what the ledger says; then act on them."""
        for record in sorted(records, key=lambda one: isinstance(one.value, Judged)):
            hears = _HEARS.get(type(record.value))
            if hears is not None:
                hears(self, record.value, at_ms)
        self._windows.see(at_ms)
        return self._act_on_it(at_ms)

    def wake_at_ms(self) -> int | None:
        """When the next window is over, a job is due, or an approval has been waited for too long."""
        moments = [self._windows.closes_at_ms(), min(map(self._expires_ms, self._waiting()), default=None)]
        if self._control != "halted":
            moments.append(self._book.wakes_at_ms())
        return min((one for one in moments if one is not None), default=None)

    def wake(self, at_ms: int) -> Iterable[Message]:
        """Close the windows that are over, end what nobody agreed to, and work the jobs that are due."""
        for job in self._waiting():
            if self._expires_ms(job) <= at_ms:
                self._take(jobs.cancelled(job, f"nobody agreed within {self._policy.approval_seconds} s"), at_ms)
        while (due_ms := self._windows.closes_at_ms()) is not None and due_ms <= at_ms:
            self._close(at_ms)
        return self._act_on_it(at_ms)

    def _act_on_it(self, at_ms: int) -> list[Message]:
        if at_ms < self._acts_from_ms:
            self._says = []
            return self._says
        self._look_at_urgent(at_ms)
        if self._control != "halted":
            self._book.work(at_ms)
        self._says += [*self._book.said(), *self._new_levels(at_ms), *self._new_health(at_ms)]
        says, self._says = self._says, []
        return says

    def _hear_balance(self, said: LedgerBalance, _at_ms: int) -> None:
        buffer = ACCOUNTS.get(said.account)
        if buffer is not None and said.currency == CURRENCY_OF[buffer]:
            held = max(0, -said.pending - said.encumbered)
            self._posted[buffer] = Posted(micros(said.settled, CURRENCY_OF[buffer]), micros(held, CURRENCY_OF[buffer]))

    def _hear_flow(self, flow: BufferFlow, at_ms: int) -> None:
        self._windows.count(flow.buffer, flow.id, flow.amount, flow.effective_at, at_ms)

    def _hear_obligation(self, told: Obligation, at_ms: int) -> None:
        self._windows.owe(told, at_ms)

    def _hear_thresholds(self, told: BufferThresholds, _at_ms: int) -> None:
        self._limits[told.buffer] = told

    def _hear_config(self, config: ProviderConfig, at_ms: int) -> None:
        self._book.hear_config(config, at_ms)

    def _hear_report(self, report: ConversionReport, at_ms: int) -> None:
        self._look_again(self._book.hear_report(report, at_ms))

    def _hear_event(self, event: ProviderEvent, at_ms: int) -> None:
        self._look_again(self._book.hear_event(event, at_ms))

    def _hear_verdict(self, judged: Judged, at_ms: int) -> None:
        self._book.hear_verdict(judged, at_ms)

    def _hear_cancel(self, report: CancelReport, at_ms: int) -> None:
        if report.state in ("too_late", "not_sent", "refused"):
            text = f"{report.provider} did not let go of a conversion: {report.reason or report.state}"
            self._alert("cancel_refused", report.client_cancel_id, text, at_ms)

    def _look_again(self, steps: Steps) -> None:
        """A buffer whose job has come to nothing is as short as before."""
        if steps and steps[-1].state in NOTHING_CAME:
            self._looked.pop(steps[-1].destination, None)

    # ---- people

    def _hear_control(self, told: Control, at_ms: int) -> None:
        if told.command in STATES:
            self._steer(told, at_ms)
        elif at_ms < self._acts_from_ms:
            return  # an earlier life has done it
        elif told.command == "convert":
            self._order_by_hand(told, at_ms)
        elif told.command == "cancel":
            self._cancel(told, at_ms)
        else:
            self._evaluate_all(self._windows.end_of(at_ms), at_ms)

    def _steer(self, told: Control, at_ms: int) -> None:
        if told.command == "resume" and told.by == self._stopped_by:
            text = f"{told.by} stopped the treasury, so somebody else has to let it go on"
            self._alert("control_refused", told.id, text, at_ms)
            return
        self._control = STATES[told.command]
        self._stopped_by = "" if told.command == "resume" else told.by

    def _order_by_hand(self, told: Control, at_ms: int) -> None:
        name, source, destination, amount = f"manual:{told.id}", told.source, told.destination, told.amount
        if source is None or destination is None or amount is None:
            return
        if self._book.job(name) is not None:
            self._alert("control_refused", told.id, f"{name} was ordered before; it is ordered once", at_ms)
            return
        worth = micros(amount, CURRENCY_OF[source])
        want = Wanted("manual", source, destination, worth, worth, True)
        self._order(name, content_id("control", told.id), want, None, at_ms, asked_by=told.by)

    def _cancel(self, told: Control, at_ms: int) -> None:
        job = self._book.job(told.job_id)
        if job is None or not job.is_open or job.state in ("provider_completed", "ledger_updating"):
            why = "is not known" if job is None else f"is {job.state}"
            self._alert("control_refused", told.id, f"{told.job_id} cannot be cancelled: it {why}", at_ms)
            return
        self._book.cancel(job, told.id, f"{told.by}: {told.reason}", at_ms)
        self._ballots.pop(job.id, None)

    def _hear_vote(self, told: Vote, at_ms: int) -> None:
        if at_ms < self._acts_from_ms:
            return
        ballot, job = self._ballots.get(told.subject), self._book.job(told.subject)
        if ballot is None or job is None:
            self._refuse_vote(told, "nothing of that name waits for an approval", at_ms)
            return
        # Without a list of approvers everybody may vote but the one who asked.
        counted = vote(ballot._replace(eligible=ballot.eligible or frozenset((told.by,))), told.by, told.vote)
        if (counted.agreed, counted.is_denied) == (ballot.agreed, ballot.is_denied):
            self._refuse_vote(told, "who asked, who may not vote and who has voted are not counted", at_ms)
            return
        self._ballots[told.subject] = counted._replace(eligible=ballot.eligible)
        if counted.verdict == "approved":
            self._take(jobs.approved(job, at_ms), at_ms)
        elif counted.verdict == "denied":
            self._take(jobs.cancelled(job, f"denied by {told.by}: {told.reason}"), at_ms)

    def _refuse_vote(self, told: Vote, why: str, at_ms: int) -> None:
        self._alert("vote_refused", f"{told.subject} {told.by}", f"{told.by} on {told.subject}: {why}", at_ms)

    def _waiting(self) -> list[Job]:
        return [job for job in self._book.open.values() if job.awaits_approval]

    def _expires_ms(self, job: Job) -> int:
        return job.ordered_at_ms + self._policy.approval_seconds * 1000

    # ---- deciding

    def _close(self, at_ms: int) -> None:
        end_ms, window = self._windows.close()
        self._windows.see(at_ms)
        if at_ms < self._acts_from_ms:
            return
        later = self._windows.flowed_after()
        posted = {name: units_down(one.amount, CURRENCY_OF[name]) - later.get(name, 0) for name, one in self._posted.items()}
        told = list(netted(window, posted, end_ms, self._policy.span_ms, at_ms))
        self._paces.close(end_ms, [(one.buffer, micros(one.net, CURRENCY_OF[one.buffer])) for one in told])
        self._says += told
        self._says += settled(window, end_ms, at_ms)
        self._looked.clear()
        self._evaluate_all(end_ms, at_ms)
        self._book.tell_of_the_slow(at_ms)
        self._book.forget(at_ms)

    def _buffers(self) -> dict[BufferName, Buffer]:
        """The buffers that have thresholds and of which the ledger has spoken."""
        open_, found = self._book.open.values(), dict[BufferName, Buffer]()
        for name, told in self._limits.items():
            if name in self._posted:
                posted, unit = self._posted[name], CURRENCY_OF[name]
                coming = sum(job.brings_micros for job in open_ if job.destination == name)
                going = sum(job.gives_micros for job in open_ if job.source == name)
                found[name] = Buffer(name, unit, posted.amount, coming, posted.held + going, self._thresholds(told))
        return found

    def _thresholds(self, told: BufferThresholds) -> Thresholds:
        """Return what a buffer is kept between: what was told, or what follows from how money has moved since."""
        unit = MICROS_PER_UNIT[CURRENCY_OF[told.buffer]]
        said = Thresholds(told.min * unit, told.target * unit, told.max * unit, told.batch * unit)
        if told.model == "fixed":
            return said
        followed = follow(told.model, told.parameters, self._paces.of(told.buffer).days, said, unit)
        return said if isinstance(followed, str) else followed

    def _depletion(self, name: BufferName, buffer: Buffer, at_ms: int) -> Depletion | None:
        policy, moments = self._policy, self._paces.of(name).windows
        return depletion(buffer.position, buffer.thresholds.min, moments, at_ms, policy.span_ms, policy.forecast_z)

    def _means(self, at_ms: int) -> Means:
        known = (*self._book.open.values(), *self._book.ended.values())
        acted = [Acted(job.ordered_at_ms, job.gives_micros) for job in known if job.state not in NOTHING_CAME]
        # A provider that brings the money when the buffer is long empty is the last choice.
        empty = {name: self._depletion(name, buffer, at_ms) for name, buffer in self._buffers().items()}
        within = {name: max(0, when.at_ms - at_ms) // 1000 for name, when in empty.items() if when is not None}
        return Means(at_ms, tuple(self._book.providers.providers(at_ms)), acted, within)

    def _evaluate_all(self, end_ms: int, at_ms: int) -> None:
        policy, group, means = self._policy, self._buffers(), self._means(at_ms)
        if policy.shadow is not None:
            for done in evaluate(group, means, policy.shadow, policy):
                self._record(done, policy.shadow, "shadow", end_ms, at_ms)
        for done in evaluate(group, means, policy.rules, policy):
            self._act(done, end_ms, at_ms)

    def _look_at_urgent(self, at_ms: int) -> None:
        """Evaluate a buffer that is nearly empty at once; and not again before it has fallen further."""
        rules = self._policy.rules
        for name, buffer in self._buffers().items():
            is_new = buffer.position < self._looked.get(name, buffer.position + 1)
            limits = rules.buffer_policy
            if is_new and is_triggered(buffer, limits) and is_urgent(buffer.available, buffer.thresholds.min, limits):
                group, end_ms = self._buffers(), self._windows.end_of(at_ms)
                self._act(evaluate_one(name, group, self._means(at_ms), rules, self._policy), end_ms, at_ms)
                self._looked[name] = self._buffers()[name].position

    def _act(self, done: Evaluated, end_ms: int, at_ms: int) -> None:
        is_live = self._control == "active" and self._policy.is_on
        done = self._without_denied(done, at_ms)
        decision_id, is_news = self._record(done, self._policy.rules, "live" if is_live else "shadow", end_ms, at_ms)
        if not is_live:
            return
        for want in done.wanted:
            cause = "rebalance" if want.cause == "scheduled_rebalance" else "replenish"
            name = self._free_name(cause, want.destination, end_ms)
            self._order(name, decision_id, want, end_ms, at_ms)
        if is_news:
            self._warn(done, at_ms)

    def _warn(self, done: Evaluated, at_ms: int) -> None:
        name, decision = done.buffer.name, done.decision
        if decision.shortfall:
            text = f"{name} lacks {dollars(decision.need)}, of which nobody may give {dollars(decision.shortfall)}"
            self._alert("funding_shortfall", name, text, at_ms)
        if decision.action == "SWEEP_SUGGESTED":
            text = f"{name} has {dollars(decision.excess)} over its target; proposed: {wants_text(done.wanted)}"
            self._alert("sweep_suggested", name, text, at_ms)

    def _without_denied(self, done: Evaluated, at_ms: int) -> Evaluated:
        """What people would not have is not proposed again at once."""
        since_ms = at_ms - 2 * self._policy.approval_seconds * 1000
        denied = {
            (job.source, job.destination)
            for job in self._book.ended.values()
            if job.state == "cancelled" and job.attempt == 0 and job.ordered_at_ms > since_ms
        }
        wanted = [one for one in done.wanted if not (one.awaits_approval and (one.source, one.destination) in denied)]
        if len(wanted) == len(done.wanted):
            return done
        return done._replace(wanted=wanted, refused=[*done.refused, "approval: denied not long ago"])

    def _free_name(self, cause: str, buffer: BufferName, end_ms: int) -> str:
        part = 0
        while self._book.job(name := job_id(cause, buffer, end_ms, part)) is not None:
            part += 1
        return name

    def _record(self, done: Evaluated, rules: Rules, mode: Mode, end_ms: int, at_ms: int) -> tuple[str, bool]:
        """Say a decision that orders something or is another than the last; return its id, and whether it was said."""
        decision = decision_of(done, rules.version, mode, self._control, end_ms, at_ms)
        key, said = f"{mode} {done.buffer.name}", f"{decision.action} {decision.rule}"
        is_news = bool(done.wanted) or self._decided.get(key) != said
        if is_news:
            self._says.append(decision)
            self._decided[key] = said
        return decision.id, is_news

    def _order(
        self, name: str, decision_id: str, want: Wanted, end_ms: int | None, at_ms: int, asked_by: str | None = None
    ) -> None:
        job = Job(
            name,
            decision_id,
            want.cause,
            want.source,
            want.destination,
            units_up(want.amount, CURRENCY_OF[want.source]),
            max(1, units_down(want.expected, CURRENCY_OF[want.destination])),
            at_ms,
            end_ms,
            awaits_approval=want.awaits_approval,
            asked_by=asked_by,
            due_ms=at_ms,
        )
        self._take((job,), at_ms)
        if want.awaits_approval:
            self._ballots[name] = self._ballot(asked_by)
            text = f"{name} waits until {self._policy.approvals} have agreed: ballast treasury approve '{name}'"
            self._alert("approval_needed", name, text, at_ms)

    def _ballot(self, asked_by: str | None) -> Ballot:
        return Ballot(asked_by or "treasury", frozenset(self._policy.approvers), self._policy.approvals)

    def _take(self, steps: Steps, at_ms: int) -> None:
        """Have the book keep the steps of a job; what no longer waits for an approval has no ballot."""
        for job in self._book.take(steps, at_ms):
            if not job.awaits_approval:
                self._ballots.pop(job.id, None)

    # ---- telling

    def _alert(self, subject: str, name: str, text: str, at_ms: int) -> None:
        self._says.append(alert(subject, name, text, at_ms))

    def _new_levels(self, at_ms: int) -> Iterator[Message]:
        for name, buffer in self._buffers().items():
            empty = self._depletion(name, buffer, at_ms)
            level, before = level_of(buffer, self._limits[name], self._control, empty, at_ms), self._levels.get(name)
            if before is not None and not _is_news(before, level):
                continue
            self._levels[name] = level
            yield level
            if level.status == "CRITICAL_LOW" and (before is None or before.status != "CRITICAL_LOW"):
                text = f"{name} has {dollars(buffer.posted)}, which is under its minimum {dollars(buffer.thresholds.min)}"
                yield alert("buffer_critical_low", name, text, at_ms)

    def _new_health(self, at_ms: int) -> Iterator[Message]:
        for health in self._book.providers.health(at_ms):
            before = self._health.get(health.provider)
            if before is None or before.model_copy(update={"as_of": at_ms}) != health:
                self._health[health.provider] = health
                yield health
                if before is not None and before.is_healthy and not health.is_healthy:
                    text = f"{health.provider} failed {health.failures} of its last conversions"
                    yield alert("provider_unhealthy", health.provider, text, at_ms)


def _is_news(before: BufferLevel, now: BufferLevel) -> bool:
    if (before.status, before.control) != (now.status, now.control):
        return True
    return now.as_of >= before.as_of + TELL_EVERY_MS and _standing(before) != _standing(now)


def _standing(level: BufferLevel) -> dict[str, Any]:
    """What moves with time alone is no news."""
    return level.model_dump(exclude={"as_of", "falls_below_min_at", "falls_earliest_at", "falls_latest_at"})


_HEARS: Mapping[type, Callable[[TreasuryDesk, Any, int], None]] = {
    LedgerBalance: TreasuryDesk._hear_balance,
    BufferFlow: TreasuryDesk._hear_flow,
    BufferThresholds: TreasuryDesk._hear_thresholds,
    Obligation: TreasuryDesk._hear_obligation,
    ProviderConfig: TreasuryDesk._hear_config,
    ProviderEvent: TreasuryDesk._hear_event,
    ConversionReport: TreasuryDesk._hear_report,
    CancelReport: TreasuryDesk._hear_cancel,
    Control: TreasuryDesk._hear_control,
    Vote: TreasuryDesk._hear_vote,
    Judged: TreasuryDesk._hear_verdict,
}
