"""The treasury is replayed beside the rest: from recorded flows and words of providers follow the same decisions and books."""

import json
from pathlib import Path

from app.replay.replay import replay_folder
from app.settings import Settings
from connectors.recorded import write_line
from domain.messages.treasury import JobChange, TreasuryDecision
from tests.domain.treasury.desk_runs import Played
from tests.domain.treasury.test_desk import CLOSES_MS, WINDOW_MS, begun, failing
from tests.flows.treasury_runs import recorded
from tests.treasury_words import BROKER, FIAT, USDC, flow, terms


def story(folder: Path) -> Played:
    """A story that was told by hand, with its topics recorded in a folder."""
    policy, end_ms = Settings().treasury, CLOSES_MS + WINDOW_MS
    facts = begun({USDC: 12_000, FIAT: 150_000, BROKER: 200_000}, terms("due"), terms("zerohash", 2))
    facts += [(1_000, flow("w", USDC, -7_500, 1_000)), (end_ms, flow("last", FIAT, 1, end_ms))]
    played = Played(policy).tell(facts, end_ms, failing("due"))
    for (topic, partition), tape in recorded(played.heard).items():
        (folder / f"{topic}.jsonl").write_text("".join(f"{write_line(message, partition)}\n" for message in tape))
    return played


def test_a_recorded_treasury_replays_to_the_same_bytes(tmp_path: Path) -> None:
    """Decisions, jobs and postings are those of the story, however the recording is cut."""
    (tmp_path / "topics").mkdir()
    played = story(tmp_path / "topics")
    written: list[dict[str, bytes]] = []
    for batch_size, workers in ((1000, 1), (3, 2)):
        out = tmp_path / f"{batch_size}"
        replay_folder(Settings(), tmp_path / "topics", out, batch_size, workers)
        written.append({str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.jsonl")})
    assert written[0] == written[1]
    once = written[0]
    assert len(played.of(TreasuryDecision)) == len(once["treasury.decisions.jsonl"].splitlines())
    assert len(played.of(JobChange)) == len(once["treasury.jobs.jsonl"].splitlines())
    booked = [json.loads(line)["id"] for line in once["buffers/transactions.jsonl"].splitlines()]
    assert [one["id"] for one in played.ledger.transaction_rows()] == booked
    assert b"" == once["ledger/transactions.jsonl"]
