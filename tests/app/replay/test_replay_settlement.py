"""The settlement is replayed beside the rest: from recorded words follow the same refusals and books."""

import json
from pathlib import Path

from app.replay.replay import replay_folder
from app.settings import Settings
from connectors.recorded import write_line
from domain.messages.settlement import SettlementResult
from tests.domain.settlement.played import Played, crowd
from tests.flows.settlement_runs import recorded

WORDS = [*crowd(7, 150)]


def test_a_recorded_settlement_replays_to_the_same_bytes(tmp_path: Path) -> None:
    """Postings and refusals are those of the story, also of words that come again, however the recording is cut."""
    topics = tmp_path / "topics"
    topics.mkdir()
    words = [*WORDS, *WORDS]
    for (topic, partition), tape in recorded(enumerate(words)).items():
        (topics / f"{topic}.jsonl").write_text("".join(f"{write_line(message, partition)}\n" for message in tape))
    written: list[dict[str, bytes]] = []
    for batch_size, workers in ((1000, 1), (3, 2)):
        out = tmp_path / f"{batch_size}"
        replay_folder(Settings(), topics, out, batch_size, workers)
        written.append({str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.jsonl")})
    assert written[0] == written[1]
    played = Played()
    played.tell(*words)
    booked = [json.loads(line)["id"] for line in written[0]["settlement/transactions.jsonl"].splitlines()]
    assert [one["id"] for one in played.ledger.transaction_rows()] == booked
    results = [
        SettlementResult.model_validate_json(json.loads(line)["value"])
        for line in written[0]["settlement.results.jsonl"].splitlines()
    ]
    assert len(played.kept.refused) == sum(one.outcome == "refused" for one in results)
    assert b"" == written[0]["ledger/transactions.jsonl"] == written[0]["buffers/transactions.jsonl"]
