"""`fsctl`: the switch's own controls."""

from __future__ import annotations

from . import log as logs
from . import text
from .commands import Request

__all__ = ["FSCTL_SYNTAX", "fsctl"]

FSCTL_SYNTAX = (
    "[api_expansion [on|off]|hupall|loglevel [level]|pause|resume|ready_check|shutdown [cancel|elegant|asap|now|"
    "restart]|shutdown_check|threaded_system_exec [true|false]]"
)


def fsctl(request: Request) -> None:
    """The command; of a real one's words those that tests and scripts need."""
    words = request.words(6)
    core, write = request.core, request.stream.write
    if not words:
        write(f"-USAGE: {FSCTL_SYNTAX}\n")
        return
    what, option = words[0].lower(), words[1] if len(words) > 1 else None
    if what == "threaded_system_exec":
        if option is not None:
            core.threaded_system_exec = text.is_true(option)
        write(f"+OK threaded_system_exec is {'true' if core.threaded_system_exec else 'false'} \n")
    elif what == "shutdown":
        _fsctl_shutdown(request, [word.lower() for word in words[1:]])
    elif what == "loglevel":
        _loglevel(request, option)
    elif what == "shutdown_check":
        write("false")
    elif what == "ready_check":
        write("true" if core.running else "false")
    elif what == "api_expansion":
        write(f"+OK api_expansion is {'on' if option is None or text.is_true(option) else 'off'} \n")
    elif what == "hupall":
        core.calls.hang_up_all("MANAGER_REQUEST")
        write("+OK\n")
    elif what in ("pause", "resume", "reclaim_mem", "send_sighup", "save_history", "flush_db_handles"):
        write("+OK\n")
    else:
        write(f"-ERR Invalid command\nUSAGE: fsctl {FSCTL_SYNTAX}\n")


def _fsctl_shutdown(request: Request, options: list[str]) -> None:
    core = request.core
    if "now" in options:
        core.exit_now()
        return
    if "cancel" not in options:
        if "elegant" in options or "asap" in options:
            event = core.event("SHUTDOWN_REQUESTED", "switch_core.c", "switch_core_session_ctl", 2825)
            event.add("Event-Info", "ASAP" if "asap" in options else "elegant")
            core.events.fire(event)
            core.calls.wait_until_none(lambda: core.running)
        core.shut_down()
    request.stream.write("+OK\n")


def _loglevel(request: Request, option: str | None) -> None:
    # Without a level the real one takes -1 for it, and so switches its log off.
    level = logs.DISABLE if option is None else logs.level_number(option)
    if level == logs.INVALID:
        request.stream.write("-ERR syntax error, log level not set!\n")
        return
    level = min(level, logs.DEBUG)
    request.core.log.level = level
    request.stream.write(f"+OK log level: {logs.level_name(level)} [{level}]\n")
