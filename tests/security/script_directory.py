"""For a test's script folder: answers lookups in the directory, slowly, as a script that asks a database would.

`python script_directory`: how many lookups there were.
"""

from __future__ import annotations

import time
from typing import Any

SECONDS = 0.002
USER = '<user id="1000" cidr="127.0.0.0/8"/>'
FOUND = (
    '<document type="freeswitch/xml"><section name="directory"><domain name="homes.test"><groups><group name="all">'
    f"<users>{USER}</users></group></groups></domain></section></document>"
)
NOT_FOUND = '<document type="freeswitch/xml"><section name="result"><result status="not found"/></section></document>'

lookups = globals().get("lookups", [])  # mod_python3 runs this file anew at each call, but in the same namespace


def xml_fetch(params: Any, args: str) -> str:
    """`xml-handler-script`."""
    lookups.append(params.getHeader("key_value"))
    time.sleep(SECONDS)
    return FOUND if params.getHeader("key_value") == "homes.test" else NOT_FOUND


def fsapi(session: Any, stream: Any, env: Any, args: str) -> None:
    """See above."""
    stream.write(str(lookups.count("homes.test")))
