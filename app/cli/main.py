"""The command line: `ballast --help` lists the commands, and every command shows an example.

Reports are for people; with `--json` they are one JSON object on standard output and nothing else. A trouble that a person
can mend is one sentence on standard error and an exit code of its own: 78 a setting or a missing part, 75 another writer,
70 books that contradict each other, 69 a demo that was ended before its books were settled, 3 a status of what does not run,
1 an audit that found something, or anything else.
"""

import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli import look
from app.cli.archive import archive_app
from app.cli.audit import audit
from app.cli.exchange import exchange
from app.cli.ledger import ledger_app
from app.cli.options import SINCE_EVER, Config, Json, settings_of, time_of
from app.cli.provider import provider
from app.cli.quarantine import quarantine_app
from app.cli.reconcile import reconcile_app
from app.cli.serve import serve_app
from app.cli.settlement import settlement_app
from app.cli.showing import show, show_rows
from app.cli.status import status
from app.cli.treasury import treasury_app
from app.settings import read_settings
from domain.errors import ConfigError
from domain.topics import FACTS_CORRECTIONS

NOT_SETTLED = 69

app = typer.Typer(
    name="ballast",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
bench_app = typer.Typer(help="Measure, as ratios within one run.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(bench_app, name="bench")
app.add_typer(archive_app, name="archive")
app.add_typer(ledger_app, name="ledger")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(reconcile_app, name="reconcile")
app.add_typer(serve_app, name="serve")
app.add_typer(treasury_app, name="treasury")
app.add_typer(settlement_app, name="settlement")
for elsewhere in (audit, exchange, provider, status, look.leg, look.trade, look.order, look.decision, look.explain):
    app.command()(elsewhere)


def _say_version(is_asked: bool) -> None:
    if is_asked:
        print(f"ballast {metadata.version('ballast')}")
        raise typer.Exit


@app.callback()
def ballast(
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which one it is.")
    ] = False,
) -> None:
    """A streaming treasury: pairs trades, books them, hedges what is owed, and proves every number."""


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(help="End by itself after so long.", min=1)] = None,
    prices: Annotated[Path | None, typer.Option(help="A recorded price path: CSV or CSV.gz of bars.")] = None,
    bars_per_second: Annotated[float | None, typer.Option(help="How fast the path plays.", min=0.01)] = None,
    trades_per_second: Annotated[float, typer.Option(help="How fast the users trade.", min=0, max=5000)] = 20,
    seed: Annotated[int, typer.Option(help="The same seed gives the same users and the same market.")] = 1,
    record: Annotated[Path | None, typer.Option(help="Keep every topic as DIR/<topic>.jsonl.")] = None,
    archive: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep an archive there, too, and audit it at the end.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep books and topics in a new folder, for ballast audit DIR.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Keep ledger and exchange here; ballast-data if left out.")] = None,
    settle_seconds: Annotated[
        float | None,
        typer.Option(help="Wait no longer than this for what is on its way; as long as it takes if left out.", min=0),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Run the whole treasury on embedded parts, with simulated users and a simulated exchange.

    At the end it waits until nothing is on its way, and judges the books. A Ctrl-C while it waits, or --settle-seconds, ends
    it before that: nothing is judged then, and the exit code is 69.

    Example: ballast demo --seconds 30 --json
    """
    settings = settings_of(config, data)  # before anything is loaded that complains when a wrong one ends it
    from app.demo.demo import DemoPlan, run_demo  # noqa: PLC0415 - a command loads what it needs

    plan = DemoPlan(
        seconds, prices, bars_per_second, trades_per_second, seed, record, archive, keep, settle_seconds, as_json
    )
    summary = run_demo(settings, plan)
    show(summary, as_json)
    if not summary["settled"]:
        print(f"ballast: not settled, and so not judged: it waited for {summary['waited_for']}", file=sys.stderr)
        raise typer.Exit(NOT_SETTLED)
    if "fail" in summary["invariants"].values() or summary.get("archive", {}).get("breaches"):
        raise typer.Exit(70)


@app.command()
def run(
    flows: Annotated[list[str] | None, typer.Argument(help="everything, or some of the others.")] = None,
    workers: Annotated[int, typer.Option(help="Processes per flow.", min=1, max=4)] = 1,
    standby: Annotated[
        bool, typer.Option("--standby", help="Wait until the ledger's writer has gone, then take over.")
    ] = False,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Start an embedded broker or database for the one that is not named.")
    ] = False,
    config: Config = None,
) -> None:
    """Run flows as long-lived workers, until SIGTERM or Ctrl-C.

    A second run over the same ledger stops with a sentence; with --standby it waits, and takes over within seconds when the
    first one has died or hangs. With neither broker nor database named it runs on embedded ones. It needs a data folder of
    its own.

    Example: ballast run liability hedging --workers 2
    """
    from app.workers.group import run_flows  # noqa: PLC0415 - a command loads what it needs

    settings = read_settings(config)
    if standby:
        settings = settings.model_copy(update={"run": settings.run.model_copy(update={"standby": True})})
    run_flows(settings, flows or ["everything"], workers, embedded=embedded)


@app.command()
def produce(
    topic: Annotated[str, typer.Argument(help="A topic, such as dealer.transactions.")],
    file: Annotated[Path | None, typer.Option(help="One message per line; standard input if left out.")] = None,
    example: Annotated[bool, typer.Option("--example", help="Print lines that can be typed, and send nothing.")] = False,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Send lines as they are, also those that do not fit.")
    ] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Send lines as messages, each checked first and acknowledged by the broker.

    Example: ballast produce dealer.transactions --example | ballast produce dealer.transactions
    """
    from app.cli import produce as console  # noqa: PLC0415 - a command loads what it needs
    from app.places.addresses import find_broker  # noqa: PLC0415

    named = console.topic_named(topic)
    if example:
        print("\n".join(console.examples_of(named)))
        return
    kafka = find_broker(read_settings(config))
    if file is None:
        produced = console.produce(kafka, named, sys.stdin.buffer, check=not unchecked, each=True)
    else:
        produced = console.produce(kafka, named, _lines(file), check=not unchecked, each=False)
    _say_produced(topic, produced, as_json)


def _say_produced(topic: str, produced: Any, as_json: bool) -> None:
    for number, why in produced.refused:
        print(f"line {number} was not sent: {why}", file=sys.stderr)
    show({"topic": topic, "sent": produced.sent, "refused": len(produced.refused)}, as_json)
    if produced.refused:
        raise typer.Exit(1)


@app.command()
def correct(
    topic: Annotated[str, typer.Argument(help="Where it was said, such as venue.positions.")],
    key: Annotated[
        str, typer.Argument(help="Of what: a venue, an instrument, our id of an order or transfer, an account/currency.")
    ],
    why: Annotated[str, typer.Option(help="In words; it is kept for ever.")],
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who says so; it is kept, too.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make the desks forget what a topic told of something, so that the next word on it counts, whatever its sequence.

    It is for a wrong fact that nothing true can replace. What is booked, as fills and lines of cash are, is not forgotten but
    taken back: ballast ledger reverse TX_ID --effective-at TIME.

    Example: ballast correct venue.positions simulated --why "somebody typed a sequence far ahead" --by anna
    """
    from app.cli import produce as console  # noqa: PLC0415 - a command loads what it needs
    from app.places.addresses import find_broker  # noqa: PLC0415

    settings = read_settings(config)
    line = console.correction(settings, topic, key, why, by)
    _say_produced(
        FACTS_CORRECTIONS.name,
        console.produce(find_broker(settings), FACTS_CORRECTIONS, [line], check=True, each=True),
        as_json,
    )


@app.command()
def replay(
    folder: Annotated[Path, typer.Argument(help="Recorded topics: of ballast demo --record, a snapshot, or an archive.")],
    out: Annotated[Path, typer.Option(help="Where to write the output topics and the ledger.")],
    batch_size: Annotated[int, typer.Option(help="Messages per batch.", min=1)] = 1000,
    workers: Annotated[int, typer.Option(help="Threads.", min=1, max=8)] = 1,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Run the flows over recorded topics, in memory: the same input gives the same bytes, for any batch size and workers.

    Example: ballast replay recorded --out replayed
    """
    settings = read_settings(config)  # before anything is loaded that complains when a wrong one ends it
    from app.replay.replay import replay_folder  # noqa: PLC0415 - a command loads what it needs

    show({"lines": replay_folder(settings, folder, out, batch_size, workers)}, as_json)


@app.command()
def alerts(
    since: Annotated[
        datetime | None,
        typer.Option("--since", parser=time_of, metavar="TIME", help="Said from this time on; all if left out."),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show what a person should look at: each trouble once, the newest first, with what to do about it.

    Example: ballast alerts --since 2026-01-31T12:00:00Z
    """
    from app.reports.alerts import read_alerts  # noqa: PLC0415 - a command loads what it needs
    from app.reports.ledger import find_ledger  # noqa: PLC0415

    show_rows(read_alerts(find_ledger(read_settings(config)), since or SINCE_EVER), "alerts", as_json)


@app.command()
def migrate(config: Config = None, as_json: Json = False) -> None:
    """Bring the database and the topics up to date; nothing that is there is changed.

    Example: BALLAST_POSTGRES__DSN=postgresql://localhost/ballast ballast migrate
    """
    from app.places.addresses import find_places  # noqa: PLC0415
    from app.places.places import prepare  # noqa: PLC0415 - a command loads what it needs

    places = find_places(read_settings(config))
    migrations, topics = prepare(places.dsn, places.kafka)
    show({"migrations_applied": migrations, "topics_created": topics}, as_json)


@app.command("check-config")
def check_config(config: Config = None, as_json: Json = False) -> None:
    """Read the settings, show those that are not the default, and try what they name; exit code 78 if something is wrong.

    Example: ballast check-config --config ballast.toml
    """
    from app.reports.config import check_settings  # noqa: PLC0415 - a command loads what it needs

    report = check_settings(read_settings(config))
    show(report if as_json else report["changed"], as_json)
    for why in report["troubles"].values():
        print(f"ballast: {why}", file=sys.stderr)
    if report["troubles"]:
        raise typer.Exit(ConfigError.exit_code)


@app.command()
def schemas(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when a file is not as generated.")] = False,
    as_json: Json = False,
) -> None:
    """Write the generated files: JSON Schemas, the AsyncAPI document, the example of all settings.

    Example: ballast schemas --check
    """
    from app.generated import drifted, write_generated  # noqa: PLC0415 - a command loads what it needs

    changed = drifted() if check else write_generated()
    show({"drifted" if check else "written": changed}, as_json)
    if check and changed:
        raise typer.Exit(1)


@bench_app.command("archive")
def bench_archive(
    trades: Annotated[int, typer.Option(help="User trades per round.", min=100)] = 100_000,
    runs: Annotated[int, typer.Option(help="Rounds; medians are reported.", min=1)] = 3,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """What an archive costs the trades that it runs beside, and how fast it catches up by itself.

    Example: ballast bench archive --trades 50000 --json
    """
    from app.bench.archive import measure  # noqa: PLC0415 - a command loads what it needs

    show(measure(read_settings(config), trades, runs), as_json)


@bench_app.command("audit")
def bench_audit(
    entries: Annotated[int, typer.Option(help="Entries of the ledger in the end.", min=400)] = 10_000_000,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Seconds and memory of a snapshot and of all checks, as the ledger grows, beside raw COPY of its tables.

    It needs a superuser, makes a database of its own and drops it; by default it takes about ten minutes and 10 GB of disk.

    Example: ballast bench audit --entries 1000000 --json
    """
    from app.bench.audit import measure  # noqa: PLC0415 - a command loads what it needs

    show(measure(read_settings(config), entries), as_json)


@bench_app.command("end-to-end")
def bench_end_to_end(
    trades: Annotated[int, typer.Option(help="User trades per run.", min=100)] = 100_000,
    runs: Annotated[int, typer.Option(help="Runs; medians are reported.", min=1)] = 3,
    as_json: Json = False,
) -> None:
    """User trades per second from Kafka to booked and decided, and latency, beside the posting rate and raw COPY.

    Example: ballast bench end-to-end --trades 50000 --json
    """
    from app.bench.end_to_end import measure  # noqa: PLC0415 - a command loads what it needs

    show(measure(trades, runs), as_json)


@bench_app.command("page")
def bench_page(
    posting: Annotated[Path, typer.Argument(help="What `ballast bench posting --json` said.")],
    end_to_end: Annotated[Path, typer.Argument(help="What `ballast bench end-to-end --json` said.")],
) -> None:
    """One page of both, as Markdown on standard output, with the commands that repeat it.

    Example: ballast bench page posting.json end-to-end.json > docs/benchmarks.md
    """
    from app.bench.page import page, read_report  # noqa: PLC0415 - a command loads what it needs

    print(page(read_report(posting, "posting"), read_report(end_to_end, "end-to-end")))


@bench_app.command("posting")
def bench_posting(
    transactions: Annotated[int, typer.Option(help="Transactions per run; small batches get fewer.", min=2_000)] = 100_000,
    runs: Annotated[int, typer.Option(help="Rounds; medians are reported.", min=1)] = 3,
    prefill_entries: Annotated[int, typer.Option(help="Entries of the full ledger.", min=1)] = 10_000_000,
    large_accounts: Annotated[int, typer.Option(help="Accounts of the ledger with many.", min=2)] = 1_000_000,
    quick: Annotated[bool, typer.Option("--quick", help="Everything once and small, only to see that it runs.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Transactions per second of the ledger's writer, by batch, rejects and size, beside raw COPY and a plain ledger.

    It needs a superuser, makes databases of its own and drops them; by default it takes about ten minutes and 5 GB of disk.

    Example: ballast bench posting --quick --json
    """
    from app.bench.posting.measuring import measure  # noqa: PLC0415 - a command loads what it needs
    from app.bench.posting.tables import print_report  # noqa: PLC0415
    from app.bench.posting.variants import QUICK, Plan  # noqa: PLC0415

    plan = QUICK if quick else Plan(runs, transactions, prefill_entries, large_accounts)
    report = measure(read_settings(config), plan)
    if as_json:
        show(report, as_json)
    else:
        print_report(report)


@bench_app.command("settlement")
def bench_settlement(
    users: Annotated[list[int] | None, typer.Option(help="Customers; may be said again.", min=2)] = None,
    trades: Annotated[int, typer.Option(help="Trades per run.", min=4_000)] = 200_000,
    backlog: Annotated[
        int | None, typer.Option(help="Measure how soon hedging decides beside so many trades to settle, and nothing else.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Matched trades per second from Kafka to settled, beside raw COPY, and how fast balances are read meanwhile.

    It measures 1,000, 100,000 and a million customers unless told otherwise, which takes half an hour.

    Example: ballast bench settlement --users 1000 --users 100000 --json
    """
    from app.bench import backlog as beside  # noqa: PLC0415 - a command loads what it needs
    from app.bench import settlement  # noqa: PLC0415

    if backlog is not None:
        show(beside.measure(backlog), as_json)
    else:
        show_rows(settlement.measure(users or [1_000, 100_000, 1_000_000], trades), "rows", as_json)


@bench_app.command("treasury")
def bench_treasury(
    days: Annotated[int, typer.Option(help="So many days from a Monday on.", min=1, max=366)] = 30,
    flows_per_day: Annotated[int, typer.Option(help="About so many customers a day.", min=1, max=10_000)] = 600,
    eta_minutes: Annotated[int, typer.Option(help="How long a conversion takes.", min=1)] = 15,
    seed: Annotated[int, typer.Option(help="The same seed gives the same flows and the same report.")] = 1,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the USDC buffer into it: .svg or .png.")] = None,
    as_json: Json = False,
) -> None:
    """What policies cost: a simulated month of flows under each, and one conversion per flow beside them.

    Example: ballast bench treasury --days 30 --plot treasury.svg
    """
    from app.bench.treasury import measure, rows  # noqa: PLC0415 - a command loads what it needs

    report = measure(seed, days, flows_per_day, eta_minutes, plot)
    show_rows(report if as_json else {"policies": rows(report)}, "policies", as_json)


def _lines(file: Path) -> list[bytes]:
    try:
        return file.read_bytes().splitlines(keepends=True)
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror}"
        raise ConfigError(msg) from error


def main() -> None:
    """Run the command line; a known trouble is one sentence and its exit code."""
    try:
        app()
    except Exception as error:
        from app.troubles import known_trouble  # noqa: PLC0415 - only a trouble needs it

        known = known_trouble(error)
        if known is None:
            raise
        print(f"ballast: {known}", file=sys.stderr)
        sys.exit(known.exit_code)
