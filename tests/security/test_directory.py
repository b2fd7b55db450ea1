"""Lists that look up the directory while Python in the same switch answers for it: in one way of asking all would hang.

FreeSWITCH holds a lock of its core across these lookups. Who asks for a list meanwhile and holds the GIL waits for that
lock, the lookup waits for the GIL, and soon every login of the event socket waits too.
"""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

from tests.conftest import SwitchFactory
from tests.support.flow import Good, Load
from tests.support.module import Module, Subscriber, configuration, publisher
from tests.support.switch import REPOSITORY

from .conftest import lists

TIMES = 1000
ACL = lists(
    '<list name="homes" default="deny"><node type="allow" domain="homes.test"/></list>',
    '<list name="offices" default="deny"><node type="allow" domain="offices.test"/></list>',
)


class Visitors:
    """Subscribers that come, wait until they are let in, and go, one after the other, for as long as it is open.

    Attributes:
        let_in: how many were.
        longest: seconds that one waited for its first event, at most.
    """

    def __init__(self, endpoint: str) -> None:
        self.let_in = 0
        self.longest = 0.0
        self._endpoint = endpoint
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="visitors")

    def _run(self) -> None:
        while not self._end.is_set():
            began = time.monotonic()
            with Subscriber(self._endpoint, hwm=1000) as subscriber:
                while not self._end.is_set() and not subscriber.socket.poll(50):
                    pass
            if not self._end.is_set():
                self.let_in += 1
                self.longest = max(self.longest, time.monotonic() - began)

    def __enter__(self) -> Visitors:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def test_reloadacl_under_load_and_connections(live_switch_factory: SwitchFactory, tmp_path: Path) -> None:
    folder = tmp_path / "scripts"
    folder.mkdir()
    shutil.copy(REPOSITORY / "scripts" / "event_zmq.py", folder)
    shutil.copy(Path(__file__).parent / "script_directory.py", folder)
    switch = live_switch_factory(
        start=False,
        event_zmq_xml=configuration(publisher(("apply-inbound-acl", "offices"), ("apply-inbound-acl", "homes"))),
        scripts_dir=folder,
        script="script_directory",
        xml_handler_bindings="directory",
    )
    switch.write_config(ACL, "acl.conf.xml")
    switch.start()
    module = Module(switch)
    module.start()
    lookups = int(switch.api("python script_directory"))
    with Good(module.endpoint(), switch) as good, Visitors(module.endpoint()) as visitors, Load(switch, 500):
        longest = reload_lists(module)
        good.lost_nothing()
        module.wait(lambda: visitors.let_in, lambda count: count > 0, 30)
    print(
        f"reloadacl took {longest:.2f} s at most; {visitors.let_in} visitors, {visitors.longest:.2f} s at most; {good}"
    )
    assert int(switch.api("python script_directory")) == lookups + TIMES
    assert module.status()["errors"] == 0


def reload_lists(module: Module) -> float:
    """`reloadacl` so often; who is asked meanwhile answers. Gives the seconds that one took at most."""
    began = time.monotonic()
    longest = 0.0
    for number in range(1, TIMES + 1):
        asked = time.monotonic()
        assert "+OK acl reloaded" in module.switch.api("reloadacl", timeout=30)
        longest = max(longest, time.monotonic() - asked)
        if number % 10 == 0:
            assert module.status()["state"] == "running"
            module.switch.esl().close()  # logs in, for which FreeSWITCH asks a list too
        if number % 250 == 0:
            print(f"{number} times reloadacl in {time.monotonic() - began:.1f} s", flush=True)
    return longest
