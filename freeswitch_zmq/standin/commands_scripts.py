"""mod_python3's commands."""

from __future__ import annotations

from .commands import Commands, Request
from .session import Session

__all__ = ["add_script_commands"]


def add_script_commands(commands: Commands) -> None:
    """Put them into the table."""
    commands.add("pyrun", _pyrun, "python </path/to/script>", "run a python script", "mod_python3")
    commands.add("python", _python, "python </path/to/script>", "run a python script", "mod_python3")


def _pyrun(request: Request) -> None:
    if not request.args:
        request.stream.write("USAGE: \n")
        return
    request.core.doors.run(request.args)
    request.stream.write("OK\n")


def _python(request: Request) -> None:
    session = Session(request.channel) if request.channel is not None else None
    request.core.doors.fsapi(request.args, request.stream, session)
