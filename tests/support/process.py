"""A child process that can't outlive us."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class Child:
    """A process in the foreground of a session of its own.

    A guard (``sh``) stands beside it that kills it when we end without having stopped it, by a signal for
    instance: the guard's standard input is a pipe that ends when we do. A terminal's Ctrl-C reaches neither.

    Args:
        command: The program and its arguments.
        output: The file that gets what it prints.
        env: Its whole environment.
        cwd: Its working directory.
    """

    def __init__(self, command: Sequence[str], output: Path, env: Mapping[str, str], cwd: Path) -> None:
        with output.open("ab") as stream:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", f"read -r _ || kill -9 {self.pid}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def poll(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        code = self._process.poll()
        if code is not None:
            self._dismiss_guard()
        return code

    def wait(self, timeout: float) -> int | None:
        """The exit code, or None when it is still running after `timeout` seconds."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        return self.poll()

    def terminate(self) -> None:
        """Send SIGTERM, unless it has ended."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> int:
        """Send SIGKILL, unless it has ended, and return the exit code."""
        self._process.kill()
        code = self._process.wait()
        self._dismiss_guard()
        return code

    def _dismiss_guard(self) -> None:
        guard = self._guard
        if guard.stdin is not None and not guard.stdin.closed:
            guard.kill()  # Before its pipe ends: the process id may be someone else's by now.
            guard.wait()
            guard.stdin.close()


def proc_status(pid: int, field: str) -> int:
    """A number from ``/proc/PID/status``, such as VmRSS (in kB) or Threads."""
    with Path(f"/proc/{pid}/status").open(encoding="ascii", errors="replace") as stream:
        for line in stream:
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0])
    raise KeyError(field)


def proc_cpu(pid: int) -> float:
    """Seconds of processor time that the process has used."""
    text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def proc_fds(pid: int) -> int:
    """How many file descriptors the process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
