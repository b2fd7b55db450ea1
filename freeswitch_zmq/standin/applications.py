"""Dialplan applications: what a call can do here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from . import log, shell, text
from .causes import cause_named
from .expand import expand
from .files import FOR_EVER, play
from .session import Session

if TYPE_CHECKING:
    from .channel import Channel
    from .core import Core

__all__ = ["APPLICATIONS", "execute", "expanded"]

_FILE = "mod_dptools.c"


def execute(core: Core, channel: Channel, name: str, data: str) -> None:
    """Run one, with its events. One that does not exist hangs the call up."""
    if not channel.up:
        text_ = f"{channel.header('Channel-Name')} Channel is hungup, aborting execution of application: {name}\n"
        core.say("DEBUG", text_, "switch_core_session.c", 2735, channel.uuid)
        return
    run = APPLICATIONS.get(name.lower())
    if run is None:
        core.say("ERR", f"Invalid Application {name}\n", "switch_core_session.c", 2771, channel.uuid)
        channel.hang_up("DESTINATION_OUT_OF_ORDER")
        return
    data = expanded(core, channel, data)
    title = channel.header("Channel-Name")
    core.say("DEBUG", f"EXECUTE [depth=0] {title} {name}({data})\n", "switch_core_session.c", 2900, channel.uuid)
    channel.begin_application(name, data)
    application = channel.running_application
    try:
        run(core, channel, data)
    finally:
        channel.end_application(application)


def expanded(core: Core, channel: Channel, data: str) -> str:
    """With the variables and commands put in that it refers to."""

    def run(name: str, args: str) -> str:
        return core.commands.output(name, args, channel)

    return expand(data, channel.get, channel.parts, core.variables.get, run)


def _answer(_core: Core, channel: Channel, _data: str) -> None:
    channel.other.answer()
    channel.answer()


def _pre_answer(_core: Core, channel: Channel, _data: str) -> None:
    # Early media; what it fires is not in the recording.
    channel.other.progressed.set()
    channel.progressed.set()


def _sleep(_core: Core, channel: Channel, data: str) -> None:
    channel.wait(max(0, text.atoi(data)) / 1000)


def _hangup(_core: Core, channel: Channel, data: str) -> None:
    channel.hang_up(cause_named(data))


def _park(_core: Core, channel: Channel, _data: str) -> None:
    channel.play("park")
    channel.wait(FOR_EVER)
    channel.play("unpark")


def _wait_for_hangup(_core: Core, channel: Channel, _data: str) -> None:
    channel.wait(FOR_EVER)


def _set(_core: Core, channel: Channel, data: str) -> None:
    name, mark, value = data.partition("=")
    if mark:
        channel.set(name.strip(), None if value in ("", "_undef_") else value)


def _transfer(core: Core, channel: Channel, data: str) -> None:
    words = text.separate(data, " ", 3)
    if not words:
        core.say("ERR", "Usage: transfer EXTENSION [XML [CONTEXT]]\n", _FILE, 1750, channel.uuid)
        return
    exten, dialplan, context = (*words, "", "")[:3]
    if dialplan.lower() not in ("", "xml"):
        core.say("ERR", f"Dialplan [{dialplan}] not found: there is only XML here\n", _FILE, 1750, channel.uuid)
        return
    channel.transfer(exten, context or channel.header("Caller-Context"))


def _unset(_core: Core, channel: Channel, data: str) -> None:
    channel.set(data, None)


def _log(core: Core, channel: Channel, data: str) -> None:
    level, _, message = data.partition(" ")
    number = log.level_number(level)
    if number == log.INVALID:
        number = log.DEBUG
    core.log.write(number, message + "\n", file=_FILE, line=1889, function="log_function", uuid=channel.uuid, channel=3)


def _info(core: Core, channel: Channel, _data: str) -> None:
    lines = "".join(f"{name}: [{value}]\n" for name, value in channel.data().headers)
    core.say("INFO", f"CHANNEL_DATA:\n{lines}\n", _FILE, 1989, channel.uuid)


def _playback(_core: Core, channel: Channel, data: str) -> None:
    play(channel, data)
    channel.set("current_application_response", "FILE PLAYED")


def _system(core: Core, _channel: Channel, data: str) -> None:
    shell.system(core, data, wait=True)


def _event(core: Core, channel: Channel, data: str) -> None:
    event = core.event("CHANNEL_APPLICATION", _FILE, "event_function", 2063)
    event.headers += [header for header in channel.data().headers if header[0].startswith(("Channel-", "Unique-"))]
    for part in text.separate(data, ",", 30):
        name, _, value = part.partition("=")
        if name == "Event-Name" and value:
            event.delete("Event-Name")
            event.type = value.upper()
        if name == "Event-Subclass":
            event.set_subclass(value)
        elif name:
            event.add(name, value)
    core.events.fire(event)


def _python(core: Core, channel: Channel, data: str) -> None:
    session = Session(channel)
    try:
        core.doors.handler(data, session)
    finally:
        session.destroy()


APPLICATIONS: dict[str, Callable[[Core, Channel, str], None]] = {
    "answer": _answer,
    "echo": _wait_for_hangup,
    "endless_playback": _wait_for_hangup,
    "event": _event,
    "export": _set,
    "hangup": _hangup,
    "info": _info,
    "log": _log,
    "park": _park,
    "playback": _playback,
    "pre_answer": _pre_answer,
    "python": _python,
    "ring_ready": _pre_answer,
    "set": _set,
    "sleep": _sleep,
    "system": _system,
    "transfer": _transfer,
    "unset": _unset,
}
