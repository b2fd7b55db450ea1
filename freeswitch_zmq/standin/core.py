"""What the parts of the switch share: its identity, log, variables, events, XML, lists, commands and calls."""

from __future__ import annotations

import os
import socket
import threading
import time
import traceback
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Callable

from . import log as logs
from .acl import AccessLists
from .engine import EventEngine, Origin
from .events import Event
from .threads import HostThread
from .variables import Variables
from .xmlconfig import XmlRegistry

if TYPE_CHECKING:
    from .calls import Calls
    from .commands import Commands
    from .doors import Doors

__all__ = ["VERSION", "Core"]

VERSION = "1.11.2"
"""The FreeSWITCH whose behaviour is stood in for."""

_LOCAL_IP = "127.0.0.1"


class Core:
    """The switch's state. The parts are put in by `switch.Switch`, which starts and stops them.

    Args:
        conf_dir: Holds `freeswitch.xml`.
        script_dir: Where mod_python3 finds scripts.
        log_file: The log, None for none.

    Attributes:
        running: False from the beginning of the shutdown on, as `freeswitch.running()` says it.
        modules: What `modules.conf` loads, as far as `module_exists` is concerned.
        threaded_system_exec: How `bg_system` and the application `system` run a shell.
        started: The monotonic time of the start.
    """

    commands: Commands
    calls: Calls
    doors: Doors

    def __init__(self, conf_dir: Path, script_dir: Path, log_file: Path | None) -> None:
        self.uuid = str(uuid.uuid4())
        self.hostname = socket.gethostname()
        self.switchname = self.hostname
        self.script_dir = script_dir
        self.log = logs.Log(log_file)
        self.variables = Variables()
        self.xml = XmlRegistry(conf_dir, self.variables, lambda level, text: self.say(level, text, "switch_xml.c"))
        self.acl = AccessLists(f"{_LOCAL_IP}/32", lambda level, text: self.say(level, text, "switch_core.c"))
        self.events = EventEngine(self.identity, lambda error: self.report("an event's subscriber", error))
        self.running = True
        self.threaded_system_exec = False
        self.modules: frozenset[str] = frozenset()
        self.started = time.monotonic()
        self._stopping = threading.Event()
        self._bell, self._bell_push = os.pipe()
        folder = log_file.parent if log_file is not None else conf_dir
        for name, value in (
            ("hostname", self.hostname),
            ("local_ip_v4", _LOCAL_IP),
            ("local_mask_v4", "255.255.255.255"),
            ("local_ip_v6", "::1"),
            ("conf_dir", str(conf_dir)),
            ("log_dir", str(folder)),
            ("run_dir", str(folder)),
            ("db_dir", str(folder)),
            ("temp_dir", str(folder)),
            ("script_dir", str(script_dir)),
            ("core_uuid", self.uuid),
        ):
            self.variables.set(name, value)

    def identity(self) -> tuple[tuple[str, str], ...]:
        """The headers by which every event names its switch."""
        return (
            ("Core-UUID", self.uuid),
            ("FreeSWITCH-Hostname", self.hostname),
            ("FreeSWITCH-Switchname", self.switchname),
            ("FreeSWITCH-IPv4", _LOCAL_IP),
            ("FreeSWITCH-IPv6", "::1"),
        )

    # Log.

    def say(self, level: str, text: str, file: str = "switch_core.c", line: int = 1, uuid: str = "") -> None:
        """A line in the log; `text` ends it itself."""
        self.log.write(logs.level_number(level), text, file=file, line=line, uuid=uuid)

    def report(self, where: str, error: BaseException) -> None:
        """An error of the stand-in's own, with all that helps to find it."""
        lines = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self.say("CRIT", f"The stand-in failed in {where}: {lines}", "standin")

    # Events.

    def event(self, type_: str, file: str = "switch_core.c", function: str = "main", line: int = 1) -> Event:
        """A new event with the headers that all have."""
        return self.events.create(type_, Origin(file, function, str(line)))

    # Threads.

    def thread(self, target: Callable[[], None], name: str) -> HostThread:
        """Start a thread as the switch has them; what it raises is logged."""
        return HostThread(target, lambda error: self.report(name, error))

    # XML.

    def reload_xml(self) -> None:
        """Read the configuration anew and tell everybody.

        Raises:
            xmlconfig.ConfigError: The old one stays.
        """
        self.xml.load()
        self.events.fire(self.event("RELOADXML", "switch_xml.c", "switch_xml_open_root", 2423))

    # End.

    def shut_down(self) -> None:
        """Begin the end: `running` is false at once, the rest happens in the main thread."""
        self.say("INFO", "Shutting down\n")
        self.request_stop()

    def request_stop(self) -> None:
        """The same without a line in the log; it takes no lock, so a signal's handler can do it."""
        self.running = False
        os.write(self._bell_push, b"!")

    def exit_now(self) -> None:
        """End the process at once, telling nobody."""
        os._exit(0)

    def wait_in_main_thread(self) -> None:
        """Wait until the end is asked for."""
        os.read(self._bell, 1)
        self._stopping.set()

    def wait_for_stop(self, timeout: float) -> bool:
        """The same for other threads, at most so many seconds; whether it was."""
        return self._stopping.wait(timeout)

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started
