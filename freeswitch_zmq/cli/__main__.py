"""`fszmq`, or `python -m freeswitch_zmq.cli`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command; returns the exit code."""
    try:
        from freeswitch_zmq.cli import app
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.split(".")[0] == "freeswitch_zmq":
            raise
        print(f"fszmq: there is no {missing} here; pip install 'freeswitch_zmq[cli]'", file=sys.stderr)
        return 1
    return app.run()


if __name__ == "__main__":
    sys.exit(main())
