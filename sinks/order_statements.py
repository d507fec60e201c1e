"""The statements of `sinks.orders`: the same five for orders and for transfers, which differ in a few columns."""

from typing import NamedTuple

from domain.execution import What


class Statements(NamedTuple):
    """What is asked of one of the two tables; `client_id` stands for its primary key in all of them."""

    insert: str
    slot: str
    open: str
    one: str
    update: str


LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('treasury.venue ' || %s, 0))"

NOTE = """
INSERT INTO treasury.state_change
    (what, client_id, decision_id, venue, state, filled, venue_sequence, reason, changed_at)
VALUES (%(what)s, %(client_id)s, %(decision_id)s, %(venue)s, %(state)s, %(filled)s, %(venue_sequence)s, %(reason)s,
    %(changed_at)s)
"""

CHANGES = "SELECT * FROM treasury.state_change WHERE venue = %s AND id > %s ORDER BY id LIMIT %s"

_ORDER = Statements(
    insert="""
INSERT INTO treasury.venue_order
    (client_order_id, decision_id, venue, instrument, action, contracts, based_on_sequence, as_of, state, reserved_at)
VALUES (%(client_id)s, %(decision_id)s, %(venue)s, %(instrument)s, %(action)s, %(contracts)s, %(based_on_sequence)s,
    %(as_of)s, %(state)s, %(reserved_at)s)
""",
    slot="""
SELECT
    (SELECT client_order_id FROM treasury.venue_order
        WHERE venue = %(venue)s AND state IN ('reserved', 'sent', 'unknown', 'open')) AS open_id,
    finished.client_order_id AS finished_id, finished.venue_sequence AS finished_sequence
FROM (VALUES (1)) AS one LEFT JOIN LATERAL (
    SELECT client_order_id, venue_sequence FROM treasury.venue_order
    WHERE venue = %(venue)s AND finished_at IS NOT NULL ORDER BY venue_sequence DESC LIMIT 1
) AS finished ON true
""",
    open="""
SELECT *, client_order_id AS client_id FROM treasury.venue_order
WHERE venue = %s AND state IN ('reserved', 'sent', 'unknown', 'open')
""",
    one="SELECT *, client_order_id AS client_id FROM treasury.venue_order WHERE client_order_id = %s",
    update="""
UPDATE treasury.venue_order SET state = %(state)s, filled = %(filled)s, venue_sequence = %(venue_sequence)s,
    reason = %(reason)s, sent_at = %(sent_at)s, finished_at = %(finished_at)s
WHERE client_order_id = %(client_id)s AND (finished_at IS NULL OR state = 'not_placed')
    AND (state, filled, venue_sequence, reason, sent_at)
        IS DISTINCT FROM (%(state)s, %(filled)s, %(venue_sequence)s, %(reason)s, %(sent_at)s)
""",
)

_TRANSFER = Statements(
    insert="""
INSERT INTO treasury.venue_transfer
    (client_transfer_id, decision_id, venue, kind, amount_sats, based_on_sequence, as_of, state, reserved_at)
VALUES (%(client_id)s, %(decision_id)s, %(venue)s, %(kind)s, %(amount_sats)s, %(based_on_sequence)s,
    %(as_of)s, %(state)s, %(reserved_at)s)
""",
    slot="""
SELECT
    (SELECT client_transfer_id FROM treasury.venue_transfer
        WHERE venue = %(venue)s AND state IN ('reserved', 'sent', 'unknown', 'pending')) AS open_id,
    finished.client_transfer_id AS finished_id, finished.venue_sequence AS finished_sequence
FROM (VALUES (1)) AS one LEFT JOIN LATERAL (
    SELECT client_transfer_id, venue_sequence FROM treasury.venue_transfer
    WHERE venue = %(venue)s AND finished_at IS NOT NULL ORDER BY venue_sequence DESC LIMIT 1
) AS finished ON true
""",
    open="""
SELECT *, client_transfer_id AS client_id, 0 AS filled FROM treasury.venue_transfer
WHERE venue = %s AND state IN ('reserved', 'sent', 'unknown', 'pending')
""",
    one="""
SELECT *, client_transfer_id AS client_id, 0 AS filled FROM treasury.venue_transfer WHERE client_transfer_id = %s
""",
    update="""
UPDATE treasury.venue_transfer SET state = %(state)s, venue_sequence = %(venue_sequence)s, reason = %(reason)s,
    sent_at = %(sent_at)s, finished_at = %(finished_at)s
WHERE client_transfer_id = %(client_id)s AND (finished_at IS NULL OR state = 'not_sent')
    AND (state, venue_sequence, reason, sent_at)
        IS DISTINCT FROM (%(state)s, %(venue_sequence)s, %(reason)s, %(sent_at)s)
""",
)

STATEMENTS: dict[What, Statements] = {"order": _ORDER, "transfer": _TRANSFER}
