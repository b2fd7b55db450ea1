"""What runs inside FreeSWITCH.

Another script of the same switch reaches `inproc://` endpoints of the publishers through this package's ZeroMQ context:

    import zmq
    import freeswitch_zmq.module

    context = freeswitch_zmq.module.context()
    subscriber = context.socket(zmq.SUB)
    subscriber.connect("inproc://events")

Close such a socket when `zmq.ContextTerminated` is raised: the module is stopping then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import zmq

__all__ = ["context"]


def context() -> zmq.Context[zmq.Socket[bytes]]:
    """The running module's ZeroMQ context. Don't terminate it.

    Raises:
        freeswitch_zmq.errors.StateError: the module is not running.
    """
    from freeswitch_zmq.module import entry  # only inside FreeSWITCH can this be imported

    return entry.service().context()
