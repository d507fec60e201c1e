"""Joins flows to the outside as the settings say: Kafka topics, Postgres, the exchange."""

import gc
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import stamina

from app.places import Places
from app.settings import Settings
from connectors.clock import now_ms
from connectors.exchange.client import HttpExchange
from connectors.gateway import Cursor, VenueGateway
from connectors.gateway_source import GatewaySource
from connectors.kafka import KafkaSource, client_options, list_partitions
from domain.desk import DeskPolicy
from domain.errors import FencedError
from domain.facts import Freshness
from domain.funding import FundingPolicy
from domain.guarded import GuardedPolicy
from domain.hedging import HedgePolicy
from domain.topics import ALL, Topic
from flows.parts import PairingSetup, Parts
from operators.booking import OpenLedger
from operators.recall import Correlated, Memory
from sinks.connecting import connect
from sinks.decisions import Decisions
from sinks.kafka import KafkaSink
from sinks.ledger import PostgresLedger
from sinks.ledger_reading import read_correlated
from sinks.orders import Reservations
from sinks.quarantine import QuarantineSink

LEDGER_WINDOW_MS = 1000
TAKE_OVER_SECONDS = 5.0
LEDGER_SHARD = 0


def join(settings: Settings, places: Places, venue_url: str | None, stopping: Callable[[], bool]) -> Parts:
    """The parts of a worker. Nothing is opened yet, except to list the partitions."""
    partitions = list_partitions(places.kafka, [topic.name for topic in ALL])

    def source(topics: Sequence[Topic]) -> KafkaSource:
        names = {topic.name for topic in topics}
        mine = [pair for pair in partitions if pair[0] in names]
        return KafkaSource(places.kafka, mine, now_ms, stopping, settings.kafka.lanes)

    def reservations() -> Reservations:
        return Reservations(places.dsn, now_ms)

    def gateway(cursor: Cursor) -> VenueGateway:
        exchange = HttpExchange(venue_url or "http://127.0.0.1:9", settings.venue.timeout_seconds)
        return VenueGateway(settings.venue.name, exchange, reservations(), now_ms, cursor=cursor)

    return Parts(
        partitions=partitions,
        source=source,
        gateway=GatewaySource({settings.venue.name: gateway}, stopping, settings.venue.poll_ms),
        outgoing=KafkaSink(client_options(places.kafka)),
        quarantine=QuarantineSink(places.dsn),
        open_ledger=partial(open_ledger, places.dsn),
        open_history=partial(_history, places.dsn),
        open_decisions=lambda: Decisions(places.dsn).record,
        open_reservations=reservations,
        pairing=pairing_setup(settings, now_ms()),
        policy=desk_policy(settings),
        window_ms=LEDGER_WINDOW_MS,
    )


@stamina.retry(on=FencedError, timeout=TAKE_OVER_SECONDS, attempts=None, wait_initial=0.05, wait_max=0.5)
def open_ledger(dsn: str) -> OpenLedger:
    """The ledger's writer, with a thread that waits for the database while the flow goes on.

    A writer that has just been killed holds its lock until the database has noticed, so it is tried for a while.
    """
    ledger = PostgresLedger(dsn, LEDGER_SHARD)
    gc.freeze()  # a million balances are not garbage, and need not be looked through for some
    return OpenLedger(ledger, ThreadPoolExecutor(1, "ledger").submit)


def pairing_setup(settings: Settings, since_ms: int) -> PairingSetup:
    """How to pair; what was read before `since_ms` may have been booked by an earlier run."""
    pairing = settings.pairing
    memory = Memory(since_ms, pairing.memory_seconds * 1000)
    return PairingSetup(pairing.rule, pairing.shards, memory, pairing.leg_age_max_seconds * 1000)


def desk_policy(settings: Settings) -> DeskPolicy:
    """How to decide."""
    hedging, funding = settings.hedging, settings.funding
    limits = GuardedPolicy(
        hedge=HedgePolicy(**{name: getattr(hedging, name) for name in HedgePolicy.model_fields}),
        funding=FundingPolicy(
            minimum_liability_threshold_cents=hedging.minimum_liability_threshold_cents, **funding.model_dump()
        ),
        order_contracts_max=hedging.order_contracts_max,
        order_interval_min_ms=hedging.order_interval_min_ms,
        withdrawal_min_sats=hedging.withdrawal_min_sats,
    )
    freshness = Freshness(**{f"{name.removesuffix('_seconds')}_ms": value * 1000 for name, value in settings.freshness})
    return DeskPolicy(settings.venue.name, hedging.policy, limits, freshness, settings.run.record_decisions == "all")


def _history(dsn: str) -> Correlated:
    return partial(read_correlated, connect(dsn, "reader", "history"))
