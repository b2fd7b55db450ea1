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
    """One command under way. Two events bear its id: the one about `bgapi`, and the answer."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.output = ""
        self.abandoned = False
        self.to_come = {"API", "BACKGROUND_JOB"}


class Commands:
    """Runs commands through `bgapi` and waits for the `BACKGROUND_JOB` event that the pump hands to `claim`.

    Attributes:
        late: answers that came after their caller had given up.
    """

    def __init__(self) -> None:
        self.late = 0
        self._closed = False
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
            if self._closed:
                raise HostError(f'event_zmq is stopping; "{command}" was not run')
            self._jobs[job_id] = job
            self._expect(command)
        answer = host.instant(f"bgapi uuid:{job_id} {command}")
        if not answer.startswith("+OK"):
            with self._lock:
                # It was not run; the event about `bgapi` itself comes all the same, if it has not come already.
                self._seen(job_id, job, "BACKGROUND_JOB")
                self._take_expected(_split(command))
            raise HostError(f'FreeSWITCH did not take "{command}": {answer.strip() or "no answer"}')
        waited = job.done.wait(timeout)
        if self._closed:
            raise HostError(f'event_zmq stopped while it waited for "{command}"')
        if not waited:
            job.abandoned = True
            raise CommandTimeout(f'FreeSWITCH did not answer "{command}" within {timeout:g} s')
        return job.output

    def close(self) -> None:
        """Nobody waits for an answer any more, because nobody is left to take it."""
        with self._lock:
            self._closed = True
            for job in self._jobs.values():
                job.done.set()

    def instant(self, command: str) -> str:
        """The same for one of the commands that may run under the GIL (`host.INSTANT`)."""
        with self._lock:
            self._expect(command)
        try:
            return host.instant(command)
        except ValueError:
            with self._lock:
                self._take_expected(_split(command))
            raise

    def claim(self, event: host.Event, name: str) -> bool:
        """Whether an API or BACKGROUND_JOB event is about a command of ours; takes the answer out of it."""
        if name == "BACKGROUND_JOB":
            return self._claim_id(event.getHeader("Job-UUID"), name, event)
        command, argument = (
            event.getHeader("API-Command") or "",
            event.getHeader("API-Command-Argument") or "",
        )
        if command == "bgapi" and argument.startswith("uuid:"):
            return self._claim_id(argument[5:].split(" ", 1)[0], name, event)
        with self._lock:
            return self._take_expected((command, argument))

    def _claim_id(self, job_id: str | None, name: str, event: host.Event) -> bool:
        with self._lock:
            job = self._jobs.get(job_id or "")
            if job is None or name not in job.to_come:
                return False
            self._seen(job_id or "", job, name)
        if name == "BACKGROUND_JOB":
            job.output = event.getBody() or ""
            job.done.set()
            self.late += job.abandoned
        return True

    def _seen(self, job_id: str, job: _Job, name: str) -> None:
        job.to_come.discard(name)
        if not job.to_come:
            self._jobs.pop(job_id, None)

    def _take_expected(self, key: tuple[str, str]) -> bool:
        if key not in self._expected:
            return False
        self._expected[key] -= 1
        if not self._expected[key]:
            del self._expected[key]
        return True

    def _expect(self, command: str) -> None:
        self._expected[_split(command)] += 1


def _split(command: str) -> tuple[str, str]:
    name, _, argument = command.strip().partition(" ")
    return name, argument.strip()
