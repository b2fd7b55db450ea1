"""What `fszmq` takes on its command line. What a command does is in a file of its own, which knows nothing of typer.

Exit codes: 0 done, 1 failed, 2 the command line can't be used, 130 Ctrl-C.
"""

# No `from __future__ import annotations`: under Python 3.9 typer would see no annotation but as a text.
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, Optional, cast

import typer

from freeswitch_zmq import __version__
from freeswitch_zmq.cli import keygen as pairs

__all__ = ["run"]

# A mistake on the command line. The class is click's, which newer versions of typer carry inside themselves.
_UsageError = cast("type[Exception]", typer.BadParameter.__bases__[0])

_app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,  # they can show variables, and some of those hold keys
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(arguments: Optional[Sequence[str]] = None) -> int:
    """Run a command line (without one: `sys.argv`); returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may have what the terminal has not
    command = typer.main.get_command(_app)
    try:
        code = command.main(arguments, prog_name="fszmq", standalone_mode=False)
    except _UsageError as error:
        return _say(error)
    except typer.Abort:
        return 130
    return code if isinstance(code, int) else 0


def _say(error: Any) -> int:
    """One line for a mistake on the command line, where typer would draw a box."""
    command = error.ctx.command_path if error.ctx else "fszmq"
    message = " ".join(error.format_message().split()).rstrip(".")
    typer.echo(f"{command}: {message} (see {command} --help)", err=True)
    return 2


def _stop(command: str, message: object, code: int) -> NoReturn:
    typer.echo(f"fszmq {command}: {message}", err=True)
    raise typer.Exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fszmq {__version__}")
        raise typer.Exit


@_app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Tools for freeswitch_zmq: the events of a FreeSWITCH over ZeroMQ."""


@_app.command()
def keygen(
    name: Annotated[
        Optional[str],
        typer.Argument(help="Whose pair it is; the files are called so. With --server: server.", show_default=False),
    ] = None,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where the files are put.")] = Path(),
    publishers: Annotated[
        Optional[str],
        typer.Option(
            metavar="NAMES", help="What it may subscribe to, comma-separated; without it: default.", show_default=False
        ),
    ] = None,
    allow: Annotated[
        Optional[str],
        typer.Option(
            metavar="LIST", help="What it may do on the API, comma-separated; without it: nothing.", show_default=False
        ),
    ] = None,
    server: Annotated[bool, typer.Option("--server", help="Make the pair of a switch.")] = False,
) -> None:
    """Make a pair of keys for CURVE, and say where to put them."""
    try:
        if server:
            if publishers is not None or allow is not None:
                raise ValueError("--publishers and --allow are for a client's pair; leave them out with --server")
            text = pairs.for_server(folder, "server" if name is None else name)
        elif name is None:
            raise ValueError("give the client a NAME, or say --server for the switch itself")
        else:
            text = pairs.for_client(folder, name, "default" if publishers is None else publishers, allow or "")
    except ValueError as error:
        _stop("keygen", error, 2)
    except OSError as error:
        _stop("keygen", f"{error.filename or folder}: {error.strerror}; mend that, or name another --folder", 1)
    typer.echo(text)
