"""A caller of the API that means well, asks all the time, and notes how long it waits."""

from __future__ import annotations

import time

import zmq

from .background import Background
from .caller import Caller
from .keys import Identity
from .toll import Toll

_PAUSE_SECONDS = 0.005


class Served(Background):
    """Asks in a thread of its own: pings, and commands that have to say what they were told.

    Args:
        endpoint: of the API, where it may `ping` and `api:echo *`.
        identity: its CURVE key and the switch's.

    Attributes:
        waits: seconds for each answer.
    """

    def __init__(self, endpoint: str, identity: Identity | None = None) -> None:
        super().__init__("served")
        self.waits: list[float] = []
        self._caller = Caller(endpoint, zmq.REQ, identity=identity)

    def work(self) -> None:
        while not self.ending.wait(_PAUSE_SECONDS):
            began = time.monotonic()
            number = len(self.waits)
            if number % 2:
                assert self._caller.call("ping", within=60)["protocol"] == 1
            else:
                said = self._caller.call("api", within=60, command="echo", args=f"{number} x", timeout=60)
                assert said["output"] == f"{number} x"
            self.waits.append(time.monotonic() - began)

    def release(self) -> None:
        self._caller.__exit__(None, None, None)
        if self.error is None:
            print(self, flush=True)

    def __repr__(self) -> str:
        waits = sorted(self.waits) or [0.0]
        median, late = (waits[int(len(waits) * part)] for part in (0.5, 0.99))
        return f"{len(waits)} answers: {median * 1e3:.1f} ms, 99 % in {late * 1e3:.0f} ms, {waits[-1]:.2f} s at most"


class ApiToll(Toll):
    """For what callers of the API do.

    Of what is refused a line in 10 seconds tells, for each reason, and of single requests 100 lines and ten a second.
    """

    @staticmethod
    def _check_log(log: str, seconds: float) -> None:
        refused: dict[str, int] = {}
        others: list[str] = []
        single = 0
        for line in log.splitlines():
            if "event_zmq: the API at " in line:
                reason = line.partition(": the API at ")[2].partition(": ")[2]
                refused[reason] = refused.get(reason, 0) + 1
            else:
                single += "event_zmq: api: " in line and ": done, " not in line
                others.append(line)
        assert all(count <= 1 + seconds / 10 for count in refused.values()), refused
        assert single <= 110 + 10 * seconds
        Toll._check_log("\n".join(others), seconds)
