"""What somebody outside may answer to a request, other than yes: the three ways to fail that every port shares.

A request carries our own id, so that its fate can be asked for when the answer is lost; that is the difference that matters
between them.
"""


class Unknown(Exception):  # noqa: N818  the word of the field: the fate of the request is not known
    """A time-out, a broken connection, a server error: the other side may or may not have done it. Ask, never guess."""


class Refused(Exception):  # noqa: N818
    """The other side has understood and will not do it; `code` is its own."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class NotFound(Exception):  # noqa: N818
    """The other side does not know this id, or not yet."""
