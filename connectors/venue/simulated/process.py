"""The simulated exchange as a process of its own: `ballast exchange`, or this module with `--data FILE`.

One loop does everything: it answers requests, and it plays the price path, tick by tick, into the truth and onto the
topic `market.ticks`. The truth is committed to a file before any answer, so the process may be killed at any time and
goes on from what it had answered; the price path goes on from about a second before. When the path ends, its last
price goes on ticking, at a calm pace. As a module it says by one line of JSON on standard output, `{"port": N}`, that it is
ready; SIGTERM ends it with code 0.
"""

import argparse
import asyncio
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import repeat
from pathlib import Path

from confluent_kafka import Producer

from connectors import serving
from connectors.clock import now_ms
from connectors.serving import LOOPBACK, Say, listening, said_of, server_of
from connectors.venue.simulated.http_api import application
from connectors.venue.simulated.in_process import InProcessExchange
from connectors.venue.simulated.prices import TICKS_PER_BAR, recorded_path, walk
from connectors.venue.simulated.truth_file import TruthFile
from domain.errors import ConfigError
from domain.ids import content_id
from domain.messages.market import Tick
from domain.simulated.exchange import SimulatedExchange
from domain.simulated.exchange_terms import FUNDING_INTERVAL_MS, Account, Terms
from domain.simulated.faults import Faults
from domain.topics import MARKET_TICKS

KEEP_EVERY_MS = 1_000
STOP_FLUSH_SECONDS = 2.0
CALM_TICKS_PER_SECOND = 4.0
"""How often the last price of a path ticks: often enough to stay fresh, seldom enough for everybody to catch up."""


class Market:
    """Plays a price path into the truth and publishes each tick."""

    def __init__(self, truth: SimulatedExchange, kept: TruthFile, ticks: int, publish: "TickPublisher | None") -> None:
        self._truth = truth
        self._kept = kept
        self._publish = publish
        self._kept_at_ms = 0
        self.ticks = ticks

    async def play(self, path: Iterator[Decimal], ticks_per_second: float) -> None:
        """Tick along the path, and at its end for ever; a tick that is late does not make the next ones late.

        A path may be played fast, with the funding rate as often as it was paid along it. After it time is as it is.
        """
        await self._play(path, ticks_per_second)
        self._truth.terms = self._truth.terms.model_copy(update={"funding_interval_ms": FUNDING_INTERVAL_MS})
        if self._truth.account.price_usd is not None:
            await self._play(repeat(self._truth.account.price_usd), min(ticks_per_second, CALM_TICKS_PER_SECOND))

    async def _play(self, path: Iterator[Decimal], ticks_per_second: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for price_usd in path:
            self.tick(price_usd)
            due = max(due + 1 / ticks_per_second, loop.time() - 1)
            await asyncio.sleep(max(0.0, due - loop.time()))

    def tick(self, price_usd: Decimal) -> None:
        """One tick, now."""
        at_ms = now_ms()
        self._truth.tick(price_usd, at_ms)
        self.ticks += 1
        if at_ms >= self._kept_at_ms + KEEP_EVERY_MS:
            self._kept.keep_all(self._truth, self.ticks)
            self._kept_at_ms = at_ms
        else:
            self.keep()
        if self._publish:
            self._publish(Tick(instrument=self._truth.terms.instrument, price_usd=price_usd, as_of=at_ms))

    def keep(self) -> None:
        """Commit what has changed."""
        self._kept.keep(self._truth, self.ticks)


class TickPublisher:
    """Puts ticks on their topic. A tick that cannot be delivered is dropped: the next one says more."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 10, "message.timeout.ms": 10_000})

    def __call__(self, tick: Tick) -> None:
        with suppress(BufferError):
            self._producer.produce(MARKET_TICKS.name, tick.model_dump_json().encode(), tick.instrument.encode())
        self._producer.poll(0)

    def close(self) -> None:
        """Give the last ticks a moment to leave."""
        self._producer.flush(STOP_FLUSH_SECONDS)


def price_path(options: argparse.Namespace, ticks: int, last_usd: Decimal | None) -> Iterator[Decimal]:
    """The path from the tick on that comes next; without a file, a seeded walk that never ends."""
    if options.prices is None:
        return walk(options.seed, last_usd or options.start_price, ticks)
    return _looping(options.prices, ticks) if options.loop else recorded_path(options.prices, ticks)


def _looping(prices: Path, ticks: int) -> Iterator[Decimal]:
    yield from recorded_path(prices, ticks)
    while True:
        yield from recorded_path(prices)


def run(options: argparse.Namespace, say: Say) -> None:
    """Bind, and serve until SIGTERM or Ctrl-C. ConfigError when the port cannot be had."""
    with listening(options.host, options.port) as listener:
        asyncio.run(serve(options, listener, say))


async def serve(options: argparse.Namespace, listener: socket.socket, say: Say) -> None:
    """Serve until SIGTERM or SIGINT."""
    kept = TruthFile(options.data)
    truth, ticks = _loaded(kept, options)
    ticks = 0 if options.from_start else ticks
    publish = TickPublisher(options.kafka) if options.kafka else None
    market = Market(truth, kept, ticks, publish)
    path = price_path(options, ticks, truth.account.price_usd)
    market.tick(next(path, truth.account.price_usd or options.start_price))
    server = server_of(application(InProcessExchange(truth, now_ms, options.faults, market.keep)))
    playing = asyncio.create_task(market.play(path, options.bars_per_second * TICKS_PER_BAR))
    playing.add_done_callback(lambda _: setattr(server, "should_exit", True))
    await serving.serve(server, listener, say)
    await _ended(playing)
    kept.keep_all(truth, market.ticks)
    kept.close()
    if publish:
        publish.close()


def _loaded(kept: TruthFile, options: argparse.Namespace) -> tuple[SimulatedExchange, int]:
    found = kept.load()
    if found is None:
        # Ids of fills must not come again when an exchange starts over with an empty file beside an old ledger.
        name = content_id("account", str(options.seed), str(now_ms()))[:8]
        return SimulatedExchange(options.terms, options.seed, Account(name=name)), 0
    return SimulatedExchange.restored(options.terms, options.seed, found[0]), found[1]


async def _ended(playing: "asyncio.Task[None]") -> None:
    """Stop the market; what went wrong in it is raised here."""
    playing.cancel()
    with suppress(asyncio.CancelledError):
        await playing


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the process."""
    parser = argparse.ArgumentParser(prog="python -m connectors.venue.simulated.process", description=__doc__)
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on; loopback unless told otherwise")
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="file of the exchange's truth")
    parser.add_argument("--seed", type=int, default=1, help="of the walk, the fills and the faults")
    parser.add_argument("--kafka", help="bootstrap servers; without it ticks are not published")
    parser.add_argument("--prices", type=Path, help="CSV of bars, .gz too; without it a seeded walk")
    parser.add_argument("--bars-per-second", type=float, default=1.0)
    parser.add_argument("--start-price", type=Decimal, default=Decimal(40_000), help="of the walk, in dollars")
    parser.add_argument("--from-start", action="store_true", help="play the path from its beginning, whatever was played")
    parser.add_argument("--loop", action="store_true", help="start the bars again when they end")
    parser.add_argument("--terms", type=Terms.model_validate_json, default=Terms(), help="JSON")
    parser.add_argument("--faults", type=Faults.model_validate_json, default=Faults(), help="JSON")
    options = parser.parse_args(arguments)
    if options.bars_per_second <= 0:
        parser.error("--bars-per-second must be more than zero")
    if options.prices is not None and next(recorded_path(options.prices), None) is None:
        msg = f"the price file {options.prices} has no bars; a bar is a row of timestamp,open,high,low,close,volume"
        raise ConfigError(msg)
    return options


if __name__ == "__main__":
    sys.exit(said_of(lambda say: run(parse(), say)))
