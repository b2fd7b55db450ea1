"""Commands about the switch itself."""

from __future__ import annotations

import hashlib
import os
import socket
import time
import uuid
from urllib.parse import unquote

from . import log as logs
from . import shell, text
from .commands import Commands, Request
from .commands_fsctl import FSCTL_SYNTAX, fsctl
from .core import VERSION
from .jobs import run_in_background

__all__ = ["add_core_commands"]

_HUMAN = f"{VERSION}-release  64bit"
_FULL = f"{VERSION}-release~64bit"
_SCALES = (
    (("microseconds", "us"), 1),
    (("milliseconds", "ms"), 1_000),
    (("seconds", "s", ""), 1_000_000),
    (("minutes", "m"), 60_000_000),
    (("hours", "h"), 3_600_000_000),
    (("days", "d"), 86_400_000_000),
)
_UPTIME = "[us|ms|s|m|h|d|microseconds|milliseconds|seconds|minutes|hours|days]"


def add_core_commands(commands: Commands) -> None:
    """Put them into the table."""
    for name, run, syntax, description in (
        ("acl", _acl, "<ip> <list_name>", "Compare an ip to an acl list"),
        ("bg_system", _bg_system, "<command>", "Execute a system command in the background"),
        ("bgapi", run_in_background, "<command>[ <arg>]", "Execute an api command in a thread"),
        ("create_uuid", _create_uuid, "<uuid> <other_uuid>", "Create a uuid"),
        ("echo", _echo, "<data>", "Echo"),
        ("fsctl", fsctl, FSCTL_SYNTAX, "FS control messages"),
        ("getenv", _getenv, "<name>", "getenv"),
        ("global_getvar", _global_getvar, "<var>", "Get global var"),
        ("global_setvar", _global_setvar, "<var>=<value> [=<value2>]", "Set global var"),
        ("help", _help, "", "Show help for all the api commands"),
        ("hostname", _hostname, "", "Return the system hostname"),
        ("load", _load, "<mod_name>", "Load Module"),
        ("log", _log, "<level> <message>", "Log"),
        ("md5", _md5, "<data>", "Return md5 hash"),
        ("module_exists", _module_exists, "<module>", "Check if module exists"),
        ("msleep", _msleep, "<milliseconds>", "Sleep N milliseconds"),
        ("reload", _reload, "[-f] <mod_name>", "Reload module"),
        ("shutdown", _shutdown, "", "Shutdown"),
        ("status", _status, "", "Show current status"),
        ("strepoch", _strepoch, "<string>", "Convert a date string into epoch time"),
        ("switchname", _switchname, "", "Return the switch name"),
        ("system", _system, "<command>", "Execute a system command"),
        ("tolower", _tolower, "<string>", "Lower Case a string"),
        ("toupper", _toupper, "<string>", "Upper Case a string"),
        ("unload", _unload, "[-f] <mod_name>", "Unload module"),
        ("uptime", _uptime, _UPTIME, "Show uptime"),
        ("url_decode", _url_decode, "<string>", "Url decode a string"),
        ("url_encode", _url_encode, "<string>", "Url encode a string"),
        ("version", _version, "[short]", "Version"),
    ):
        commands.add(name, run, syntax, description)


def _acl(request: Request) -> None:
    words = request.words(3)
    request.stream.write("true" if len(words) >= 2 and request.core.acl.check(words[0], words[1]) else "false")


def _bg_system(request: Request) -> None:
    if not request.args:
        request.stream.write("-USAGE: <command>\n")
        return
    request.core.say("NOTICE", f"Executing command: {request.args}\n", "mod_commands.c", 6613)
    shell.system(request.core, request.args, wait=False)
    request.stream.write("+OK\n")


def _create_uuid(request: Request) -> None:
    request.stream.write(str(uuid.uuid4()))


def _echo(request: Request) -> None:
    request.stream.write(request.args)


def _getenv(request: Request) -> None:
    if not request.args:
        request.stream.write("-USAGE: <name>\n")
        return
    request.stream.write(os.environ.get(request.args, "_undef_"))


def _global_getvar(request: Request) -> None:
    if request.args:
        request.stream.write(request.core.variables.get(request.args) or "")
        return
    for name, value in request.core.variables.items():
        request.stream.write(f"{name}={value}\n")


def _global_setvar(request: Request) -> None:
    parts = text.separate(request.args, "=", 3)
    if not parts or not parts[0]:
        request.stream.write("-USAGE: <var>=<value> [=<value2>]\n")
        return
    value = parts[1] if len(parts) > 1 else None
    if len(parts) > 2 and parts[2]:
        request.core.variables.set_if(parts[0], value, parts[2])
    else:
        request.core.variables.set(parts[0], value)
    request.stream.write("+OK")


def _help(request: Request) -> None:
    if not request.args:
        request.stream.write("\nValid Commands:\n\n")
    # One name or all: a real one prints all of them too.
    for name, command in request.core.commands.items():
        request.stream.write(f"{name},{command.syntax},{command.description},{command.module}\n")
    request.stream.write("\n")


def _hostname(request: Request) -> None:
    request.stream.write(socket.gethostname())


def _load(request: Request) -> None:
    if not request.args:
        request.stream.write("-USAGE: <mod_name>\n")
        return
    there = request.args in request.core.modules
    reason = "Module already loaded" if there else "module load file routine returned an error"
    request.stream.write(f"+OK Reloading XML\n-ERR [{reason}]\n")


def _unload(request: Request) -> None:
    # No module can be unloaded here; of the real ones mod_python3 can't be either.
    there = request.args in request.core.modules
    request.stream.write(f"-ERR [{'Module is not unloadable' if there else 'No such module!'}]\n")


def _reload(request: Request) -> None:
    _load(request)
    _unload(request)


def _log(request: Request) -> None:
    level, _, message = request.args.partition(" ")
    number = logs.level_number(level)
    if not message or number == logs.INVALID:
        request.stream.write("-USAGE: <level> <message>\n")
        return
    request.core.log.write(number, message + "\n", file="mod_commands.c", line=7247, function="log_function", channel=3)
    request.stream.write("+OK\n")


def _md5(request: Request) -> None:
    data = text.to_bytes(request.args)
    request.stream.write(hashlib.md5(data, usedforsecurity=False).hexdigest() if data else "")


def _module_exists(request: Request) -> None:
    request.stream.write("true" if request.args in request.core.modules else "false")


def _msleep(request: Request) -> None:
    if request.args:
        time.sleep(max(0, text.atoi(request.args)) / 1000)
    request.stream.write("+OK")


def _shutdown(request: Request) -> None:
    request.stream.write("+OK\n")
    request.core.shut_down()


def _status(request: Request) -> None:
    core, calls = request.core, request.core.calls
    micros = int(core.uptime * 1_000_000)
    parts = []
    for unit, size in (
        ("year", 31_536_000_000_000),
        ("day", 86_400_000_000),
        ("hour", 3_600_000_000),
        ("minute", 60_000_000),
        ("second", 1_000_000),
        ("millisecond", 1_000),
        ("microsecond", 1),
    ):
        count, micros = divmod(micros, size)
        parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    write = request.stream.write
    write(f"UP {', '.join(parts)}\n")
    write(f"FreeSWITCH (Version {_HUMAN}) is {'ready' if core.running else 'not ready'}\n")
    write(f"{calls.sessions_so_far} session(s) since startup\n")
    write(f"{calls.session_count} session(s) - peak {calls.peak}, last 5min {calls.peak} \n")
    write("0 session(s) per Sec out of max 1000, peak 0, last 5min 0 \n")
    write("1000 session(s) max\nmin idle cpu 0.00/100.00\nCurrent Stack Size/Max 240K/8192K\n")


def _strepoch(request: Request) -> None:
    request.stream.write(str(int(time.time())))


def _switchname(request: Request) -> None:
    request.stream.write(request.core.switchname)


def _system(request: Request) -> None:
    if not request.args:
        request.stream.write("-USAGE: <command>\n")
        return
    request.stream.write(shell.output(request.args))


def _tolower(request: Request) -> None:
    request.stream.write(request.args.lower())


def _toupper(request: Request) -> None:
    request.stream.write(request.args.upper())


def _uptime(request: Request) -> None:
    for names, scale in _SCALES:
        if request.args.lower() in names:
            request.stream.write(f"{int(request.core.uptime * 1_000_000) // scale}\n")
            return
    request.stream.write(f"-USAGE: {_UPTIME}\n")


def _url_decode(request: Request) -> None:
    request.stream.write(unquote(request.args, errors="surrogateescape"))


def _url_encode(request: Request) -> None:
    request.stream.write(text.url_encode(request.args))


def _version(request: Request) -> None:
    if request.args and "short".startswith(request.args.lower()):
        request.stream.write(f"{VERSION}-release\n")
        return
    request.stream.write(f"FreeSWITCH Version {_FULL} ({_HUMAN if request.args else ' 64bit'})\n")
