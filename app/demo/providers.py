"""Two simulated providers for a demo: the cheaper one refuses most of what it is asked, so the other one has to step in."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from app.settings import Provider, Settings
from app.workers.session import started
from connectors.clock import now_ms
from connectors.embedded.processes import free_port
from domain.messages.provider import ProviderConfig


class _Cast(NamedTuple):
    """Who plays: its priority, its fee in basis points, and how it fails, in a million."""

    name: str
    priority: int
    fee_bps: str
    faults: dict[str, int]


ETA_MS = 1_200
CAST = (
    _Cast("due", 1, "20", {"refuse_now_ppm": 700_000, "answer_lost_ppm": 150_000, "fail_ppm": 100_000}),
    _Cast(
        "zerohash", 2, "50", {"answer_lost_ppm": 100_000, "request_lost_ppm": 50_000, "slow_ppm": 100_000, "slow_ms": 2_000}
    ),
)


@contextmanager
def simulated_providers(settings: Settings, seed: int) -> Iterator[list[ProviderConfig]]:
    """Run both as processes of their own, and yield how they are made known."""
    with ExitStack() as stack:
        yield [stack.enter_context(_provider(settings, one, seed)) for one in CAST]


@contextmanager
def _provider(settings: Settings, one: _Cast, seed: int) -> Iterator[ProviderConfig]:
    port, own = free_port(), settings.providers.get(one.name, Provider())
    command = [sys.executable, "-m", "connectors.providers.simulated.process", "--port", str(port), "--name", one.name]
    command += ["--data", str(settings.data.folder / f"provider-{one.name}.sqlite3"), "--seed", str(seed)]
    command += ["--terms", json.dumps({"fee_bps": one.fee_bps, "eta_ms": ETA_MS}), "--faults", json.dumps(one.faults)]
    command += [f"--key={own.key}", f"--secret={own.secret.get_secret_value()}"]
    with started(command, settings.data.folder / f"provider-{one.name}.log", f"the simulated provider {one.name}"):
        yield ProviderConfig(
            provider=one.name,
            kind="http",
            url=f"http://127.0.0.1:{port}",
            priority=one.priority,
            status="active",
            directions=("usdc_to_usd", "usd_to_usdc", "usd_to_usd"),
            ticket_min_cents=10_000,
            ticket_max_cents=50_000_000,
            fee_bps=one.fee_bps,  # type: ignore[arg-type]
            eta_seconds=2,
            by="demo",
            reason="who converts in a demo",
            as_of=now_ms(),
        )
