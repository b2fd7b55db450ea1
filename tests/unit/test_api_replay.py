"""The method `replay`: events again, for who may have them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any, Optional

import hypothesis
import pytest
from hypothesis import strategies as st

from freeswitch_zmq.jsonrpc import FORBIDDEN, INVALID_PARAMS, NOT_HELD, success
from freeswitch_zmq.module import ring as ring_module
from freeswitch_zmq.module.access import Access
from freeswitch_zmq.module.api.replay import replay
from freeswitch_zmq.module.api.request import Request
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.publication import Publication
from freeswitch_zmq.module.ring import Ring
from tests.support.keys import SecretFile, access, new_secret_file
from tests.unit.asking import Asking, key
from tests.unit.cjson import Pairs
from tests.unit.configurations import config, local, publisher
from tests.unit.events_strategy import raw_events
from tests.unit.fake_freeswitch import FakeEvent, FakeSwitch
from tests.unit.publishing import Context, offer, send_all

ALICE = key("alice", "guarded", allow=["replay:*"])
BOB = key("bob", "default", allow=["replay:*"])
CARL = key("carl", "guarded", allow=["ping"])


def nobody(request: Request, output: Optional[str]) -> None:
    raise AssertionError(request, output)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> SecretFile:
    return new_secret_file(tmp_path_factory.mktemp("keys"))


class Shelf(contextlib.ExitStack):
    """Publishers whose events the test offers, and somebody who asks for them again."""

    def __init__(self, switch: FakeSwitch, context: Context, server: SecretFile, allow: str = "replay:*") -> None:
        super().__init__()
        parsed = config(
            publisher(*local(replay_mb=10)),
            publisher(*local(replay_mb=10, security="curve"), name="guarded"),
            publisher(*local(), name="empty"),
            access=access(server.path),
        )
        ring = KeyRing([])
        gate = Access(context, Commands(), lambda error: pytest.fail(str(error)))
        self.publications = {
            each.name: Publication(
                each, context, gate, ring, lambda function: function(), lambda error: pytest.fail(str(error))
            )
            for each in parsed.publishers
        }
        for publication in self.publications.values():
            self.callback(publication.publisher.close)
        self.asking = Asking(switch, [ALICE, BOB, CARL], self.publications, allow=allow)

    def offer(self, *events: FakeEvent | str, name: str = "default") -> None:
        """These are held."""
        offer(self.publications[name].publisher, *events)
        send_all(self.publications[name].publisher)

    def ring(self, name: str = "default") -> Ring:
        found = self.publications[name].publisher.ring
        assert found is not None
        return found

    def epoch(self, name: str = "default") -> int:
        return self.publications[name].publisher.epoch

    def params(self, params: dict[str, Any]) -> dict[str, Any]:
        """With what every request needs."""
        name = params.get("publisher", "default")
        known = self.epoch(name) if name in self.publications else 1
        return {"publisher": "default", "epoch": str(known), "first": 1, **params}

    def ask(self, **params: Any) -> dict[str, Any]:
        page: dict[str, Any] = self.asking.ask("replay", **self.params(params))
        return page

    def numbers(self, **params: Any) -> list[int]:
        """The sequences of what is given."""
        return [int(event["ZMQ-Sequence"]) for event in self.ask(**params)["events"]]


@pytest.fixture
def shelf(switch: FakeSwitch, context: Context, server: SecretFile) -> Iterator[Shelf]:
    with Shelf(switch, context, server) as shelf:
        shelf.offer("API", "HEARTBEAT", "API", "CHANNEL_ANSWER", "API")
        yield shelf


def test_events_are_given_as_they_were_sent(shelf: Shelf) -> None:
    page = shelf.ask()
    assert page == {
        "events": [json.loads(message) for message in shelf.ring().page(1, None, None, 10).events],
        "next": None,
        "oldest": 1,
        "newest": 5,
    }
    assert [event["Event-Name"] for event in page["events"]] == ["API", "HEARTBEAT", "API", "CHANNEL_ANSWER", "API"]
    assert {event["ZMQ-Epoch"] for event in page["events"]} == {str(shelf.epoch())}


@pytest.mark.parametrize(
    ("params", "numbers", "following"),
    [
        ({"first": 3}, [3, 4, 5], None),
        ({"first": "3"}, [3, 4, 5], None),
        ({"first": 2, "last": 3}, [2, 3], None),
        ({"first": 2, "last": "2"}, [2], None),
        ({"last": 99}, [1, 2, 3, 4, 5], None),
        ({"last": None, "names": None, "limit": None}, [1, 2, 3, 4, 5], None),
        ({"names": ["API"]}, [1, 3, 5], None),
        ({"names": ["API", "CHANNEL_ANSWER"], "first": 2}, [3, 4, 5], None),
        ({"names": []}, [], None),
        ({"names": ["TRAP"]}, [], None),
        ({"limit": 2}, [1, 2], 3),
        ({"limit": "1", "first": 4}, [4], 5),
        ({"limit": 5}, [1, 2, 3, 4, 5], None),
        ({"limit": 10**30}, [1, 2, 3, 4, 5], None),
        ({"limit": 2, "names": ["API"]}, [1, 3], 5),
        # What is to come is not there yet.
        ({"first": 6}, [], None),
        ({"first": 10**30}, [], None),
    ],
)
def test_what_was_asked_for_is_given(
    shelf: Shelf, params: dict[str, Any], numbers: list[int], following: int | None
) -> None:
    assert shelf.numbers(**params) == numbers
    page = shelf.ask(**params)
    assert (page["next"], page["oldest"], page["newest"]) == (following, 1, 5)


def test_one_goes_on_from_next_until_there_is_nothing_more(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.offer(*(FakeEvent("TRAP", [("x", "y" * 1000)]) for _ in range(45)))
    monkeypatch.setattr(ring_module, "PAGE_BYTES", 5000)
    found: list[int] = []
    following: int | None = 1
    pages = 0
    while following is not None:
        assert following == len(found) + 1
        page = shelf.ask(first=following, limit=7)
        found += [int(event["ZMQ-Sequence"]) for event in page["events"]]
        following = page["next"]
        pages += 1
    assert found == list(range(1, 51))
    assert pages > 50 / 7


def test_without_a_limit_a_page_has_a_thousand(shelf: Shelf) -> None:
    shelf.offer(*["API"] * 1500)
    page = shelf.ask()
    assert (len(page["events"]), page["next"]) == (1000, 1001)
    assert len(shelf.ask(limit=1200)["events"]) == 1200


# What is not held.


def test_another_epoch_is_told_with_this_one(shelf: Shelf) -> None:
    for epoch in (shelf.epoch() + 1, 1, str(shelf.epoch() - 1), 10**30):
        error = shelf.asking.refused("replay", **shelf.params({"epoch": epoch}))
        assert (error.code, error.message) == (
            NOT_HELD,
            "the publisher has started anew since, and its numbers with it",
        )
        assert error.data == {"epoch": str(shelf.epoch()), "oldest": 1, "newest": 5}
    assert shelf.numbers(epoch=shelf.epoch(), first=5) == [5]


def test_what_was_let_go_is_told_with_what_is_left(shelf: Shelf) -> None:
    shelf.ring().resize(2, 10_000_000)
    for first in (1, 3):
        error = shelf.asking.refused("replay", **shelf.params({"first": first}))
        assert (error.code, error.message) == (NOT_HELD, "the oldest event that is held is 4")
        assert error.data == {"epoch": str(shelf.epoch()), "oldest": 4, "newest": 5}
    assert shelf.numbers(first=4) == [4, 5]


def test_before_the_first_event_nothing_is_held_and_nothing_is_missing(
    switch: FakeSwitch, context: Context, server: SecretFile
) -> None:
    with Shelf(switch, context, server) as shelf:
        assert shelf.ask() == {"events": [], "next": None, "oldest": 1, "newest": 0}


def test_a_publisher_that_holds_nothing_says_so(shelf: Shelf) -> None:
    for epoch in (shelf.epoch("empty"), 1):
        error = shelf.asking.refused("replay", **shelf.params({"publisher": "empty", "epoch": epoch}))
        assert (error.code, error.message) == (NOT_HELD, 'publisher "empty" holds no events; its replay-mb is 0')
        assert error.data == {"epoch": str(shelf.epoch("empty")), "oldest": None, "newest": None}


# Who may have what.


def test_only_publishers_that_are_granted(switch: FakeSwitch, context: Context, server: SecretFile) -> None:
    with Shelf(switch, context, server, allow="replay:em*, ping") as shelf:
        assert shelf.asking.code("replay", **shelf.params({"publisher": "empty"})) == NOT_HELD
        for name in ("default", "guarded"):
            error = shelf.asking.refused("replay", **shelf.params({"publisher": name}))
            assert (error.code, error.data) == (FORBIDDEN, None)
            assert error.message == f'you may not have events of publisher "{name}" again'
        # Nor is it told which there are.
        assert shelf.asking.code("replay", **shelf.params({"publisher": "nowhere"})) == FORBIDDEN


def test_of_an_encrypted_publisher_only_who_may_subscribe_to_it(shelf: Shelf) -> None:
    shelf.offer("API", name="guarded")
    params = shelf.params({"publisher": "guarded"})
    for nobody in (None, BOB, CARL):
        error = shelf.asking.refused("replay", nobody, **params)
        assert (error.code, error.data) == (FORBIDDEN, None)
    assert len(shelf.asking.ask("replay", ALICE, **params)["events"]) == 1
    # To one that everybody can subscribe to a key adds nothing but its permission.
    assert len(shelf.asking.ask("replay", ALICE, **shelf.params({}))["events"]) == 5
    shelf.asking.ring.configure([key("alice", "default", allow=["replay:*"])])
    assert shelf.asking.code("replay", ALICE, **params) == FORBIDDEN


# What it takes.


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"publisher": None}, '"publisher" is missing'),
        ({"publisher": 5}, '"publisher" is a string'),
        ({"publisher": "defualt"}, 'there is no publisher "defualt" (did you mean "default"?)'),
        ({"publisher": "x\n\ud83d"}, r'there is no publisher "x\n\ud83d"'),
        ({"publisher": "x" * 60_000}, f'there is no publisher "{"x" * 40}"'),
        ({"epoch": None}, '"epoch" is missing'),
        ({"epoch": 0}, '"epoch" is a whole number from 1'),
        ({"epoch": 1.5}, '"epoch" is a whole number from 1'),
        ({"first": None}, '"first" is missing'),
        ({"first": 0}, '"first" is a whole number from 1'),
        ({"first": -1}, '"first" is a whole number from 1'),
        ({"first": "x"}, '"first" is a whole number from 1'),
        ({"last": 0}, '"last" is a whole number from 1'),
        ({"last": []}, '"last" is a whole number from 1'),
        ({"first": 3, "last": 2}, '"last" is not below "first"'),
        ({"limit": 0}, '"limit" is a whole number from 1'),
        ({"limit": True}, '"limit" is a whole number from 1'),
        ({"names": "API"}, '"names" is an array of strings'),
        ({"names": [1]}, '"names" is an array of strings'),
        ({"names": ["API", "APPI"]}, '"names": FreeSWITCH has no event "APPI" (did you mean "API"?)'),
        ({"names": ["api"]}, '"names": FreeSWITCH has no event "api"'),
        ({"names": [""]}, '"names": FreeSWITCH has no event ""'),
        ({"names": ["CUSTOM^sofia::x"]}, '"names": FreeSWITCH has no event "CUSTOM^sofia::x"'),
        ({"names": ["\0\ud83d"]}, r'"names": FreeSWITCH has no event "\x00\ud83d"'),
        ({"name": ["API"]}, 'replay has no param "name" (did you mean "names"?)'),
    ],
)
def test_what_is_wrong_is_told(shelf: Shelf, params: dict[str, Any], told: str) -> None:
    error = shelf.asking.refused("replay", **shelf.params(params))
    assert (error.code, error.message, error.data) == (INVALID_PARAMS, told, None)


# The bytes go out as they lie there.


@hypothesis.given(st.lists(raw_events(), max_size=5))
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_whatever_events_hold_the_answer_is_json(shelf: Shelf, events: list[tuple[str, Pairs, str | None]]) -> None:
    first = shelf.ring().newest + 1
    for name, headers, body in events:
        event = FakeEvent(name, body=body)
        event.headers = headers
        shelf.offer(event)
    raw = replay(shelf.asking.desk, shelf.asking.request("replay", shelf.params({"first": first})), nobody)
    page = json.loads(success("id", raw).decode())["result"]
    assert [int(event["ZMQ-Sequence"]) for event in page["events"]] == list(range(first, first + len(events)))
    assert [event["Event-Name"] for event in page["events"]] == [name for name, _, _ in events]
    assert page["newest"] == first + len(events) - 1
