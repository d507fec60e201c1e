"""What is for the people who run Ballast."""

from typing import Annotated, Literal

from pydantic import Field

from domain.messages.fields import Message, Ms, Name


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
