"""Where a command writes what it answers."""

from __future__ import annotations

from .events import Event

__all__ = ["CommandStream"]


class CommandStream:
    """Collects text.

    Attributes:
        event: The API event of the command that writes here, None before one does.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.event: Event | None = None

    def write(self, part: str) -> None:
        """Add to the answer."""
        self._parts.append(part)

    @property
    def data(self) -> str:
        """All of it so far."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""
