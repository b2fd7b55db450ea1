"""A service that takes its time: it answers every call after half a second."""

from __future__ import annotations

import asyncio
import sys

from freeswitch_zmq.client.service import Call, Reply, Service, answer

SECONDS = 0.5

service = Service(sys.argv[1])


@service.call("ivr")
async def ivr(call: Call) -> Reply:
    await asyncio.sleep(SECONDS)
    return Reply([answer()], {"color": call.uuid})


if __name__ == "__main__":
    service.run()
