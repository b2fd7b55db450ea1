"""What is played to a call: nothing is heard, but it takes its time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import text

if TYPE_CHECKING:
    from .channel import Channel

__all__ = ["FOR_EVER", "length", "play"]

FOR_EVER = 86_400.0
"""Seconds that no call lasts."""

_TONE = re.compile(r"%\((\d+),(\d+)")


def play(channel: Channel, file: str) -> None:
    """Play a file until its end or the hangup."""
    channel.play_file(file, length(file))


def length(file: str) -> float:
    """Seconds that a tone or a silence takes; a recorded file takes none here."""
    kind, _, rest = file.partition("://")
    tone, _, options = rest.partition(";")
    if kind == "silence_stream":
        milliseconds = text.atoi(tone.partition(",")[0])
        return milliseconds / 1000 if milliseconds >= 0 else FOR_EVER
    if kind != "tone_stream":
        return 0.0
    once = sum(int(on) + int(off) for on, off in _TONE.findall(tone)) / 1000
    found = re.search(r"loops=(-?\d+)", options)
    loops = int(found.group(1)) if found else 1
    return once * loops if loops >= 0 else FOR_EVER
