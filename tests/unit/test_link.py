"""The pump's end of the way to one endpoint, whose other end is played here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import zmq

from freeswitch_zmq.module import link as link_module
from freeswitch_zmq.module.link import INPROC_HWM, REPORTS_A_ROUND, STUCK_SECONDS, Link
from freeswitch_zmq.module.subscriptions import OVERHEAD
from tests.unit.clock import Clock
from tests.unit.publishing import Context, Player, received


@pytest.fixture
def link(context: Context) -> Iterator[Link]:
    link = Link(context)
    yield link
    link.close()


@pytest.fixture
def player(context: Context, link: Link) -> Iterator[Player]:
    player = Player(context, link, INPROC_HWM)  # as an endpoint has it
    yield player
    player.close()


def update(link: Link, player: Player) -> None:
    """Until everything is told and checked."""
    player.forward()
    while link.update_subscriptions() or player.front.poll(0):
        player.forward()


def test_what_is_handed_over_arrives_in_order(link: Link, player: Player) -> None:
    assert link.send(None, b"single")
    assert link.send(b"topic", b"json")
    assert link.send(b"", b"json")
    assert received(player.socket) == [[b"single"], [b"topic", b"json"], [b"", b"json"]]


def test_links_do_not_get_in_each_others_way(context: Context, link: Link, player: Player) -> None:
    other = Link(context)
    assert {link.address, link.probe_address}.isdisjoint({other.address, other.probe_address})
    assert link.send(None, b"for one")
    other.close()
    assert received(player.socket) == [[b"for one"]]


@pytest.mark.parametrize("topic", [None, b"topic"])
def test_when_it_is_full_nothing_of_a_message_is_handed_over(link: Link, player: Player, topic: bytes | None) -> None:
    sent = 0
    while link.send(topic, b"%d" % sent):
        sent += 1
        assert sent <= 10 * INPROC_HWM
    assert sent >= INPROC_HWM
    for _ in range(3):
        assert not link.send(topic, b"too many")
    messages = received(player.socket)
    assert [frames[-1] for frames in messages] == [b"%d" % number for number in range(sent)]
    assert {len(frames) for frames in messages} == {1 if topic is None else 2}
    assert link.send(topic, b"again")


def test_without_an_endpoint_nothing_is_taken(link: Link) -> None:
    assert not link.send(None, b"x")
    assert not link.send(b"topic", b"x")
    assert not link.update_subscriptions()


def test_what_was_handed_over_arrives_though_it_was_closed(link: Link, player: Player) -> None:
    for number in range(10):
        assert link.send(None, b"%d" % number)
    link.close()
    assert link.gone
    assert [frames[0] for frames in received(player.socket)] == [b"%d" % number for number in range(10)]


def test_it_can_be_closed_twice(link: Link) -> None:
    link.close()
    link.close()


def test_subscriptions_come_and_go(link: Link, player: Player) -> None:
    for prefix in (b"", b"a", b"a"):
        player.subscribe(prefix)
    update(link, player)
    assert len(link.subscriptions) == 2
    player.unsubscribe(b"")
    update(link, player)
    assert len(link.subscriptions) == 1
    assert link.subscriptions.want(b"abc")
    assert not link.subscriptions.want(b"b")


def test_the_reports_of_a_message_of_several_frames_are_each_taken(link: Link, player: Player) -> None:
    # As the proxy hands them on: a frame that is no subscription, and what followed it.
    player.socket.send_multipart([b"x", b"\x01a"])
    player.socket.send_multipart([b"", b"x", b"\x01b"])
    update(link, player)
    assert len(link.subscriptions) == 2


def test_a_round_reads_only_so_many(link: Link, player: Player) -> None:
    for number in range(2 * REPORTS_A_ROUND + 1):
        player.subscribe(b"%d" % number)
    player.forward()
    for known, more in ((REPORTS_A_ROUND, True), (2 * REPORTS_A_ROUND, True), (2 * REPORTS_A_ROUND + 1, False)):
        assert link.update_subscriptions() is more
        assert len(link.subscriptions) == known


def test_subscriptions_are_never_lost_however_many_wait(link: Link, player: Player) -> None:
    many = 5 * INPROC_HWM
    for number in range(many):
        player.socket.send(b"\x01%d" % number, zmq.NOBLOCK)
    while link.update_subscriptions():
        pass
    assert len(link.subscriptions) == many


def test_a_check_does_not_wait_for_an_endpoint_that_is_behind(link: Link, player: Player) -> None:
    # It does not read its checks, while one subscription after the other is doubted.
    for number in range(3 * INPROC_HWM):
        player.socket.send(b"\x01%d" % number)
        player.socket.send(b"\x00%d" % number)
    while link.update_subscriptions():
        pass
    assert len(link.subscriptions) == 3 * INPROC_HWM
    update(link, player)
    assert len(link.subscriptions) == 0


def test_more_than_it_may_hold_is_told_at_each_look_until_it_has_ended(
    link: Link, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    link.on_overrun = lambda: told.append(link.subscriptions.size)
    monkeypatch.setattr(link_module, "SUBSCRIPTIONS_SIZE", 3 * (1 + OVERHEAD))
    for prefix in (b"a", b"b", b"c"):
        player.subscribe(prefix)
    update(link, player)
    assert told == []
    player.subscribe(b"")
    update(link, player)
    assert link.subscriptions.size == 3 * (1 + OVERHEAD) + OVERHEAD
    assert told
    assert set(told) == {link.subscriptions.size}
    count = len(told)
    link.update_subscriptions()
    assert len(told) == count + 1
    # Also when nothing is sent to it any more, because it may not have heard of it.
    link.gone = True
    player.unsubscribe(b"")
    update(link, player)
    assert link.subscriptions.size == 3 * (1 + OVERHEAD)
    assert len(told) > count + 1
    count = len(told)
    link.ended = True
    link.update_subscriptions()
    assert len(told) == count


def test_without_anybody_to_tell_an_overrun_is_survived(
    link: Link, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "SUBSCRIPTIONS_SIZE", 0)
    player.subscribe(b"a")
    update(link, player)
    assert len(link.subscriptions) == 1


def test_one_that_takes_nothing_for_long_is_told_of_and_not_before(
    link: Link, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock().set(monkeypatch, link_module)
    told: list[float] = []
    link.on_overrun = lambda: told.append(clock.now)

    def fill() -> None:
        for _ in range(10 * INPROC_HWM):
            if not link.send(None, b"x"):
                return
        raise AssertionError("it takes everything")

    fill()
    clock.now += STUCK_SECONDS - 0.1
    fill()
    assert told == []
    # It took something, so its time begins anew.
    received(player.socket)
    assert link.send(None, b"x")
    clock.now += STUCK_SECONDS - 0.1
    fill()
    clock.now += STUCK_SECONDS - 0.1
    fill()
    assert told == []
    clock.now += 0.2
    fill()
    assert told == [clock.now]
