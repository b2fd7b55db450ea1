"""Documents that were found, for a time; and for a longer one when nobody can be asked."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple, Optional

__all__ = ["Cache"]

ENTRIES_AT_MOST = 10_000
BYTES_AT_MOST = 64 * 1024 * 1024
"""Beyond either, what was not asked for the longest goes."""


class _Entry(NamedTuple):
    document: bytes
    at: float


class Cache:
    """From any thread. Keeps nothing before it was configured.

    Attributes:
        bytes: of the documents.
        flushes: how often it was flushed.
    """

    def __init__(self) -> None:
        self._ttl = self._stale = 0.0
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self.bytes = 0
        self.flushes = 0

    def configure(self, ttl: float, stale: float) -> None:
        """How long documents count, those too that are there.

        Args:
            ttl: seconds for which a document is as good as new.
            stale: how much longer it will do in need.
        """
        self._ttl, self._stale = ttl, stale
        if not self.keeps:
            self.flush()

    @property
    def keeps(self) -> bool:
        """Whether it keeps anything at all."""
        return self._ttl + self._stale > 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, in_need: bool = False) -> Optional[bytes]:
        """The document, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or time.monotonic() - entry.at >= self._ttl + (self._stale if in_need else 0.0):
                return None
            self._entries.move_to_end(key)
            return entry.document

    def put(self, key: Hashable, document: Optional[bytes], flushes: int) -> None:
        """Keeps a document.

        Args:
            key: of the lookup.
            document: None: there is none any more.
            flushes: how many there were when it was asked for; what was under way at a flush is not kept.
        """
        with self._lock:
            if flushes != self.flushes:
                return
            self._drop(key)
            if document is None or not self.keeps:
                return
            self._entries[key] = _Entry(document, time.monotonic())
            self.bytes += len(document)
            while len(self._entries) > ENTRIES_AT_MOST or self.bytes > BYTES_AT_MOST:
                self._drop(next(iter(self._entries)))

    def flush(self) -> int:
        """Forgets all; how many."""
        with self._lock:
            self.flushes += 1
            count, self.bytes = len(self._entries), 0
            self._entries.clear()
            return count

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= len(entry.document)
