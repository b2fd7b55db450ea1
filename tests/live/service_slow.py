"""A service that takes its time: it answers every call after half a second. All as a `Service` has it by itself."""

from __future__ import annotations

import sys
import time

from freeswitch_zmq.client.service import Call, Reply, Service, answer

SECONDS = 0.5

service = Service(sys.argv[1])


@service.call("ivr")
def ivr(call: Call) -> Reply:
    time.sleep(SECONDS)
    return Reply([answer()], {"color": call.uuid})


if __name__ == "__main__":
    service.run()
