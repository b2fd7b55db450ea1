"""Arguments and results as SWIG converts them between Python and C."""

from __future__ import annotations

__all__ = ["c_int", "c_string", "needed"]

_INT_MAX = 2**31 - 1


def c_string(value: object, method: str, number: int, kind: str = "char const *") -> str | None:
    """What C gets for a `str` or None.

    Args:
        value: The argument.
        method: The wrapped function's name, for the message.
        number: Which argument it is; a method's `self` is the first.
        kind: The parameter's type in C.

    Raises:
        TypeError: It is neither, or has surrogates in it.
    """
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            pass
        else:
            return value.partition("\0")[0]  # C's text ends there.
    raise TypeError(f"in method '{method}', argument {number} of type '{kind}'")


def needed(value: object, method: str, number: int, kind: str = "char const *") -> str:
    """The same for what crashes a real switch when it is None: here it raises TypeError."""
    converted = c_string(value, method, number, kind)
    if converted is None:
        raise TypeError(f"in method '{method}', argument {number} of type '{kind}': None crashes a real FreeSWITCH")
    return converted


def c_int(value: object, method: str, number: int, kind: str = "int") -> int:
    """What C gets for an int or bool.

    Raises:
        TypeError: It is neither.
        OverflowError: It does not fit.
    """
    if not isinstance(value, int):
        raise TypeError(f"in method '{method}', argument {number} of type '{kind}'")
    low, high = (0, 2 * _INT_MAX + 1) if kind.startswith("unsigned") else (-_INT_MAX - 1, _INT_MAX)
    if not low <= value <= high:
        raise OverflowError(f"in method '{method}', argument {number} of type '{kind}'")
    return value
