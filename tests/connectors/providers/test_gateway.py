"""The gateway to all providers against pure ones, with a clock that only the test turns, faults by seed, and restarts."""

import threading
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.answers import Unknown
from connectors.providers.gateway import START, Cursor, ProvidersGateway
from connectors.providers.port import Unreadable
from connectors.providers.simulated.in_process import InProcessProvider
from domain.errors import ConfigError
from domain.messages.fields import Message
from domain.messages.ops import Alert
from domain.messages.provider import CancelReport, ConversionReport, ProviderConfig, ProviderEvent
from domain.outbox.kinds import CANCEL, CONVERSION
from domain.outbox.memory import MemoryReservations
from domain.outbox.slots import Reserved
from domain.simulated.provider import SimulatedProvider
from domain.simulated.provider_faults import NO_FAULTS, ProviderFaults
from domain.simulated.provider_terms import Account, ProviderTerms
from domain.treasury.conversion import ConversionState
from tests.connectors.fuse import POLICY, Crash, Fuse
from tests.connectors.providers.asking import cancel, client_id, config, conversion
from tests.waiting import PATIENCE_SECONDS


class World:
    """Providers, what is reserved, who is configured, and a clock that only the test turns."""

    def __init__(
        self,
        faults: ProviderFaults = NO_FAULTS,
        seed: int = 3,
        terms: ProviderTerms | None = None,
        names: Sequence[str] = ("sim",),
    ) -> None:
        self.now_ms = 60_000
        self.configs = [config(name) for name in names]
        self.store = MemoryReservations(lambda: self.now_ms, POLICY)
        self.truths = {
            name: SimulatedProvider(terms or ProviderTerms(eta_ms=400), seed, faults, Account(name=name)) for name in names
        }
        self.roads = {name: InProcessProvider(truth, lambda: self.now_ms) for name, truth in self.truths.items()}
        self.fuse = Fuse()
        self.store.record = self.fuse.around(self.store.record)  # type: ignore[method-assign]
        for road in self.roads.values():
            road._answer = self.fuse.around(road._answer)  # type: ignore[method-assign]
        self.opened: list[ProviderConfig] = []
        self.told: list[Message] = []
        self.cursor = START
        self.gateway = self.started()
        self.go_round()

    def open_provider(self, config: ProviderConfig) -> InProcessProvider:
        self.opened.append(config)
        return self.roads[config.provider]

    def started(self, cursor: Cursor = START) -> ProvidersGateway:
        return ProvidersGateway(
            lambda: self.configs, self.open_provider, self.store, lambda: self.now_ms, policy=POLICY, cursor=cursor
        )

    def restart(self, cursor: Cursor | None = None) -> None:
        self.gateway.close()
        self.gateway = self.started(self.cursor if cursor is None else cursor)

    def go_round(self, rounds: int = 1, restarting: bool = False) -> None:
        for _ in range(rounds):
            self.now_ms += 50
            try:
                told = self.gateway.round()
            except Crash:
                self.restart()
                continue
            self.told.extend(told.told)
            self.cursor = told.cursor
            if restarting:
                self.restart()

    def convert(self, number: int, amount: int = 4_000_000, provider: str = "sim") -> bool:
        request = conversion(number, amount, self.now_ms, provider)
        return isinstance(self.store.reserve(request), Reserved)

    def cancel(self, number: int) -> bool:
        return isinstance(self.store.reserve(cancel(number, self.now_ms)), Reserved)

    def state(self, number: int) -> str:
        row = self.store.row(CONVERSION, client_id(number))
        assert row is not None
        return row.state

    def states(self, model: type[ConversionReport] | type[CancelReport] | type[ProviderEvent]) -> list[str]:
        return [message.state for message in self.told if isinstance(message, model)]

    def alerts(self) -> list[Alert]:
        return [message for message in self.told if isinstance(message, Alert)]


def test_a_conversion_goes_through_its_life() -> None:
    """Reserved, sent, processing, completed: each is told, then what the provider says of it, by polling."""
    world = World()
    assert world.convert(1)
    world.go_round(12)
    assert ["reserved", "sent", "processing", "completed"] == world.states(ConversionReport)
    assert ["processing", "completed"] == world.states(ProviderEvent)
    event = next(word for word in world.told if isinstance(word, ProviderEvent) and word.state == "completed")
    assert (4_000_000, 39_800_000_000, 200_000_000, "poll") == (
        event.source_amount,
        event.destination_amount,
        event.fee_amount,
        event.via,
    )
    world.gateway.close()


def test_a_report_is_told_before_the_word_it_is_about() -> None:
    """Also when a gateway without memory tells all of history in one round."""
    world = World()
    world.convert(1)
    world.go_round(12)
    world.told.clear()
    world.restart(START)
    world.go_round()
    assert [ConversionReport] * 4 + [ProviderEvent] * 2 == [type(message) for message in world.told]
    world.gateway.close()


@pytest.mark.parametrize(("waits", "expected"), [(1, ("accepted", "cancelled")), (15, ("too_late", "completed"))])
def test_a_cancel_is_answered(waits: int, expected: tuple[str, str]) -> None:
    """While it is under way a conversion is let go of; afterwards it is too late, and the conversion stays as it ended."""
    world = World()
    world.convert(1)
    world.go_round(waits)
    world.cancel(1)
    world.go_round(5)
    assert expected == (world.states(CancelReport)[-1], world.state(1))
    assert ["reserved", "sent", expected[0]] == world.states(CancelReport)
    world.gateway.close()


def test_a_late_completion_is_heard() -> None:
    """What had failed completes after all: the row stays failed, and the provider's word is told."""
    world = World(ProviderFaults(fail_ppm=10**6, late_ppm=10**6, late_ms=1_000))
    world.convert(1)
    world.go_round(40)
    assert ["processing", "failed", "completed"] == world.states(ProviderEvent)
    assert "failed" == world.state(1)
    world.gateway.close()


@pytest.mark.parametrize(
    ("faults", "ends"),
    [
        (ProviderFaults(answer_lost_ppm=10**6), "completed"),
        (ProviderFaults(request_lost_ppm=10**6), "not_sent"),
        (ProviderFaults(refuse_now_ppm=10**6), "failed"),
        (ProviderFaults(refuse_for_good_ppm=10**6), "failed"),
        (ProviderFaults(refuse_now_ppm=10**6, answer_lost_ppm=10**6), "not_sent"),
        (ProviderFaults(fail_ppm=10**6), "failed"),
        (ProviderFaults(slow_ppm=10**6, slow_ms=2_000), "completed"),
    ],
)
@pytest.mark.parametrize("restarting", [True, False])
def test_every_fault_has_its_end(faults: ProviderFaults, ends: str, restarting: bool) -> None:
    """Whatever happens on the way, also when the gateway starts anew between every two rounds."""
    world = World(faults)
    world.convert(1)
    world.go_round(50, restarting)
    world.go_round(50)
    assert ends == world.state(1)
    world.gateway.close()


def test_providers_come_change_and_go() -> None:
    """One that is added is dealt with from the next round on, one whose address changes is opened anew, one that goes stays
    until what is open there has ended.
    """
    world = World(names=("sim", "other"))
    world.configs = [config("sim")]
    world.restart()
    world.go_round()
    world.opened.clear()
    world.configs.append(config("other"))
    world.go_round()
    world.configs[1] = config("other", url="http://127.0.0.1/moved")
    world.go_round()
    assert ["http://127.0.0.1/other", "http://127.0.0.1/moved"] == [one.url for one in world.opened]
    assert world.convert(1, provider="other")
    world.go_round()
    world.configs.pop()
    world.go_round(12)
    assert "completed" == world.state(1)
    assert [] == world.alerts()
    world.gateway.close()


def test_one_that_nobody_can_reach_is_spoken_of_once() -> None:
    """Nobody knows a removed provider after a restart: an alert, once; its requests stay open, what became of them is told."""
    world = World()
    world.convert(1)
    world.configs.clear()
    world.restart()
    world.go_round(50)
    assert ["provider_not_configured"] == [alert.subject for alert in world.alerts()]
    assert ("reserved", ["reserved"]) == (world.state(1), world.states(ConversionReport))
    world.gateway.close()


def test_one_that_cannot_be_opened_is_an_alert_until_it_is_configured_anew() -> None:
    """It is said once, the others go on, and a new configuration is tried again."""
    world = World(names=("sim", "other"))
    world.configs = [config("sim")]
    world.restart()
    opens = world.open_provider

    def refuse(config: ProviderConfig) -> InProcessProvider:
        if config.provider == "other" and config.as_of == 0:
            msg = "set providers.other.secret"
            raise ConfigError(msg)
        return opens(config)

    world.open_provider = refuse  # type: ignore[method-assign]
    world.restart()
    world.configs.append(config("other"))
    world.convert(1)
    world.go_round(12)
    assert ["provider_not_opened"] == [alert.subject for alert in world.alerts()]
    assert "completed" == world.state(1)
    world.configs[1] = config("other", as_of=1)
    world.convert(2, provider="other")
    world.go_round(12)
    assert ("completed", 1) == (world.state(2), len(world.alerts()))
    world.gateway.close()


@pytest.mark.parametrize(("status", "subjects"), [("active", 3), ("degraded", 3), ("inactive", 0)])
def test_silence_is_said_once_a_minute(status: str, subjects: int) -> None:
    """A provider that is used and does not answer for ten seconds is an alert, again each minute: one trouble per silence."""
    world = World(ProviderFaults(down_ppm=10**6))
    world.configs = [config(status=status)]
    for _ in range(140):
        world.now_ms += 1_000
        world.go_round()
    alerts = world.alerts()
    assert ["provider_does_not_answer"] * subjects == [alert.subject for alert in alerts]
    assert len({alert.id for alert in alerts}) == min(1, subjects)
    world.gateway.close()


def test_a_word_that_nobody_understands_is_an_alert() -> None:
    """It is told once, and the words behind it are told all the same."""
    world = World()
    said: list[ConversionState | Unreadable] = [
        Unreadable("w1", 1, "status teleported"),
        ConversionState(
            id="w2", client_conversion_id="c", provider_tx_id="t", state="processing", sequence=2, at_ms=world.now_ms
        ),
    ]
    world.roads["sim"].changes = lambda after, _: [word for word in said if word.sequence > after]  # type: ignore[method-assign, misc, assignment]
    world.go_round(3)
    assert (["provider_not_understood"], ["w2"]) == (
        [alert.subject for alert in world.alerts()],
        [word.id for word in world.told if isinstance(word, ProviderEvent)],
    )
    assert "teleported" in world.alerts()[0].text
    world.gateway.close()


def test_one_that_hangs_holds_up_nobody() -> None:
    """While one provider does not come back from a question, another one's conversion completes."""
    world = World(names=("sim", "other"))
    free = threading.Event()

    def hang(after_sequence: int, limit: int) -> list[ConversionState]:
        free.wait(PATIENCE_SECONDS)
        msg = "timed out"
        raise Unknown(msg)

    world.roads["other"].changes = hang  # type: ignore[method-assign]
    world.convert(1)
    for _ in range(3):
        world.now_ms += 400
        world.go_round()
    assert "completed" == world.state(1)
    free.set()
    world.gateway.close()


PPM = st.sampled_from([0, 0, 200_000, 500_000])
FAULTS = st.builds(
    ProviderFaults,
    request_lost_ppm=PPM,
    answer_lost_ppm=PPM,
    refuse_now_ppm=PPM,
    refuse_for_good_ppm=PPM,
    fail_ppm=PPM,
    slow_ppm=PPM,
    slow_ms=st.integers(0, 2_000),
    late_ppm=PPM,
    late_ms=st.integers(0, 2_000),
    lie_ppm=PPM,
    down_ppm=PPM,
    down_ms=st.integers(100, 3_000),
)
ACTS = st.lists(
    st.tuples(st.sampled_from(["convert", "cancel", "wait", "restart", "older", "crash"]), st.integers(1, 20)), max_size=20
)


@settings(max_examples=60, deadline=None)
@given(FAULTS, ACTS, st.integers(0, 10**6), st.integers(0, 500), st.booleans())
def test_what_is_at_the_provider_is_what_was_meant(
    faults: ProviderFaults, acts: Sequence[tuple[str, int]], seed: int, visible_after_ms: int, restarting: bool
) -> None:
    """Under any faults, crashes and restarts each request has one end, none is carried out twice, and reports are true."""
    terms = ProviderTerms(eta_ms=400, visible_after_ms=visible_after_ms)
    world = World(faults, seed, terms)
    older = START
    steps: dict[str, Callable[[int, int], object]] = {
        "convert": lambda number, size: world.convert(number, size * 1_000),
        "cancel": lambda number, size: world.cancel(max(0, number - size % 4)),
        "wait": lambda _, size: world.go_round(size, restarting),
        "restart": lambda *_: world.restart(older),
        "older": lambda *_: None,
        "crash": lambda _, size: setattr(world.fuse, "left", size),
    }
    for number, (act, size) in enumerate(acts):
        steps[act](number, size)
        older = world.cursor if act == "older" else older
        world.go_round(size % 3, restarting)
    world.fuse.left = None
    world.truths["sim"].faults = faults.model_copy(update={"down_ppm": 0})
    world.go_round(250)
    world.gateway.close()
    check_the_truth_is_told(world)


def check_the_truth_is_told(world: World) -> None:
    """Rows against the provider's truth, and what was told against both."""
    truth = world.truths["sim"]
    assert [] == list(world.store.open_rows("sim"))
    changes = world.store.changes("sim", 0, 10**6)
    ends = {(change.kind, change.client_id): change.state for change in changes}
    reached = {client_id for (kind, client_id), state in ends.items() if kind is CONVERSION and state in KNOWN_THERE}
    refused = {row_id for row_id in ends if row_id[0] is CONVERSION} - {(CONVERSION, one) for one in reached}
    assert reached >= truth.conversions.keys()
    assert not {row_id[1] for row_id in refused} & truth.conversions.keys()
    for client, conversion_ in truth.conversions.items():
        first_end = next(word.state for word in truth.changes if word.client_conversion_id == client and is_end(word))
        assert (client, ends[CONVERSION, client]) == (client, first_end)
        assert conversion_.is_done
    reports = {one.client_conversion_id: one.state for one in world.told if isinstance(one, ConversionReport)}
    assert {key: state for (kind, key), state in ends.items() if kind is CONVERSION} == reports
    events = {one.id: one.state for one in world.told if isinstance(one, ProviderEvent)}
    assert {word.id: word.state for word in truth.changes} == events
    assert len([line for line in truth.lines if line.amount < 0]) == len({line.client_conversion_id for line in truth.lines})
    accepted = {one.client_cancel_id for one in truth.cancels.values() if one.state == "accepted"}
    assert accepted == {key for (kind, key), state in ends.items() if kind is CANCEL and state == "accepted"}


KNOWN_THERE = ("completed", "failed", "cancelled")


def is_end(word: ConversionState) -> bool:
    """Whether the conversion ended with this word, as far as the provider said then."""
    return word.state != "processing"
