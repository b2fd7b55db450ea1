"""What something costs a switch: memory, processor time, lines in its log."""

from __future__ import annotations

import re
import threading
import time
from types import TracebackType

from .module import Module

_SAMPLE_SECONDS = 0.05
_WARNING_SECONDS = 10.0
_ALARMING = re.compile(r"\[(WARNING|ERR|CRIT|ALERT)\]")
_OURS = re.compile(r'event_zmq: (publisher "[^"]+" at (\S+) refused \d+ connections?.*?: .{20}|the subscribers at )')


class Toll:
    """Watches a switch while it is open; then prints what it saw, and checks it unless the test failed already.

    Whatever peers do, no exception is counted, and the log gets no more than a line for each kind in 10 seconds.

    Args:
        module: on the switch.
        megabytes: by how much its memory may grow.

    Attributes:
        grown_mb: by how much it did, at its most.
        cpu: seconds of processor time.
    """

    def __init__(self, module: Module, megabytes: float) -> None:
        self.grown_mb = self.cpu = 0.0
        self._module = module
        self._bound = megabytes
        self._rss = self._most = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="toll")

    def _sample(self) -> None:
        while not self._end.wait(_SAMPLE_SECONDS):
            if self._module.switch.running:
                self._most = max(self._most, self._module.switch.rss_kb())

    def __enter__(self) -> Toll:
        switch = self._module.switch
        self._log_start = len(switch.log_text())
        self._began, self._cpu = time.monotonic(), switch.cpu_seconds()
        self._rss = self._most = switch.rss_kb()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        switch = self._module.switch
        self._end.set()
        self._thread.join()
        assert switch.running, f"the switch ended with {switch.stop()}"
        seconds = time.monotonic() - self._began
        self.grown_mb = (max(self._most, switch.rss_kb()) - self._rss) / 1024
        self.cpu = switch.cpu_seconds() - self._cpu
        print(f"{self.grown_mb:.0f} MB more at most, {self.cpu:.1f} s of processor time in {seconds:.1f} s", flush=True)
        if error is None:
            assert self._module.status()["errors"] == 0
            self._check_log(switch.log_text()[self._log_start :], seconds)
            assert self.grown_mb < self._bound

    @staticmethod
    def _check_log(log: str, seconds: float) -> None:
        kinds: dict[str, int] = {}
        for line in log.splitlines():
            if _ALARMING.search(line):
                ours = _OURS.search(line)
                assert ours is not None, line
                kind = re.sub(r"\d+ connections?.*?: ", "", ours.group(1))
                kinds[kind] = kinds.get(kind, 0) + 1
        assert all(count <= 1 + seconds / _WARNING_SECONDS for count in kinds.values()), kinds
