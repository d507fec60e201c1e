"""The tables of an archive: which columns each has, of which types, and the query that gives them.

Those of the ledger are the columns of its export (`sinks/ledger/export.py`), those of the treasury are of the same make.
Postgres writes text, and here it is said what that text is. Amounts are `DECIMAL(38, 0)` and times whole microseconds, so
nothing passes through a float. A time that the export has in milliseconds is kept in microseconds: part of a millisecond was
not written by a ledger, and has to be seen.
"""

from collections.abc import Mapping
from typing import NamedTuple

from sinks.ledger.export import TABLES, Table

AMOUNT, COUNT, TEXT, ID, FLAG, BYTES = "DECIMAL(38, 0)", "BIGINT", "VARCHAR", "UUID", "BOOLEAN", "BLOB"
TYPES = frozenset((AMOUNT, COUNT, TEXT, ID, FLAG, BYTES))
"""Every type that a column may have. A shortfall is text: what was refused for its size has more digits than an amount."""

_FRACTION = "DECIMAL(38, 3)"

_NAMES: Mapping[str, str] = {
    ID: "tx_id correlation_id cause_tx_id",
    FLAG: "is_summary is_final",
    BYTES: "key raw value",
    AMOUNT: """
        amount balance_after delta filled min_available max_balance
        settled_debit settled_credit pending_debit pending_credit encumbered_debit encumbered_credit
    """,
    COUNT: """
        account_id parent_id normal_side shard batch_id fence position version revision n_tx n_entries n_added n_duplicates
        n_conflicts n_rejected group_size source_offset leg layer side repeats based_on_sequence sequence change_id partition
        offset gauge at_ms as_of_us recorded_at_us changed_at_us opened_at_us closed_at_us closed_until_us first_used_at_us
        reserved_at_us sent_at_us finished_at_us
    """,
}
_OF_COLUMNS = {name: kind for kind, names in _NAMES.items() for name in names.split()}


class Column(NamedTuple):
    """A column of a file: what the text that it is read from is, and what makes the value of it."""

    name: str
    type: str
    read_as: str
    read_from: str
    made_by: str


class Kept(NamedTuple):
    """A table of an archive: its folder, its columns, and what gives their texts; None where that is no table of Postgres."""

    folder: str
    columns: tuple[Column, ...]
    table: Table | None = None


def column(name: str) -> Column:
    """Return how a column of this name is kept."""
    quoted = f'"{name}"'
    if name.endswith("_at_ms"):
        return Column(f"{name[:-3]}_us", COUNT, _FRACTION, name, f"CAST({quoted} * 1000 AS BIGINT)")
    kind = _OF_COLUMNS.get(name, TEXT)
    if kind == BYTES:
        return Column(name, kind, TEXT, name, f"unhex({quoted})")
    return Column(name, kind, kind, name, quoted)


def _of_treasury(name: str, columns: str, query: str) -> Kept:
    names = tuple(columns.split())
    return Kept(f"treasury/{name}", tuple(map(column, names)), Table(f"{name}.csv", names, query))


LEDGER = tuple(
    Kept(f"ledger/{table.file.removesuffix('.csv')}", tuple(map(column, table.columns)), table) for table in TABLES
)

TREASURY = (
    _of_treasury(
        "policy",
        "policy_version body first_used_at_us",
        """
        SELECT version AS policy_version, body, (extract(EPOCH FROM first_used_at) * 1000000)::BIGINT AS first_used_at_us
        FROM treasury.policy ORDER BY version
        """,
    ),
    _of_treasury(
        "decision",
        "id kind book venue policy policy_version action rule reason amount unit inputs refused repeats as_of_us recorded_at_us",
        """
        SELECT id, kind, book, venue, policy, policy_version, action, rule, reason, amount, unit, inputs, refused, repeats,
            (extract(EPOCH FROM as_of) * 1000000)::BIGINT AS as_of_us,
            (extract(EPOCH FROM recorded_at) * 1000000)::BIGINT AS recorded_at_us
        FROM treasury.decision ORDER BY recorded_at, id
        """,
    ),
    _of_treasury(
        "request",
        "kind client_id counterparty body decision_id based_on_sequence as_of_us slot state stage filled sequence reason "
        "reserved_at_us sent_at_us finished_at_us",
        """
        SELECT kind, client_id, counterparty, body, decision_id, based_on_sequence,
            (extract(EPOCH FROM as_of) * 1000000)::BIGINT AS as_of_us, slot, state, stage, filled, sequence, reason,
            (extract(EPOCH FROM reserved_at) * 1000000)::BIGINT AS reserved_at_us,
            (extract(EPOCH FROM sent_at) * 1000000)::BIGINT AS sent_at_us,
            (extract(EPOCH FROM finished_at) * 1000000)::BIGINT AS finished_at_us
        FROM treasury.request ORDER BY reserved_at, kind, client_id
        """,
    ),
    _of_treasury(
        "request_change",
        "change_id kind client_id decision_id counterparty state stage filled sequence reason changed_at_us",
        """
        SELECT c.id AS change_id, c.kind, c.client_id, c.decision_id, c.counterparty, c.state, s.stage, c.filled, c.sequence,
            c.reason, (extract(EPOCH FROM c.changed_at) * 1000000)::BIGINT AS changed_at_us
        FROM treasury.request_change c LEFT JOIN treasury.request_state s USING (kind, state) ORDER BY c.id
        """,
    ),
    _of_treasury(
        "quarantine",
        "topic partition offset reason detail key raw recorded_at_us",
        """
        SELECT topic, partition, "offset", reason, detail, encode(key, 'hex') AS key, encode(raw, 'hex') AS raw,
            (extract(EPOCH FROM recorded_at) * 1000000)::BIGINT AS recorded_at_us
        FROM treasury.quarantine ORDER BY topic, partition, "offset", digest
        """,
    ),
    _of_treasury(
        "alert",
        "id severity subject text as_of_us recorded_at_us",
        """
        SELECT id, severity, subject, text, (extract(EPOCH FROM as_of) * 1000000)::BIGINT AS as_of_us,
            (extract(EPOCH FROM recorded_at) * 1000000)::BIGINT AS recorded_at_us
        FROM treasury.alert ORDER BY as_of, digest
        """,
    ),
    _of_treasury(
        "leg_refusal",
        "leg_id reason detail source source_offset as_of_us recorded_at_us",
        """
        SELECT leg_id, reason, detail, source, source_offset, (extract(EPOCH FROM as_of) * 1000000)::BIGINT AS as_of_us,
            (extract(EPOCH FROM recorded_at) * 1000000)::BIGINT AS recorded_at_us
        FROM treasury.leg_refusal ORDER BY as_of, digest
        """,
    ),
    _of_treasury(
        "gauge",
        "step shard_name name gauge as_of_us",
        """
        SELECT step, shard AS shard_name, name, value AS gauge, (extract(EPOCH FROM as_of) * 1000000)::BIGINT AS as_of_us
        FROM treasury.gauge ORDER BY step, shard, name
        """,
    ),
)

LATER = (
    _of_treasury(
        "threshold",
        "id body origin login recorded_at_us",
        """
        SELECT id, body, origin, login, (extract(EPOCH FROM recorded_at) * 1000000)::BIGINT AS recorded_at_us
        FROM treasury.threshold ORDER BY threshold.id
        """,
    ),
    _of_treasury(
        "provider",
        "id body recorded_at_us",
        """
        SELECT id, body, (extract(EPOCH FROM recorded_at) * 1000000)::BIGINT AS recorded_at_us
        FROM treasury.provider ORDER BY provider.id
        """,
    ),
    _of_treasury(
        "conversion_job",
        "body posting_id recorded_at_us",
        """
        SELECT body, posting_id, (extract(EPOCH FROM recorded_at) * 1000000)::BIGINT AS recorded_at_us
        FROM treasury.conversion_job ORDER BY job_id
        """,
    ),
    _of_treasury(
        "conversion_job_change",
        "body posting_id recorded_at_us",
        """
        SELECT body, posting_id, (extract(EPOCH FROM recorded_at) * 1000000)::BIGINT AS recorded_at_us
        FROM treasury.conversion_job_change ORDER BY job_id, conversion_job_change.sequence
        """,
    ),
    _of_treasury("net_window", "body", "SELECT body FROM treasury.net_window ORDER BY buffer, since"),
    _of_treasury("net_settlement", "body", "SELECT body FROM treasury.net_settlement ORDER BY until"),
    *(
        _of_treasury(
            f"settlement_{name}",
            "id body recorded_at_us",
            f"""
            SELECT id, body, (extract(EPOCH FROM recorded_at) * 1000000)::BIGINT AS recorded_at_us
            FROM settlement.{name} ORDER BY {name}.id
            """,  # noqa: S608 - named below
        )
        for name in ("instrument", "fee_schedule", "customer_terms")
    ),
    _of_treasury(
        "settlement_refusal",
        "body recorded_at_us",
        """
        SELECT jsonb_build_object(
            'kind', kind, 'id', word_id, 'digest', encode(digest, 'hex'), 'source', source, 'offset', "offset", 'reason', reason,
            'shortfall', shortfall::TEXT, 'word', body
        ) AS body, (extract(EPOCH FROM recorded_at) * 1000000)::BIGINT AS recorded_at_us
        FROM settlement.refusal ORDER BY refusal.source, refusal."offset", refusal.kind, refusal.word_id, refusal.digest
        """,
    ),
)
"""Tables that folders of the first version do not have, each row the message that it was made of; what is not there is empty.
What the settlement refused is kept with why."""

MESSAGES = Kept("topics", tuple(map(column, ("topic", "partition", "offset", "at_ms", "key", "value"))))
"""A message as the broker gave it. There may be a folder for each topic; here is an empty file, so that there is always one."""

KEPT = (*LEDGER, *TREASURY, *LATER, MESSAGES)
