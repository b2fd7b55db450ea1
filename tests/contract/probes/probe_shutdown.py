"""Watches for the SHUTDOWN event, as a service inside the switch has to."""

# mypy: ignore-errors
# FreeSWITCH's interpreter runs it, with a module that is nowhere else: there are no types to check.

import json
import threading
from pathlib import Path

import freeswitch
import probe_tools


def _watch(path):
    consumer = freeswitch.EventConsumer("SHUTDOWN", "", 10)

    def work():
        looks = 0
        while True:
            event = consumer.pop(1, 20)
            if event is None:
                looks += not freeswitch.running()
                continue
            note = {
                "type": event.getType(),
                "running": repr(freeswitch.running()),
                "info": event.getHeader("Event-Info"),
                "forged": event.getHeader("X-Forged"),
                "looks_since_running_was_false": looks,
            }
            with Path(path).open("a", encoding="ascii") as file:
                file.write(json.dumps(note) + "\n")
            if note["forged"] is None:
                break
        consumer.cleanup()

    thread = threading.Thread(target=work)
    thread.start()
    probe_tools.kept["watch"] = thread


def fsapi(session, stream, env, args):
    probe_tools.answer(stream, {"watch": _watch}, args)
