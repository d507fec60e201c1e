"""The treasury desk: what it orders when, who carries it out, and what it does when that fails."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.messages.fields import Message
from domain.messages.gov import Vote
from domain.messages.ops import Alert, Control
from domain.messages.provider import ProviderHealth
from domain.messages.treasury import (
    BufferLevel,
    BufferName,
    ConversionCancel,
    ConversionRequest,
    JobChange,
    NetSettlement,
    NetWindow,
    Obligation,
    TreasuryDecision,
)
from domain.treasury.desk import Past, TreasuryDesk
from domain.treasury.policy import Rules, TreasuryPolicy
from domain.treasury.worth import BUFFERS
from tests.domain.treasury.desk_runs import Answer, Played, all_limits
from tests.treasury_words import BROKER, FIAT, USDC, event, flow, report, terms
from tests.words import START_MS

POLICY = TreasuryPolicy(window_seconds=300, lateness_seconds=30)
WINDOW_MS, CLOSED_MS = 300_000, 330_001
FIRST_END_MS = WINDOW_MS - START_MS % WINDOW_MS
"""When the window in which everything begins ends, after the start."""
CLOSES_MS = FIRST_END_MS + 30_001
LEVELS = {USDC: 8_000, FIAT: 150_000, BROKER: 200_000}

Facts = Iterable[tuple[int, Any]]


def begun(levels: dict[BufferName, int] = LEVELS, *providers: Message) -> list[tuple[int, Any]]:
    """Buffers with what is in them in dollars, their thresholds, and one provider if no others are named."""
    funded = [(0, flow(f"first {name}", name, dollars, cause="funding")) for name, dollars in levels.items() if dollars]
    return [*funded, *all_limits(), *((0, one) for one in providers or (terms("due"),))]


def at_once(_run: Played, said: Message, now_ms: int) -> Iterator[tuple[int, Message]]:
    """A provider that has everything done after a second."""
    if isinstance(said, ConversionRequest):
        yield 1_000, event(said, "completed", now_ms - START_MS + 1_000)


def failing(name: str, how: str = "failed", error: str = "PROVIDER_ERROR: it is down") -> Answer:
    """A provider of that name that refuses everything, while others have it done."""

    def answer(run: Played, said: Message, now_ms: int) -> Iterable[tuple[int, Message]]:
        if isinstance(said, ConversionRequest) and said.provider == name:
            return [(500, report(said, how, now_ms - START_MS + 500, error))]
        return at_once(run, said, now_ms)

    return answer


def played(facts: Facts, until_ms: int, answer: Answer | None = at_once, policy: TreasuryPolicy = POLICY) -> Played:
    """A desk that was told these facts, and then let time pass."""
    return Played(policy).tell(facts, until_ms, answer)


def subjects(run: Played) -> list[str]:
    """What a person should look at."""
    return [alert.subject for alert in run.of(Alert)]


def states(run: Played, job_id: str) -> list[str]:
    """The states of a job, one after the other."""
    return [change.state for change in run.of(JobChange) if change.job_id == job_id]


def only_job(run: Played) -> JobChange:
    """The last word on the one job there is."""
    jobs = {change.job_id: change for change in run.of(JobChange)}
    (job,) = jobs.values()
    return job


def test_a_buffer_under_its_minimum_is_filled_up_when_the_window_closes() -> None:
    """Once, from the fiat buffer, to its target; the job goes its whole way, and the books have it (cases BUF-01, JOB-01)."""
    run = played(begun(), CLOSES_MS + 10_000)
    (request,) = run.of(ConversionRequest)
    job = only_job(run)
    assert (FIAT, USDC, 4_200_000, "due") == (request.source, request.destination, request.amount, request.provider)
    assert CLOSES_MS == next(at_ms for at_ms, said in run.said if said is request)
    assert job.job_id.startswith("replenish:system_buffer_usdc:2023-")
    assert ["pending", "pending", "provider_submitted", "provider_completed", "ledger_updating", "completed"] == states(
        run, job.job_id
    )
    assert (50_000, 108_000) == (run.posted(USDC) // 10**6, run.posted(FIAT) // 10**6)


def test_nothing_is_ordered_twice() -> None:
    """What is on its way counts: with a provider that says nothing for an hour there is one request (case BUF-07)."""
    run = played(begun(), 3_600_000, answer=None)
    assert 1 == len(run.of(ConversionRequest))


def test_an_emergency_waits_for_no_window() -> None:
    """Under half of the minimum it is ordered in that instant, and the window's end orders nothing more (case NET-03)."""
    run = played(
        [*begun({USDC: 12_000, FIAT: 150_000, BROKER: 200_000}), (60_000, flow("w", USDC, -7_500, 60_000))], CLOSES_MS
    )
    (request,) = run.of(ConversionRequest)
    assert (60_000, 4_550_000) == (next(at_ms for at_ms, said in run.said if said is request), request.amount)
    assert "emergency" == only_job(run).cause


def test_a_second_fall_is_a_second_emergency() -> None:
    """Each is ordered at once and by itself; what does not fall further is not looked at again."""
    facts = [*begun({USDC: 12_000, FIAT: 200_000, BROKER: 200_000})]
    facts += [(n * 1_000, flow(f"w{n}", USDC, -500, n * 1_000)) for n in range(1, 16)]
    facts += [(20_000, flow("big", USDC, -4_400, 20_000)), (21_000, flow("in", FIAT, 1, 21_000))]
    run = played(facts, 30_000, answer=None)
    assert [4_550_000] == [request.amount for request in run.of(ConversionRequest)]


def test_opposite_needs_meet_before_anything_is_converted_twice() -> None:
    """Fiat over its maximum and too little USDC are one conversion; of the excess only what is left is proposed."""
    run = played(begun({USDC: 8_000, FIAT: 230_000, BROKER: 200_000}), CLOSES_MS + 5_000)
    assert [(FIAT, USDC)] == [(one.source, one.destination) for one in run.of(ConversionRequest)]
    assert "sweep_suggested" not in subjects(run)


def test_a_broker_is_filled_from_both() -> None:
    """Dollars over the target of fiat are moved, and the rest is converted (case BUF-11)."""
    run = played(begun({USDC: 120_000, FIAT: 180_000, BROKER: 30_000}), CLOSES_MS + 5_000)
    legs = sorted((one.source, one.amount) for one in run.of(ConversionRequest) if one.destination == BROKER)
    assert [(FIAT, 8_000_000), (USDC, 90_000_000_000)] == legs


def test_the_fee_is_ordered_too() -> None:
    """At half a percent so much is ordered that the target is reached after the fee (case BUF-15)."""

    def answer(run: Played, said: Message, now_ms: int) -> Iterator[tuple[int, Message]]:
        if isinstance(said, ConversionRequest):
            fee = round(said.amount * Decimal("0.005")) * 10_000
            yield 1_000, event(said, "completed", now_ms - START_MS + 1_000, fee=fee)

    levels = {USDC: 9_999, FIAT: 150_000, BROKER: 200_000}
    run = played(begun(levels, terms("due", fee_bps="50")), CLOSES_MS + 5_000, answer)
    assert [4_020_202] == [one.amount for one in run.of(ConversionRequest)]
    assert 50_000 * 10**6 <= run.posted(USDC) < 50_001 * 10**6


@pytest.mark.parametrize("how", ["failed", "not_sent"])
def test_another_provider_is_asked_at_once(how: str) -> None:
    """When one has not taken it, the next one does, under another id; the first one's record has the failure."""
    run = played(begun(LEVELS, terms("due"), terms("zerohash", 2)), CLOSES_MS + 5_000, failing("due", how))
    assert [("due", 1), ("zerohash", 2)] == [(one.provider, one.attempt) for one in run.of(ConversionRequest)]
    assert 2 == len({one.client_conversion_id for one in run.of(ConversionRequest)})
    assert "completed" == only_job(run).state
    health = {one.provider: one for one in run.of(ProviderHealth)}
    assert (0, 1, 1, 0) == tuple(
        count for name in ("due", "zerohash") for count in (health[name].successes, health[name].failures)
    )


def test_the_only_provider_is_asked_again_after_waits() -> None:
    """After one, two and four minutes, then the job has failed (case JOB-06); the buffer is as short as before."""
    policy = POLICY.model_copy(update={"window_seconds": 86_400})
    levels = {USDC: 4_000, FIAT: 150_000, BROKER: 200_000}
    run = played(begun(levels), 7 * 60_000 + 10_000, failing("due"), policy)
    asked = [at_ms for at_ms, said in run.said if isinstance(said, ConversionRequest)]
    assert [0, 60_500, 181_000, 421_500] == asked[:4]
    first = [one for one in run.of(JobChange) if one.job_id == run.of(JobChange)[0].job_id][-1]
    assert ("failed", "MAX_RETRIES", 3) == (first.state, first.error, first.retries)
    assert "job_failed" in subjects(run)


def test_a_job_that_fails_at_its_provider_is_decided_anew() -> None:
    """An emergency orders what is needed by then, under a key of its own; the other waits for the next window."""

    def answer(run: Played, said: Message, now_ms: int) -> Iterator[tuple[int, Message]]:
        if isinstance(said, ConversionRequest) and said.provider == "due":
            yield 100, event(said, "processing", now_ms - START_MS + 100)
            yield 200, event(said, "failed", now_ms - START_MS + 200, error="RETURNED")
        yield from failing("due", "sent")(run, said, now_ms)

    providers = (terms("due"), terms("zerohash", 2))
    policy = POLICY.model_copy(update={"health_attempts_min": 1, "health_window": 1})
    run = played(begun({USDC: 4_000, FIAT: 150_000, BROKER: 200_000}, *providers), 10_000, answer, policy)
    last = {one.job_id: one for one in run.of(JobChange)}
    assert ["failed", "completed"] == [one.state for one in last.values()]
    assert 50_000 * 10**6 == run.posted(USDC)


def test_no_provider_at_all_is_an_end_with_that_name() -> None:
    """The job fails with NO_PROVIDER and says why each was refused; nothing is asked of anybody."""
    policy = POLICY.model_copy(update={"retries_max": 0})
    run = played(begun(LEVELS, terms("due", status="inactive")), CLOSES_MS + 1_000, policy=policy)
    assert ("failed", "NO_PROVIDER", "due: INACTIVE") == (only_job(run).state, only_job(run).error, only_job(run).reason)
    assert [] == run.of(ConversionRequest)


def wrong(**other: Any) -> Answer:
    """A provider whose word on what it did is another one."""

    def answer(_run: Played, said: Message, now_ms: int) -> Iterator[tuple[int, Message]]:
        if isinstance(said, ConversionRequest):
            yield 1_000, event(said, "completed", now_ms - START_MS + 1_000, **other)

    return answer


@pytest.mark.parametrize(
    "other",
    [
        {"destination_amount": 41_900_000_000},
        {"source_amount": 4_200_001},
        {"fee_amount": 1},
        {"rate": "0.9", "destination_amount": 37_800_000_000},
    ],
)
def test_amounts_that_do_not_add_up_are_not_booked(other: dict[str, Any]) -> None:
    """The job stays provider_completed with AMOUNT_MISMATCH, and a person is told (case JOB-03)."""
    other = other | ({"rate": Decimal(other["rate"])} if "rate" in other else {})
    run = played(begun(), CLOSES_MS + 5_000, wrong(**other))
    assert ("provider_completed", "AMOUNT_MISMATCH") == (only_job(run).state, only_job(run).error)
    assert "amount_mismatch" in subjects(run)
    assert 8_000 * 10**6 == run.posted(USDC)


def test_a_completion_that_comes_late_is_booked() -> None:
    """The provider had said that it failed; the money moved all the same, and both the books and a person know (JOB-09)."""

    def answer(_run: Played, said: Message, now_ms: int) -> Iterator[tuple[int, Message]]:
        if isinstance(said, ConversionRequest):
            yield 100, event(said, "processing", now_ms - START_MS + 100)
            yield 200, event(said, "failed", now_ms - START_MS + 200, error="TIMEOUT")
            yield 9_000, event(said, "completed", now_ms - START_MS + 9_000)

    run = played(begun(), CLOSES_MS + 20_000, answer)
    job = only_job(run)
    assert ("completed", True, "LATE_COMPLETION") == (job.state, job.is_late, job.error)
    assert ["failed", "provider_completed", "ledger_updating", "completed"] == states(run, job.job_id)[-4:]
    assert "late_completion" in subjects(run)
    assert 50_000 * 10**6 == run.posted(USDC)


def test_words_come_in_any_order_and_as_often_as_they_like() -> None:
    """Completed three times, and processing after it: one posting, and no step backwards (cases JOB-04, JOB-05)."""

    def answer(_run: Played, said: Message, now_ms: int) -> Iterator[tuple[int, Message]]:
        if isinstance(said, ConversionRequest):
            for after in (1_000, 2_000, 3_000):
                yield after, event(said, "completed", now_ms - START_MS + 1_000, via="webhook")
            yield 4_000, event(said, "processing", now_ms - START_MS + 900)

    run = played(begun(), CLOSES_MS + 20_000, answer)
    assert "completed" == only_job(run).state
    assert 50_000 * 10**6 == run.posted(USDC)
    assert 1 == sum(one["template"] == "CONVERSION" for one in run.ledger.transaction_rows())


def control(command: str, by: str = "anna", name: str = "c1", **other: Any) -> Control:
    """A person's word."""
    return Control(id=name, command=command, by=by, reason="because", as_of=START_MS, **other)  # type: ignore[arg-type]


def voted(subject: str, by: str, vote: str = "approve") -> Vote:
    """A person's vote."""
    return Vote(subject=subject, vote=vote, by=by, reason="because", as_of=START_MS)  # type: ignore[arg-type]


FULL = {USDC: 60_000, FIAT: 150_000, BROKER: 200_000}
BY_HAND = control("convert", source=FIAT, destination=USDC, amount=1_000_000)


@pytest.mark.parametrize(
    ("votes", "state", "said"),
    [
        ([], "pending", []),
        ([("ben", "approve")], "completed", []),
        ([("anna", "approve")], "pending", ["vote_refused"]),
        ([("anna", "approve"), ("ben", "approve")], "completed", ["vote_refused"]),
        ([("ben", "deny")], "cancelled", []),
        ([("ben", "deny"), ("carl", "approve")], "cancelled", ["vote_refused"]),
    ],
)
def test_a_conversion_by_hand_needs_another_person(votes: list[tuple[str, str]], state: str, said: list[str]) -> None:
    """Whoever asks does not count, a denial ends it, and what comes after an end is refused by name."""
    facts = [*begun(FULL), (1_000, BY_HAND)]
    facts += [(2_000 + n, voted("manual:c1", by, vote)) for n, (by, vote) in enumerate(votes)]
    run = played(facts, 20_000)
    assert state == only_job(run).state
    assert said == [one for one in subjects(run) if one == "vote_refused"]
    assert (1 if state == "completed" else 0) == len(run.of(ConversionRequest))


def test_what_nobody_agrees_to_is_given_up() -> None:
    """After its time a job that waits for an approval is cancelled, and a vote after that changes nothing."""
    facts = [*begun(FULL), (1_000, BY_HAND), (3_700_000, voted("manual:c1", "ben"))]
    run = played(facts, 3_800_000)
    assert ("cancelled", "nobody agreed within 3600 s") == (only_job(run).state, only_job(run).reason)
    assert "vote_refused" in subjects(run)


def test_what_is_too_much_is_proposed_once() -> None:
    """A sweep waits for an approval; denied, it is not proposed again by the next window."""
    levels = {USDC: 20_000, FIAT: 250_000, BROKER: 200_000}
    run = played(begun(levels), CLOSES_MS + 1)
    job = only_job(run)
    assert ("scheduled_rebalance", True, FIAT, USDC, 3_000_000) == (
        job.cause,
        job.awaits_approval,
        job.source,
        job.destination,
        job.amount,
    )
    run.tell([(CLOSES_MS + 10, voted(job.job_id, "ben", "deny"))], CLOSES_MS + 3 * WINDOW_MS)
    assert 1 == len({one.job_id for one in run.of(JobChange)})


@pytest.mark.parametrize("command", ["halt", "reduce"])
def test_a_treasury_that_is_stopped_orders_nothing(command: str) -> None:
    """What is under way is finished; whoever stopped it cannot start it again, and another person can."""
    later = CLOSES_MS + WINDOW_MS
    facts = [*begun(), (1_000, control(command)), (later, control("resume", "anna", "c2"))]
    run = played(facts, later + WINDOW_MS - 1)
    assert [] == run.of(ConversionRequest)
    assert ["shadow"] == [*{one.book for one in run.of(TreasuryDecision)}]
    assert "control_refused" in subjects(run)
    run.tell([(later + WINDOW_MS, control("resume", "ben", "c3"))], later + 2 * WINDOW_MS + 1, at_once)
    assert 1 == len(run.of(ConversionRequest))


def test_a_job_is_cancelled_by_its_provider_alone_once_it_is_there() -> None:
    """The provider is asked to let go, and the job is cancelled when it says so."""

    def answer(_run: Played, said: Message, now_ms: int) -> Iterator[tuple[int, Message]]:
        if isinstance(said, ConversionRequest):
            yield 100, event(said, "processing", now_ms - START_MS + 100)
            yield 500, control("cancel", job_id=said.job_id)
            yield 900, event(said, "cancelled", now_ms - START_MS + 900)

    run = played(begun(), CLOSES_MS + 5_000, answer)
    (asked,) = run.of(ConversionCancel)
    assert ("due", only_job(run).client_conversion_id) == (asked.provider, asked.client_conversion_id)
    assert "cancelled" == only_job(run).state


def test_caps_leave_the_rest_for_later() -> None:
    """No more than the cap of one action is ordered at once, and no more than that of a cycle within it."""
    policy = POLICY.model_copy(update={"action_max_cents": 1_000_000, "cycle_max_cents": 2_000_000})
    run = played(begun(), CLOSES_MS + 5 * WINDOW_MS, policy=policy)
    assert [1_000_000] == [one.amount for one in run.of(ConversionRequest)]
    levels = {USDC: 2_000, FIAT: 150_000, BROKER: 200_000}
    policy = POLICY.model_copy(update={"action_max_cents": 500_000, "cycle_max_cents": 700_000})
    run = played(begun(levels), CLOSES_MS + 5 * WINDOW_MS, None, policy)
    assert [500_000, 200_000] == [one.amount for one in run.of(ConversionRequest)]
    assert any(word.startswith("cap:") for one in run.of(TreasuryDecision) for word in one.refused)


def test_a_shadow_policy_decides_beside_and_orders_nothing() -> None:
    """Its decisions are recorded with its own version; the orders are those of the live one."""
    policy = POLICY.model_copy(update={"shadow": Rules(trigger="target")})
    run = played(begun({USDC: 30_000, FIAT: 150_000, BROKER: 200_000}), CLOSES_MS + 1_000, policy=policy)
    decided = {(one.book, one.venue): one for one in run.of(TreasuryDecision)}
    assert ("convert", "none") == (decided["shadow", USDC].action, decided["live", USDC].action)
    assert decided["shadow", USDC].policy_version != decided["live", USDC].policy_version
    assert [] == run.of(ConversionRequest)


def test_a_window_is_told_with_its_lowest_level() -> None:
    """Flows count by their own time, while the window is open for them (cases NET-01, NET-05)."""
    levels = {USDC: 30_000, FIAT: 150_000, BROKER: 200_000}
    first = begun(levels)
    start_ms = FIRST_END_MS
    moved = [(10_000, 12_000), (20_000, -5_000), (30_000, 3_000), (40_000, -9_500)]
    facts = [*first, *((start_ms + ms, flow(f"f{ms}", USDC, dollars, start_ms + ms)) for ms, dollars in moved)]
    facts += [(start_ms + 320_000, flow("late", USDC, 1, start_ms + 298_000))]
    facts += [(start_ms + 340_000, flow("too late", USDC, 2, start_ms + 299_000))]
    run = played(facts, start_ms + 2 * WINDOW_MS + 30_001)
    told = [one for one in run.of(NetWindow) if one.buffer == USDC]
    dollars = [(one.open // 10**6, one.net // 10**6, one.close // 10**6, one.low // 10**6, one.late) for one in told]
    assert [(0, 30_000, 30_000, 0, 0), (30_000, 501, 30_501, 30_000, 0), (30_501, 2, 30_503, 30_501, 1)] == dollars


def test_obligations_of_a_window_are_netted() -> None:
    """Who pays whom is told once, when the window closes (case NET-06)."""
    owed = [("A", "B", 100), ("B", "C", 80), ("C", "A", 90), ("C", "D", 20), ("D", "B", 50)]
    facts = [
        (n, Obligation(id=str(n), debtor=debtor, creditor=creditor, amount_cents=cents, effective_at=START_MS))
        for n, (debtor, creditor, cents) in enumerate(owed)
    ]
    run = played([*begun(FULL), *facts], CLOSES_MS + WINDOW_MS)
    (told,) = run.of(NetSettlement)
    assert ({"A": -10, "B": 70, "C": -30, "D": -30}, 340, 70) == (told.net_cents, told.gross_cents, told.settled_cents)
    assert [("A", "B", 10), ("C", "B", 30), ("D", "B", 30)] == list(told.payments)


def test_a_job_that_is_long_at_its_provider_is_told_of() -> None:
    """A warning while the provider's own time lasts, and an alarm after it (cases STL-02, STL-03)."""
    slow = played(begun(LEVELS, terms("due", eta_seconds=172_800)), CLOSES_MS + 2 * 3_600_000, answer=None)
    assert {"job_stale"} == {one for one in subjects(slow) if one.startswith("job_")}
    late = played(begun(), CLOSES_MS + 2 * 3_600_000, answer=None)
    assert {"job_stuck"} == {one for one in subjects(late) if one.startswith("job_")}


def test_levels_are_told_when_they_change() -> None:
    """At once when the status changes, with an alarm where it is critical, and each second else."""
    facts = [*begun({USDC: 60_000, FIAT: 150_000, BROKER: 200_000})]
    facts += [(n, flow(f"f{n}", USDC, -1, n)) for n in range(1, 900)]
    facts += [(900, flow("big", USDC, -50_500, 900))]
    run = played(facts, 1_000, answer=None)
    told = [one for one in run.of(BufferLevel) if one.buffer == USDC]
    assert ["HEALTHY", "CRITICAL_LOW"] == [one.status for one in told]
    assert "buffer_critical_low" in subjects(run)


MOVES = st.lists(
    st.tuples(st.integers(0, 1_500_000), st.sampled_from(BUFFERS), st.integers(-9_000, 9_000).filter(bool)), max_size=12
)


@given(MOVES, st.randoms(use_true_random=False))
def test_whatever_flows_money_is_conserved_and_a_restart_changes_nothing(
    moves: list[tuple[int, BufferName, int]], dice: Any
) -> None:
    """What the buffers have is what flowed, less fees; no buffer is overdrawn; and saved after each instant all is the same."""
    seed = dice.random()

    def answer(run: Played, said: Message, now_ms: int) -> Iterable[tuple[int, Message]]:
        if not isinstance(said, ConversionRequest):
            return ()
        kind = hash((seed, said.client_conversion_id)) % 4
        words: list[Answer] = [at_once, failing(said.provider), failing(said.provider, "not_sent"), wrong(fee_amount=3)]
        return words[kind](run, said, now_ms)

    facts = [*begun({USDC: 40_000, FIAT: 90_000, BROKER: 190_000}, terms("due"), terms("zerohash", 2))]
    facts += [(at_ms, flow(f"m{n}", buffer, dollars, at_ms)) for n, (at_ms, buffer, dollars) in enumerate(moves)]
    once, saved = (Played(POLICY, restored=restored).tell(facts, 2_000_000, answer) for restored in (False, True))
    assert once.said == saved.said
    assert once.ledger.transaction_rows() == saved.ledger.transaction_rows()
    refused = {one.transaction.id for one in once.ledger.rejected}
    flowed = 320_000 + sum(dollars for _, _, dollars in moves)
    if not refused:
        assert flowed * 10**6 == sum(once.posted(buffer) for buffer in BUFFERS)
    assert all(once.posted(buffer) >= 0 for buffer in BUFFERS)
    ordered = [one.job_id for one in once.of(JobChange) if one.sequence == 1]
    assert len(ordered) == len(set(ordered))


def test_a_desk_without_a_state_of_its_own_knows_its_jobs() -> None:
    """It counts what is on its way, asks for it once more under the same id, since the request may not have left before a crash,
    follows it to its end, orders nothing else, and decides on nothing that was before it."""
    first = played(begun(), CLOSES_MS, answer=None)
    (request,) = first.of(ConversionRequest)
    past = Past(first.of(JobChange)[-1:], START_MS + CLOSES_MS + 1_000)
    again = Played(POLICY, past=past)
    again.tell(first.heard, CLOSES_MS + WINDOW_MS)
    assert [] == [one for at_ms, one in again.said if at_ms <= CLOSES_MS]
    (asked_again,) = again.of(ConversionRequest)
    assert request == asked_again
    assert 42_000 * 10**6 == max(one.in_flight for one in again.of(BufferLevel) if one.buffer == USDC)
    later = CLOSES_MS + WINDOW_MS + 5
    again.tell([(later, event(request, "completed", later))], later + 1)
    assert "completed" == only_job(again).state


def test_a_halt_that_was_said_before_holds() -> None:
    """A desk that begins anew reads the controls of its topic, and does not act while it is halted."""
    facts = [*begun(), (1_000, control("halt"))]
    run = Played(POLICY, past=Past((), START_MS + 5_000)).tell(facts, CLOSES_MS + WINDOW_MS)
    assert [] == run.of(ConversionRequest)
    assert {"halted"} == {one.control for one in run.of(BufferLevel)}


def test_what_was_recorded_before_a_crash_stands() -> None:
    """A snapshot from before a decision is made whole by the records: the job is there, and the need is not met twice."""
    first = played(begun(), CLOSES_MS, answer=None)
    before = Played(POLICY).tell(begun(), 1_000).desk.snapshot()
    again = Played(POLICY, past=Past(first.of(JobChange)[-1:]))
    again.ledger, again.book = first.ledger, first.book
    again.desk = TreasuryDesk(POLICY, before, Past(first.of(JobChange)[-1:]))
    again.tell([(2_000, flow("x", FIAT, 1, 2_000))], CLOSES_MS + WINDOW_MS)
    assert {first.of(ConversionRequest)[0].client_conversion_id} == {
        one.client_conversion_id for one in again.of(ConversionRequest)
    }
    assert {first.of(JobChange)[-1].job_id} >= {one.job_id for one in again.of(JobChange)}


def test_what_an_earlier_life_was_told_is_not_done_again() -> None:
    """A conversion that people asked for and agreed to before this life began is theirs; only a new word is acted on."""
    facts = [*begun(FULL), (1_000, BY_HAND), (2_000, voted("manual:c1", "ben"))]
    run = Played(POLICY, past=Past((), START_MS + 5_000)).tell(facts, 60_000, at_once)
    assert [] == [*run.of(JobChange), *run.of(ConversionRequest)]
    again = control("convert", name="c9", source=FIAT, destination=USDC, amount=1_000_000)
    run.tell([(61_000, again), (62_000, voted("manual:c9", "ben"))], 70_000, at_once)
    assert "completed" == only_job(run).state


@pytest.mark.parametrize(("command", "expected"), [("reduce", ["due", "zerohash"]), ("halt", ["due"])])
def test_reducing_finishes_what_is_under_way(command: str, expected: list[str]) -> None:
    """A job that its first provider has not taken is still brought to another one, unless the treasury is halted."""

    def answer(run: Played, said: Message, now_ms: int) -> Iterable[tuple[int, Message]]:
        stop = [(100, control(command))] if isinstance(said, ConversionRequest) and said.provider == "due" else []
        return [*stop, *failing("due")(run, said, now_ms)]

    run = played(begun(LEVELS, terms("due"), terms("zerohash", 2)), CLOSES_MS + 60_000, answer)
    assert expected == [one.provider for one in run.of(ConversionRequest)]
