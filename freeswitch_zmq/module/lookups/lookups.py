"""All bindings: which of them are asked about a lookup, and what is never asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, Optional

from freeswitch_zmq.module.lookups.asked import Asked
from freeswitch_zmq.module.lookups.binding import XmlBinding

__all__ = ["Lookups", "is_own_configuration"]


def is_own_configuration(asked: Asked) -> bool:
    """Whether it is the file that says whom to ask."""
    return asked.section == "configuration" and asked.key_value == "event_zmq.conf"


class Lookups:
    """See above. `fetch` is called by many threads; the others by the one that starts, stops and reloads.

    Args:
        on_error: called with an exception that was caught.
    """

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self.bindings: tuple[XmlBinding, ...] = ()
        self._on_error = on_error

    def fetch(self, asked: Asked) -> Optional[bytes]:
        """The first document that a binding of that section has, in their order; None: not found."""
        if is_own_configuration(asked):
            return None
        for binding in self.bindings:
            if asked.section in binding.config.bindings:
                try:
                    document = binding.fetch(asked)
                except Exception as error:  # noqa: BLE001  # the others may know it
                    self._on_error(error)
                    continue
                if document is not None:
                    return document
        return None

    def sections(self) -> str:
        """All that are bound, joined with `|`; empty: none."""
        return "|".join(sorted({section for each in self.bindings for section in each.config.bindings}))

    def flush(self) -> int:
        """Forgets what the caches hold; how many documents that were."""
        return sum(binding.cache.flush() for binding in self.bindings)

    def take_up(self, bindings: Sequence[XmlBinding]) -> None:
        """These are asked from now on."""
        self.bindings = tuple(bindings)
