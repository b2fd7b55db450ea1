"""What the probes share. Scripts import it; mod_python3 never reloads it, so its state stays."""

# mypy: ignore-errors
# FreeSWITCH's interpreter runs it, with a module that is nowhere else: there are no types to check.

import json
import traceback

# The calls of the doors so far, each a dict that JSON can carry.
calls = []
# How often the body of each script ran.
loads = {}
# Whatever else has to outlive a call.
kept = {}


def loaded(name):
    loads[name] = loads.get(name, 0) + 1


def raw(text):
    """Text of FreeSWITCH's as hex digits of its bytes: JSON could not carry its surrogate escapes."""
    return text.encode("utf-8", "surrogateescape").hex()


def answer(stream, functions, args):
    """`NAME HEX`: calls functions[NAME] and writes what it returns as JSON, or the traceback.

    HEX are the arguments, as the hex digits of a JSON list: FreeSWITCH takes quotes and backslashes out of
    what it passes on.
    """
    name, _, rest = args.partition(" ")
    try:
        result = functions[name](*json.loads(bytes.fromhex(rest)))
        stream.write(json.dumps({"result": result}))
    except Exception:  # noqa: BLE001 - whatever it is, the test wants to see it
        stream.write(json.dumps({"error": traceback.format_exc()}))
