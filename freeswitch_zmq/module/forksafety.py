"""`threaded-system-exec`: FreeSWITCH must run shell commands without forking a process full of ZeroMQ threads.

See docs/operations.md, "Fork".
"""

from __future__ import annotations

from typing import Callable

from freeswitch_zmq.errors import HostError, StartError
from freeswitch_zmq.module import host
from freeswitch_zmq.module.commands import Commands

__all__ = ["ensure", "is_on", "still_on"]

_ASK = "fsctl threaded_system_exec"
_REMEDY = 'put <param name="threaded-system-exec" value="true"/> into the <settings> of switch.conf.xml'


def is_on(ask: Callable[[str], str]) -> bool:
    """What FreeSWITCH says of it.

    Args:
        ask: runs a command at once, such as `commands.instant`.

    Raises:
        HostError: FreeSWITCH gave no answer that can be understood.
    """
    return _answer(ask(_ASK))


def ensure(commands: Commands, mode: str) -> None:
    """At start: switches it on (`enforce`), or insists that it is (`require`).

    Raises:
        StartError: it is off and stays off.
        HostError: FreeSWITCH gave no answer that can be understood.
    """
    if is_on(commands.instant):
        return
    if mode == "require":
        raise StartError(
            f"threaded-system-exec is off, and event_zmq.conf.xml requires it: {_REMEDY} and restart, or give the "
            "command: fsctl threaded_system_exec true"
        )
    if not _switch_on(commands):
        raise StartError(f"FreeSWITCH did not switch threaded-system-exec on: {_REMEDY} and restart")
    host.log("NOTICE", f"threaded-system-exec was off and is on now. To have it so from the beginning, {_REMEDY}")


def still_on(commands: Commands, mode: str) -> bool:
    """While running: whether it is on. Switches it on again (`enforce`), with a WARNING.

    Raises:
        HostError: FreeSWITCH gave no answer that can be understood.
    """
    if is_on(commands.instant):
        return True
    if mode == "enforce" and _switch_on(commands):
        host.log("WARNING", "somebody switched threaded-system-exec off; it is on again, because ZeroMQ needs it")
        return True
    return False


def _switch_on(commands: Commands) -> bool:
    commands.instant(f"{_ASK} true")
    return is_on(commands.instant)  # read back, not assumed


def _answer(text: str) -> bool:
    words = text.split()
    if words[:3] != ["+OK", "threaded_system_exec", "is"] or words[3:] not in (["true"], ["false"]):
        raise HostError(f'FreeSWITCH answered "{_ASK}" with "{text.strip()}"; is this FreeSWITCH older than 1.6?')
    return words[3] == "true"
