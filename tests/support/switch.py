"""What a test can do with a switch, whichever kind it is."""

from __future__ import annotations

import abc
import contextlib
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from .configuration import param, render
from .esl import Esl, EslError, Text
from .ports import free_port
from .process import Child, proc_cpu, proc_fds, proc_status

REPOSITORY = Path(__file__).resolve().parents[2]


class SwitchError(Exception):
    """The switch did not start, or did not stop, as it should."""


class Switch(abc.ABC):
    """A switch in a process of its own, configured below one temporary folder.

    It can be started again after it was stopped, with the same ports and files.

    Args:
        tmp_path: Where everything of it lies.
        event_zmq_xml: Text of ``event_zmq.conf.xml``; by default there is none.
        startup_script: Whether mod_python3 runs ``event_zmq`` when it loads.
        xml_handler_bindings: What ``event_zmq`` looks up for the switch, such as ``configuration|directory``.
        threaded_system_exec: What ``switch.conf.xml`` says.
        extra_env: Environment variables to add or replace.
        scripts_dir: The switch's script folder; by default the repository's.
        script: The script that `startup_script` and `xml_handler_bindings` mean.
        extra_modules: Names of further modules to load, such as ``mod_sofia``.
        extra_extensions: XML of further extensions for the context ``default``.
        esl_port: The event socket's port; by default a free one.
        loglevel: The core's level of logging, a name or a number.

    Attributes:
        kind: ``live`` or ``standin``.
        conf_dir: The configuration's folder, as ``-conf`` has it.
        log_file: The switch's log.
        console_file: What the process printed.
        scripts_dir: The folder of scripts.
        esl_port: The event socket's port on 127.0.0.1.
        esl_password: Its password, another one each time: nobody drives a stranger's switch by mistake.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        tmp_path: Path,
        *,
        event_zmq_xml: str | None = None,
        startup_script: bool = False,
        xml_handler_bindings: str = "",
        threaded_system_exec: bool = False,
        extra_env: Mapping[str, str] | None = None,
        scripts_dir: Path | None = None,
        script: str = "event_zmq",
        extra_modules: Sequence[str] = (),
        extra_extensions: str = "",
        esl_port: int = 0,
        loglevel: str = "debug",
    ) -> None:
        self.root = tmp_path
        self.conf_dir = tmp_path / "conf"
        self.log_file = tmp_path / "log" / "freeswitch.log"
        self.console_file = tmp_path / "log" / "console.log"
        self.scripts_dir = scripts_dir if scripts_dir is not None else REPOSITORY / "scripts"
        self.esl_port = esl_port or free_port()
        self.esl_password = secrets.token_hex(8)
        self._extra_env = dict(extra_env or {})
        self._child: Child | None = None
        self._idle: list[Esl] = []
        self._idle_lock = threading.Lock()
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        params = [param("startup-script", script)] if startup_script else []
        if xml_handler_bindings:
            params.append(param("xml-handler-script", script))
            params.append(param("xml-handler-bindings", xml_handler_bindings))
        render(
            self.conf_dir,
            {
                "esl_port": str(self.esl_port),
                "esl_password": self.esl_password,
                "log_file": str(self.log_file),
                "switchname": f"test-{self.kind}",
                "loglevel": loglevel,
                "threaded_system_exec": "true" if threaded_system_exec else "false",
            },
            {
                "extra_modules": "".join(self._load(name) for name in extra_modules) + self._own_modules(),
                "python_params": "".join(params),
                "extra_extensions": extra_extensions,
            },
        )
        if event_zmq_xml is not None:
            self.write_config(event_zmq_xml)

    # What the kinds differ in.

    @abc.abstractmethod
    def _command(self) -> list[str]:
        """The program and its arguments."""

    def _own_modules(self) -> str:
        return ""

    def _not_ready(self, log_start: int) -> str:
        """Why it is not ready yet, or an empty string; this start's log begins at the byte `log_start`."""
        status = self.api("status", 2.0)
        return "" if "is ready" in status else status

    @staticmethod
    def _load(name: str) -> str:
        return f'<load module="{name}"/>'

    # Life.

    def start(self, timeout: float = 30.0) -> None:
        """Start it and wait until it is ready.

        Raises:
            SwitchError: It ended, or was not ready in time and was killed; with what it printed.
        """
        if self.running:
            raise SwitchError("it is running already")
        deadline = time.monotonic() + timeout
        log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        self._child = Child(self._command(), self.console_file, self._environment(), self.root)
        try:
            self._wait_ready(deadline, log_start)
        except BaseException:
            self.kill()
            raise

    def stop(self, how: str = "api", timeout: float = 20.0) -> int:
        """Have it shut down and wait for its end; a switch that has ended already is fine.

        Args:
            how: ``api`` (``fsctl shutdown``) or ``sigterm``.
            timeout: Seconds until it is killed.

        Returns:
            The exit code, negative when a signal ended it.

        Raises:
            SwitchError: It did not end in time, and was killed.
        """
        self.request_stop(how, timeout)
        return self.wait_stopped(timeout)

    def request_stop(self, how: str = "api", timeout: float = 20.0) -> None:
        """Only the first half of :meth:`stop`."""
        child = self._need_child()
        if how not in ("api", "sigterm"):
            raise ValueError(how)
        if child.poll() is not None:
            return
        if how == "api":
            with contextlib.suppress(EslError):  # It may close the socket before it answers.
                self.api("fsctl shutdown", timeout)
        else:
            child.terminate()

    def wait_stopped(self, timeout: float = 20.0) -> int:
        """Only the second half of :meth:`stop`; also for an end that was asked for in another way."""
        child = self._need_child()
        code = child.wait(timeout)
        self._close_idle()
        if code is None:
            self.kill()
            raise SwitchError(f"not gone after {timeout:g} s, killed\n{self._tail()}")
        return code

    def kill(self) -> None:
        """End it at once; one that has ended, or never started, is fine."""
        self._close_idle()
        if self._child is not None:
            self._child.kill()

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """The process id, also of a process that has ended."""
        return self._need_child().pid

    # Work.

    def api(self, command: Text, timeout: float = 10.0) -> str:
        """Run a command and return what it prints, as ``fs_cli -x`` would show it; any thread may."""
        with self._connection(timeout) as esl:
            return esl.api(command, timeout)

    def sendevent(self, name: Text, headers: Sequence[tuple[Text, Text]] = (), body: bytes = b"") -> str:
        """Fire an event through the event socket, byte for byte; returns the reply."""
        with self._connection(10.0) as esl:
            return esl.sendevent(name, headers, body)

    def esl(self, timeout: float = 10.0) -> Esl:
        """A new connection of the caller's own, to be closed by the caller."""
        return Esl.connect(self.esl_port, self.esl_password, timeout=timeout)

    def write_config(self, xml: str, name: str = "event_zmq.conf.xml") -> None:
        """Write a file into ``autoload_configs``; it counts from the next ``reloadxml`` or start on."""
        folder = self.conf_dir / "autoload_configs"
        draft = folder / f".{name}.draft"
        draft.write_text(xml, "utf-8")
        draft.replace(folder / name)

    def log_text(self) -> str:
        """The whole log so far, bytes that are not UTF-8 as surrogate escapes."""
        try:
            return self.log_file.read_text("utf-8", "surrogateescape")
        except FileNotFoundError:
            return ""

    def wait_log(self, text: str, count: int = 1, timeout: float = 10.0) -> str:
        """Wait until the log has `text` at least `count` times, and return the log.

        Raises:
            SwitchError: It did not come in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            log = self.log_text()
            if log.count(text) >= count:
                return log
            if time.monotonic() > deadline:
                raise SwitchError(f"{text!r} is not in the log {count} times\n{self._tail()}")
            time.sleep(0.02)

    def rss_kb(self) -> int:
        """Resident memory in kB."""
        return proc_status(self.pid, "VmRSS")

    def cpu_seconds(self) -> float:
        """Processor time that it has used."""
        return proc_cpu(self.pid)

    def threads(self) -> int:
        """How many threads it has."""
        return proc_status(self.pid, "Threads")

    def fds(self) -> int:
        """How many file descriptors it has open."""
        return proc_fds(self.pid)

    # Inner workings.

    def _need_child(self) -> Child:
        if self._child is None:
            raise SwitchError("it was never started")
        return self._child

    def _environment(self) -> dict[str, str]:
        # What a virtual environment or a developer's shell says about Python must not reach the embedded one.
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        env["PYTHONPATH"] = str(REPOSITORY)
        env["PYTHONDONTWRITEBYTECODE"] = "1"  # The repository is not the switch's to write in.
        env.update(self._extra_env)
        return env

    def _wait_ready(self, deadline: float, log_start: int) -> None:
        reason = ""
        while time.monotonic() < deadline:
            code = self._need_child().wait(0.02)  # Also the pause between two tries.
            if code is not None:
                raise SwitchError(f"the {self.kind} switch ended with {code} at its start\n{self._tail()}")
            try:
                reason = self._not_ready(log_start)
            except EslError as error:
                reason = str(error)
            if not reason:
                return
        raise SwitchError(f"the {self.kind} switch was not ready in time: {reason}\n{self._tail()}")

    def _tail(self) -> str:
        parts = []
        for path in (self.console_file, self.log_file):
            if path.exists():
                lines = path.read_text("utf-8", "backslashreplace").splitlines()
                errors = [line for line in lines if "[ERR]" in line or "[CRIT]" in line][-10:]
                parts.append(f"--- the end of {path}, after its last errors:")
                parts += errors + lines[-15:]
        return "\n".join(parts)

    @contextlib.contextmanager
    def _connection(self, timeout: float) -> Iterator[Esl]:
        esl = self._take_idle() or self.esl(timeout)
        try:
            yield esl
        except BaseException:
            esl.close()
            raise
        with self._idle_lock:
            self._idle.append(esl)

    def _take_idle(self) -> Esl | None:
        with self._idle_lock:
            while self._idle:
                esl = self._idle.pop()
                if esl.idle:
                    return esl
                esl.close()
        return None

    def _close_idle(self) -> None:
        with self._idle_lock:
            while self._idle:
                self._idle.pop().close()
