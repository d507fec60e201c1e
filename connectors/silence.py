"""How long somebody outside has not answered, and when it is time to say so: after some seconds, and again once a minute."""

SILENT_MS, SAY_SILENT_MS = 10_000, 60_000
"""Whoever has not answered for so long is spoken of, and again every so often while that lasts."""


class Silence:
    """The silence of one counterparty; `since_ms` is None while it answers."""

    def __init__(self) -> None:
        self.since_ms: int | None = None
        self.why = ""
        self._say_at_ms = 0

    def heard(self, *, answered: bool, now_ms: int) -> int | None:
        """Take in whether it answered; return since when it has not when it is time to say so."""
        if answered:
            self.since_ms = None
            return None
        if self.since_ms is None:
            self.since_ms, self._say_at_ms = now_ms, now_ms + SILENT_MS
        if now_ms < self._say_at_ms:
            return None
        self._say_at_ms = now_ms + SAY_SILENT_MS
        return self.since_ms
