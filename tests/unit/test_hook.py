"""FreeSWITCH's function for lookups, as far as that goes without a FreeSWITCH: a library that does as it would."""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from freeswitch_zmq.module.lookups import hook as hook_module
from freeswitch_zmq.module.lookups.asked import Asked
from freeswitch_zmq.module.lookups.hook import Hook, can_hook
from tests.support.waiting import wait_for
from tests.unit.fake_freeswitch import FakeSwitch

MASKS = {"directory": 2, "dialplan": 4, "configuration": 1}
EVENT = 4711


class FakeLibrary:
    """FreeSWITCH's functions, in Python.

    Attributes:
        callback: that is bound.
        sections_bound: their mask.
        parsed: documents that were handed over.
        headers: of the event, None: it can't be written down.
        freed: texts that were freed.
        lock: what FreeSWITCH holds while it looks up.
    """

    def __init__(self) -> None:
        self.callback: Any = None
        self.sections_bound = 0
        self.parsed: list[bytes] = []
        self.headers: bytes | None = b"{}"
        self.freed: list[int] = []
        self.lock = threading.Lock()
        self._texts: list[Any] = []

    def sections(self, text: bytes) -> int:
        return sum(MASKS[each] for each in text.decode().split("|"))

    def bind(self, callback: Any, mask: int, data: object, binding: Any) -> int:
        with self.lock:
            assert self.callback is None
            self.callback, self.sections_bound = callback, mask
            binding._obj.value = 1
        return 0

    def set_sections(self, binding: ctypes.c_void_p, mask: int) -> None:
        assert binding.value == 1
        self.sections_bound = mask

    def unbind(self, binding: Any) -> int:
        with self.lock:
            self.callback = None
            binding._obj.value = None
        return 0

    def parse(self, document: bytes, dup: int) -> int:
        assert dup == 1  # FreeSWITCH makes a copy of its own: ours goes when we return
        self.parsed.append(document)
        return 1234

    def serialize(self, event: int, text: Any) -> int:
        assert event == EVENT
        if self.headers is not None:
            buffer = ctypes.create_string_buffer(self.headers)
            self._texts.append(buffer)
            text._obj.value = ctypes.addressof(buffer)
        return 0

    def free(self, text: ctypes.c_void_p) -> None:
        assert text.value is not None
        self.freed.append(text.value)

    def look_up(self, section: bytes = b"directory", event: int | None = EVENT) -> int | None:
        """As FreeSWITCH does it, through C."""
        found: int | None = self.callback(section, b"domain", b"name", b"example.com", event, None)
        return found


@pytest.fixture
def library(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> FakeLibrary:
    library = FakeLibrary()
    monkeypatch.setattr(hook_module, "_library", library)
    return library


class Asking:
    """A hook, and what it was asked."""

    def __init__(self, answer: Callable[[Asked], bytes | None] = lambda asked: b"<document/>") -> None:
        self.asked: list[Asked] = []
        self.errors: list[BaseException] = []
        self._answer = answer
        self.hook = Hook(self._fetch, self.errors.append)

    def _fetch(self, asked: Asked) -> bytes | None:
        self.asked.append(asked)
        return self._answer(asked)


def test_this_process_is_no_freeswitch() -> None:
    assert not can_hook()


def test_with_the_functions_it_is_one(library: FakeLibrary) -> None:
    assert can_hook()


def test_a_lookup(library: FakeLibrary) -> None:
    asking = Asking()
    asking.hook.bind("directory|dialplan")
    assert library.sections_bound == 6
    library.headers = json.dumps({"user": "1000", "name": "Ä"}).encode()
    assert library.look_up() == 1234
    assert asking.asked == [Asked("directory", "domain", "name", "example.com", {"user": "1000", "name": "Ä"})]
    assert library.parsed == [b"<document/>"]
    assert library.freed == [ctypes.addressof(text) for text in library._texts]
    assert asking.errors == []


def test_not_found(library: FakeLibrary) -> None:
    asking = Asking(lambda asked: None)
    asking.hook.bind("directory")
    assert library.look_up() is None
    assert library.parsed == []


@pytest.mark.parametrize("event", [None, EVENT], ids=["no event", "one that can't be written down"])
def test_without_params(library: FakeLibrary, event: int | None) -> None:
    library.headers = None
    asking = Asking()
    asking.hook.bind("directory")
    assert library.look_up(event=event) == 1234
    assert asking.asked[0].params == {}
    assert library.freed == []


def test_without_words_and_with_bytes_that_are_no_text(library: FakeLibrary) -> None:
    asking = Asking()
    asking.hook.bind("directory")
    library.headers = b'{"user":"\xff"}'
    assert library.callback(None, None, b"\xff", None, EVENT, None) == 1234
    assert asking.asked == [Asked("", "", "\ufffd", "", {"user": "\ufffd"})]


def test_what_nobody_expected_is_not_found(library: FakeLibrary) -> None:
    def fail(asked: Asked) -> bytes:
        raise RuntimeError("no")

    asking = Asking(fail)
    asking.hook.bind("directory")
    assert library.look_up() is None
    assert [str(error) for error in asking.errors] == ["no"]
    library.headers = b"{"
    assert library.look_up() is None
    assert len(asking.errors) == 2
    assert len(library.freed) == 2


def test_other_sections(library: FakeLibrary) -> None:
    asking = Asking()
    asking.hook.change("dialplan")  # FreeSWITCH does not know of it yet
    assert library.sections_bound == 0
    asking.hook.bind("directory")
    asking.hook.change("configuration")
    assert library.sections_bound == 1


def test_after_unbind_nothing_is_asked(library: FakeLibrary) -> None:
    asking = Asking()
    asking.hook.bind("directory")
    callback = library.callback
    asking.hook.unbind()
    assert library.callback is None
    # FreeSWITCH may be about to call it.
    assert callback(b"directory", b"", b"", b"", EVENT, None) is None
    assert asking.asked == []
    asking.hook.unbind()


@pytest.fixture
def busy(library: FakeLibrary, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLibrary]:
    """FreeSWITCH is in the middle of a lookup until `lock` is released."""
    monkeypatch.setattr(hook_module, "LOCK_SECONDS", 0.01)
    library.lock.acquire()
    yield library
    wait_for(lambda: not [each for each in threading.enumerate() if each.name == "event_zmq xml hook"], "the end")


def test_a_busy_freeswitch_binds_it_later(busy: FakeLibrary, switch: FakeSwitch) -> None:
    asking = Asking()
    asking.hook.bind("directory")
    assert [line for line in switch.texts("WARNING") if "busy with lookups" in line]
    assert busy.callback is None
    busy.lock.release()
    wait_for(lambda: busy.callback, "the binding")
    assert busy.look_up() == 1234


def test_other_sections_while_freeswitch_is_busy(busy: FakeLibrary) -> None:
    asking = Asking()
    asking.hook.bind("directory")
    asking.hook.change("configuration")
    busy.lock.release()
    wait_for(lambda: busy.callback, "the binding")
    wait_for(lambda: busy.sections_bound == MASKS["configuration"], "the sections")


def test_a_busy_freeswitch_forgets_it_later_and_asks_no_more(
    library: FakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Asking()
    asking.hook.bind("directory")
    monkeypatch.setattr(hook_module, "LOCK_SECONDS", 0.01)
    library.lock.acquire()
    asking.hook.unbind()
    assert library.look_up() is None
    library.lock.release()
    wait_for(lambda: library.callback is None, "that FreeSWITCH forgets it")
    assert asking.asked == []


def test_a_binding_that_came_too_late_is_not_made(busy: FakeLibrary) -> None:
    asking = Asking()
    asking.hook.bind("directory")
    asking.hook.unbind()
    busy.lock.release()
    wait_for(lambda: not [each for each in threading.enumerate() if each.name == "event_zmq xml hook"], "the end")
    assert busy.callback is None
