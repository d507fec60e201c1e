"""Sealed periods, counted again from rows alone: what was changed since, in them or in their seals, is named."""

import json
from hashlib import sha256
from typing import Any

import pytest

from domain.ledger.journal import Layer
from domain.proof.balances import Followed
from domain.proof.seals import Recount, SealCheck
from domain.proof.verify import verify
from tests.domain.proof.ledger_exports import BY_NUMBER, STORY, Place, Tables, batches_of, changed

UNTIL, UNTIL_US = "2023-11-15T00:00:00Z", 1_700_006_400_000_000
LATER, LATER_US = "2023-11-16T00:00:00Z", 1_700_092_800_000_000


def resealed(tables: Tables, *manifests: tuple[int, dict[str, Any] | str]) -> list[SealCheck]:
    """What became of the periods that were sealed with these manifests, each until its time in microseconds."""
    told = [(until_us, text if isinstance(text, str) else json.dumps(text)) for until_us, text in manifests]
    recount = Recount([str(until_us), "0", "somebody", text] for until_us, text in told)
    list(verify(Followed(BY_NUMBER), recount.counted(batches_of(tables))))
    return list(recount.checked())


def _manifest(tables: Tables, since: str | None = None, until: str = UNTIL) -> dict[str, Any]:
    """What was in all batches when they were sealed, told by the rules of a seal."""
    ids = sorted(f"{row[2]} {row[16]}\n" for row in tables["tx"])
    sums: dict[tuple[str, int], list[int]] = {}
    for row in tables["entry"]:
        sums.setdefault((row[7], int(row[5])), [0, 0])[row[6] == "-1"] += int(row[8])
    told = [
        {"currency": currency, "layer": Layer(layer).name.lower(), "debits": debits, "credits": credits_}
        for (currency, layer), (debits, credits_) in sorted(sums.items())
    ]
    digest = sha256("".join(ids).encode()).hexdigest()
    facts = {"transactions": len(ids), "entries": len(tables["entry"]), "sums": told, "sha256": digest}
    last = tables["batch"][-1]
    batches = {"0": {"batch_id": int(last[0]), "hash": last[-1]}}
    return {"since": since, "until": until, "days": [{"day": "2023-11-14", **facts}], "batches": batches}


def test_a_seal_is_counted_again() -> None:
    """A period that is what it was is sound, and so is one after it in which nothing happened."""
    later = {"since": UNTIL, "until": LATER, "days": [], "batches": {}}
    expected = [SealCheck(None, UNTIL, True, [], []), SealCheck(UNTIL, LATER, True, [], [])]
    assert expected == resealed(STORY, (UNTIL_US, _manifest(STORY)), (LATER_US, later), (LATER_US + 1, "{}"))


@pytest.mark.parametrize(
    ("change", "days", "shards"),
    [
        ({"days": []}, ["2023-11-14"], []),
        ({"batches": {"0": {"batch_id": 7, "hash": "0" * 64}}}, [], [0]),
        ({"batches": {"0": {"batch_id": 8, "hash": "0" * 64}}}, [], [0]),
        ({"since": UNTIL}, [], []),
        ({"until": LATER}, [], []),
        ({"until": "then"}, [], []),
        ({"days": 7}, [], []),
    ],
)
def test_a_seal_that_was_changed_is_found(change: dict[str, Any], days: list[str], shards: list[int]) -> None:
    """The days and the shards that it is wrong about are named; a seal that cannot be read is not sound."""
    assert [SealCheck(None, UNTIL, False, days, shards)] == resealed(STORY, (UNTIL_US, {**_manifest(STORY), **change}))


def test_a_change_in_a_sealed_period_is_found() -> None:
    """Whatever the hashes say: a transaction that is another one, an entry that is another one, and text that is no seal."""
    for place, value in ((Place("tx", 0, "body_hash"), "0" * 32), (Place("entry", 0, "amount"), "51")):
        (seal,) = resealed(changed(STORY, place, value), (UNTIL_US, _manifest(STORY)))
        assert (False, ["2023-11-14"], []) == seal[2:]
    assert [False, False] == [seal.is_sound for seal in resealed(STORY, (UNTIL_US, '{"a"'), (UNTIL_US, "[1]"))]
