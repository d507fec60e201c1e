"""Taking a shard of the ledger: one writer at a time, and each with a greater fence than all before it."""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress

import psycopg

from domain.errors import ConfigError, FencedError
from domain.ledger.accounts import Account
from domain.ledger.leaves import SPREAD
from sinks.postgres import Connection

LOCK_CLASS = 0x42414C4C
"""The class of our advisory locks; the shard is the lock's number."""

_TAKE = """
    INSERT INTO ledger.writer (shard, fence, host, pid) VALUES (%s, 1, %s, %s)
    ON CONFLICT (shard) DO UPDATE SET fence = writer.fence + 1, host = excluded.host, pid = excluded.pid, since = now()
    RETURNING fence
"""
_FIRST = "INSERT INTO ledger.writer (shard, fence, host, pid) VALUES (%s, 0, %s, %s) ON CONFLICT DO NOTHING"
_LOCK = "SELECT fence FROM ledger.writer WHERE shard = %s FOR UPDATE"
_HOLDER = "SELECT host, pid, since FROM ledger.writer WHERE shard = %s"
_KNOWN = "SELECT code FROM ledger.account WHERE code = ANY(%s::TEXT[])"
_OPEN_BELOW = """
    INSERT INTO ledger.account (code, normal_side, journal, meaning, min_available, shard, parent_id)
    SELECT n.code, p.normal_side, p.journal, n.meaning, p.min_available, p.shard, p.account_id
    FROM unnest(%s::TEXT[], %s::TEXT[], %s::TEXT[]) WITH ORDINALITY AS n (code, meaning, parent, place)
    JOIN ledger.account p ON p.code = n.parent
    ORDER BY n.place
    ON CONFLICT (code) DO NOTHING
"""
_OPEN_ACCOUNT = """
    INSERT INTO ledger.account (
        {id}code, normal_side, journal, currency, meaning, min_available, max_balance, status, shard, parent_id
    ) VALUES (
        {its}%(code)s, %(normal_side)s, %(journal)s, %(currency)s, %(meaning)s, %(min_available)s, %(max_balance)s,
        %(status)s, %(shard)s, (SELECT p.account_id FROM ledger.account p WHERE p.code = %(parent)s)
    ) ON CONFLICT (code) DO NOTHING
"""
_LEAVES = """
    SELECT p.code, array_agg(a.code) FILTER (WHERE a.code IS NOT NULL)
    FROM ledger.account p LEFT JOIN ledger.account a ON a.parent_id = p.account_id
    WHERE p.code = ANY(%s::TEXT[]) GROUP BY p.code
"""
_OPEN_NUMBERED = _OPEN_ACCOUNT.format(id="account_id, ", its="%(id)s, ").encode()
_OPEN_UNNUMBERED = _OPEN_ACCOUNT.format(id="", its="").encode()
_LIMIT_VELOCITY = """
    INSERT INTO ledger.velocity_limit (account_id, currency, window_seconds, amount_max)
    SELECT a.account_id, %s, %s, %s FROM ledger.account a WHERE a.code = %s ON CONFLICT DO NOTHING
"""


def take(connection: Connection, shard: int, pid: int | None = None) -> int:
    """Lock the shard for as long as the connection lasts, and raise its fence; `pid` is who a person has to stop for
    it, this process if nobody else.

    FencedError names who has it.
    """
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCK_CLASS, shard)).fetchone()
    if not row or not row[0]:
        holder = connection.execute(_HOLDER, (shard,)).fetchone()
        who = f"pid {holder[1]} on {holder[0]}, since {holder[2]:%Y-%m-%d %H:%M:%S}" if holder else "just starting"
        msg = f"another writer holds the ledger ({who}); stop it first"
        raise FencedError(msg)
    taken = connection.execute(_TAKE, (shard, socket.gethostname(), pid or os.getpid())).fetchone()
    return int(taken[0]) if taken else 0


def give_back(connection: Connection, shard: int) -> None:
    """Let the next writer take the shard now: that a connection has ended, the server notices a moment later."""
    with suppress(psycopg.Error):
        connection.execute("SELECT pg_advisory_unlock(%s, %s)", (LOCK_CLASS, shard))


def lock_shard(connection: Connection, shard: int) -> int:
    """Keep every batch of the shard out until this transaction ends, and return the fence of its writer.

    A shard that never had a writer gets fence 0.
    """
    row = connection.execute(_LOCK, (shard,)).fetchone()
    if row is None:
        connection.execute(_FIRST, (shard, socket.gethostname(), os.getpid()))
        row = connection.execute(_LOCK, (shard,)).fetchone()
    return int(row[0]) if row else 0


def open_missing(connection: Connection, accounts: Sequence[Account]) -> None:
    """Open the accounts of the chart that are not there; those that are stay as they are. Parents come before children.

    Raises ConfigError if user trades were spread over other shards before.
    """
    _refuse_other_leaves(connection, accounts)
    known = {row[0] for row in connection.execute(_KNOWN, ([account.code for account in accounts],))}
    missing = [account for account in accounts if account.code not in known]
    if not missing:
        return
    with connection.transaction(), connection.cursor() as cursor:
        for one in missing:
            cursor.execute(_OPEN_NUMBERED if one.id else _OPEN_UNNUMBERED, one._asdict())
        cursor.executemany(_LIMIT_VELOCITY, [(*velocity, one.code) for one in missing for velocity in one.velocities])


def open_below(connection: Connection, accounts: Sequence[Account]) -> None:
    """Open accounts that are as their parents are, all at once; those that are there stay as they are."""
    columns = [[one.code for one in accounts], [one.meaning for one in accounts], [one.parent for one in accounts]]
    connection.execute(_OPEN_BELOW, columns)


def _refuse_other_leaves(connection: Connection, accounts: Sequence[Account]) -> None:
    summaries = [account.code for account in accounts if account.code in SPREAD]
    for summary, found in connection.execute(_LEAVES, (summaries,)):
        wanted = {account.code for account in accounts if account.parent == summary}
        if wanted != set(found or ()):
            msg = (
                f"user trades of this ledger are spread over {len(found or ()) or 1} shards, and ledger.trade_shards says "
                f"{len(wanted) or 1}: it is fixed for the life of a ledger; set it back, or begin with another database"
            )
            raise ConfigError(msg)
