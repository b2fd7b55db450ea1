"""A hundred thousand inputs against the handler that libzmq asks who is let in."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import pytest
import zmq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from freeswitch_zmq.module.access import Access
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.refusals import Refusals
from freeswitch_zmq.module.rule import Rule
from freeswitch_zmq.module.schema import KeyConfig

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

REQUESTS = 100_000

ALICE, MALLORY = b"a" * 32, b"m" * 32
OPEN, KEYED = b"open-1", b"keyed-1"


def or_anything(*values: bytes) -> st.SearchStrategy[bytes]:
    """One of the values, a part or a variation of it, or any bytes."""
    known = st.sampled_from(values)
    return st.one_of(known, known, known, st.binary(max_size=40), st.builds(lambda a, b: a + b, known, st.binary()))


REQUEST = st.one_of(
    st.lists(st.binary(max_size=50), max_size=12),
    st.tuples(
        or_anything(b"1.0"),
        st.binary(max_size=10),
        or_anything(OPEN, KEYED),
        or_anything(b"127.0.0.1", b"::1", b"::ffff:127.0.0.1", b"192.0.2.1", b"::ffff:192.0.2.1", b"fe80::1%lo", b""),
        st.binary(max_size=10),
        or_anything(b"NULL", b"CURVE", b"PLAIN"),
        or_anything(ALICE, MALLORY),
    ).map(list),
)


def may_come_in(request: list[bytes]) -> bool:
    """What the rules below say, in other words than the code's."""
    if len(request) < 6 or request[2] not in (OPEN, KEYED):
        return False
    try:
        address = ipaddress.ip_address(request[3].decode().partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    if not mapped.is_loopback:
        return False
    if request[2] == OPEN:
        return request[5] == b"NULL"
    return request[5] == b"CURVE" and request[6:7] == [ALICE]


def expected(request: list[bytes]) -> list[bytes]:
    """What the handler has to reply: with whom it lets in the connections that have ended, none, and the key in hex."""
    request_id = request[1] if len(request) > 1 else b""
    if not may_come_in(request):
        return [b"", b"1.0", request_id, b"300", b"not let in", b"", b""]
    key = ALICE.hex().encode() if request[2] == KEYED else b""
    return [b"", b"1.0", request_id, b"200", b"OK", b"0 " + key, b""]


@pytest.fixture
def errors() -> list[BaseException]:
    return []


@pytest.fixture
def asking(errors: list[BaseException]) -> Iterator[zmq.Socket[bytes]]:
    """A socket connected to a handler with two rules."""
    with zmq.Context() as context:
        access = Access(context, Commands(), errors.append)
        ring = KeyRing([KeyConfig("alice", ALICE, ("events",), ())])
        for domain, curve in ((OPEN, False), (KEYED, True)):
            name = domain.decode()
            access.rules[name] = Rule("events", "here", ("loopback.auto",), curve, ring, Refusals(), name)
        access.start()
        with context.socket(zmq.DEALER) as socket:
            socket.set(zmq.LINGER, 0)
            socket.connect("inproc://zeromq.zap.01")
            yield socket
        assert access.stop()


def test_requests_to_the_handler(asking: zmq.Socket[bytes], errors: list[BaseException]) -> None:
    count = let_in = 0
    told = 0

    @settings(
        max_examples=REQUESTS // 8,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(REQUEST, min_size=8, max_size=8))
    def ask(requests: list[list[bytes]]) -> None:
        nonlocal count, let_in, told
        for request in requests:
            asking.send_multipart([b"", *request])
        replies = []
        for _ in requests:
            assert asking.poll(20_000), f"no answer to one of {requests}"
            replies.append(asking.recv_multipart())
        # Who is refused is told first.
        assert sorted(replies) == sorted(expected(request) for request in requests), (requests, replies)
        let_in += sum(map(may_come_in, requests))
        count += len(requests)
        if count - told >= 10_000:
            told = count
            print(f"{count} requests, {let_in} let in")

    ask()
    print(f"{count} requests, {let_in} let in")
    assert count >= REQUESTS
    assert let_in > count // 100, "the inputs were no test"
    assert errors == []
