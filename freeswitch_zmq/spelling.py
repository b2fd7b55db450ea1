"""What FreeSWITCH does to texts, and what can be done to them before it gets them. No I/O."""

from __future__ import annotations

__all__ = ["BLANKS", "is_whole", "shown"]

BLANKS = "\r\n\t \v"
"""What FreeSWITCH takes off both ends of a command and its arguments; no other kind of space."""


def is_whole(text: str) -> bool:
    """Whether it can be written in UTF-8: JSON can spell half a character."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(text: str) -> str:
    """A word that somebody sent, as it can be told in a message: its beginning, in ASCII."""
    return ascii(text[:40])[1:-1]
