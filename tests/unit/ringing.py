"""Events for a ring, and pages of it."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple

from freeswitch_zmq.module.ring import Page, Ring
from freeswitch_zmq.wire import known_prefix

MB = 1_000_000


def message(number: int, name: str = "API", size: int = 0) -> bytes:
    """The JSON of an event, of `size` bytes if that is more than it needs."""
    text = b'%s,"ZMQ-Sequence":"%d"}' % (known_prefix(name), number)
    return text + b" " * (size - len(text))


def numbers(page: Page) -> list[int]:
    """The sequences of its events."""
    return [int(json.loads(each)["ZMQ-Sequence"]) for each in page.events]


class Pages(NamedTuple):
    """What was found, and how many of it on each page."""

    found: list[int]
    sizes: list[int]


def walk(
    ring: Ring, first: int, last: int | None = None, names: Collection[str] | None = None, limit: int = 7
) -> Pages:
    """All pages from `first` on."""
    found: list[int] = []
    sizes: list[int] = []
    following: int | None = first
    while following is not None:
        page = ring.page(following, last, names, limit)
        assert page.next is None or page.next > following
        found += numbers(page)
        sizes.append(len(page.events))
        following = page.next
    return Pages(found, sizes)
