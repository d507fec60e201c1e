"""What each flow is joined to as the settings say, one function per flow: Kafka topics, Postgres, exchanges."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from threading import Thread
from typing import Any

import structlog

from app.places.places import Places
from app.settings import Provider as ProviderSettings
from app.settings import Settings
from app.workers.writer import writer_command
from connectors.clock import now_ms
from connectors.kafka.origin import UNKNOWN, Origin, Seen, Watch
from connectors.kafka.peek import last_at_ms, last_offsets
from connectors.kafka.source import KafkaSource, client_options, list_partitions
from connectors.providers import gateway as providers_gateway
from connectors.providers.due import DueProvider
from connectors.providers.gateway import ProvidersGateway
from connectors.providers.http import HttpProvider
from connectors.providers.port import Provider
from connectors.providers.zerohash import ZerohashProvider
from connectors.rounds import Build, RoundsSource
from connectors.thresholds import ThresholdRounds
from connectors.venue.gateway import START, Cursor, VenueGateway
from connectors.venue.simulated.client import HttpExchange
from connectors.verifying import Often, VerifyingRounds
from domain.errors import ConfigError
from domain.hedging.policy import Book
from domain.ledger.accounts import SETTLEMENT_SHARD, TREASURY_SHARD, Account, chart
from domain.ledger.clearing import clearing_accounts, home_part
from domain.ledger.leaves import on_leaves, watched_in, with_leaves
from domain.messages.fields import Message
from domain.messages.provider import ProviderConfig
from domain.pairing.booked import BookedLegs
from domain.postings.single import FOLLOWED
from domain.topics import LEGS_WAITING, TOPICS, Topic
from domain.treasury.desk import Past
from domain.treasury.job_book import MEMORY_MS as JOB_MEMORY_MS
from domain.treasury.worth import CURRENCY_OF
from flows import archive, everything, execution, hedging, ledger, liability, reconciling, settlement, treasury
from flows.edges import Edges
from operators.ledger import OpenLedger
from operators.recall import Memory
from sinks.decisions import Decisions
from sinks.gauges import GaugeSink
from sinks.kafka import KafkaSink
from sinks.ledger.batches import BATCH_MAX
from sinks.ledger.history import begin_with, open_history
from sinks.ledger.process import LedgerProcess
from sinks.ledger.standby import await_release
from sinks.notices import NoticeSink
from sinks.outbox import PostgresOutbox
from sinks.quarantine import QuarantineSink
from sinks.reconciling import PostgresRecords
from sinks.settlement import PostgresBooks
from sinks.settlement import PostgresRecords as SettlementRecords
from sinks.treasury import PostgresThresholds, PostgresTreasury
from sinks.verifying import PostgresVerifies

LEDGER_WINDOW_MS = 1000
VERIFYING_POLL_MS = 1000
BATCH_MESSAGES = 4096
ARCHIVE_REST = timedelta(milliseconds=200)
CLOCKS_MS = 60_000
"""So far apart the clocks of those who write to a broker may be."""
LIABILITY_SHARD, SINGLES_SHARD = 0, 1
MORE_SHARDS = range(2, 7)
"""What user trades may be spread over beside the first shard."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Joints:
    """What the setups of a worker's flows are made from; nothing is opened yet. `origin` is that of what they read."""

    settings: Settings
    places: Places
    venue_urls: Mapping[str, str]
    stopping: Callable[[], bool]
    origin: Origin = UNKNOWN

    @property
    def dsn(self) -> str:
        """Where the database is."""
        return self.places.dsn


def edges(joints: Joints) -> Edges:
    """Join a flow to Kafka and Postgres; the partitions are listed now."""
    return _edges(joints, [topic.name for topic in TOPICS if topic.direction != "out"], KafkaSource)


def archive_edges(joints: Joints) -> Edges:
    """Join the archive flow to every topic; it reads from where its folder ends, and takes its time."""
    from sinks.archive.lives import places  # noqa: PLC0415 - DuckDB is loaded by the archive alone

    unhurried = partial(KafkaSource, places=places(_lives(joints)), rest=ARCHIVE_REST, enough=BATCH_MESSAGES)
    return _edges(joints, [topic.name for topic in archive.INPUTS], unhurried)


def _edges(joints: Joints, names: Sequence[str], open_source: Callable[..., KafkaSource]) -> Edges:
    kafka, lanes = joints.places.kafka, joints.settings.kafka.lanes
    partitions = list_partitions(kafka, names, waits=False)
    counts = Counter(topic for topic, _ in partitions)
    watch = Watch(kafka, {topic: Seen(id_, counts[topic]) for topic, id_ in joints.origin.topic_ids.items()})

    def source(topics: Sequence[Topic[Any]], at_most: int | None) -> KafkaSource:
        names = {topic.name for topic in topics}
        mine = [pair for pair in partitions if pair[0] in names]
        return open_source(kafka, mine, now_ms, joints.stopping, lanes, at_most or BATCH_MESSAGES, watch.look)

    keepers = (QuarantineSink(joints.dsn), GaugeSink(joints.dsn), NoticeSink(joints.dsn))
    return Edges(partitions, source, KafkaSink(client_options(kafka)), *keepers)


def of_liability(joints: Joints) -> liability.Setup:
    """How to pair and book; what was read before now may have been booked by an earlier run."""
    pairing, shards = joints.settings.pairing, trade_shards(joints.settings)
    booked = BookedLegs(writers=len(shards))
    return liability.Setup(
        rule=pairing.rule,
        memory=Memory(now_ms(), pairing.memory_seconds * 1000),
        leg_age_max_ms=pairing.leg_age_max_seconds * 1000,
        open_history=lambda: open_history(joints.dsn),
        booked=booked,
        shards=[of_ledger(joints, shard, booked) for shard in shards],
        told_until_ms=lambda: last_at_ms(joints.places.kafka, LEGS_WAITING.name) + CLOCKS_MS,
    )


def of_ledger(joints: Joints, shard: int, booked: BookedLegs) -> ledger.Setup:
    """How to book on one of the shards that user trades are spread over, noting the legs of what is booked."""
    shards = trade_shards(joints.settings)
    watched, part = sorted({book.liability for book in joints.settings.books.values()}), None
    if len(shards) > 1:
        watched, part = watched_in(watched, shards, shard), partial(on_leaves, shards=shards, shard=shard)
    return ledger.Setup(shard, _opening(joints, shard, booked), watched, LEDGER_WINDOW_MS, part=part)


def _opening(
    joints: Joints, shard: int, booked: BookedLegs | None = None, batch_max: int = BATCH_MAX
) -> Callable[[], OpenLedger]:
    accounts = [*chart_of(joints.settings), *clearing_accounts(sorted((*all_shards(joints.settings), TREASURY_SHARD)))]
    return partial(open_ledger, joints.dsn, shard, accounts, joints.settings.run.log_level, booked, batch_max)


def of_singles(joints: Joints) -> ledger.Setup:
    """How to book single postings: on a shard of their own, from where money may go on to the accounts of the chart, but for
    those of the settlement, which hears of money by words of its own and would never book what is left to it here."""
    charted = {one.code: one.shard for one in chart_of(joints.settings) if one.shard != SETTLEMENT_SHARD}
    part = partial(home_part, shard_of=lambda code: charted.get(code, SINGLES_SHARD), home=SINGLES_SHARD)
    return ledger.Setup(SINGLES_SHARD, _opening(joints, SINGLES_SHARD), [], LEDGER_WINDOW_MS, FOLLOWED, part)


def of_hedging(joints: Joints) -> hedging.Setup:
    """How each book decides."""
    books = books_of(joints.settings)
    policies = [book.policy for book in books]
    return hedging.Setup(books, lambda: Decisions(joints.dsn, policies).record)


def of_execution(joints: Joints) -> execution.Setup:
    """Who reserves, and a gateway per venue that has an address."""
    policy = joints.settings.execution
    outbox = partial(PostgresOutbox, joints.dsn, now_ms, policy)
    for venue in joints.settings.venues.keys() - joints.venue_urls.keys():
        log.warning(
            "venue.has_no_address", venue=venue, consequence="nothing is sent there, and nothing is heard from there"
        )

    def gateway(venue: str, url: str, cursor: Cursor | None) -> VenueGateway:
        exchange = HttpExchange(url, joints.settings.venues[venue].timeout_seconds)
        return VenueGateway(venue, exchange, outbox(), now_ms, policy=policy, cursor=cursor or START)

    gateways = {venue: partial(gateway, venue, url) for venue, url in joints.venue_urls.items()}
    poll_ms = min(venue.poll_ms for venue in joints.settings.venues.values())
    return execution.Setup(outbox, RoundsSource(gateways, joints.stopping, poll_ms))


def open_provider(settings: Settings) -> Callable[[ProviderConfig], Provider]:
    """Return what opens a provider as its configuration says, with the secrets that settings have under its name."""

    def opened(config: ProviderConfig) -> Provider:
        own = settings.providers.get(config.provider, ProviderSettings())
        secret, seconds = own.secret.get_secret_value(), own.timeout_seconds
        if config.kind == "due":
            _require(config, own, "webhook_endpoint", "Due keeps what it says under our webhook endpoint")
            return DueProvider(config.url, own.key, secret, own.accounts, seconds)
        if config.kind == "zerohash":
            return _zerohash(config, own)
        return HttpProvider(config.url, own.key, secret, seconds)

    return opened


def _zerohash(config: ProviderConfig, own: ProviderSettings) -> Provider:
    _require(config, own, "participant", "zerohash wants to know whose account it is")
    secret, passphrase = own.secret.get_secret_value(), own.passphrase.get_secret_value()
    try:
        return ZerohashProvider(config.url, own.key, secret, passphrase, own.accounts["participant"], own.timeout_seconds)
    except ValueError as error:
        msg = f"providers.{config.provider}.secret is not base64, as the secrets of zerohash are"
        raise ConfigError(msg) from error


def _require(config: ProviderConfig, own: ProviderSettings, account: str, why: str) -> None:
    if account not in own.accounts:
        msg = f"{why}: set providers.{config.provider}.accounts.{account}"
        raise ConfigError(msg)


def of_everything(joints: Joints) -> everything.Setup:
    """The setups of all flows in one process."""
    return everything.Setup(of_liability(joints), of_hedging(joints), of_execution(joints), of_singles(joints))


def of_archive(joints: Joints) -> archive.Setup:
    """What keeps messages and books, in a folder of one ledger."""
    from sinks.archive.keeping import Keeper  # noqa: PLC0415 - DuckDB is loaded by the archive alone
    from sinks.archive.moments import Moments  # noqa: PLC0415

    folder = joints.settings.archive.folder
    ends = partial(last_offsets, joints.places.kafka, [topic.name for topic in archive.INPUTS])
    books = partial(Moments, joints.dsn, folder, joints.settings.pairing.rule, now_ms, ends)
    return archive.Setup(Keeper(folder, _lives(joints), books, joints.settings.archive.keep_days))


def of_reconciling(joints: Joints) -> reconciling.Setup:
    """How accounts are compared with their statements, and where both are."""
    own = joints.settings.reconciling
    records = partial(PostgresRecords, joints.dsn)
    verifying = RoundsSource({"customers": partial(_verifying, joints)}, joints.stopping, VERIFYING_POLL_MS)
    return reconciling.Setup(own.every_seconds * 1000, now_ms(), own.how, records, verifying)


def _verifying(joints: Joints, cursor: int | None) -> VerifyingRounds:
    own = joints.settings.settlement
    often = Often(own.zero_sum_seconds * 1000, own.every_seconds * 1000, own.sample)
    return VerifyingRounds(PostgresVerifies(joints.dsn), now_ms, often, cursor)


def of_treasury(joints: Joints) -> treasury.Setup:
    """How buffers are kept, on a shard of their own, and who is asked to convert."""
    policy = joints.settings.treasury
    watched = [(name.upper(), currency) for name, currency in CURRENCY_OF.items()]
    books = ledger.Setup(TREASURY_SHARD, _opening(joints, TREASURY_SHARD), watched, LEDGER_WINDOW_MS)
    rules = [policy.rules, *([policy.shadow] if policy.shadow else [])]
    outbox = partial(PostgresOutbox, joints.dsn, now_ms, joints.settings.execution)
    told = execution.Setup(outbox, RoundsSource(_treasury_rounds(joints, outbox), joints.stopping, policy.poll_ms))

    def past() -> Past:
        with closing(PostgresTreasury(joints.dsn)) as records:
            return Past(records.jobs(JOB_MEMORY_MS // 1000), now_ms())

    return treasury.Setup(policy, books, lambda: PostgresTreasury(joints.dsn, rules), told, past)


def of_settlement(joints: Joints) -> settlement.Setup:
    """How matched trades are settled, on a shard of their own. What customers have is asked once the shard is taken: then
    nobody else posts there any more, and all that an earlier run has posted is there."""
    opened = cache(_opening(joints, SETTLEMENT_SHARD, batch_max=joints.settings.settlement.batch_max))
    books = ledger.Setup(SETTLEMENT_SHARD, opened, (), LEDGER_WINDOW_MS)

    def ask() -> PostgresBooks:
        opened()
        return PostgresBooks(joints.dsn)

    return settlement.Setup(books, ask, lambda: SettlementRecords(joints.dsn))


def _treasury_rounds(joints: Joints, outbox: Callable[[], PostgresOutbox]) -> dict[str, Build[Any, Message]]:
    """What goes round beside the treasury: the gateway to all providers, and who hears what people say of thresholds by SQL."""

    def providers(cursor: providers_gateway.Cursor | None) -> ProvidersGateway:
        configs, own = PostgresTreasury(joints.dsn).configs, joints.settings.treasury
        policy = joints.settings.execution.model_copy(update={"ask_interval_ms": own.ask_seconds * 1000})
        started = cursor or providers_gateway.START
        return ProvidersGateway(configs, open_provider(joints.settings), outbox(), now_ms, policy=policy, cursor=started)

    return {
        "providers": providers,
        "thresholds": lambda cursor: ThresholdRounds(PostgresThresholds(joints.dsn), cursor),
    }


def _lives(joints: Joints) -> dict[str, Path]:
    from sinks.archive.lives import lives  # noqa: PLC0415 - DuckDB is loaded by the archive alone

    return lives(joints.settings.archive.folder, joints.origin.topic_ids)


def trade_shards(settings: Settings) -> tuple[int, ...]:
    """Return the shards that user trades are spread over."""
    return (LIABILITY_SHARD, *MORE_SHARDS[: settings.ledger.trade_shards - 1])


def all_shards(settings: Settings) -> tuple[int, ...]:
    """Return the shards of user trades, and that of single postings."""
    return (*trade_shards(settings), SINGLES_SHARD)


def chart_of(settings: Settings) -> tuple[Account, ...]:
    """The accounts to book on: those of the venues and books that the settings name, those always there, and their leaves."""
    return with_leaves(chart(settings.venues, settings.books), trade_shards(settings))


def books_of(settings: Settings) -> list[Book]:
    """The books, each with its own policy or the one of all."""
    record_all = settings.run.record_decisions == "all"
    return [
        Book(name, book.venue, book.policy or settings.hedging, book.liability, book.instrument, record_all)
        for name, book in settings.books.items()
    ]


def open_ledger(
    dsn: str,
    shard: int,
    accounts: Sequence[Account],
    log_level: str,
    booked: BookedLegs | None = None,
    batch_max: int = BATCH_MAX,
) -> OpenLedger:
    """The ledger's writer, as a process beside this one, and where the legs of what it posts are noted, if anywhere.

    One that has just been killed is waited for; one that lives is not, and then this raises `FencedError`.
    """
    await_release(dsn, shard)
    ledger = LedgerProcess(writer_command(log_level), dsn, shard, accounts=accounts, batch_max=batch_max)
    if booked is not None and booked.taken():
        # Nobody else posts any more; legs are asked for meanwhile.
        Thread(target=begin_with, args=(booked, dsn), name="booked legs", daemon=True).start()
    return OpenLedger(ledger, ledger.post_soon, booked)
