"""`bgapi`: a command in a thread of its own, its output as a BACKGROUND_JOB event."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from .stream import CommandStream

if TYPE_CHECKING:
    from .commands import Request
    from .core import Core

__all__ = ["fire_result", "run_in_background"]

_LONGEST_ID = 36  # A real FreeSWITCH copies any length into that much room, and can crash.


def run_in_background(request: Request) -> None:
    """The command `bgapi [uuid:ID] COMMAND [ARGS]`."""
    job, line = "", request.args
    if line.lower().startswith("uuid:"):
        job, _, line = line[5:].partition(" ")
    if not line:
        request.stream.write("-ERR Invalid syntax\n")
        return
    if len(job) > _LONGEST_ID:
        request.core.say(
            "ALERT", f"A job's uuid of {len(job)} characters can crash a real FreeSWITCH\n", "mod_commands.c"
        )
    job = job or str(uuid.uuid4())
    request.stream.write(f"+OK Job-UUID: {job}\n")
    core = request.core
    name, blank, args = line.partition(" ")

    def run() -> None:
        stream = CommandStream()
        found = core.commands.execute(name, args, stream)
        fire_result(core, job, name, args if blank else None, stream.data if found else f"{name}: Command not found!\n")

    core.thread(run, f"bgapi {name}")


def fire_result(core: Core, job: str, name: str, args: str | None, output: str, owner: str | None = None) -> None:
    """Fire the event that tells a job's output.

    Args:
        core: The switch.
        job: Its id.
        name: The command.
        args: Its arguments, None when there were none.
        output: What it printed.
        owner: The call that the event socket's client controls, empty for none; None for a job of `bgapi`.
    """
    file, function, line = (
        ("mod_commands.c", "bgapi_exec", 5423) if owner is None else ("mod_event_socket.c", "api_exec", 1572)
    )
    event = core.event("BACKGROUND_JOB", file, function, line)
    event.add("Job-UUID", job)
    if owner:
        event.add("Job-Owner-UUID", owner)
    event.add("Job-Command", name)
    if args:
        event.add("Job-Command-Arg", args)
    event.body = output
    core.events.fire(event)
