"""Calls that ask services: their extensions, the configuration, and what became of each call."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .esl import Esl
from .module import Module, Param, configuration, params, publisher
from .switch import Switch

EXTENSIONS = """
<extension name="asks what to do">
  <condition field="destination_number" expression="^out$">
    <action application="event" data="Event-Name=CUSTOM,Event-Subclass=test::out,What=before,Call=${call}"/>
    <action application="python" data="event_zmq ${asks}"/>
    <action application="event" data="Event-Name=CUSTOM,Event-Subclass=test::out,What=after,Call=${call},\
Status=${event_zmq_status},Color=${color},Inner=${inner}"/>
    <action application="hangup" data="NORMAL_CLEARING"/>
  </condition>
</extension>
<extension name="where a call is transferred to">
  <condition field="destination_number" expression="^moved$">
    <action application="event" data="Event-Name=CUSTOM,Event-Subclass=test::out,What=moved,Call=${call},\
Status=${event_zmq_status},Color=${color}"/>
    <action application="hangup" data="NORMAL_CLEARING"/>
  </condition>
</extension>
"""
"""For the dialplan: `out` asks as the variable `asks` says, and tells with events what came of it."""

SECONDS = 60.0


def callout(*endpoints: str, name: str = "ivr", **given: object) -> str:
    """A `<callout>`; further params with underscores. It waits for answers longer than any test takes."""
    values: list[Param] = [("endpoint", each) for each in endpoints]
    values += [(key.replace("_", "-"), str(value)) for key, value in {"timeout_ms": 600_000, **given}.items()]
    return f'<callout name="{name}">{params(values)}</callout>'


def asking(*callouts: str) -> str:
    """An event_zmq.conf.xml with these, and one publisher."""
    return configuration(publisher(), api=f"<callouts>{''.join(callouts)}</callouts>")


def counters(module: Module, name: str = "ivr") -> dict[str, Any]:
    """A call-out's part of the status."""
    part: dict[str, Any] = module.status()["callouts"][name]
    return part


def adds_up(module: Module, name: str = "ivr") -> dict[str, Any]:
    """The same when nothing is under way: every question came to one end. No errors of ours."""

    def ended(now: dict[str, Any]) -> bool:
        return bool(now["requests"] == now["succeeded"] + now["errors"] + now["abandoned"] and now["pending"] == 0)

    part: dict[str, Any] = module.wait(lambda: counters(module, name), ended)
    assert part["errors"] == sum(part["errors_by_status"].values())
    assert module.status()["errors"] == 0
    return part


def connected(module: Module, *names: str) -> None:
    """Returns when somebody is at every endpoint of these call-outs."""

    def all_there(callouts: dict[str, Any]) -> bool:
        return all(each["connected"] for name in names or callouts for each in callouts[name]["connections"])

    module.wait(lambda: module.status()["callouts"], all_there)


class Calls:
    """Makes calls to the extension `out`, and hears what they tell. See `heard`."""

    def __init__(self, switch: Switch, esl: Esl) -> None:
        self._switch, self._esl = switch, esl
        self._told: dict[tuple[str, str], dict[str, Any]] = {}

    def make(self, asks: str = "ivr", number: str = "out", **variables: str) -> str:
        """One more call, in the background; its id, which is that of its leg a, too."""
        id = str(uuid.uuid4())
        given = {"origination_uuid": id, "call": id, "asks": f"'{asks}'", **variables}
        text = ",".join(f"{name}={value}" for name, value in given.items())
        answer = self._switch.api(f"bgapi originate {{{text}}}loopback/{number}/default &park()", SECONDS)
        assert answer.startswith("+OK"), answer
        return id

    def told(self, id: str, what: str = "after") -> dict[str, Any]:
        """The event of that call, when it comes."""
        deadline = time.monotonic() + SECONDS
        while (id, what) not in self._told:
            message = self._esl.receive(max(deadline - time.monotonic(), 0.0))
            assert message is not None, f'no event "{what}" of the call {id} within {SECONDS:g} s'
            event = message.event()
            self._told[event["Call"], event["What"]] = event
        return self._told[id, what]

    def status(self, id: str) -> str:
        """The `event_zmq_status` with which the dialplan's next action was run."""
        status: str = self.told(id).get("Status", "")
        return status

    def seconds(self, id: str) -> float:
        """How long the call was in `event_zmq`."""
        before, after = (int(self.told(id, what)["Event-Date-Timestamp"]) for what in ("before", "after"))
        return (after - before) / 1e6

    def hang_up(self, id: str) -> None:
        """The caller hangs up."""
        assert self._switch.api(f"uuid_kill {id}").startswith("+OK")

    def gone(self, *ids: str) -> None:
        """Returns when these legs are no more, and so their threads have left the dialplan."""

        def left() -> list[str]:
            return [id for id in ids if self._switch.api(f"uuid_exists {id}") != "false"]

        Module.wait(left, lambda now: now == [], SECONDS)


@contextmanager
def heard(switch: Switch) -> Iterator[Calls]:
    """Calls on that switch, meanwhile."""
    with switch.esl() as esl:
        esl.events("json CUSTOM test::out")
        yield Calls(switch, esl)
