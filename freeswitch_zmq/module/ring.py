"""The newest events of a publisher, as the bytes that were sent, for who missed some.

The pump adds, another thread reads, and neither waits for the other: there is no lock. Under the GIL to read a number
or to copy a part of a list is one step; the reader copies first, then looks whether what it copied was still held.
"""

from __future__ import annotations

import sys
import time
from array import array
from collections.abc import Collection
from typing import NamedTuple, Optional

from freeswitch_zmq.errors import NotHeld
from freeswitch_zmq.wire import known_prefix

__all__ = ["Page", "Ring"]

OVERHEAD = sys.getsizeof(b"") + 16 + 16
"""What an event costs beside its JSON: Python's own part of a bytes object, what malloc adds on average, two slots."""

SMALLEST = OVERHEAD + 94
"""No event is smaller: the three keys that we add, and the shortest name."""

PAGE_BYTES = 1024 * 1024

LOOK_AT = 1000
"""Events that a reader looks at in one go, a few tenths of a millisecond."""

LOOK_MOST = 20_000
"""Events that a reader looks at for one page, some 10 ms: who asks for rare ones must not keep others waiting."""

BREATH_SECONDS = 0.0001
"""How long it leaves the GIL to others then: a sleep of 0 would be over before another thread has woken up."""

_NAME_STARTS = len(known_prefix("")) - 1


class Page(NamedTuple):
    """A part of what is held.

    Attributes:
        events: their JSON, ascending.
        next: the sequence to go on from; None when there is nothing more of what was asked for. It is there also when
            none was found in LOOK_MOST events.
        oldest: the lowest sequence that is held now.
        newest: the latest sequence when the page was begun.
    """

    events: list[bytes]
    next: Optional[int]
    oldest: int
    newest: int


class Ring:
    """Filled in the pump's thread; read in any.

    An event has a position, counted from 0 over all that were added, and lies in the slot with the position modulo the
    number of slots. Sequences have holes, where events were shed; positions have none, so that holes take no slots.

    Args:
        most_events: how many are held at most.
        most_bytes: how much memory they may take.
        newest: the sequence behind which it begins.

    Attributes:
        count: events that are held.
        bytes: memory that they take.
        oldest: the lowest sequence that is held; the one behind `newest` when none is.
        newest: the latest sequence that was added.
    """

    def __init__(self, most_events: int, most_bytes: int, newest: int = 0) -> None:
        self.count = self.bytes = 0
        self.oldest, self.newest = newest + 1, newest
        self._limits = most_events, most_bytes
        self._begin = self._end = 0  # positions of the oldest event, and of the next one to come
        self._slots = _slots(most_events, most_bytes)

    def add(self, sequence: int, message: bytes) -> None:
        """Holds one more event, and lets go of the oldest where it needs their room.

        One that is too large is not held, and nothing before it either: what is held never lacks an event in the middle
        that had been there.

        Args:
            sequence: higher than the latest; what is older than that is not taken.
            message: its JSON as it is sent.
        """
        if sequence <= self.newest:
            return
        size = len(message) + OVERHEAD
        messages, sequences = self._slots
        room = self._limits[1] - size
        while self.count and (self.bytes > room or self.count == len(messages)):
            self._let_go()
        if room >= 0:
            at = self._end % len(messages)
            sequences[at] = sequence
            messages[at] = message
            if not self.count:
                self.oldest = sequence
            self.count += 1
            self.bytes += size
            self._end += 1
        else:
            self.oldest = sequence + 1
        self.newest = sequence

    def _let_go(self) -> None:
        messages, sequences = self._slots
        at, after = self._begin % len(messages), self._begin + 1
        # Both before the slot, so that a reader who took it meanwhile notices.
        self.oldest = sequences[after % len(messages)] if self.count > 1 else self.newest + 1
        self._begin = after
        self.count -= 1
        self.bytes -= len(messages[at]) + OVERHEAD
        messages[at] = b""

    def resize(self, most_events: int, most_bytes: int) -> None:
        """Goes over to other limits, with the newest events that fit; in the pump's thread."""
        if (most_events, most_bytes) == self._limits:
            return
        old_messages, old_sequences = self._slots
        messages, sequences = _slots(most_events, most_bytes)
        self._limits = most_events, most_bytes
        while self.bytes > most_bytes or self.count > len(messages):
            self._let_go()
        position = self._begin
        while position < self._end:
            to, since = position % len(messages), position % len(old_messages)
            run = min(self._end - position, len(messages) - to, len(old_messages) - since)
            messages[to : to + run] = old_messages[since : since + run]
            sequences[to : to + run] = old_sequences[since : since + run]
            position += run
        # The old lists stay as they are for a reader that is in the middle of them.
        self._slots = messages, sequences

    def page(self, first: int, last: Optional[int], names: Optional[Collection[str]], limit: int) -> Page:
        """Events from `first` on, in any thread.

        Args:
            first: a sequence.
            last: the last sequence to look at; None for the newest.
            names: of events; others don't count. None for all.
            limit: the most events to give; of these no more than PAGE_BYTES, but one whatever it is.

        Raises:
            NotHeld: `first` is older than what is held, or what was to be looked at went meanwhile.
        """
        wanted = None if names is None else {known_prefix(name) for name in names if name.isascii()}
        # In this order: `end` includes `newest`, and the lists have what is before `end`.
        newest = self.newest
        end = self._end
        messages, sequences = self._slots
        last = newest if last is None else min(last, newest)
        events: list[bytes] = []
        size = 0
        position = began = self._find(first, end, sequences)
        looked = first - 1
        while position < end:
            at = position % len(messages)
            stop = min(at + LOOK_AT, at + end - position, len(messages))
            ours, numbers = messages[at:stop], sequences[at:stop]
            if position < self._begin:
                if events:  # what there is can be given; what is gone is told to who goes on
                    break
                raise NotHeld(self.oldest, self.newest)
            for sequence, message in zip(numbers, ours):
                if sequence > last:
                    return Page(events, None, self.oldest, newest)
                if wanted is not None and message[: message.find(b'"', _NAME_STARTS) + 1] not in wanted:
                    continue
                size += len(message)
                if events and (len(events) >= limit or size > PAGE_BYTES):
                    return Page(events, sequence, self.oldest, newest)
                events.append(message)
            position += stop - at
            looked = numbers[-1]
            if position - began >= LOOK_MOST:
                break
            if position < end:
                time.sleep(BREATH_SECONDS)
        more = position < end and looked < last
        return Page(events, looked + 1 if more else None, self.oldest, newest)

    def _find(self, first: int, end: int, sequences: array[int]) -> int:
        """The position of the first event that has this sequence or a higher one; `end` when there is none."""
        while True:
            low, high = self._begin, end
            while low < high:
                middle = (low + high) // 2
                if sequences[middle % len(sequences)] < first:
                    low = middle + 1
                else:
                    high = middle
            if first < self.oldest:
                raise NotHeld(self.oldest, self.newest)
            # Else the pump took slots away from under the search, which then ends at one of them.
            if low >= self._begin:
                return low


def _slots(most_events: int, most_bytes: int) -> tuple[list[bytes], array[int]]:
    """Two lists side by side, the events and their sequences: as long as they will ever be, so that nothing grows."""
    length = max(1, min(most_events, most_bytes // SMALLEST))
    return [b""] * length, array("Q", [0]) * length
