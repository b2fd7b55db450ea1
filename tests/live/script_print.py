"""For a test's script folder: `python script_print COUNT TEXT` prints the text so many times, in one go.

`python script_print::pieces COUNT TEXT` prints it piece by piece.
"""

from __future__ import annotations

from typing import Any


def fsapi(session: Any, stream: Any, env: Any, args: str) -> None:
    """See above."""
    count, _, text = args.partition(" ")
    stream.write(text * int(count))


def pieces(session: Any, stream: Any, env: Any, args: str) -> None:
    """See above."""
    count, _, text = args.partition(" ")
    for _ in range(int(count)):
        stream.write(text)
