"""What people say to the treasury: messages with who says it and why, of what was typed.

Amounts are typed in whole units, and made exact minor ones; what cannot be that is refused with a sentence.
"""

from collections.abc import Mapping
from decimal import Decimal
from re import fullmatch

from app.reports.treasury.standing import Report, read_thresholds
from connectors.clock import now_ms
from domain.errors import ConfigError
from domain.ids import content_id
from domain.messages.provider import ProviderConfig
from domain.messages.treasury import BufferName
from domain.money import DECIMALS
from domain.treasury.worth import BUFFERS, CURRENCY_OF
from sinks.postgres import connect
from sinks.queries import ask

ENDED = frozenset(("completed", "failed", "cancelled"))


def control(command: str, by: str, reason: str, **more: object) -> Report:
    """Return what makes a Control; its id is of what it says, who says it and when."""
    told = {"command": command, **more, "by": by, "reason": reason}
    return {"id": content_id("control", *map(str, told.values()), str(now_ms())), **told}


def thresholds(dsn: str, buffer: BufferName, changes: Mapping[str, object], by: str, reason: str) -> Report:
    """Return what makes new thresholds: those that hold, with the changes; ConfigError when some are missing."""
    held = next(iter(read_thresholds(dsn, buffer)), {})
    names = ("min", "target", "max", "batch", "model", "parameters")
    if changes.get("model", held.get("model")) != held.get("model"):
        held["parameters"] = {}  # those of another model mean nothing to this one
    told = {name: changes.get(name, held.get(name)) for name in names}
    missing = [f"--{name}" for name in names[:4] if told[name] is None]
    if missing:
        msg = f"nothing was said of {buffer} yet, so say all of it: {' and '.join(missing)} are missing"
        raise ConfigError(msg)
    given = {name: value for name, value in told.items() if value is not None}
    return {"buffer": buffer, **given, "by": by, "reason": reason}


def provider(dsn: str, name: str, changes: Mapping[str, object], by: str, reason: str) -> Report:
    """Return what makes new terms of a provider: those that hold, with the changes; ConfigError when some are missing."""
    with connect(dsn, "reader", "treasury providers") as connection:
        found = ask(connection, "treasury_provider_config", {"provider": name})
    told = {**(found[0]["body"] if found else {"status": "active"}), **changes, "provider": name, "by": by, "reason": reason}
    needed = [field for field, info in ProviderConfig.model_fields.items() if info.is_required() and field != "as_of"]
    missing = [f"--{_OPTIONS.get(field, field.replace('_', '-'))}" for field in needed if field not in told]
    if missing:
        msg = f"nothing was said of {name} yet, so say all of it: {' and '.join(missing)} are missing"
        raise ConfigError(msg)
    return told


_OPTIONS = {"directions": "direction", "ticket_min_cents": "ticket-min"}


def check_job(dsn: str, job_id: str, *, waits: bool) -> None:
    """ConfigError when there is no such job under way, or, with `waits`, when it does not wait for anybody's approval."""
    with connect(dsn, "reader", "treasury job") as connection:
        active = ask(connection, "treasury_active_jobs")
        job = next(iter(ask(connection, "treasury_job", {"job_id": job_id})), None)
    could = ", ".join(row["job_id"] for row in active if row["awaits_approval"] or not waits) or "none"
    about = f"those that {'wait for approval' if waits else 'are under way'}: {could}"
    if job is None:
        msg = f"there is no job {job_id}; {about}"
    elif job["state"] in ENDED:
        msg = f"the job {job_id} is {job['state']} already; {about}"
    elif waits and not job["awaits_approval"]:
        msg = f"the job {job_id} waits for nobody's approval; {about}"
    else:
        return
    raise ConfigError(msg)


def minor_units(text: str, currency: str, name: str = "the amount") -> int:
    """Return an amount that a person typed in whole units, in minor ones, exact; ConfigError when it cannot be that."""
    decimals = DECIMALS[currency]
    if not fullmatch(r"[0-9]{1,24}(\.[0-9]+)?", text):
        msg = f"{name} {text!r} is no amount; write it in whole {currency} with a point, such as 42000.50"
        raise ConfigError(msg)
    whole, _, fraction = text.partition(".")
    if fraction[decimals:].strip("0"):
        msg = f"{name} {text} is finer than {currency} is counted in: it has {decimals} digits behind the point"
        raise ConfigError(msg)
    return int(whole + fraction[:decimals].ljust(decimals, "0"))


def buffer_of(text: str) -> BufferName:
    """Return the buffer that a person named; ConfigError lists those there are."""
    for buffer in BUFFERS:
        if buffer == text:
            return buffer
    msg = f"there is no buffer {text}; there are {', '.join(BUFFERS)}"
    raise ConfigError(msg)


def amount_in(buffer: BufferName, text: str, name: str = "the amount") -> int:
    """Return an amount of a buffer that a person typed in whole units."""
    return minor_units(text, CURRENCY_OF[buffer], name)


def decimal_of(text: str, name: str) -> str:
    """Return a decimal that a person typed, as a message carries it; ConfigError when it is none."""
    if not fullmatch(r"-?[0-9]{1,20}(\.[0-9]{1,18})?", text):
        msg = f"{name} {text!r} is no decimal such as 0.02"
        raise ConfigError(msg)
    return str(Decimal(text))
