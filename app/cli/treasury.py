"""`ballast treasury`: how buffers, conversions and providers stand, and what people tell the treasury to do.

Whatever changes something is a message on a topic, with who says it and why, and is kept for ever. Amounts are typed in whole
units: 42000.50 is forty-two thousand dollars and fifty cents.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.options import Config, Json, who_is
from app.cli.showing import show, show_said
from app.settings import read_settings
from domain.errors import ConfigError
from domain.messages.fields import Message
from domain.messages.gov import Vote
from domain.messages.ops import Control
from domain.messages.provider import ProviderConfig
from domain.messages.treasury import BufferThresholds

treasury_app = typer.Typer(
    help="Look at buffers, conversions and providers, and say what is to be done.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who says so; left out: who is logged in.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in words; it is kept.")]
WhyIfChanged = Annotated[str | None, typer.Option("--reason", help="Why, in words; needed when something is changed.")]
Job = Annotated[str, typer.Argument(metavar="JOB", help="The name of a job, as `ballast treasury status` shows it.")]
Amount = Annotated[str | None, typer.Option(metavar="AMOUNT", help="In whole units, such as 42000.50.")]


@treasury_app.command()
def status(config: Config = None, as_json: Json = False) -> None:
    """Show buffers between their thresholds, the jobs that are under way, providers, and whether the treasury acts.

    A bar goes from the minimum to the maximum, with a mark at the target. In JSON all amounts are in minor units.

    Example: ballast treasury status
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415 - a command loads what it needs
    from app.reports.treasury.standing import read_treasury  # noqa: PLC0415
    from app.reports.treasury.words import text_of  # noqa: PLC0415

    settings = read_settings(config)
    report = read_treasury(find_ledger(settings), settings.treasury.stale_seconds)
    if as_json:
        show(report, as_json)
    else:
        print(text_of(report), end="")


@treasury_app.command()
def job(job_id: Job, config: Config = None, as_json: Json = False) -> None:
    """Show the whole life of a job: what was ordered, every step, and what it has moved in the books.

    Example: ballast treasury job replenish:system_buffer_usdc:2026-01-05T12:05:00Z
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415 - a command loads what it needs
    from app.reports.treasury.standing import read_job  # noqa: PLC0415

    report = read_job(find_ledger(read_settings(config)), job_id)
    if as_json:
        show(report, as_json)
        return
    from app.reports.tables import aligned, with_units  # noqa: PLC0415 - rich is slow to load

    show({name: value for name, value in report["job"].items() if value is not None}, as_json)
    print(f"\nsteps:\n{aligned(report['steps'])}\npostings:\n{aligned(with_units(report['postings']))}", end="")


@treasury_app.command("run-cycle")
def run_cycle(reason: Reason, by: By = None, config: Config = None, as_json: Json = False) -> None:
    """Look at all buffers now, without waiting for the end of a window.

    Example: ballast treasury run-cycle --reason "after the outage"
    """
    _order(config, as_json, "run_cycle", by, reason)


@treasury_app.command()
def convert(
    source: Annotated[str, typer.Argument(help="The buffer that gives.")],
    destination: Annotated[str, typer.Argument(help="The buffer that gets.")],
    amount: Annotated[str, typer.Argument(help="What the source gives, in whole units, such as 42000.50.")],
    reason: Reason,
    by: By = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Ask for a conversion; it waits for the approval of somebody else.

    Example: ballast treasury convert system_buffer_fiat system_buffer_usdc 40000 --reason "payroll tomorrow"
    """
    from app.reports.treasury.saying import amount_in, buffer_of  # noqa: PLC0415 - a command loads what it needs

    gives, gets = buffer_of(source), buffer_of(destination)
    _order(config, as_json, "convert", by, reason, source=gives, destination=gets, amount=amount_in(gives, amount))


@treasury_app.command()
def approve(subject: Job, reason: Reason, by: By = None, config: Config = None, as_json: Json = False) -> None:
    """Agree to a job that waits for approval; the vote of who asked for it does not count.

    Example: ballast treasury approve manual:019be2d4 --by ben --reason "agreed on the phone"
    """
    _vote(config, as_json, subject, "approve", by, reason)


@treasury_app.command()
def deny(subject: Job, reason: Reason, by: By = None, config: Config = None, as_json: Json = False) -> None:
    """Deny a job that waits for approval; one denial ends it.

    Example: ballast treasury deny manual:019be2d4 --by ben --reason "nobody knows of it"
    """
    _vote(config, as_json, subject, "deny", by, reason)


@treasury_app.command()
def cancel(job_id: Job, reason: Reason, by: By = None, config: Config = None, as_json: Json = False) -> None:
    """Give a job up; one that is with its provider is asked back, and what was carried out all the same is booked.

    Example: ballast treasury cancel manual:019be2d4 --reason "typed twice"
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415 - a command loads what it needs
    from app.reports.treasury.saying import check_job  # noqa: PLC0415

    check_job(find_ledger(read_settings(config)), job_id, waits=False)
    _order(config, as_json, "cancel", by, reason, job_id=job_id)


@treasury_app.command()
def halt(reason: Reason, by: By = None, config: Config = None, as_json: Json = False) -> None:
    """Stop: nothing is decided and nothing sent; what providers say is still heard and booked.

    Example: ballast treasury halt --reason "the provider was broken into"
    """
    _order(config, as_json, "halt", by, reason)


treasury_app.command(
    "pause",
    help="Stop, as `ballast treasury halt` does.\n\nExample: ballast treasury pause --reason maintenance",
)(halt)


@treasury_app.command("reduce")
def start_nothing_new(reason: Reason, by: By = None, config: Config = None, as_json: Json = False) -> None:
    """Start nothing new, and finish what is under way.

    Example: ballast treasury reduce --reason "before maintenance"
    """
    _order(config, as_json, "reduce", by, reason)


@treasury_app.command()
def resume(reason: Reason, by: By = None, config: Config = None, as_json: Json = False) -> None:
    """Go on after a halt or a reduce; it is for another person than the one who stopped it.

    Example: ballast treasury resume --by ben --reason "all is well again"
    """
    _order(config, as_json, "resume", by, reason)


@treasury_app.command()
def thresholds(
    buffer: Annotated[str | None, typer.Argument(help="Only this one; needed to set something.")] = None,
    low: Annotated[str | None, typer.Option("--min", metavar="AMOUNT", help="In whole units, such as 10000.")] = None,
    target: Amount = None,
    high: Annotated[str | None, typer.Option("--max", metavar="AMOUNT", help="In whole units.")] = None,
    batch: Amount = None,
    model: Annotated[
        str | None,
        typer.Option(help="fixed, or what the three follow from: miller_orr, service_level, share_of_assets, newsvendor."),
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the model, amounts in minor units; repeat for each.")
    ] = None,
    reason: WhyIfChanged = None,
    by: By = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show what buffers are kept between, or set it: what is not named stays as it is.

    Example: ballast treasury thresholds system_buffer_usdc --min 10000 --max 120000 --reason "more withdrawals"
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415 - a command loads what it needs
    from app.reports.treasury.saying import amount_in, buffer_of  # noqa: PLC0415
    from app.reports.treasury.saying import thresholds as changed  # noqa: PLC0415
    from app.reports.treasury.standing import read_thresholds  # noqa: PLC0415
    from app.reports.treasury.words import told_rows  # noqa: PLC0415

    named = None if buffer is None else buffer_of(buffer)
    typed = {"min": low, "target": target, "max": high, "batch": batch}
    dsn = find_ledger(read_settings(config))
    if all(value is None for value in (*typed.values(), model, parameter)):
        rows = read_thresholds(dsn, named)
        _show_rows({"thresholds": rows}, told_rows(rows), as_json)
        return
    if named is None:
        msg = "say which buffer these are of: ballast treasury thresholds BUFFER --min AMOUNT --reason WHY"
        raise ConfigError(msg)
    changes: dict[str, object] = {
        name: amount_in(named, text, f"--{name}") for name, text in typed.items() if text is not None
    }
    changes |= {} if model is None else {"model": model}
    changes |= {} if parameter is None else {"parameters": _parameters(parameter)}
    _say(config, as_json, BufferThresholds, changed(dsn, named, changes, who_is(by), _why(reason)))


@treasury_app.command()
def providers(
    names: Annotated[list[str] | None, typer.Argument(help="Only these; one to add it, or to change its terms.")] = None,
    kind: Annotated[str | None, typer.Option(help="How it is spoken to: http, due or zerohash.")] = None,
    url: Annotated[str | None, typer.Option(help="Where it answers.")] = None,
    priority: Annotated[int | None, typer.Option(help="The smallest is asked first.", min=0)] = None,
    state: Annotated[str | None, typer.Option("--status", help="active, degraded or inactive.")] = None,
    direction: Annotated[
        list[str] | None, typer.Option(help="usdc_to_usd, usd_to_usdc, usd_to_usd; may be repeated, and replaces all.")
    ] = None,
    ticket_min: Annotated[str | None, typer.Option(metavar="USD", help="The least that it takes.")] = None,
    ticket_max: Annotated[str | None, typer.Option(metavar="USD", help="The most that it takes at once.")] = None,
    daily_max: Annotated[str | None, typer.Option(metavar="USD", help="The most that it takes in a day.")] = None,
    fee_bps: Annotated[str | None, typer.Option(help="What it keeps, in basis points.")] = None,
    eta_seconds: Annotated[int | None, typer.Option(help="How long it takes by its own word.", min=0)] = None,
    reason: WhyIfChanged = None,
    by: By = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show who converts money and how they do, or add one, or change its terms, while everything runs.

    Secrets are no part of it: they are settings, under the provider's name.

    Example: ballast treasury providers due --status inactive --reason "its API is down"
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415 - a command loads what it needs
    from app.reports.treasury.saying import decimal_of, minor_units, provider  # noqa: PLC0415
    from app.reports.treasury.standing import read_providers  # noqa: PLC0415

    dsn = find_ledger(read_settings(config))
    amounts = {"ticket_min": ticket_min, "ticket_max": ticket_max, "daily_max": daily_max}
    changes: dict[str, object] = {
        f"{name}_cents": minor_units(text, "USD", f"--{name.replace('_', '-')}")
        for name, text in amounts.items()
        if text is not None
    }
    told = {
        "kind": kind,
        "url": url,
        "priority": priority,
        "status": state,
        "directions": direction,
        "eta_seconds": eta_seconds,
    }
    changes |= {name: value for name, value in told.items() if value is not None}
    changes |= {} if fee_bps is None else {"fee_bps": decimal_of(fee_bps, "--fee-bps")}
    if not changes:
        rows = read_providers(dsn, names or [])
        _show_rows({"providers": rows}, rows, as_json)
        return
    if len(names or []) != 1:
        msg = "say whose terms these are, of one provider: ballast treasury providers NAME --priority 2 --reason WHY"
        raise ConfigError(msg)
    _say(config, as_json, ProviderConfig, provider(dsn, (names or [""])[0], changes, who_is(by), _why(reason)))


@treasury_app.command()
def reconcile(config: Config = None, as_json: Json = False) -> None:
    """Compare what providers say that they moved with the books: what agrees, what is in transit, what is broken, what is stuck.

    Exits with 1 when somebody has to look at it. A break is put right by a correction that two people agree to: `ballast
    reconcile correct`.

    Example: ballast treasury reconcile
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415 - a command loads what it needs
    from app.reports.treasury.agreement import agreement_text, read_agreement  # noqa: PLC0415
    from app.workers.parts import open_provider  # noqa: PLC0415

    settings = read_settings(config)
    report = read_agreement(find_ledger(settings), open_provider(settings), settings.treasury.stuck_seconds)
    if as_json:
        show(report, as_json)
    else:
        print(agreement_text(report), end="")
    if not report["agrees"]:
        raise typer.Exit(1)


@treasury_app.command()
def rehearse(
    scenarios: Annotated[int, typer.Option(help="So many scenarios, one per seed.", min=1, max=1_000_000)] = 1_000,
    seed: Annotated[int, typer.Option(help="The first seed; the same seeds give the same report.", min=0)] = 1,
    as_json: Json = False,
) -> None:
    """Play scenarios of failing providers against the treasury, in memory, and judge each by what really became of the money.

    Exits with 1 when a promise was broken; each breach has the seed that repeats it: --scenarios 1 --seed SEED.

    Example: ballast treasury rehearse --scenarios 1000 --seed 1
    """
    from app.rehearsal.rehearse import rehearse as play_all  # noqa: PLC0415 - a command loads what it needs

    report = play_all(scenarios, seed, progress=_progress_of(scenarios))
    show({**report, "breaches": report["breaches"] if as_json else len(report["breaches"])}, as_json)
    if report["breaches"] and not as_json:
        for breach in report["breaches"]:
            print(f"seed {breach['seed']}: {breach['promise']}: {breach['text']}")
    if report["breaches"]:
        raise typer.Exit(1)


def _progress_of(scenarios: int) -> Callable[[int, int], None] | None:
    """Return what shows on a terminal how far a rehearsal is."""
    if not sys.stderr.isatty():
        return None

    def shown(done: int, broken: int) -> None:
        print(f"\r{done} of {scenarios} scenarios, {broken} broken", end="" if done < scenarios else "\n", file=sys.stderr)

    return shown


def _order(config: Path | None, as_json: bool, command: str, by: str | None, reason: str, **more: object) -> None:
    from app.reports.treasury.saying import control  # noqa: PLC0415 - a command loads what it needs

    _say(config, as_json, Control, control(command, who_is(by), reason, **more))


def _vote(config: Path | None, as_json: bool, subject: str, vote: str, by: str | None, reason: str) -> None:
    from app.reports.ledger import find_ledger  # noqa: PLC0415 - a command loads what it needs
    from app.reports.treasury.saying import check_job  # noqa: PLC0415

    check_job(find_ledger(read_settings(config)), subject, waits=True)
    _say(config, as_json, Vote, {"subject": subject, "vote": vote, "by": who_is(by), "reason": reason})


def _say(config: Path | None, as_json: bool, model: type[Message], told: dict[str, Any]) -> None:
    """Send a message to its topic, and show it."""
    from app.cli.produce import tell  # noqa: PLC0415 - a command loads what it needs
    from app.places.addresses import find_broker  # noqa: PLC0415
    from app.reports.said import message  # noqa: PLC0415
    from domain.topics import TOPIC_OF  # noqa: PLC0415
    from operators.streams.publish import outgoing  # noqa: PLC0415

    said = message(model, told)
    tell(find_broker(read_settings(config)), [outgoing(said, said.as_of)])  # type: ignore[attr-defined]
    job_id = {"job_id": f"manual:{told['id']}"} if told.get("command") == "convert" else {}
    show_said(TOPIC_OF[model].name, said, as_json, **job_id)


def _why(reason: str | None) -> str:
    if reason is None:
        msg = "every change needs a reason, which is kept: --reason WHY"
        raise ConfigError(msg)
    return reason


def _parameters(typed: list[str]) -> dict[str, str]:
    from app.reports.treasury.saying import decimal_of  # noqa: PLC0415 - a command loads what it needs

    pairs = [text.partition("=") for text in typed]
    return {name: decimal_of(value, f"--parameter {name}") for name, _, value in pairs}


def _show_rows(report: dict[str, Any], rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show(report, as_json)
        return
    from app.reports.tables import aligned  # noqa: PLC0415 - rich is slow to load

    print(aligned(rows), end="")
