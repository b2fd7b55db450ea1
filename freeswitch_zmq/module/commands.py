"""Commands that the module runs, for itself and for callers of the API, without ever holding the GIL meanwhile.

FreeSWITCH publishes an event about every command and its output. The module's own work is not news, so this also
tells the pump which of those events are ours.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from typing import Callable, Optional

from freeswitch_zmq.errors import CommandTimeout, HostError, TooManyCommands
from freeswitch_zmq.module import host
from freeswitch_zmq.spelling import BLANKS

__all__ = ["Commands", "Job"]


FORGET_SECONDS = 3600.0
"""Commands that were left running at a stop are known for so long by their ids: their outputs are still kept out."""

FORGET_TEXTS_SECONDS = 60.0
"""The same for their API events, which only the text tells: those of others would be kept out in their place."""

OnDone = Callable[[Optional[str]], None]


class Job:
    """One command under way. Two events bear its id: the one about `bgapi`, and the answer.

    Attributes:
        abandoned: nobody waits for its answer any more.
        counted: in `Commands.running`.
    """

    def __init__(self, on_done: OnDone, counted: bool) -> None:
        self.on_done = on_done
        self.counted = counted
        self.abandoned = False
        self.started = time.monotonic()
        self.to_come = {"API", "BACKGROUND_JOB"}


class Commands:
    """Runs commands through `bgapi` and waits for the `BACKGROUND_JOB` event that the pump hands to `claim`.

    It outlives a stop: what then becomes of commands that were running is not news either, after the next start.

    Attributes:
        late: answers that came after their caller had given up.
        running: commands of others that FreeSWITCH has not finished, also those whose callers have given up.
    """

    def __init__(self) -> None:
        self.late = self.running = 0
        self._closed = False
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._background: set[str] = set()
        # The API event of a command bears no id. Someone else's of the same text differs in nothing from ours, so it
        # is enough to keep out as many as we caused.
        self._expected: Counter[tuple[str, str]] = Counter()
        self._left_over: Counter[tuple[str, str]] = Counter()
        self._left_over_until = 0.0

    def open(self) -> None:
        """Commands can be run from now on, when the pump runs."""
        with self._lock:
            self._closed = False
            self.late = 0
            now = time.monotonic()
            self._jobs = {key: job for key, job in self._jobs.items() if now - job.started < FORGET_SECONDS}

    def run(self, command: str, timeout: float = 5.0) -> str:
        """Runs a command in a thread of FreeSWITCH's and gives its output. The pump must be running.

        Args:
            command: without line breaks and NULs.
            timeout: seconds.

        Raises:
            CommandTimeout: no answer in time.
            HostError: FreeSWITCH did not take it.
        """
        done = threading.Event()
        outputs: list[Optional[str]] = []

        def on_done(output: Optional[str]) -> None:
            outputs.append(output)
            done.set()

        job = self.start(command, on_done)
        waited = done.wait(timeout)
        if self._closed:
            raise HostError(f'event_zmq stopped while it waited for "{command}"')
        if not waited:
            job.abandoned = True
            raise CommandTimeout(f'FreeSWITCH did not answer "{command}" within {timeout:g} s')
        return outputs[0] or ""

    @property
    def is_open(self) -> bool:
        """Whether commands can be run."""
        return not self._closed

    def start(self, command: str, on_done: OnDone, at_most: Optional[int] = None) -> Job:
        """Has a command run in a thread of FreeSWITCH's.

        Args:
            command: without line breaks and NULs.
            on_done: called once, in the pump's thread and perhaps before this returns, with the output; with None when
                the module stops first. Not called when this raises.
            at_most: how many may run for others, this one included; None: it is one of our own.

        Raises:
            TooManyCommands: so many run already.
            HostError: FreeSWITCH did not take it.
        """
        job_id = secrets.token_hex(16)  # whoever may send events can forge an answer, but can't guess this
        job = Job(on_done, counted=at_most is not None)
        with self._lock:
            self._check_open(command)
            self._count(at_most)
            self._jobs[job_id] = job
            self._expect(command)
        answer = host.instant(f"bgapi uuid:{job_id} {command}")
        if not answer.startswith("+OK"):
            with self._lock:
                # It was not run; the event about `bgapi` itself comes all the same, if it has not come already.
                job.on_done = _ignore
                self._seen(job_id, job, "BACKGROUND_JOB")
                self._take_expected(_split(command))
            raise HostError(f'FreeSWITCH did not take "{command}": {answer.strip() or "no answer"}')
        return job

    def start_background(self, job_id: str, command: str, at_most: int) -> None:
        """Has a command run whose events, the output too, go out as anybody's.

        Args:
            job_id: for its BACKGROUND_JOB event; FreeSWITCH can be crashed by an odd one, so it must have been checked.
            command: as for `start`.
            at_most: as for `start`.

        Raises:
            ValueError: a command with that id is running.
            TooManyCommands: so many run already.
            HostError: FreeSWITCH did not take it.
        """
        with self._lock:
            self._check_open(command)
            if job_id in self._background or job_id in self._jobs:
                raise ValueError(f'a job with the id "{job_id}" is running')
            self._count(at_most)
            self._background.add(job_id)
        answer = host.instant(f"bgapi uuid:{job_id} {command}")
        if not answer.startswith("+OK"):
            with self._lock:
                self._end_background(job_id)
            raise HostError(f'FreeSWITCH did not take "{command}": {answer.strip() or "no answer"}')

    def _count(self, at_most: Optional[int]) -> None:
        """One more is about to run."""
        if at_most is None:
            return
        if self.running >= at_most:
            raise TooManyCommands(f"{self.running} commands are running")
        self.running += 1

    def _end_background(self, job_id: str) -> None:
        if job_id in self._background:
            self._background.remove(job_id)
            self.running -= 1

    def _check_open(self, command: str) -> None:
        if self._closed:
            raise HostError(f'event_zmq is stopping; "{command}" was not run')

    def close(self) -> None:
        """Nobody waits for an answer any more, because nobody is left to take it."""
        with self._lock:
            self._closed = True
            waiting = [job.on_done for job in self._jobs.values()]
            for job in self._jobs.values():
                job.on_done = _ignore
                job.counted = False  # nobody will notice when it ends
            self._background.clear()
            self.running = 0
            self._left_over, self._expected = self._expected, Counter()
            self._left_over_until = time.monotonic() + FORGET_TEXTS_SECONDS
        for on_done in waiting:
            on_done(None)

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
            return _is_from(event, "bgapi_exec") and self._claim_id(event.getHeader("Job-UUID"), name, event)
        if not _is_from(event, "switch_api_execute"):
            return False
        command, argument = (
            event.getHeader("API-Command") or "",
            event.getHeader("API-Command-Argument") or "",
        )
        job_id = argument[5:].split(" ", 1)[0] if command == "bgapi" and argument.startswith("uuid:") else ""
        if job_id and self._claim_id(job_id, name, event):
            return True
        with self._lock:
            return self._take_expected((command, argument))

    def _claim_id(self, job_id: str | None, name: str, event: host.Event) -> bool:
        key = job_id or ""
        on_done: OnDone = _ignore
        ours = False
        with self._lock:
            job = self._jobs.get(key)
            if job is not None and name in job.to_come:
                ours = True
                self._seen(key, job, name)
                if name == "BACKGROUND_JOB":
                    self.late += job.abandoned
                    on_done, job.on_done = job.on_done, _ignore
            elif name == "BACKGROUND_JOB":
                self._end_background(key)
        if ours and name == "BACKGROUND_JOB":
            on_done(event.getBody() or "")  # one without output may have no body
        return ours

    def _seen(self, job_id: str, job: Job, name: str) -> None:
        job.to_come.discard(name)
        if name == "BACKGROUND_JOB" and job.counted:
            job.counted = False
            self.running -= 1
        if not job.to_come:
            self._jobs.pop(job_id, None)

    def _take_expected(self, key: tuple[str, str]) -> bool:
        if _take(self._expected, key):
            return True
        return time.monotonic() < self._left_over_until and _take(self._left_over, key)

    def _expect(self, command: str) -> None:
        self._expected[_split(command)] += 1


def _split(command: str) -> tuple[str, str]:
    """As FreeSWITCH will tell of it."""
    name, _, argument = command.partition(" ")
    return name.strip(BLANKS), argument.strip(BLANKS)


def _take(texts: Counter[tuple[str, str]], key: tuple[str, str]) -> bool:
    if key not in texts:
        return False
    texts[key] -= 1
    if not texts[key]:
        del texts[key]
    return True


def _is_from(event: host.Event, function: str) -> bool:
    """Whether that function of FreeSWITCH's made the event.

    Who sends one over the event socket can claim so, but the socket adds an Event-UUID. To the events of scripts and
    other modules FreeSWITCH adds its own word first; a script that means to can still write over it, but then it could
    do anything else too, because it runs in the switch.
    """
    return event.getHeader("Event-Calling-Function") == function and event.getHeader("Event-UUID") is None


def _ignore(_output: Optional[str]) -> None:
    """Nobody waits any more."""
