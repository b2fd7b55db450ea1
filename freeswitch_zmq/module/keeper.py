"""The thread that looks after the rest: the fork setting, warnings about losses, rates, and the switch's shutdown."""

from __future__ import annotations

import threading
import time
from typing import Callable

from freeswitch_zmq.module import forksafety, host
from freeswitch_zmq.module.faults import Faults
from freeswitch_zmq.module.group import EndpointGroup
from freeswitch_zmq.module.publication import Publication
from freeswitch_zmq.module.refusals import REASONS
from freeswitch_zmq.module.running import Running
from freeswitch_zmq.module.worker import Worker

__all__ = ["Keeper"]

TICK_SECONDS = 0.5
FORK_CHECK_SECONDS = 5.0
WARNING_SECONDS = 10.0
RATE_SECONDS = 2.0
ORPHANED_SECONDS = 2.0
"""The switch has been shutting down for so long and its SHUTDOWN event has not come: stop without it."""


class Keeper(Worker):
    """See above.

    Args:
        running: what it looks after.
        faults: where unexpected exceptions go.
        on_shutdown: called in this thread, once, when the switch shuts down; stops everything.
        mend: called in this thread when an endpoint has ended that is to be opened anew.
    """

    def __init__(
        self, running: Running, faults: Faults, on_shutdown: Callable[[], None], mend: Callable[[], None]
    ) -> None:
        super().__init__("event_zmq keeper", lambda error: faults.caught("the keeper", error))
        self._running = running
        self._on_shutdown = on_shutdown
        self._mend = mend
        self._woken = threading.Event()
        self._shutdown = False
        now = time.monotonic()
        self._fork_checked = self._rated = self._alive = now
        self._fork_warned = False
        self._mourned: list[Worker] = []
        self._warned: dict[tuple[str, ...], tuple[float, int]] = {}

    def shutdown(self) -> None:
        """From any thread: the switch's SHUTDOWN has gone out, everything is to stop."""
        self._shutdown = True
        self._woken.set()

    def wake(self) -> None:
        """See `Worker`."""
        self._woken.set()

    def run(self) -> None:
        """See `Worker`."""
        while not self.stopping:
            self._woken.wait(TICK_SECONDS)
            self._woken.clear()
            if self._shutdown or self._orphaned():
                self._on_shutdown()
                return
            try:
                self._tick(time.monotonic())
            except Exception as error:  # noqa: BLE001  # survived and reported
                self.on_error(error)

    def _orphaned(self) -> bool:
        now = time.monotonic()  # once: a machine may stand still between two looks
        if host.running():
            self._alive = now
        return now - self._alive > ORPHANED_SECONDS

    def _tick(self, now: float) -> None:
        publications = list(self._running.publications.values())
        self.warn(now, publications)
        if self._running.api is not None:
            self._warn_of_refusals(now, self._running.api)
        self._look_for_the_dead()
        if any(endpoint.tripped or endpoint.given_up for each in publications for endpoint in each.endpoints):
            self._mend()
        if now - self._rated >= RATE_SECONDS:
            self._rate(now - self._rated, publications)
            self._rated = now
        if now - self._fork_checked >= FORK_CHECK_SECONDS:
            self._fork_checked = now
            self._check_fork()

    def _look_for_the_dead(self) -> None:
        for worker in self._running.dead_or_stuck(stuck=False):
            if worker.failure is not None and worker not in self._mourned:
                self._mourned.append(worker)
                host.log(
                    "ERR",
                    f"the thread {worker.name} has ended ({worker.failure}), and what it did is not done any more; "
                    "give the commands `python event_zmq stop` and `pyrun event_zmq`, and please report this",
                )

    def _rate(self, seconds: float, publications: list[Publication]) -> None:
        for each in publications:
            accepted = each.publisher.accepted
            each.rate = (accepted - each.rated) / seconds
            each.rated = accepted

    def _check_fork(self) -> None:
        on = forksafety.still_on(self._running.commands, self._running.config.settings.threaded_system_exec)
        if not on and not self._fork_warned:
            host.log(
                "WARNING",
                "threaded-system-exec was switched off: a system command can crash the switch now; give the command "
                "fsctl threaded_system_exec true",
            )
        self._fork_warned = not on

    def warn(self, now: float, publications: list[Publication]) -> None:
        """Tells of what was lost or refused since the last time, at most once in WARNING_SECONDS for each kind."""
        for each in publications:
            name, size = each.config.name, each.config.queue_size
            self._tell(
                (name, "shed"),
                each.publisher.shed,
                now,
                f'publisher "{name}" shed',
                f"events because its queue of {size} was full; make the load smaller with event-filter, or raise "
                "queue-size in event_zmq.conf.xml",
            )
            self._warn_of_refusals(now, each)

    def _warn_of_refusals(self, now: float, group: EndpointGroup) -> None:
        for (endpoint, reason), refusal in list(group.refusals.by_reason.items()):
            latest = f", the latest from {refusal.address}" if refusal.address else ""
            latest += f" with the key {refusal.key}" if refusal.key else ""
            refused = "requests" if reason == "forbidden" else "connections"
            self._tell(
                (str(group), endpoint, reason),
                refusal.count,
                now,
                f"{group} at {endpoint} refused",
                f"{refused}{latest}: {REASONS[reason]}",
            )

    def _tell(self, key: tuple[str, ...], total: int, now: float, begin: str, end: str) -> None:
        """With the count since the last time between `begin` and `end`."""
        told_at, told = self._warned.get(key, (now - WARNING_SECONDS, 0))
        if total < told:  # the publisher was removed and came back
            told = 0
        if total > told and now - told_at >= WARNING_SECONDS:
            host.log("WARNING", f"{begin} {total - told} {end}")
            self._warned[key] = (now, total)
