"""`freeswitch.Event`."""
# ruff: noqa: N802  # the names are FreeSWITCH's

from __future__ import annotations

from . import serialize, swig
from .engine import Origin
from .events import Event as SwitchEvent
from .events import event_type
from .host import core as _core

__all__ = ["Event", "wrapped"]

_FILE = "switch_cpp.cpp"
_EVENT_ORIGIN = Origin(_FILE, "Event", "315")
_PRIORITIES = ("NORMAL", "LOW", "HIGH")
_NEW_EVENT = """Wrong number or type of arguments for overloaded function 'new_Event'.
  Possible C/C++ prototypes are:
    Event::Event(char const *,char const *)
    Event::Event(switch_event_t *,int)
"""


class Event:
    """An event; what it holds lies in the switch."""

    _event: SwitchEvent | None

    def __init__(self, *args: object) -> None:
        if len(args) > 2:
            raise TypeError(
                f"new_Event expected at most 2 arguments, got {len(args)}\nAdditional information:\n{_NEW_EVENT}"
            )
        if not args or not isinstance(args[0], str):
            raise TypeError(_NEW_EVENT)
        name = swig.needed(args[0], "new_Event", 1)
        subclass = swig.c_string(args[1], "new_Event", 2) if len(args) == 2 else None
        if name.lower() == "json" and subclass:
            self._event = serialize.from_json(subclass)
            return
        type_ = event_type(name) or "MESSAGE"
        if subclass and type_ != "CUSTOM":
            text = "Changing event type to custom because you specified a subclass name!\n"
            _core().say("WARNING", text, _FILE, 311)
            type_ = "CUSTOM"
        self._event = _core().events.create(type_, _EVENT_ORIGIN, subclass or None)

    def serialize(self, format: object = None) -> str:
        """As text: `json`, `xml`, or plain."""
        how = swig.c_string(format, "Event_serialize", 2)
        if self._event is None:
            return ""
        if how == "json":
            return serialize.to_json(self._event)
        lower = how.lower() if how else ""
        if lower == "xml":
            return serialize.to_xml(self._event)
        return serialize.to_json(self._event) if lower == "json" else serialize.to_plain(self._event)

    def getHeader(self, header_name: object) -> str | None:
        """Its first value, None when it is not there."""
        name = swig.c_string(header_name, "Event_getHeader", 2)
        if not name:
            _core().say("ERR", "Trying to getHeader an invalid header!\n", _FILE, 440)
            return None
        if self._event is None:
            self._missing("getHeader")
            return None
        return self._event.get(name)

    def getBody(self) -> str | None:
        """The body, None for none."""
        if self._event is None:
            self._missing("getBody")
            return None
        return self._event.body

    def getType(self) -> str:
        """The event's name."""
        if self._event is None:
            self._missing("getType")
            return "invalid"
        return self._event.type

    def addHeader(self, header_name: object, value: object) -> bool:
        """Add one more header; None adds nothing."""
        name = swig.needed(header_name, "Event_addHeader", 2)
        content = swig.c_string(value, "Event_addHeader", 3)
        if self._event is None:
            self._missing("addHeader")
            return False
        if content is None:
            return False
        self._event.add(name, content)
        return True

    def delHeader(self, header_name: object) -> bool:
        """Take all of that name away, and say whether there was one."""
        name = swig.c_string(header_name, "Event_delHeader", 2)
        if not name:
            _core().say("ERR", "Trying to delHeader an invalid header!\n", _FILE, 470)
            return False
        if self._event is None:
            self._missing("delHeader")
            return False
        return self._event.delete(name)

    def addBody(self, value: object) -> bool:
        """Set the body."""
        content = swig.c_string(value, "Event_addBody", 2)
        if self._event is None:
            self._missing("addBody")
            return False
        self._event.body = "(null)" if content is None else content
        return True

    def setPriority(self, priority: object = 0) -> bool:
        """Add the header `priority`; scripts have no way to name another than the normal one."""
        if type(priority) is not int or priority != 0:
            raise TypeError("in method 'Event_setPriority', argument 2 of type 'switch_priority_t'")
        if self._event is None:
            self._missing("setPriority")
            return False
        self._event.add("priority", _PRIORITIES[priority], top=True)
        return True

    def merge(self, to_merge: Event | None) -> bool:
        """Add another event's headers."""
        other = to_merge._event if to_merge is not None else None
        if self._event is None or other is None:
            where = "to" if self._event is None else "from"
            _core().say("ERR", f"Trying to merge {where} an event that does not exist!\n", _FILE, 534)
            return False
        for name, value in other.headers:
            if isinstance(value, str):
                self._event.add(name, value)
            else:
                for part in value:
                    self._event.push(name, part)
        return True

    def fire(self) -> bool:
        """Send a copy of it to whoever wants it."""
        if self._event is None:
            self._missing("fire the")
            return False
        _core().events.fire(self._event.copy())
        return True

    def _missing(self, what: str) -> None:
        _core().say("ERR", f"Trying to {what} an event that does not exist!\n", _FILE, 1)


def wrapped(event: SwitchEvent) -> Event:
    """An event of the switch as a script sees it."""
    made = Event.__new__(Event)
    made._event = event
    return made
