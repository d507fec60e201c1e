"""Times: epoch milliseconds inside, aware UTC datetimes at the edges that want them, ISO 8601 where people read and write.

Every conversion is exact, because none passes through a float.
"""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BITCOIN_BEGAN_MS = 1_230_940_800_000
"""2009-01-03, the day of the first block; nothing that Ballast is told can have happened before."""

DAY_MS = 86_400_000

LATEST_MS = 2**42
"""The year 2109, the latest time that a message can tell."""

_MILLISECOND = timedelta(milliseconds=1)


def datetime_of(at_ms: int) -> datetime:
    """Return the aware time of epoch milliseconds."""
    return EPOCH + at_ms * _MILLISECOND


def ms_of(at: datetime) -> int:
    """Return the epoch milliseconds of an aware time; what is finer is cut off."""
    return (at - EPOCH) // _MILLISECOND


def text_of(at_ms: int) -> str:
    """Return epoch milliseconds as ISO 8601 in UTC, with a Z."""
    return datetime_of(at_ms).isoformat().replace("+00:00", "Z")


def parse_ms(value: object) -> int:
    """Return the epoch milliseconds of a time as messages carry it; ValueError says how it should be written."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        msg = 'must be epoch milliseconds or an ISO 8601 UTC time, such as "2026-01-31T12:00:00Z"'
        raise ValueError(msg)
    try:
        at = datetime.fromisoformat(value)
    except ValueError as error:
        msg = f'{value!r} is not a time; write "2026-01-31T12:00:00Z" or epoch milliseconds'
        raise ValueError(msg) from error
    if at.utcoffset() is None:
        msg = f"{value!r} has no zone; put a Z behind it"
        raise ValueError(msg)
    return ms_of(at)
