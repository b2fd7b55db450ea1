"""The call that an application of the dialplan runs on, as a conversation needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from freeswitch_zmq.errors import EventZmqError
from freeswitch_zmq.globs import Glob
from freeswitch_zmq.module import host
from freeswitch_zmq.module.commands import Commands

__all__ = ["Leg"]

_VARIABLE = "variable_"
_PROFILE = {
    "name": "Channel-Name",
    "state": "Channel-State",
    "call_state": "Channel-Call-State",
    "answer_state": "Answer-State",
    "direction": "Call-Direction",
    "caller_id_name": "Caller-Caller-ID-Name",
    "caller_id_number": "Caller-Caller-ID-Number",
    "callee_id_name": "Caller-Callee-ID-Name",
    "callee_id_number": "Caller-Callee-ID-Number",
    "destination_number": "Caller-Destination-Number",
    "ani": "Caller-ANI",
    "rdnis": "Caller-RDNIS",
    "username": "Caller-Username",
    "dialplan": "Caller-Dialplan",
    "context": "Caller-Context",
    "network_addr": "Caller-Network-Addr",
    "source": "Caller-Source",
}
"""What a service is told of every call, and the header of FreeSWITCH's that it comes from."""


class Leg:
    """All in the call's own thread.

    Args:
        session: mod_python3's.
        commands: for a FreeSWITCH that can't be asked directly.
    """

    def __init__(self, session: Any, commands: Commands) -> None:
        self._session = session
        self._commands = commands
        self.uuid: str = session.get_uuid()
        self._data: Mapping[str, Any] = {}

    def is_here(self) -> bool:
        """Whether it is up, and has not been sent somewhere else in the dialplan."""
        return bool(self._session.ready())

    def has_hung_up(self) -> bool:
        """Whether it is over."""
        return self._session.getState() in ("CS_HANGUP", "CS_REPORTING", "CS_DESTROY", "ERROR")

    def look(self) -> None:
        """Takes up its data as they are now; `channel` and `variables` give them."""
        found = host.channel_data(self._session)
        if found is None:
            try:
                found = host.parse_event(self._commands.run(f"uuid_dump {self.uuid} json", 2.0))
            except (EventZmqError, ValueError):  # it may have hung up
                found = {}
        self._data = found

    def channel(self) -> dict[str, str]:
        """The caller profile and the state; empty what it doesn't have."""
        return {name: _text(self._data.get(header, "")) for name, header in _PROFILE.items()}

    def variables(self, wanted: Sequence[Glob]) -> dict[str, str]:
        """Those whose names match."""
        if not wanted:
            return {}
        names = [header[len(_VARIABLE) :] for header in self._data if header.startswith(_VARIABLE)]
        return {
            name: _text(self._data[_VARIABLE + name]) for name in names if any(each.matches(name) for each in wanted)
        }

    def hangup_cause(self) -> str:
        """As far as it is known."""
        return _text(self._data.get("Hangup-Cause", "")) or self.get("hangup_cause") or "NONE"

    def get(self, variable: str) -> Optional[str]:
        """The value of a variable."""
        value: Optional[str] = self._session.getVariable(variable)
        return host.clean(value) if value is not None else None  # an application may have set bytes that are not UTF-8

    def set(self, variable: str, value: str) -> None:
        """Sets one; nothing takes it away."""
        self._session.setVariable(variable, host.clean(value))

    def execute(self, application: str, argument: str) -> None:
        """Runs an application; other Python threads run meanwhile."""
        self._session.execute(application, argument)


def _text(value: Any) -> str:
    """A variable that is a list, as FreeSWITCH itself writes it."""
    return f"ARRAY::{'|:'.join(value)}" if isinstance(value, list) else str(value)
