"""The simulated provider as a process of its own: `ballast provider`, or this module with `--data FILE`.

One loop does everything: it answers requests, does what is due, and posts webhooks. The truth is committed to a file before any
answer, so the process may be killed at any time and goes on from what it had answered. As a module it says by one line of JSON on
standard output, `{"port": N}`, that it is ready; SIGTERM ends it with code 0.
"""

import argparse
import asyncio
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from connectors import serving
from connectors.clock import now_ms
from connectors.providers.simulated.http_api import Guard, application
from connectors.providers.simulated.in_process import InProcessProvider
from connectors.providers.simulated.truth_file import TruthFile
from connectors.providers.simulated.webhooks import Webhooks
from connectors.serving import LOOPBACK, Say, listening, said_of, server_of
from domain.ids import content_id
from domain.simulated.provider import SimulatedProvider
from domain.simulated.provider_faults import NO_FAULTS, ProviderFaults
from domain.simulated.provider_terms import Account, ProviderTerms

ADVANCE_SECONDS = 0.02


def run(options: argparse.Namespace, say: Say) -> None:
    """Bind, and serve until SIGTERM or Ctrl-C. ConfigError when the port cannot be had."""
    with listening(options.host, options.port) as listener:
        asyncio.run(serve(options, listener, say))


async def serve(options: argparse.Namespace, listener: socket.socket, say: Say) -> None:
    """Serve until SIGTERM or SIGINT."""
    kept = TruthFile(options.data)
    truth = _loaded(kept, options)
    road = InProcessProvider(truth, now_ms, lambda: kept.keep(truth))
    webhooks = Webhooks(options.webhook_url, options.webhook_secret, truth, now_ms) if options.webhook_url else None
    server = server_of(application(road, Guard(options.key, options.secret, now_ms)))
    working = asyncio.create_task(_work(truth, kept, webhooks))
    working.add_done_callback(lambda _: setattr(server, "should_exit", True))
    await serving.serve(server, listener, say)
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    if webhooks:
        await webhooks.close()
    kept.keep(truth)
    kept.close()


async def _work(truth: SimulatedProvider, kept: TruthFile, webhooks: Webhooks | None) -> None:
    """Do what is due, and tell it, whether or not anybody asks."""
    while True:
        truth.advance(now_ms())
        kept.keep(truth)
        if webhooks:
            webhooks.post_due()
        await asyncio.sleep(ADVANCE_SECONDS)


def _loaded(kept: TruthFile, options: argparse.Namespace) -> SimulatedProvider:
    found = kept.load()
    if found is None:
        # Names of conversions must not come again when a provider starts over with an empty file beside an old ledger.
        name = f"{options.name[:24]}-{content_id('account', options.name, str(options.seed), str(now_ms()))[:8]}"
        return SimulatedProvider(options.terms, options.seed, options.faults, Account(name=name))
    return SimulatedProvider.restored(options.terms, options.seed, options.faults, found)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the process."""
    parser = argparse.ArgumentParser(prog="python -m connectors.providers.simulated.process", description=__doc__)
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on; loopback unless told otherwise")
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="file of the provider's truth")
    parser.add_argument("--name", default="simulated", help="what its transactions are named after")
    parser.add_argument("--seed", type=int, default=1, help="of the faults")
    parser.add_argument("--key", default="", help="the key that we are known by")
    parser.add_argument("--secret", default="simulated", help="what our requests are signed with")
    parser.add_argument("--webhook-url", help="where every word is posted; without it nowhere")
    parser.add_argument("--webhook-secret", default="simulated", help="what webhooks are signed with")
    parser.add_argument("--terms", type=ProviderTerms.model_validate_json, default=ProviderTerms(), help="JSON")
    parser.add_argument("--faults", type=ProviderFaults.model_validate_json, default=NO_FAULTS, help="JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(said_of(lambda say: run(parse(), say)))
