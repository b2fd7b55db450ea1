"""One leg of a call: its headers, variables and state."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING

from .causes import CAUSES
from .events import Event, Value, joined
from .recorded import Step, fill, recording

if TYPE_CHECKING:
    from .call import Call
    from .core import Core

__all__ = ["Channel"]

_PROFILE = {
    "ani": "Caller-ANI",
    "caller_id_name": "Caller-Caller-ID-Name",
    "caller_id_number": "Caller-Caller-ID-Number",
    "chan_name": "Channel-Name",
    "context": "Caller-Context",
    "destination_number": "Caller-Destination-Number",
    "dialplan": "Caller-Dialplan",
    "source": "Caller-Source",
}
_NO_NUMBER = "0000000000"
_SAMPLES_IN_MS = 8
_RUNNING = ("CS_INIT", "CS_ROUTING", "CS_CONSUME_MEDIA", "CS_EXECUTE")
_ROUTING = (("Channel-State", "CS_ROUTING"), ("Channel-State-Number", "2"))
_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}


class Channel:
    """A leg.

    Args:
        core: The switch.
        call: The call it belongs to.
        leg: `a`, which was originated, or `b`, which runs the dialplan.
        number: The how-manieth session of the switch it is.
        own_uuid: Its uuid; empty for a new one.

    Attributes:
        uuid: Its uuid.
        hangup_cause: Empty as long as it is up.
        hung_up: Set with its hangup.
        answered: Set with its answer.
        progressed: Set with the first of these, or with early media.
        gone: Set when all its events are fired.
    """

    def __init__(self, core: Core, call: Call, leg: str, number: int, own_uuid: str = "") -> None:
        self._core = core
        self.call = call
        self.leg = leg
        self.uuid = own_uuid or str(uuid.uuid4())
        self.hangup_cause = ""
        self.hung_up = threading.Event()
        self.answered = threading.Event()
        self.progressed = threading.Event()
        self.gone = threading.Event()
        self._number = number
        self._lock = threading.RLock()
        self._variables: dict[str, tuple[str, Value]] = {}
        self._times = {"created": time.time_ns() // 1000, "answered": 0, "hung_up": 0}
        self._application = ("", "", "")
        self._applications = 0
        self._played = ("", 0)
        self._response = ""
        self._call_state_before = ""
        self._next: tuple[str, str] | None = None
        self._fields: dict[str, str] = {}
        self._fields = {name: fill(value, self._value) for name, value in recording().fields[leg]}

    # What it is.

    @property
    def other(self) -> Channel:
        """The call's other leg."""
        return self.call.b if self.leg == "a" else self.call.a

    @property
    def state(self) -> str:
        """Such as `CS_EXECUTE`."""
        state = self._fields["Channel-State"]
        # Its events tell the old state until its own thread has seen what comes next; who asks is told at once.
        if self.hung_up.is_set():
            return "CS_HANGUP" if state in _RUNNING else state
        return state if self._next is None else "CS_ROUTING"

    @property
    def up(self) -> bool:
        """Whether nobody has hung it up."""
        return not self.hung_up.is_set()

    @property
    def ready(self) -> bool:
        """Whether it is up, and stays in its extension."""
        return self.up and self._next is None

    def header(self, name: str) -> str:
        """One of the headers that all its events have."""
        return self._fields.get(name, "")

    @property
    def created(self) -> int:
        """Microseconds since 1970."""
        return self._times["created"]

    @property
    def application(self) -> tuple[str, str]:
        """Name and data of what it runs, or ran last."""
        return self._application[:2]

    # Variables.

    def get(self, name: str) -> str | None:
        """A variable, else what the caller's profile says, else a global variable."""
        with self._lock:
            found = self._variables.get(name.lower())
        if found is not None:
            return found[1] if isinstance(found[1], str) else joined(found[1])
        header = _PROFILE.get(name.lower())
        if header is not None:
            return self._fields.get(header) or None
        return self._core.variables.get(name)

    def parts(self, name: str) -> tuple[str, ...]:
        """The parts of a variable that has several, else nothing."""
        with self._lock:
            found = self._variables.get(name.lower())
        return found[1] if found is not None and not isinstance(found[1], str) else ()

    def set(self, name: str, value: Value | None) -> None:
        """Set a variable; nothing takes it away."""
        with self._lock:
            self._variables.pop(name.lower(), None)
            if value:
                self._variables[name.lower()] = (name, value)

    def data(self) -> Event:
        """A CHANNEL_DATA event about it, as `uuid_dump` prints it."""
        event = self._core.event("CHANNEL_DATA", "mod_commands.c", "uuid_dump_function", 6495)
        with self._lock:
            event.headers += [header for header in self._fields.items() if header[1]]
            event.headers += [(f"variable_{name}", value) for name, value in self._variables.values()]
        return event

    # What happens to it.

    def play(self, part: str) -> None:
        """Fire the events of this part of the recorded call."""
        for _leg, step in recording().steps[part]:
            self.step(step)

    def step(self, step: Step) -> None:
        """Take up what changes with one recorded event, and fire that event."""
        with self._lock:
            self._call_state_before = self._fields["Channel-Call-State"]
            for name, template in step.changes:
                self._fields[name] = fill(template, self._value)
            for name, template in step.variables or ():
                self.set(name, fill(template, self._value))
            event = self._core.events.create(step.event, step.origin)
            event.headers += [(name, fill(template, self._value)) for name, template in step.before]
            event.headers += [header for header in list(self._fields.items())[: step.fields] if header[1]]
            if step.variables is not None:
                event.headers += [(f"variable_{name}", value) for name, value in self._variables.values()]
            after = ((name, fill(template, self._value)) for name, template in step.after)
            event.headers += [(name, value) for name, value in after if value]
        self._core.events.fire(event)

    def begin_application(self, name: str, data: str) -> None:
        """It runs an application now."""
        with self._lock:
            self._application = (name, data, str(uuid.uuid4()))
            self._response = ""
            if not self._applications:
                self.set("call_uuid", self.uuid)  # Anew: it moves behind the others.
            self._applications += 1
            self.set("current_application_response", None)
            self.set("current_application", name)
            self.set("current_application_data", data)
        self.play(f"execute/{self.leg}")

    def end_application(self, application: tuple[str, str, str]) -> None:
        """What it ran has ended."""
        with self._lock:
            self._response = self.get("current_application_response") or ""
            self._application = application
            self.set("current_application", application[0])
        self.play(f"complete/{self.leg}")

    def play_file(self, file: str, seconds: float) -> None:
        """Take as long as a file does, or until the hangup, with the events of that."""
        with self._lock:
            self._played = (file, 0)
            self.play("playback_start")
        start = time.monotonic()
        self.wait(seconds)
        with self._lock:
            self._played = (file, int(min(time.monotonic() - start, seconds) * 1000))
            self.play("playback_stop")

    def wait(self, seconds: float) -> None:
        """Wait for the hangup, at most so long; what is about to leave its extension waits no more."""
        if self._next is None:
            self.hung_up.wait(seconds)

    def transfer(self, exten: str, context: str) -> None:
        """Have it go on in another extension as soon as the present one gives way; in its own thread."""
        with self._lock:
            self._next = (exten, context)
            self._fields["Caller-Destination-Number"] = exten
            self._fields["Caller-Context"] = context
            self._fields["Caller-Profile-Index"] = str(int(self._fields["Caller-Profile-Index"]) + 1)

    def take_transfer(self) -> tuple[str, str] | None:
        """Number and context of where it is to go on; None: it stays where it is, or has hung up."""
        with self._lock:
            found, self._next = self._next, None
            if found is None or not self.up:
                return None
            [(_leg, step)] = recording().steps[f"run/{self.leg}"]
            self.step(step._replace(changes=_ROUTING))
        return found

    @property
    def running_application(self) -> tuple[str, str, str]:
        """Name, data and uuid of what it runs, for `end_application`."""
        return self._application

    def answer(self) -> bool:
        """It is answered; False when it was hung up or answered before."""
        with self._lock:
            if self.answered.is_set() or self.hung_up.is_set():
                return False
            self._times["answered"] = time.time_ns() // 1000
            self.play(f"answer/{self.leg}")
            self.set("endpoint_disposition", "ANSWER")
            self.answered.set()
            self.progressed.set()
        return True

    def hang_up(self, cause: str) -> bool:
        """Hang it up, from any thread; its own thread does the rest. False when it was hung up before."""
        with self._lock:
            if self.hung_up.is_set():
                return False
            self.hangup_cause = cause
            self._times["hung_up"] = time.time_ns() // 1000
            self.play(f"hangup/{self.leg}")
            self.hung_up.set()
            self.progressed.set()
        return True

    # Placeholders.

    def _value(self, name: str) -> str:
        simple = {
            "uuid": self.uuid,
            "exten": self.call.exten,
            "context": self.call.context,
            "dialed": self.call.dialed,
            "dialed_last": self.call.dialed.rpartition("/")[2],
            "cid_name": self.call.caller[0],
            "cid_number": self.call.caller[1] or _NO_NUMBER,
            "given_cid_name": self.call.caller[0],
            "given_cid_number": self.call.caller[1],
            "session_id": str(self._number),
            "application": self._application[0],
            "application_data": self._application[1],
            "application_uuid": self._application[2],
            "last_app": self._application[0],
            "last_arg": self._application[1],
            "played_file": self._played[0],
            "played_ms": str(self._played[1]),
            "played_s": str(self._played[1] // 1000),
            "played_samples": str(self._played[1] * _SAMPLES_IN_MS),
            "application_response": self._response or "_none_",
            "call_state_before": self._call_state_before,
            "cause": self.hangup_cause,
            "cause_number": str(CAUSES.get(self.hangup_cause, 0)),
        }
        if name in simple:
            return simple[name]
        if name == "other":
            return self.other.uuid
        if name == "caller_id":
            caller, number = self.header("Caller-Caller-ID-Name"), self.header("Caller-Caller-ID-Number")
            return f'"{caller}" <{number}>' if caller else number
        first, _, unit = name.rpartition("_")
        times = self._times
        if name in times:
            return str(times[name])
        if first in times:
            moment = times[first]
            if unit == "stamp":
                return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment // 1_000_000)) if moment else ""
            return str(moment if unit == "uepoch" else moment // 1_000_000)
        lengths = {
            "duration": (times["created"], times["hung_up"]),
            "bill": (times["answered"], times["hung_up"]),
            "until_answer": (times["created"], times["answered"]),
        }
        start, end = lengths[first]
        return str((end - start) // _UNITS[unit] if start and end else 0)
