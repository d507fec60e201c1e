"""What people agree to."""

from typing import Literal

from domain.messages.fields import Message, Ms, Name
from domain.messages.treasury import JobName, Reason


class Vote(Message):
    """A person approves or denies what another one, or the treasury, has asked for; `subject` is the job."""

    examples = (
        '{"subject":"manual:019be2d4","vote":"approve","by":"ben","reason":"agreed on the phone",'
        '"as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    subject: JobName
    vote: Literal["approve", "deny"]
    by: Name
    reason: Reason
    as_of: Ms
