"""The command line: `ballast --help` lists the commands, and every command shows an example.

Reports are for people; with `--json` they are one JSON object on standard output and nothing else. A trouble that a person
can mend is one sentence on standard error and an exit code of its own: 78 a setting or a missing part, 75 another writer,
70 books that contradict each other, 1 anything else.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from app.ledger_cli import ledger_app
from app.options import Config, Json
from app.settings import read_settings
from domain.errors import ConfigError

app = typer.Typer(
    name="ballast",
    help="A streaming treasury: pairs trades, books them, hedges what is owed, and proves every number.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
bench_app = typer.Typer(help="Measure, as ratios within one run.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(bench_app, name="bench")
app.add_typer(ledger_app, name="ledger")


def show(report: dict[str, Any], as_json: bool) -> None:
    """Print a report: one JSON object, or a line per fact."""
    if as_json:
        print(json.dumps(report, separators=(",", ":")))
        return
    for name, value in report.items():
        print(f"{name.replace('_', ' ')}: {json.dumps(value) if isinstance(value, dict | list) else value}")


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(help="End by itself after so long.", min=1)] = None,
    prices: Annotated[Path | None, typer.Option(help="A recorded price path: CSV or CSV.gz of bars.")] = None,
    bars_per_second: Annotated[float | None, typer.Option(help="How fast the path plays.", min=0.01)] = None,
    trades_per_second: Annotated[float, typer.Option(help="How fast the users trade.", min=0, max=5000)] = 20,
    seed: Annotated[int, typer.Option(help="The same seed gives the same users and the same market.")] = 1,
    record: Annotated[Path | None, typer.Option(help="Keep every topic as DIR/<topic>.jsonl.")] = None,
    data: Annotated[Path | None, typer.Option(help="Keep ledger and exchange here; ballast-data if left out.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Run the whole treasury on embedded parts, with simulated users and a simulated exchange.

    Example: ballast demo --seconds 30 --json
    """
    from app.demo import DemoPlan, run_demo  # noqa: PLC0415 - a command loads what it needs

    plan = DemoPlan(seconds, prices, bars_per_second, trades_per_second, seed, record, as_json)
    summary = run_demo(_settings(config, data), plan)
    show(summary, as_json)
    if "fail" in summary["invariants"].values():
        raise typer.Exit(70)


@app.command()
def run(
    flows: Annotated[list[str] | None, typer.Argument(help="everything, or some of liability, hedging, execution.")] = None,
    workers: Annotated[int, typer.Option(help="Processes per flow.", min=1, max=4)] = 1,
    standby: Annotated[
        bool, typer.Option("--standby", help="Wait until the ledger's writer has gone, then take over.")
    ] = False,
    config: Config = None,
) -> None:
    """Run flows as long-lived workers, until SIGTERM or Ctrl-C.

    A second run over the same ledger stops with a sentence; with --standby it waits, and takes over within seconds when the
    first one has died or hangs. It needs a broker and a database that are named, and a data folder of its own.

    Example: ballast run liability hedging --workers 2
    """
    from app.running_flows import run_flows  # noqa: PLC0415 - a command loads what it needs

    settings = _settings(config)
    if standby:
        settings = settings.model_copy(update={"run": settings.run.model_copy(update={"standby": True})})
    run_flows(settings, flows or ["everything"], workers)


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
    from app import produce as console  # noqa: PLC0415 - a command loads what it needs
    from app.running import find_broker  # noqa: PLC0415

    named = console.topic_named(topic)
    if example:
        print("\n".join(console.examples_of(named)))
        return
    kafka = find_broker(_settings(config))
    if file is None:
        produced = console.produce(kafka, named, sys.stdin.buffer, check=not unchecked, each=True)
    else:
        produced = console.produce(kafka, named, _lines(file), check=not unchecked, each=False)
    for number, why in produced.refused:
        print(f"line {number} was not sent: {why}", file=sys.stderr)
    show({"topic": topic, "sent": produced.sent, "refused": len(produced.refused)}, as_json)
    if produced.refused:
        raise typer.Exit(1)


@app.command()
def replay(
    folder: Annotated[Path, typer.Argument(help="Recorded topics, as ballast demo --record leaves them.")],
    out: Annotated[Path, typer.Option(help="Where to write the output topics and the ledger.")],
    batch_size: Annotated[int, typer.Option(help="Messages per batch; it does not show in the ledger.", min=1)] = 1000,
    workers: Annotated[int, typer.Option(help="Threads; their number does not show either.", min=1, max=8)] = 1,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Run the flows over recorded topics, in memory: the same input gives the same bytes.

    Example: ballast replay recorded --out replayed
    """
    from app.replaying import replay_folder  # noqa: PLC0415 - a command loads what it needs

    show({"lines": replay_folder(_settings(config), folder, out, batch_size, workers)}, as_json)


@app.command()
def status(config: Config = None, as_json: Json = False) -> None:
    """Show what runs: messages, trades, liability, exposure, orders, what waits and what is quarantined.

    Example: ballast status --json
    """
    from app.places import check_broker  # noqa: PLC0415 - a command loads what it needs
    from app.running import find_places  # noqa: PLC0415
    from app.status import read_status  # noqa: PLC0415

    places = find_places(_settings(config))
    check_broker(places.kafka)
    show(read_status(places), as_json)


@app.command()
def migrate(config: Config = None, as_json: Json = False) -> None:
    """Bring the database and the topics up to date; nothing that is there is changed.

    Example: BALLAST_POSTGRES__DSN=postgresql://localhost/ballast ballast migrate
    """
    from app.places import prepare  # noqa: PLC0415 - a command loads what it needs
    from app.running import find_places  # noqa: PLC0415

    places = find_places(_settings(config))
    migrations, topics = prepare(places.dsn, places.kafka)
    show({"migrations_applied": migrations, "topics_created": topics}, as_json)


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


def _settings(config: Path | None, data: Path | None = None) -> Any:
    settings = read_settings(config)
    if data is None:
        return settings
    return settings.model_copy(update={"data": settings.data.model_copy(update={"folder": data})})


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
