"""Replaying: recorded topics in, files out, the same bytes every time."""

import json
from pathlib import Path

import pytest

from app.replay.replay import replay, replay_folder, topic_lines
from connectors.recorded import read_folder, write_line
from domain import topics
from domain.errors import ConfigError
from domain.streams.records import Outgoing, RawBatch
from flows import everything
from sinks.archive.keeping import Keeping
from sinks.archive.lives import lives
from sinks.archive.moments import check_ledger
from tests.flows.runs import SETTINGS, recorded
from tests.words import START_MS, leg, live_trades, pair, pockets, position, tick

TAPES = recorded(
    {
        "dealer.transactions/0": [(n, one) for n, one in enumerate(pair("1", 900_000))],
        "dealer.transactions/3": [(n, one) for n, one in enumerate(pair("2", second=2))] + [(9, b"\xff")],
        "market.ticks": [(ms, tick(at_ms=START_MS + ms)) for ms in (0, 900, 1_900)],
        "venue.positions": [(ms, position(0, ms, START_MS + ms)) for ms in (0, 900, 1_900)],
        "venue.balances": [(ms, pockets(sequence=ms, at_ms=START_MS + ms)) for ms in (0, 900, 1_900)],
    }
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The tapes as recorded files."""
    source = tmp_path / "recorded"
    source.mkdir()
    for (topic, partition), tape in TAPES.items():
        with (source / f"{topic}.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(f"{write_line(message, partition)}\n" for message in tape)
    return source


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The tapes as an archive that has gone on for a while, in many files."""
    kept = tmp_path / "archive"
    keeper = Keeping(kept, lives(kept, {topic.name: f"id-of-{topic.name}" for topic in topics.ALL}), None, bytes_max=0)
    for (topic, number), tape in TAPES.items():
        for message in tape:
            keeper.write_batch([RawBatch(topic, number, -1, [message])])
    keeper.close()
    check_ledger(kept, "of these tapes", "closest")
    return kept


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.jsonl"))}


def test_two_replays_of_a_folder_are_byte_equal(folder: Path, tmp_path: Path) -> None:
    """Every file of two replays is the same, byte for byte."""
    for name in ("one", "other"):
        replay_folder(SETTINGS, folder, tmp_path / name)
    assert files(tmp_path / "one") == files(tmp_path / "other")


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (2, 2), (100, 3)])
def test_every_file_is_the_same_however_it_is_replayed(folder: Path, tmp_path: Path, batch_size: int, workers: int) -> None:
    """Nothing that a replay writes depends on batches or workers."""
    replay_folder(SETTINGS, folder, tmp_path / "one")
    replay_folder(SETTINGS, folder, tmp_path / "other", batch_size, workers)
    assert files(tmp_path / "one") == files(tmp_path / "other")


def test_an_archive_is_replayed_as_lines_are(folder: Path, archive: Path, tmp_path: Path) -> None:
    """The same messages as lines of text and as Parquet replay to the same bytes; a file that is none is one sentence."""
    for name, recorded_in in (("lines", folder), ("parquet", archive)):
        replay_folder(SETTINGS, recorded_in, tmp_path / name)
    assert files(tmp_path / "lines") == files(tmp_path / "parquet")
    next(archive.rglob("topics/market.ticks/**/*.parquet")).write_bytes(b"PAR1 half")
    with pytest.raises(ConfigError, match=r"archive cannot be read as Parquet: .*\.parquet'.*; bring it back"):
        replay_folder(SETTINGS, archive, tmp_path / "again")


def test_a_recording_is_never_written_over(folder: Path, tmp_path: Path) -> None:
    """Output onto the recording or onto what no replay has written is refused, and every file stays as it was."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    before = files(tmp_path)
    for out in (folder, folder / "..", tmp_path / "mine"):
        with pytest.raises(ConfigError, match="choose"):
            replay_folder(SETTINGS, folder, out)
    assert before == files(tmp_path)
    for _ in range(2):
        replay_folder(SETTINGS, folder, tmp_path / "again")


def test_every_output_has_a_file_and_its_lines_are_counted(folder: Path, tmp_path: Path) -> None:
    """There is a file for each topic and each table of the ledger, with as many lines as are reported."""
    counts = replay_folder(SETTINGS, folder, tmp_path / "out")
    assert counts == {name: data.count(b"\n") for name, data in files(tmp_path / "out").items()}
    assert {f"{topic.name}.jsonl" for topic in topics.TOPICS if topic.direction != "in"} <= counts.keys()
    assert (2, 8, 4) == tuple(counts[f"ledger/{name}.jsonl"] for name in ("transactions", "entries", "balances"))
    assert (2, 1) == (counts["user.trades.jsonl"], counts["quarantine.dealer.transactions.jsonl"])


def test_what_was_recorded_can_be_replayed_from_its_files(folder: Path) -> None:
    """Files and tapes are the same to a replay."""
    from_files = replay(SETTINGS, read_folder(folder, everything.INPUTS))
    assert replay(SETTINGS, TAPES).ledger.transaction_rows() == from_files.ledger.transaction_rows()
    assert [("b1", "u1"), ("b2", "u2")] == live_trades(from_files.ledger)


def test_a_replay_of_what_it_wrote(folder: Path, tmp_path: Path) -> None:
    """What a replay puts on a topic is written as that topic would be recorded."""
    replay_folder(SETTINGS, folder, tmp_path / "out")
    decisions = read_folder(tmp_path / "out", [topics.HEDGING_DECISIONS])["hedging.decisions", 0]
    assert decisions
    assert all(json.loads(message.value)["as_of"] == message.at_ms for message in decisions)


def test_an_empty_folder_is_one_sentence(tmp_path: Path) -> None:
    """A folder without recorded topics is an error, not an empty ledger."""
    with pytest.raises(ConfigError, match="holds no recorded topic"):
        replay_folder(SETTINGS, tmp_path, tmp_path / "out")


def test_typed_lines_are_replayed(tmp_path: Path) -> None:
    """A file of lines as a person types them is enough."""
    (tmp_path / "dealer.transactions.jsonl").write_text("".join(f"{one.model_dump_json()}\n" for one in pair("1")))
    counts = replay_folder(SETTINGS, tmp_path, tmp_path / "out")
    assert 1 == counts["ledger/transactions.jsonl"]


def test_lines_are_in_order_of_time_and_key() -> None:
    """Which step spoke first within a millisecond does not show; within a key the order stays."""
    said = [
        Outgoing("alerts", 2, b"a", b"late"),
        Outgoing("alerts", 1, b"b", b"second"),
        Outgoing("alerts", 1, b"a", b"first"),
        Outgoing("alerts", 1, b"b", b"third"),
        Outgoing("alerts", 1, None, b"none"),
    ]
    values = [json.loads(line)["value"] for line in topic_lines(said)["alerts"]]
    assert ["none", "first", "second", "third", "late"] == values


def test_a_late_leg_is_replayed_by_its_time() -> None:
    """Days between two legs of a trade take no time to replay, and lose nothing."""
    days = recorded({"dealer.transactions/0": [(0, leg("b1")), (30 * 86_400_000, leg("u1"))], "market.ticks": [(0, tick())]})
    assert [("b1", "u1")] == live_trades(replay(SETTINGS, days, batch_size=1).ledger)
