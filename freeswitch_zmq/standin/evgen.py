"""`evgen COUNT HEADERS RATE`: events of a chosen size and rate, as the module mod_evgen of this project fires them."""

from __future__ import annotations

import time

from . import text
from .commands import Commands, Request
from .engine import Origin

__all__ = ["add_evgen"]

_SUBCLASS = "bench::tick"
_ORIGIN = Origin("mod_evgen.c", "evgen_function", "51")
_PAUSE = 0.0005  # Seconds ahead of which it is not worth sleeping.


def add_evgen(commands: Commands) -> None:
    """Put it into the table."""
    commands.add("evgen", _evgen, "<count> <headers> <rate>", "fire events at a chosen size and rate", "mod_evgen")


def _evgen(request: Request) -> None:
    """COUNT events with HEADERS headers of about 80 bytes, RATE in a second; 0 means as fast as it goes."""
    words = request.words(3)
    count = text.atoi(words[0]) if words else 1000
    headers = text.atoi(words[1]) if len(words) > 1 else 60
    rate = float(words[2]) if len(words) > 2 else 0.0
    core = request.core
    # Value j of event i is "before j ... value" and then i.
    fields = [
        (f"variable_bench_header_{j}", f"sofia/internal/10{j:02d}@192.168.1.{j % 255} value ") for j in range(headers)
    ]
    create, fire = core.events.create, core.events.fire
    start = time.monotonic_ns()
    fired = 0
    while fired < count and core.running:
        if rate > 0:
            wait = (start + fired * 1e9 / rate - time.monotonic_ns()) / 1e9
            if wait > _PAUSE:
                time.sleep(wait)
        event = create("CUSTOM", _ORIGIN, _SUBCLASS)
        number = str(fired)
        event.headers += [(name, value + number) for name, value in fields]
        event.headers += (("Bench-Seq", number), ("Bench-NS", str(time.monotonic_ns())))
        fire(event)
        fired += 1
    seconds = (time.monotonic_ns() - start) / 1e9
    request.stream.write(f"+OK {fired} events {seconds:.3f} s {fired / (seconds or 1):.0f}/s\n")
