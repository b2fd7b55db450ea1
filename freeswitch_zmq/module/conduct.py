"""How peers have behaved: whoever floods an endpoint, or comes and goes without end, has to stay away for a while."""

from __future__ import annotations

import time

__all__ = ["Conduct"]

AWAY_SECONDS = 5.0
AWAY_AT_MOST_SECONDS = 30.0
"""Each flood adds the former; the time that has passed is taken off."""

VISITS_AT_ONCE = 200.0
VISITS_A_SECOND = 20.0
"""Connections that ended as soon as they had come: so many at once, and so many a second on the average. At the end of
each libzmq looks through all that anybody has subscribed to, 10 ms for a megabyte."""

VISIT_BYTES = 2500
"""One that sent so much counts as one more: who sends much, goes and comes again is no better than who stays."""

ADDRESSES_AT_MOST = 10_000


class Conduct:
    """Until when each address has to stay away. All of loopback counts as one."""

    def __init__(self) -> None:
        self._away_until: dict[str, float] = {}
        self._visits: dict[str, tuple[float, float]] = {}

    def came_and_went(self, address: str, received: int) -> None:
        """A connection from there ended as soon as it had come, and had sent so many bytes as far as was seen."""
        if len(self._visits) >= ADDRESSES_AT_MOST:
            self._visits.clear()
        now = time.monotonic()
        visits, at = self._visits.get(_group(address), (0.0, now))
        visits = max(0.0, visits - VISITS_A_SECOND * (now - at)) + 1 + received / VISIT_BYTES
        if visits > VISITS_AT_ONCE:
            visits = 0.0
            if not self.is_away(address):  # thousands that end at once are one flood
                self.flooded(address)
        self._visits[_group(address)] = visits, now

    def flooded(self, address: str) -> None:
        """Somebody there did it just now."""
        if len(self._away_until) >= ADDRESSES_AT_MOST:
            self._away_until.clear()
        now = time.monotonic()
        until = max(now, self._away_until.get(_group(address), 0.0)) + AWAY_SECONDS
        self._away_until[_group(address)] = min(until, now + AWAY_AT_MOST_SECONDS)

    def is_away(self, address: str) -> bool:
        """Whether it has to stay away for now."""
        return time.monotonic() < self._away_until.get(_group(address), 0.0)


def _group(address: str) -> str:
    return "127.0.0.0/8" if address.startswith(("127.", "::ffff:127.")) or address == "::1" else address
