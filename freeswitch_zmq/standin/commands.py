"""The table of API commands, and how one is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, NamedTuple

from . import text
from .core import Core
from .stream import CommandStream

if TYPE_CHECKING:
    from .channel import Channel

__all__ = ["Command", "Commands", "Request"]


class Request(NamedTuple):
    """One command being run.

    Attributes:
        core: The switch.
        args: What stands behind its name, without the blanks around it.
        stream: Where it answers.
        channel: The call that it is run for, if any.
    """

    core: Core
    args: str
    stream: CommandStream
    channel: Channel | None

    def words(self, most: int = 10) -> list[str]:
        """The arguments; the last one of `most` keeps the rest."""
        return text.separate(self.args, " ", most)


class Command(NamedTuple):
    """An entry of the table."""

    run: Callable[[Request], None]
    syntax: str
    description: str
    module: str


class Commands:
    """Every command the switch has.

    Args:
        core: The switch.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._table: dict[str, Command] = {}

    def add(
        self,
        name: str,
        run: Callable[[Request], None],
        syntax: str = "",
        description: str = "",
        module: str = "mod_commands",
    ) -> None:
        """Add or replace one."""
        self._table[name] = Command(run, syntax, description, module)

    def execute(self, name: str, args: str, stream: CommandStream, channel: Channel | None = None) -> bool:
        """Run one and fire its API event.

        Args:
            name: In any case.
            args: What it is told.
            stream: Where it answers; a second command on the same stream shares the first one's event.
            channel: The call that it is run for.

        Returns:
            Whether there is such a command.
        """
        name, args = text.strip(name), text.strip(args)
        if stream.event is None:
            stream.event = self._core.event("API", "switch_loadable_module.c", "switch_api_execute", 3140)
        if name:
            stream.event.add("API-Command", name)
        if args:
            stream.event.add("API-Command-Argument", args)
        command = self._table.get(name.lower())
        if command is None:
            stream.write("INVALID COMMAND!\n")
        else:
            command.run(Request(self._core, args, stream, channel))
        event, stream.event = stream.event, None
        if event is not None:
            self._core.events.fire(event)
        return command is not None

    def output(self, name: str, args: str, channel: Channel | None = None) -> str:
        """What `${name(args)}` in a text becomes: nothing when there is no such command."""
        stream = CommandStream()
        return stream.data if self.execute(name, args, stream, channel) else ""

    def items(self) -> list[tuple[str, Command]]:
        """All of them, by name."""
        return sorted(self._table.items())
