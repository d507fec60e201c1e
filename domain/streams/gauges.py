"""What the steps of a running flow say of themselves, once per epoch: how far they have come, and what waits in them.

| step | name | value |
|---|---|---|
| every stateful one | `watermark_ms` | the stream time that it has passed, in epoch milliseconds |
| that merges streams | `late` | records that came after their instant had passed |
| | `held` | records that wait for slower sources |
| that pairs legs | `waiting_legs` | legs without their other half |
| | `waiting_worth_cents` | what they are worth together |
| | `oldest_waiting_since_ms` | since when the oldest waits, 0 when none does |
| | `fresh_waiting_since_ms` | the same of those that have not waited too long |
| that explains fills | `fills_unexplained` | fills that wait for a word on their order |
"""

from typing import NamedTuple


class Gauge(NamedTuple):
    """One number of one shard of a step; the newest replaces the one before."""

    step: str
    shard: str
    name: str
    value: int
