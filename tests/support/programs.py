"""The programs of examples/, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .ports import free_port
from .process import Child
from .switch import REPOSITORY

EXAMPLES = REPOSITORY / "examples"
SECONDS = 60.0


@contextmanager
def running(folder: Path, program: Path, *arguments: str, **environment: str) -> Iterator[Child]:
    """A Python program that goes on until it is told to end, and ends well then; it may be killed before.

    Args:
        folder: what it prints goes to a file there.
        program: its file.
        arguments: its own.
        environment: variables beside those that are there.
    """
    env = {**_environment(), **environment}
    output = folder / f"{program.stem}.txt"
    child = Child([sys.executable, str(program), *arguments], output, env, folder)
    try:
        yield child
        if child.poll() is None:
            child.terminate()
            assert child.wait(SECONDS) == 0, output.read_text("utf-8", "replace")
    finally:
        child.kill()


def run(program: Path, *arguments: str) -> str:
    """One that ends by itself; what it prints."""
    command = [sys.executable, str(program), *arguments]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=True, env=_environment())
    return ended.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def example_config(name: str, port: int) -> tuple[str, str]:
    """What is in examples/NAME.xml but with a free port in place of `port`; and the endpoint that is there then.

    It waits for answers longer, too: a machine that stands still for a second is not what these tests are about.
    """
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    text = (EXAMPLES / f"{name}.xml").read_text("utf-8")
    param = f'<param name="endpoint" value="tcp://127.0.0.1:{port}"/>'
    assert text.count(param) == 1
    text = re.sub(r'<param name="timeout-ms" value="\d+"/>', "", text)
    patient = f'<param name="endpoint" value="{endpoint}"/><param name="timeout-ms" value="30000"/>'
    return text.replace(param, patient), endpoint
