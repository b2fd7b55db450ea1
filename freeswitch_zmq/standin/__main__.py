"""`python -m freeswitch_zmq.standin`: the stand-in as a process of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from .switch import StartError, Switch

_DESCRIPTION = """\
Stand in for a FreeSWITCH with mod_python3: run its scripts, answer its event socket (so fs_cli works), play
loopback calls. There is no media and no SIP. It ends with `fsctl shutdown`, SIGTERM or Ctrl-C."""

_EPILOG = """\
examples:
  %(prog)s --conf /etc/freeswitch --scripts scripts --log /tmp/standin.log
  %(prog)s --conf conf --scripts scripts --esl-port 8021 --calls 2
  fs_cli -P 8021 -x 'originate loopback/1000 &park'

The configuration is laid out as FreeSWITCH's own: freeswitch.xml with X-PRE-PROCESS set and include, then
autoload_configs/switch.conf.xml, acl.conf.xml, event_socket.conf.xml, python.conf.xml (startup-script,
xml-handler-script, xml-handler-bindings), whatever your scripts look up, and the dialplan."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Start it, run it until it is told to end, and end the process."""
    parser = argparse.ArgumentParser(
        prog="python -m freeswitch_zmq.standin",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--conf", metavar="DIR", type=Path, required=True, help="the folder that holds freeswitch.xml")
    parser.add_argument("--scripts", metavar="DIR", type=Path, required=True, help="the folder of Python scripts")
    parser.add_argument("--log", metavar="FILE", type=Path, help="append the log to this file (default: no log)")
    parser.add_argument(
        "--esl-port",
        metavar="N",
        type=int,
        help="the event socket's port (default: event_socket.conf's, else 8021); 0 takes a free one and prints it",
    )
    parser.add_argument(
        "--esl-password", metavar="WORD", help="its password (default: event_socket.conf's, else ClueCon)"
    )
    parser.add_argument(
        "--calls",
        metavar="RATE",
        type=float,
        default=0.0,
        help="have that many loopback calls made in a second, from the start to the end (default: none)",
    )
    parser.add_argument(
        "--calls-to",
        metavar="EXTENSION",
        default="",
        help="the extension that those calls go to (default: one that answers and hangs up, in no dialplan)",
    )
    options = parser.parse_args(arguments)
    for folder in (options.conf, options.scripts):
        if not folder.is_dir():
            parser.error(f"there is no folder {folder}")
    if options.calls < 0:
        parser.error("--calls wants a rate of 0 or more")
    log = options.log.absolute() if options.log is not None else None
    switch = Switch(options.conf.absolute(), options.scripts.absolute(), log, options.esl_port, options.esl_password)
    try:
        switch.take_signals()
        switch.start()
    except StartError as error:
        print(error, file=sys.stderr)
        switch.end_process(1)
    if options.esl_port == 0:
        print(f"event socket: {switch.esl_port}", flush=True)
    if options.calls:
        switch.core.calls.generate(options.calls, options.calls_to)
    switch.end_process(switch.run())


if __name__ == "__main__":
    main()
