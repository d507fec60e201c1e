"""What becomes of legs that are not paired: they wait, or are refused."""

from typing import Annotated, Literal

from pydantic import Field

from domain.messages.fields import Message, Ms, Name


class WaitingLeg(Message):
    """A leg without a partner, or (with `paired` or `dropped`) one that no longer waits; the newest word per leg holds."""

    leg_id: Name
    state: Literal["waiting", "pending", "too_old", "paired", "dropped"]
    worth_cents: Annotated[int, Field(ge=0)]
    created_at: Ms
    age_seconds: int
    as_of: Ms


class LegRefusal(Message):
    """A well-formed leg that will not be paired: it failed, or it contradicts what the same id said before."""

    leg_id: Name
    reason: Literal["failed", "conflict", "worthless"]
    detail: str
    source: Name
    source_offset: int
    as_of: Ms
