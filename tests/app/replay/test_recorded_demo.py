"""A demo that was recorded once: whatever the code becomes, the books that follow from it stay what they were.

The sums change only when what is booked is meant to change, and the commit that changes them says why. User trades have been the
same since the first recording. Accounts of a venue have its name since then, what a venue names has an id without a time and all
that the venue says of it in the metadata, and a fill passes through suspense on its way to the position.
"""

from hashlib import sha256
from pathlib import Path

import pytest

from app.replay.replay import replay_folder
from app.settings import Settings

DEMO = Path(__file__).parent / "recorded_demo"
SUMS = {name: digest for digest, name in (line.split() for line in (DEMO / "SHA256SUMS").read_text().splitlines())}


@pytest.mark.parametrize(("batch_size", "workers"), [(1000, 1), (7, 3)])
def test_a_recorded_demo_replays_to_the_same_books(tmp_path: Path, batch_size: int, workers: int) -> None:
    """Transactions, entries, balances and user trades are those that were recorded, byte for byte."""
    replay_folder(Settings(), DEMO / "topics", tmp_path, batch_size, workers)
    assert {name: sha256((tmp_path / name).read_bytes()).hexdigest() for name in SUMS} == SUMS


def test_every_file_of_a_demo_is_the_same_however_it_is_replayed(tmp_path: Path) -> None:
    """Balances, decisions with their repeats, orders and alerts too do not depend on batches or workers."""
    written: list[dict[str, bytes]] = []
    for batch_size, workers in ((1000, 1), (77, 3), (1, 2)):
        out = tmp_path / f"{batch_size}-{workers}"
        replay_folder(Settings(), DEMO / "topics", out, batch_size, workers)
        written.append({str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.jsonl")})
    assert written[0]["hedging.decisions.jsonl"]
    assert written[0] == written[1] == written[2]
