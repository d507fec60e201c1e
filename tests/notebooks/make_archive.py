"""Makes the small archive that the notebooks open first: `python -m tests.notebooks.make_archive DIR`.

A demo plays a simulated month of hourly bars within three minutes. Halfway somebody types prices that nobody can
believe, a line that cannot be read, half of a trade, and a posting on an account that is not there, so that there is an
incident to look at.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path

from connectors.clock import now_ms
from connectors.venue.simulated.prices import TICKS_PER_BAR, walk
from domain.times import datetime_of
from tests.app.surroundings import command, environment, open_folder, run_ballast
from tests.waiting import until

BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = 31 * 24
SEED, STEP_PPM = 23, 6_000
SECONDS, TRADES_PER_SECOND = 150, 4

INCIDENT = {
    "market.ticks": b'{"price_usd":"35000","as_of":"%(now)s"}\n' * 3,
    "dealer.transactions": b'{"id":"half of a trade"}\n'
    b'{"id":"half-of-a-trade","direction":"RECEIVE","settlement_currency":"BTC","settlement_amount":250000,'
    b'"cents_per_unit":"0.04","created_at":"%(now)s"}\n',
    "ledger.postings": b'{"key":"rent","debit":"OFFICE_BUDGET","credit":"OFFICE_BANK","amount":250000,"currency":"BTC",'
    b'"effective_at":"%(now)s"}\n',
}


def bars() -> Iterator[str]:
    """Yield the lines of a price history: a seeded walk, an hour a bar."""
    yield "timestamp,open,high,low,close,volume"
    path = walk(SEED, Decimal(42_000), step_ppm_max=STEP_PPM)
    for hour in range(HOURS):
        ticks = list(islice(path, TICKS_PER_BAR))
        at = (BEGINS + timedelta(hours=hour)).strftime("%Y-%m-%d %H:%M:%S")
        yield f"{at},{ticks[0]},{max(ticks)},{min(ticks)},{ticks[-1]},1"


def make(folder: Path) -> None:
    """Play the month, and keep it in a new folder."""
    with open_folder() as work:
        prices = work / "prices.csv"
        prices.write_text("\n".join(bars()) + "\n")
        options = ["--prices", prices, "--seconds", SECONDS, "--trades-per-second", TRADES_PER_SECOND]
        options += ["--keep", folder.resolve(), "--data", work / "data"]
        with subprocess.Popen(command("demo", *map(str, options)), cwd=work, env=environment({})) as playing:
            until((work / "data" / "running.json").exists, "the demo to run")
            time.sleep(SECONDS / 2)
            type_incident(work)
            if playing.wait():
                sys.exit("the demo did not end well")


def type_incident(work: Path) -> None:
    """Type what no desk should act on."""
    for topic, lines in INCIDENT.items():
        typed = lines % {b"now": datetime_of(now_ms()).isoformat().encode()}
        said = run_ballast(
            "produce", topic, "--unchecked", cwd=work, settings={"BALLAST_DATA__FOLDER": str(work / "data")}, stdin=typed
        )
        if said.code:
            sys.exit(said.err)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
