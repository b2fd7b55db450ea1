"""The whole switch: its parts, the order in which they start, and the end."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import text
from .calls import Calls
from .commands import Commands
from .commands_calls import add_call_commands
from .commands_core import add_core_commands
from .commands_scripts import add_script_commands
from .commands_xml import add_xml_commands
from .core import Core
from .directory import add_directory_commands
from .doors import Doors
from .esl import EslServer
from .evgen import add_evgen
from .log import INVALID, level_number
from .xmlconfig import ConfigError

__all__ = ["StartError", "Switch"]

_DELIVERY_TIMEOUT = 2.0
_LOG_LINGERS = 0.2
_SCRIPTS_LINGER = 0.3
_STOP_TIMEOUT = 0.5
_HEARTBEAT = 20.0
_DEFAULT_MODULES = ("mod_commands", "mod_dptools", "mod_event_socket", "mod_evgen", "mod_loopback", "mod_python3")


class StartError(Exception):
    """The switch can't start; the message says why."""


class Switch:
    """A stand-in for one FreeSWITCH process; a process can hold one.

    Args:
        conf_dir: Holds `freeswitch.xml`.
        script_dir: Where scripts are found.
        log_file: The log, None for none.
        esl_port: The event socket's port; None for `event_socket.conf`'s, 0 for any free one.
        esl_password: Its password; None for `event_socket.conf`'s.
    """

    def __init__(
        self,
        conf_dir: Path,
        script_dir: Path,
        log_file: Path | None,
        esl_port: int | None = None,
        esl_password: str | None = None,
    ) -> None:
        self.core = Core(conf_dir, script_dir, log_file)
        self._esl_port = esl_port
        self._esl_password = esl_password
        self._esl: EslServer | None = None
        self._exit_code = 0
        core = self.core
        core.commands = Commands(core)
        core.calls = Calls(core)
        core.doors = Doors(core)
        add_core_commands(core.commands)
        add_xml_commands(core.commands)
        add_script_commands(core.commands)
        add_directory_commands(core.commands)
        add_call_commands(core.commands)
        add_evgen(core.commands)

    @property
    def esl_port(self) -> int:
        """Where the event socket listens."""
        return self._esl.port if self._esl is not None else 0

    def start(self) -> None:
        """Read the configuration, load the modules, listen.

        Raises:
            StartError: The configuration can't be read, or the port is not free.
        """
        core = self.core
        try:
            core.xml.load()
        except ConfigError as error:
            raise StartError(f"Cannot Initialize [{error}]") from error
        self._configure()
        core.events.start()
        core.acl.load(core.xml.configuration("acl.conf"))
        core.events.fire(core.event("RELOADXML", "switch_xml.c", "switch_xml_open_root", 2423))
        self._esl = self._event_socket()
        core.doors.load()
        self._esl.start()  # Last: whoever can log in finds everything else there.
        started = core.event("STARTUP", "switch_core.c", "switch_core_init_and_modload", 2494)
        started.add("Event-Info", "System Ready")
        core.events.fire(started)
        core.say("CONSOLE", "\nFreeSWITCH Started\n(a stand-in: no media, no SIP)\n", "switch_core.c", 2506)
        core.thread(self._beat, "heartbeat")

    def take_signals(self) -> None:
        """From now on they end it as they end a real one; in the main thread only, and before anybody can send one."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def run(self) -> int:
        """Wait for the end, have it, and return the process's exit code; in the main thread only."""
        self.core.wait_in_main_thread()
        self._shut_down()
        return self._exit_code

    def end_process(self, code: int) -> NoReturn:
        """Leave at once: threads that scripts left behind die with the process, as mod_python3's do."""
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.core.request_stop()

    def _shut_down(self) -> None:
        core = self.core
        event = core.event("SHUTDOWN", "switch_core.c", "switch_core_destroy", 3141)
        event.add("Event-Info", "System Shutting Down")
        core.events.fire(event)
        core.say("CONSOLE", "End existing sessions\n", "switch_core.c", 3148)
        core.calls.hang_up_all("SYSTEM_SHUTDOWN")
        core.calls.stop(_STOP_TIMEOUT)
        core.say("CONSOLE", "Clean up modules.\n", "switch_core.c", 3150)
        if not core.events.drain(_DELIVERY_TIMEOUT):
            core.say("ERR", "Events are left undelivered\n", "switch_core.c")
        if self._esl is not None:
            self._esl.stop(_STOP_TIMEOUT)
        # A real one's loggers are among the first modules to go: what scripts log later is lost.
        time.sleep(_LOG_LINGERS)
        core.say("CONSOLE", "Closing Event Engine.\n", "switch_core.c", 3167)
        core.log.close()
        core.events.stop(_STOP_TIMEOUT)
        # It takes some time more for the rest, in which scripts can react to SHUTDOWN.
        time.sleep(_SCRIPTS_LINGER)

    def _configure(self) -> None:
        core = self.core
        configuration = core.xml.configuration("switch.conf")
        settings = configuration.first("settings") if configuration is not None else None
        for name, value in settings.params() if settings is not None else ():
            if name == "switchname" and value:
                core.switchname = value
            elif name == "threaded-system-exec":
                core.threaded_system_exec = text.is_true(value)
            elif name == "loglevel":
                level = level_number(value)
                core.log.level = level if level != INVALID else core.log.level
        core.events.refresh()
        listed = core.xml.configuration("modules.conf")
        modules = listed.first("modules") if listed is not None else None
        names = [each.attributes.get("module", "") for each in modules.each("load")] if modules is not None else []
        core.modules = frozenset(names or _DEFAULT_MODULES)

    def _event_socket(self) -> EslServer:
        host, port, password, lists = "127.0.0.1", 8021, "ClueCon", []
        configuration = self.core.xml.configuration("event_socket.conf")
        settings = configuration.first("settings") if configuration is not None else None
        for name, value in settings.params() if settings is not None else ():
            if name == "listen-ip" and value:
                host = value
            elif name == "listen-port":
                port = text.atoi(value) or port
            elif name == "password" and value:
                password = value
            elif name == "apply-inbound-acl" and value:
                lists.append(value)
        port = self._esl_port if self._esl_port is not None else port
        try:
            return EslServer(self.core, host, port, self._esl_password or password, lists or ["loopback.auto"])
        except OSError as error:
            raise StartError(f"Socket Error! Could not listen on {host}:{port}: {error.strerror}") from error

    def _beat(self) -> None:
        core = self.core
        while not core.wait_for_stop(_HEARTBEAT):
            event = core.event("HEARTBEAT", "switch_core.c", "send_heartbeat", 103)
            event.add("Event-Info", "System Ready")
            event.add("Up-Time", f"0 years, 0 days, 0 hours, 0 minutes, {int(core.uptime)} seconds")
            event.add("FreeSWITCH-Version", "1.11.2-release~64bit")
            event.add("Uptime-msec", str(int(core.uptime * 1000)))
            event.add("Session-Count", str(core.calls.session_count))
            event.add("Max-Sessions", "1000")
            event.add("Session-Since-Startup", str(core.calls.sessions_so_far))
            core.events.fire(event)
