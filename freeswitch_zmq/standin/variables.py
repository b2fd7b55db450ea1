"""The switch's global variables."""

from __future__ import annotations

import os
import threading

__all__ = ["Variables"]


class Variables:
    """Names in any case, values never empty; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, tuple[str, str]] = {}

    def get(self, name: str) -> str | None:
        """Its value, None when it is not set."""
        with self._lock:
            found = self._values.get(name.lower())
        return found[1] if found else None

    def set(self, name: str, value: str | None) -> None:
        """Set it; an empty value takes it away."""
        with self._lock:
            self._values.pop(name.lower(), None)
            if value:
                self._values[name.lower()] = (name, value)

    def set_if(self, name: str, value: str | None, old: str) -> bool:
        """Set it when its value is `old`, and say whether that was so."""
        with self._lock:
            found = self._values.get(name.lower())
            if found is not None and found[1] != old:
                return False
            self._values.pop(name.lower(), None)
            if value:
                self._values[name.lower()] = (name, value)
        return True

    def set_from_environment(self, name: str, variable: str) -> None:
        """Set it to what the environment has, when it has that."""
        value = os.environ.get(variable)
        if value:
            self.set(name, value)

    def items(self) -> list[tuple[str, str]]:
        """Name and value of each, in the order in which they were set."""
        with self._lock:
            return list(self._values.values())
