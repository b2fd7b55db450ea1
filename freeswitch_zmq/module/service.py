"""Start, stop, reload and status: one at a time, whoever asks, and after a failure nothing is left."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import zmq

from freeswitch_zmq.errors import EventZmqError, StartError, StateError
from freeswitch_zmq.module import forksafety, host, status
from freeswitch_zmq.module.asking.complaints import Complaints
from freeswitch_zmq.module.asking.question import UNAVAILABLE
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.faults import Faults
from freeswitch_zmq.module.keeper import Keeper
from freeswitch_zmq.module.lookups.asked import Asked
from freeswitch_zmq.module.running import Running
from freeswitch_zmq.module.source import await_commands, read_config, reload_xml

__all__ = ["Service"]

_SHUTDOWN_WAIT_SECONDS = 0.2
MEND_TOLD_SECONDS = 10.0


class Service:
    """There is one in the switch, for as long as its process lives.

    Attributes:
        faults: unexpected exceptions.
        commands: runs API commands while the module runs; knows of them longer.
    """

    def __init__(self) -> None:
        self.faults = Faults()
        self.commands = Commands()
        self.commands.close()
        self._lock = threading.Lock()
        self._doing = ""
        self._running: Running | None = None
        self._keeper: Keeper | None = None
        self._started = 0.0
        self._shutdown = False
        self._opening: Running | None = None
        self._mend_told = 0.0
        self._complaints = Complaints()

    @contextlib.contextmanager
    def _alone(self, doing: str) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise StateError(f"event_zmq is {self._doing or 'busy'}; try again when that is done")
        self._doing = doing
        try:
            yield
        finally:
            self._doing = ""
            self._lock.release()

    def start(self) -> str:
        """Brings everything up. Gives a line about it.

        Raises:
            EventZmqError: it can't be started; nothing is left of the attempt.
        """
        with self._alone("starting"):
            if self._running is not None:
                raise StateError("event_zmq is running already; `reload` takes up a changed configuration")
            if not host.running():
                raise StateError("the switch is shutting down")
            self._shutdown = False
            self.commands.open()
            running = self._opening = Running(self.faults, self._shutdown_seen, self.commands, self.status)
            try:
                running.start_pump()
                await_commands(running.commands)
                config = read_config(running.commands)
                forksafety.ensure(running.commands, config.settings.threaded_system_exec)
                running.open(config)
                self._keeper = Keeper(running, self.faults, self._shut_down, self._mend)
                self._keeper.start()
            except BaseException:
                running.close()
                self._keeper = None
                raise
            finally:
                self._opening = None
            self._running = running
            self._started = time.monotonic()
            if self._shutdown:  # it came while there was no keeper yet
                self._keeper.shutdown()
            line = "started: " + "; ".join(
                f"{name} at {', '.join(endpoint.address for endpoint in each.endpoints)}"
                for name, each in running.groups.items()
            )
        host.log("NOTICE", line)
        self._warn(running)
        return line

    def stop(self) -> str:
        """Takes everything down. Gives a line about it.

        Raises:
            StateError: it is not running.
        """
        with self._alone("stopping"):
            if self._running is None:
                raise StateError("event_zmq is not running; `pyrun event_zmq` starts it")
            self._take_down()
        host.log("NOTICE", "stopped")
        return "stopped"

    def _take_down(self) -> None:
        running, keeper = self._running, self._keeper
        self._running = self._keeper = None
        self._started = 0.0
        if keeper is not None:
            keeper.stop()
        if running is not None:
            running.close()

    def reload(self) -> str:
        """Reads the XML anew and takes up what changed. Gives a line about it.

        Raises:
            EventZmqError: the old configuration is in force as before.
        """
        with self._alone("reloading"):
            if self._running is None:
                raise StateError("event_zmq is not running; `pyrun event_zmq` starts it")
            reload_xml(self._running.commands)
            config = read_config(self._running.commands)
            forksafety.ensure(self._running.commands, config.settings.threaded_system_exec)
            running = self._running
            known = running.warnings()
            notes = running.reload(config)
            line = f"reloaded: {'; '.join(notes) or 'nothing changed'}"
        host.log("NOTICE", line)
        self._warn(running, known)
        return line

    def _warn(self, running: Running, known: Sequence[str] = ()) -> None:
        for warning in running.warnings():
            if warning not in known:
                host.log("WARNING", warning)

    def _mend(self) -> None:
        """In the keeper's thread: opens endpoints that ended for what their subscribers sent. Not while we are busy."""
        try:
            with self._alone("opening an endpoint anew"):
                if self._running is not None:
                    for address in self._running.reopen():
                        host.log(
                            "WARNING",
                            f"the subscribers at {address} subscribed to more than an endpoint may hold, or kept it "
                            "from sending anything; it was opened anew, and all of them had to come back. Find "
                            "the one that sends so many subscriptions: `python event_zmq status` says who came in",
                        )
        except StateError:
            pass
        except StartError as error:  # it is tried again in half a second; an address takes a moment to become free
            now = time.monotonic()
            if now - self._mend_told > MEND_TOLD_SECONDS:
                self._mend_told = now
                host.log("ERR", f"an endpoint that ended can't be opened anew yet: {error}")

    def status(self) -> dict[str, Any]:
        """What `status json` prints."""
        running = self._running
        state = "running" if running is not None else self._doing or "stopped"
        # While something takes events, ours are to be kept out of them.
        ask = self.commands.instant if self.commands.is_open else host.instant
        core_uuid = ask("global_getvar core_uuid").strip()
        threaded = forksafety.is_on(ask)
        result = status.head(state, self._started, core_uuid, threaded, self.faults.count)
        if running is not None:
            result["late_answers"] = running.commands.late
            result["keys"] = status.key_status(running.ring, running.config.access)
            result["publishers"] = {
                name: status.publication_status(each) for name, each in list(running.publications.items())
            }
            api = running.api
            if api is not None:
                result["api"] = status.api_status(api)
            callouts, bindings = running.services.callouts, running.services.lookups.bindings
            if callouts:
                result["callouts"] = {name: each.counted() for name, each in callouts.items()}
            if bindings:
                result["xml_bindings"] = {each.config.name: each.counted() for each in bindings}
        return result

    def converse(self, name: str, args: str, session: Any) -> str:
        """A call asks a service what to do, and does it. The status of that."""
        running = self._running
        status = None if running is None else running.services.converse(name, args, session)
        if status is not None:
            return status
        what = f'the call-out "{host.clean(name)}"' if name else "a call-out without a name (event_zmq NAME ARGS)"
        why = "event_zmq does not run" if running is None else "there is no such <callout>"
        self._complaints.log("WARNING", why, f"a call asks for {what}, but {why}; it goes on in its dialplan")
        return UNAVAILABLE

    def fetch(self, asked: Asked) -> bytes | None:
        """A document that the switch looks up; None: not found, at once while we don't run."""
        running = self._running
        return None if running is None else running.services.fetch(asked)

    def flush(self) -> str:
        """Forgets cached documents. Gives a line about it.

        Raises:
            StateError: it is not running.
        """
        running = self._running
        if running is None:
            raise StateError("event_zmq is not running; `pyrun event_zmq` starts it")
        count = running.services.lookups.flush()
        return f"flushed {count} document{'' if count == 1 else 's'}"

    def context(self) -> zmq.Context[zmq.Socket[bytes]]:
        """The ZeroMQ context, for other scripts of the same switch.

        Raises:
            StateError: the module is not running.
        """
        if self._running is None:
            raise StateError("event_zmq is not running; `pyrun event_zmq` starts it")
        return self._running.context

    def _shutdown_seen(self) -> None:
        """In the pump's thread."""
        self._shutdown = True
        if self._opening is not None:
            self._opening.commands.close()  # the start that is under way waits for no answer any more
        if self._keeper is not None:
            self._keeper.shutdown()

    def _shut_down(self) -> None:
        """In the keeper's thread. The switch won't wait for anybody, so neither do we."""
        host.log("NOTICE", "the switch shuts down; stopping")
        got = self._lock.acquire(timeout=_SHUTDOWN_WAIT_SECONDS)
        try:
            self._take_down()
        except EventZmqError as error:
            self.faults.caught("the stop at shutdown", error)
        finally:
            if got:
                self._lock.release()
