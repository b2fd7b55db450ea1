"""Running a shell, as FreeSWITCH does it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from . import text

if TYPE_CHECKING:
    from .core import Core

__all__ = ["output", "system"]


def output(command: str) -> str:
    """What the command `system` answers: the shell's output. It does not fork the switch, whatever the setting."""
    done = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    return text.to_text(done.stdout)


def system(core: Core, command: str, wait: bool) -> None:
    """What `bg_system` and the application `system` do.

    Without `threaded_system_exec` the whole process is forked, handlers of `os.register_at_fork` and all;
    with it, it is not.

    Args:
        core: The switch.
        command: For the shell.
        wait: Whether to wait for its end.
    """
    threaded = core.threaded_system_exec
    child = subprocess.Popen(
        command,
        shell=True,
        stdin=subprocess.DEVNULL,
        # A function to run in the child is what makes Python fork instead of spawning.
        preexec_fn=None if threaded else _in_child,  # noqa: PLW1509  # its danger is what is stood in for
    )
    if wait:
        child.wait()
    else:
        core.thread(lambda: _reap(child), f"bg_system {command}")


def _in_child() -> None:
    """The child goes on to the shell at once."""


def _reap(child: subprocess.Popen[bytes]) -> None:
    child.wait()
