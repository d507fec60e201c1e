"""How decisions are kept."""

from collections.abc import Callable, Sequence

from domain.messages.decisions import Decision

Keep = Callable[[Sequence[Decision]], None]
"""Commits decisions; one that is there already stays as it is."""
