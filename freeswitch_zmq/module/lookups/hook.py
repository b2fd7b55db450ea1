"""Where FreeSWITCH asks us: its own function for that, because mod_python3's way frees the answer too early.

mod_python3 hands the document to a parser that goes on using the text, and then frees the text: with an answer of some
100 users FreeSWITCH has rubbish in it, with 4,000 it hangs (seen on 1.11.2). So `xml-handler-script` is not needed.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping
from typing import Any, Callable, Optional

from freeswitch_zmq.module import host
from freeswitch_zmq.module.lookups.asked import Asked
from freeswitch_zmq.module.worker import start_thread

__all__ = ["Hook", "can_hook"]

LOCK_SECONDS = 2.0
"""How long a start or stop waits for FreeSWITCH to be between two lookups."""

_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
)

_for_ever: list[object] = []
"""Callbacks that FreeSWITCH has been given. It may be about to call one that was taken back."""

Fetch = Callable[[Asked], Optional[bytes]]


class _Library:
    """FreeSWITCH's functions.

    Raises:
        AttributeError: this process has none of that name.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(None)  # calls of a CDLL let other Python threads run
        self.bind = library["switch_xml_bind_search_function_ret"]
        self.bind.argtypes = (_CALLBACK, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))
        self.set_sections = library["switch_xml_set_binding_sections"]
        self.set_sections.argtypes = (ctypes.c_void_p, ctypes.c_int)
        self.set_sections.restype = None
        self.unbind = library["switch_xml_unbind_search_function"]
        self.unbind.argtypes = (ctypes.POINTER(ctypes.c_void_p),)
        self.sections = library["switch_xml_parse_section_string"]
        self.sections.argtypes = (ctypes.c_char_p,)
        self.parse = library["switch_xml_parse_str_dynamic"]
        self.parse.argtypes = (ctypes.c_char_p, ctypes.c_int)
        self.parse.restype = ctypes.c_void_p
        quick = ctypes.PyDLL(None)  # these wait for nobody, and who lets the GIL go has to queue up for it again
        self.serialize = quick["switch_event_serialize_json"]
        self.serialize.argtypes = (ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))
        self.free = quick["free"]
        self.free.argtypes = (ctypes.c_void_p,)
        self.free.restype = None


def _find_library() -> Optional[_Library]:
    try:
        return _Library()
    except (AttributeError, OSError):
        return None


_library = _find_library()


def can_hook() -> bool:
    """Whether this process is a FreeSWITCH that has the function."""
    return _library is not None


class Hook:
    """FreeSWITCH asks `fetch` about these sections, from `bind` until `unbind`.

    Args:
        fetch: the document, or None for not found; called by threads of FreeSWITCH's.
        on_error: called with an exception that was caught; the lookup is not found then.
    """

    def __init__(self, fetch: Fetch, on_error: Callable[[BaseException], None]) -> None:
        self._fetch, self._on_error = fetch, on_error
        self._callback = _CALLBACK(self._called)
        _for_ever.append(self._callback)
        self._binding = ctypes.c_void_p()
        self._active = False
        self._mask = 0
        self._lock = threading.Lock()

    def bind(self, sections: str) -> None:
        """From now on.

        Args:
            sections: joined with `|`.
        """
        library = _library
        assert library is not None
        self._active = True
        self._mask = library.sections(sections.encode())

        def bind() -> None:
            with self._lock:
                if self._active:
                    library.bind(self._callback, self._mask, None, ctypes.byref(self._binding))

        if not _in_time(bind):
            host.log("WARNING", "FreeSWITCH is busy with lookups; those of <xml-bindings> begin when one of them ends")

    def change(self, sections: str) -> None:
        """Other sections from now on."""
        library = _library
        assert library is not None
        self._mask = library.sections(sections.encode())

        def change() -> None:
            with self._lock:  # `bind` holds it while FreeSWITCH is busy, and may have read the former ones
                if self._binding.value:
                    library.set_sections(self._binding, self._mask)

        _in_time(change)

    def unbind(self) -> None:
        """Nothing more is asked, at once, and FreeSWITCH forgets it as soon as it is between two lookups."""
        library = _library
        assert library is not None
        self._active = False

        def unbind() -> None:
            with self._lock:
                if self._binding.value:
                    library.unbind(ctypes.byref(self._binding))

        _in_time(unbind)

    def _called(
        self,
        section: Optional[bytes],
        tag: Optional[bytes],
        key: Optional[bytes],
        value: Optional[bytes],
        event: Optional[int],
        _data: Optional[int],
    ) -> Optional[int]:
        """In a thread of FreeSWITCH's, which holds its lock of all bindings."""
        if not self._active:
            return None
        try:
            words = [(each or b"").decode("utf-8", "replace") for each in (section, tag, key, value)]
            document = self._fetch(Asked(words[0], words[1], words[2], words[3], _params(event)))
            if document is None:
                return None
            assert _library is not None
            found: Optional[int] = _library.parse(document, 1)
            return found
        except BaseException as error:  # noqa: BLE001  # survived and reported
            self._on_error(error)
            return None


def _params(event: Optional[int]) -> Mapping[str, Any]:
    """The event's headers, without those that are told apart."""
    library = _library
    if not event or library is None:
        return {}
    text = ctypes.c_void_p()
    library.serialize(event, ctypes.byref(text))
    if text.value is None:
        return {}
    try:
        raw = ctypes.string_at(text.value).decode("utf-8", "replace")
    finally:
        library.free(text)
    return host.parse_event(raw)


def _in_time(function: Callable[[], None]) -> bool:
    """Runs it in a thread of its own, which goes on when it takes longer than LOCK_SECONDS: then False."""
    thread = threading.Thread(target=function, name="event_zmq xml hook", daemon=True)
    start_thread(thread)
    thread.join(LOCK_SECONDS)
    return not thread.is_alive()
