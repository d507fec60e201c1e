"""What is for the people who run Ballast."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from domain.messages.fields import Message, Ms, Name
from domain.messages.treasury import BufferName, JobName, PositiveAmount, Reason


class Alert(Message):
    """Something that a person should look at; the same trouble has the same id."""

    id: Name
    severity: Literal["warning", "critical"]
    subject: Name
    text: str
    as_of: Ms


class Quarantined(Message):
    """A message that could not be read, with its coordinates and its bytes in base64, so that it can be sent again."""

    reason: Name
    detail: str
    topic: Name
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    key_base64: str | None = None
    raw_base64: str
    as_of: Ms


class Control(Message):
    """What a person tells the treasury to do: to stop and go on, to look now, to convert an amount, or to give a job up.

    `reduce` starts nothing new and finishes what is under way, `halt` sends nothing either; `resume` ends both, and is for
    another person than the one who stopped it. The amount of a conversion is in minor units of its source, and it waits for
    the approval of others.
    """

    examples = (
        '{"id":"c1","command":"run_cycle","by":"anna","reason":"after the outage","as_of":"2026-01-31T12:00:00Z"}',
        '{"id":"c2","command":"convert","source":"system_buffer_fiat","destination":"system_buffer_usdc","amount":4000000,'
        '"by":"anna","reason":"payroll tomorrow","as_of":"2026-01-31T12:00:00Z"}',
        '{"id":"c3","command":"cancel","job_id":"manual:c2","by":"anna","reason":"typed twice","as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    id: Name
    scope: Literal["treasury"] = "treasury"
    command: Literal["halt", "reduce", "resume", "run_cycle", "convert", "cancel"]
    source: BufferName | None = None
    destination: BufferName | None = None
    amount: PositiveAmount | None = None
    job_id: JobName | None = None
    by: Name
    reason: Reason
    as_of: Ms

    @model_validator(mode="after")
    def _says_what_it_needs(self) -> "Control":
        conversion = (self.source, self.destination, self.amount)
        if self.command == "convert" and (None in conversion or self.source == self.destination):
            msg = "to convert needs source and destination, which are two buffers, and an amount"
            raise ValueError(msg)
        if (self.command == "convert", self.command == "cancel") != (conversion != (None,) * 3, self.job_id is not None):
            msg = "source, destination and amount are for convert alone, and job_id is for cancel alone"
            raise ValueError(msg)
        return self
