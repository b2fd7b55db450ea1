"""Commands that the module runs for itself, without ever holding the GIL while FreeSWITCH works on them.

FreeSWITCH publishes an event about every command and its output. The module's own work is not news, so this also
tells the pump which of those events are ours.
"""

from __future__ import annotations

import secrets
import threading
from collections import Counter

from freeswitch_zmq.errors import CommandTimeout, HostError
from freeswitch_zmq.module import host

__all__ = ["Commands"]


class _Job:
    """One command under way; `bgapi` and the answer each bring an event with its id."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.output = ""
        self.abandoned = False
        self.events_to_come = 2


class Commands:
    """Runs commands through `bgapi` and waits for the `BACKGROUND_JOB` event that the pump hands to `claim`.

    Attributes:
        late: answers that came after their caller had given up.
    """

    def __init__(self) -> None:
        self.late = 0
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}
        # The API event of a command bears no id. Someone else's of the same text differs in nothing from ours, so it
        # is enough to keep out as many as we caused.
        self._expected: Counter[tuple[str, str]] = Counter()

    def run(self, command: str, timeout: float = 5.0) -> str:
        """Runs a command in a thread of FreeSWITCH's and gives its output. The pump must be running.

        Args:
            command: without line breaks and NULs.
            timeout: seconds.

        Raises:
            CommandTimeout: no answer in time.
            HostError: FreeSWITCH did not take it.
        """
        job_id = secrets.token_hex(16)  # whoever may send events can forge an answer, but can't guess this
        job = _Job()
        with self._lock:
            self._jobs[job_id] = job
            self._expect(command)
        answer = host.instant(f"bgapi uuid:{job_id} {command}")
        if not answer.startswith("+OK"):
            with self._lock:
                del self._jobs[job_id]
                self._expected[_split(command)] -= 1
            raise HostError(f'FreeSWITCH did not take "{command}": {answer.strip() or "no answer"}')
        if not job.done.wait(timeout):
            job.abandoned = True
            raise CommandTimeout(f'FreeSWITCH did not answer "{command}" within {timeout:g} s')
        return job.output

    def instant(self, command: str) -> str:
        """The same for one of the commands that may run under the GIL (`host.INSTANT`)."""
        with self._lock:
            self._expect(command)
        return host.instant(command)

    def claim(self, event: host.Event, name: str) -> bool:
        """Whether an API or BACKGROUND_JOB event is about a command of ours; takes the answer out of it."""
        if name == "BACKGROUND_JOB":
            return self._claim_id(event.getHeader("Job-UUID"), event)
        command, argument = (
            event.getHeader("API-Command") or "",
            event.getHeader("API-Command-Argument") or "",
        )
        if command == "bgapi" and argument.startswith("uuid:"):
            return self._claim_id(argument[5:].split(" ", 1)[0], None)
        with self._lock:
            if self._expected[command, argument] > 0:
                self._expected[command, argument] -= 1
                if not self._expected[command, argument]:
                    del self._expected[command, argument]
                return True
            del self._expected[command, argument]
            return False

    def _claim_id(self, job_id: str | None, event: host.Event | None) -> bool:
        with self._lock:
            job = self._jobs.get(job_id or "")
            if job is None:
                return False
            job.events_to_come -= 1
            if not job.events_to_come:
                del self._jobs[job_id or ""]
        if event is not None:
            job.output = event.getBody() or ""
            job.done.set()
            self.late += job.abandoned
        return True

    def _expect(self, command: str) -> None:
        self._expected[_split(command)] += 1


def _split(command: str) -> tuple[str, str]:
    name, _, argument = command.strip().partition(" ")
    return name, argument.strip()
