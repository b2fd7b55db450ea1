"""Event consumers that live from call to call, and events made here."""

# mypy: ignore-errors
# FreeSWITCH's interpreter runs it, with a module that is nowhere else: there are no types to check.

import threading
import time

import freeswitch
import probe_tools


def _consumers():
    return probe_tools.kept.setdefault("consumers", {})


def _open(name, event, subclass, length):
    _consumers()[name] = freeswitch.EventConsumer(event, subclass, length)


def _close(name):
    """Cleans up twice, and says what pop gives afterwards."""
    consumer = _consumers().pop(name)
    consumer.cleanup()
    consumer.cleanup()
    return repr(consumer.pop(0))


def _told(event):
    return {
        "json": probe_tools.raw(event.serialize("json")),
        "type": event.getType(),
        "name": probe_tools.raw(event.getHeader("Event-Name") or ""),
        "subclass": probe_tools.raw(event.getHeader("Event-Subclass") or ""),
        "missing": repr(event.getHeader("No-Such-Header")),
        "body": None if event.getBody() is None else probe_tools.raw(event.getBody()),
    }


def _take(name, last_type, seconds):
    """Pops until an event of `last_type` has come, or for `seconds`."""
    consumer, deadline, taken = _consumers()[name], time.monotonic() + seconds, []
    while time.monotonic() < deadline:
        event = consumer.pop(1, 50)
        if event is not None:
            taken.append(_told(event))
            if taken[-1]["type"] == last_type or bytes.fromhex(taken[-1]["subclass"]).decode() == last_type:
                break
    return taken


def _drain(name):
    taken = []
    while True:
        event = _consumers()[name].pop(0)
        if event is None:
            return taken
        taken.append(_told(event))


def _timed_pop(name, block, timeout):
    start = time.monotonic()
    event = _consumers()[name].pop(block, timeout)
    return {"none": event is None, "seconds": time.monotonic() - start}


def _pop_beside_thread(name, subclass, count):
    """Whether a pop gets what another thread fires meanwhile, after it has got to run so often."""
    turns, begun = [0], threading.Event()

    def work():
        begun.wait(30)
        for _ in range(count):
            turns[0] += 1
            time.sleep(0.001)
        freeswitch.Event("CUSTOM", subclass).fire()

    thread = threading.Thread(target=work)
    thread.start()
    begun.set()
    event = _consumers()[name].pop(1, 20_000)
    told = {"none": event is None, "turns": turns[0]}
    thread.join()
    return told


def _fire(kind, subclass, headers, body):
    event = freeswitch.Event(kind, subclass)
    answers = [
        event.addHeader(bytes.fromhex(key).decode("utf-8", "surrogateescape"), _text(value)) for key, value in headers
    ]
    if body is not None:
        event.addBody(_text(body))
    told = _told(event)
    fired = event.fire()
    return {"before": told, "added": [repr(answer) for answer in answers], "fired": repr(fired)}


def _text(digits):
    return bytes.fromhex(digits).decode("utf-8", "surrogateescape")


def _methods():
    """What the methods of an event give that is fired twice."""
    event = freeswitch.Event("CUSTOM", "contract::methods")
    event.addHeader("X-Array", "ARRAY::a|:b")
    event.addHeader("X-Twice", "1")
    event.addHeader("X-Twice", "2")
    event.addBody("first body")
    given = {"array": event.getHeader("x-array"), "twice": event.getHeader("X-TWICE")}
    given["fired"] = [repr(event.fire()), repr(event.addBody("second body")), repr(event.fire())]
    given["type"] = event.getType()
    return given


FUNCTIONS = {
    "methods": _methods,
    "open": _open,
    "close": _close,
    "take": _take,
    "drain": _drain,
    "timed_pop": _timed_pop,
    "pop_beside_thread": _pop_beside_thread,
    "fire": _fire,
}


def fsapi(session, stream, env, args):
    probe_tools.answer(stream, FUNCTIONS, args)
