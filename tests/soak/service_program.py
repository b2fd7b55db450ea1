"""The service of test_services.py, in a process of its own: `python -m tests.soak.service_program ENDPOINT`.

It says when it began to listen (`time.time()`), in a line.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from typing import Optional
from xml.etree.ElementTree import Element

from freeswitch_zmq.client.service import Call, Reply, Service, XmlRequest, directory, user

service = Service(sys.argv[1])


@service.call("ivr")
async def ivr(call: Call) -> Reply:
    """Takes a moment, so that kills come in between."""
    await asyncio.sleep(random.uniform(0.0, 0.05))
    return Reply(variables={"color": call.args})


@service.xml("directory")
async def users(asked: XmlRequest) -> Optional[Element]:
    """Knows everybody by their ids."""
    await asyncio.sleep(random.uniform(0.0, 0.01))
    return directory(asked.domain, user(asked.user)) if asked.user and asked.params.get("key") == "id" else None


async def main() -> None:
    """Until it is killed."""
    async with service:
        print(time.time(), flush=True)
        await asyncio.Event().wait()


asyncio.run(main())
