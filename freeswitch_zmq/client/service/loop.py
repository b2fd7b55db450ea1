"""A loop for a service that has none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

__all__ = ["run"]

CANCEL_SECONDS = 1.0
"""For tasks that were cancelled."""


def run(main: Coroutine[Any, Any, None]) -> None:
    """As asyncio.run does it, but what doesn't let itself be cancelled is left behind, threads as well as tasks."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    task = loop.create_task(main)
    try:
        loop.run_until_complete(task)
    finally:
        try:
            task.cancel()  # where a second Ctrl-C came
            loop.run_until_complete(asyncio.wait({task}))
            loop.run_until_complete(_cancel_others())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        each.cancel()
    if others:
        await asyncio.wait(others, timeout=CANCEL_SECONDS)
