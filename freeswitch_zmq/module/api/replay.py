"""The method `replay`: events that a publisher still holds."""

from __future__ import annotations

from typing import Any

from freeswitch_zmq.errors import NotHeld
from freeswitch_zmq.event_names import EVENT_NAMES
from freeswitch_zmq.jsonrpc import FORBIDDEN, NOT_HELD, RpcError
from freeswitch_zmq.module.api.desk import AnswerLater, Desk
from freeswitch_zmq.module.api.params import Params, wrong
from freeswitch_zmq.module.api.request import Request
from freeswitch_zmq.module.filters import closest
from freeswitch_zmq.module.publication import Publication
from freeswitch_zmq.spelling import shown

__all__ = ["replay"]

DEFAULT_LIMIT = 1000


def replay(desk: Desk, request: Request, _later: AnswerLater) -> bytes:
    """A page of events, as JSON.

    Raises:
        RpcError: they can't be had, or not by that caller.
    """
    params = Params(request.call, "publisher", "epoch", "first", "last", "names", "limit")
    name = params.raw_text("publisher")
    publication = desk.publications.get(name)
    if not _may(request, name, publication):
        raise RpcError(FORBIDDEN, f'you may not have events of publisher "{shown(name)}" again')
    if publication is None:
        word = shown(name)
        raise wrong(f'there is no publisher "{word}"{closest(word, list(desk.publications))}')
    epoch, first = params.whole("epoch"), params.whole("first")
    last = params.whole("last") if "last" in params else None
    limit = params.whole("limit", DEFAULT_LIMIT)
    names = params.names("names")
    if last is not None and last < first:
        raise wrong('"last" is not below "first"')
    for each in names or ():
        if each not in EVENT_NAMES:
            word = shown(each)
            raise wrong(f'"names": FreeSWITCH has no event "{word}"{closest(word, EVENT_NAMES)}')
    ring = publication.publisher.ring
    held: dict[str, Any] = {"epoch": str(publication.publisher.epoch), "oldest": None, "newest": None}
    if ring is None:
        raise RpcError(NOT_HELD, f'publisher "{name}" holds no events; its replay-mb is 0', held)
    if epoch != publication.publisher.epoch:
        held.update(oldest=ring.oldest, newest=ring.newest)
        raise RpcError(NOT_HELD, "the publisher has started anew since, and its numbers with it", held)
    try:
        page = ring.page(first, last, names, limit)
    except NotHeld as error:
        held.update(oldest=error.oldest, newest=error.newest)
        raise RpcError(NOT_HELD, f"the oldest event that is held is {error.oldest}", held) from None
    more = "null" if page.next is None else str(page.next)
    tail = f'],"next":{more},"oldest":{page.oldest},"newest":{page.newest}}}'
    return b'{"events":[' + b",".join(page.events) + tail.encode()


def _may(request: Request, name: str, publication: Publication | None) -> bool:
    if not request.caller.grants.replay(name):
        return False
    if publication is None or publication.config.security != "curve":
        return True
    # Who may not subscribe must not get it this way.
    key = request.caller.key
    return key is not None and name in key.publishers
