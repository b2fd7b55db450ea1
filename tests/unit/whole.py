"""The whole module on a fake switch that has a configuration for it."""

from __future__ import annotations

from typing import Any

from freeswitch_zmq.module.service import Service
from tests.unit.configurations import configuration, local, publisher
from tests.unit.fake_freeswitch import FakeSwitch

LOCATE = "xml_locate configuration configuration name event_zmq.conf"
LOCATE_ACL = "xml_locate configuration configuration name acl.conf"
CORE_UUID = "5b1f1c1e-0c6b-4f43-9b3c-9a0c1f6c7a11"


def acl_conf(*lists: str) -> str:
    """An acl.conf with lists of these names."""
    elements = "".join(
        f'<list name="{name}" default="deny"><node type="allow" cidr="192.0.2.0/24"/></list>' for name in lists
    )
    return f'<configuration name="acl.conf"><network-lists>{elements}</network-lists></configuration>'


class Whole:
    """A service and the switch that it runs in.

    Attributes:
        xml: what the registry holds of event_zmq.conf.
        acl_xml: what it holds of acl.conf.
        threaded: the switch's threaded-system-exec.
    """

    def __init__(self, switch: FakeSwitch) -> None:
        self.switch = switch
        self.xml = configuration(publisher(*local()))
        self.acl_xml = acl_conf("domains", "lan")
        self.threaded = False
        self.service = Service()
        switch.answers.update(
            {
                LOCATE: lambda command: self.xml,
                LOCATE_ACL: lambda command: self.acl_xml,
                "reloadxml": "+OK [Success]\n",
                "global_getvar core_uuid": CORE_UUID,
                "fsctl": self._fsctl,
            }
        )

    def _fsctl(self, command: str) -> str:
        wanted = command.split(" ")[2:]
        if wanted:
            self.threaded = wanted == ["true"]
        return f"+OK threaded_system_exec is {'true' if self.threaded else 'false'}\n"

    def configure(self, *params: str, access: str = "") -> None:
        """One publisher with these params."""
        self.xml = configuration(publisher(*params), access=access)

    def status(self, name: str = "default") -> dict[str, Any]:
        """A publisher's part of the status."""
        part: dict[str, Any] = self.service.status()["publishers"][name]
        return part

    def endpoint(self, name: str = "default") -> str:
        endpoint: str = self.status(name)["endpoints"][0]
        return endpoint

    def end(self) -> None:
        """Stops it if it runs; nothing may be left, and nothing unexpected have happened."""
        if self.service.status()["state"] == "running":
            self.service.stop()
        assert self.switch.consumers == []
        assert self.service.faults.count == 0, self.switch.texts("ERR")
