"""The examples that a switch asks, on a real FreeSWITCH: phones that register, and calls that are routed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import SwitchFactory
from tests.support.lookups import connected
from tests.support.module import Module, Subscriber, configuration, publisher
from tests.support.ports import free_port
from tests.support.programs import EXAMPLES, example_config, run, running

pytestmark = pytest.mark.live

SECONDS = 60.0
SOFIA = """<configuration name="sofia.conf" description="on loopback">
  <global_settings><param name="auto-restart" value="false"/></global_settings>
  <profiles>
    <profile name="internal">
      <settings>
        <param name="sip-ip" value="127.0.0.1"/>
        <param name="rtp-ip" value="127.0.0.1"/>
        <param name="sip-port" value="{port}"/>
        <param name="context" value="public"/>
        <param name="dialplan" value="XML"/>
        <param name="auth-calls" value="true"/>
        <param name="accept-blind-reg" value="false"/>
        <param name="challenge-realm" value="auto_from"/>
        <param name="rtp-timer-name" value="soft"/>
      </settings>
    </profile>
  </profiles>
</configuration>
"""


class Phone:
    """sipp, as a phone that registers at a port."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self._scenario = (Path(__file__).parent / "register.xml").read_text("ascii")

    def registers(self, user: str, password: str, final: int = 200) -> None:
        """Fails unless that is the answer when it shows the password."""
        scenario = self._folder / f"register-{final}.xml"
        scenario.write_text(self._scenario.replace("FINAL", str(final)), "ascii")
        command = ["sipp", f"127.0.0.1:{self._port}", "-sf", str(scenario), "-s", user, "-au", user, "-ap", password]
        command += ["-m", "1", "-i", "127.0.0.1", "-p", str(free_port()), "-nostdin", "-trace_err"]
        command += ["-timeout", f"{SECONDS:.0f}s", "-timeout_error"]
        ended = subprocess.run(
            command, cwd=self._folder, capture_output=True, text=True, timeout=2 * SECONDS, check=False
        )
        errors = "".join(each.read_text("utf-8", "replace") for each in self._folder.glob("register-*_errors.log"))
        assert ended.returncode == 0, f"{user} was not answered {final}:\n{errors}\n{ended.stdout[-2000:]}"


def test_phones_register(live_switch_factory: SwitchFactory, tmp_path: Path) -> None:
    if shutil.which("sipp") is None:
        pytest.skip("no sipp here (Debian: sip-tester)")
    database = tmp_path / "users.db"
    told = run(EXAMPLES / "directory.py", "--init", str(database))
    passwords = dict(line.split(" ") for line in told.splitlines())
    good, other = passwords["1000@example.com"], passwords["1001@example.com"]
    xml, endpoint = example_config("directory", 5559)
    port = free_port()
    switch = live_switch_factory(
        start=False, event_zmq_xml=configuration(publisher(), api=xml), extra_modules=("mod_sofia",)
    )
    switch.write_config(SOFIA.format(port=port), "sofia.conf.xml")
    switch.start()
    module, phone = Module(switch), Phone(tmp_path, port)
    module.start()
    Module.wait(lambda: switch.api("sofia status"), lambda now: "RUNNING" in now)
    with running(tmp_path, EXAMPLES / "directory.py", str(database), endpoint) as program:
        connected(module)
        phone.registers("1000", good)
        # FreeSWITCH writes it down a moment later.
        Module.wait(lambda: switch.api("sofia status profile internal reg"), lambda now: "1000@example.com" in now)
        phone.registers("1000", "wrong", 403)
        phone.registers("1000", other, 403)
        phone.registers("1002", good, 403)
        asked = module.status()["xml_bindings"]["users"]["lookups"]
        program.kill()
        Module.wait(
            lambda: module.status()["xml_bindings"]["users"]["connections"][0]["connected"], lambda now: not now
        )
        # Nobody is there: who was seen before still registers, and with the right password only.
        phone.registers("1000", good)
        phone.registers("1000", "wrong", 403)
        phone.registers("1001", other, 403)
        part = module.status()["xml_bindings"]["users"]
        assert part["lookups"] > asked
        assert part["cached"] > 0
    assert module.command("stop") == "+OK stopped"
    switch.kill()  # nothing about its end is in question


def test_calls_are_routed(live_switch_factory: SwitchFactory, tmp_path: Path) -> None:
    rates = tmp_path / "rates.csv"
    run(EXAMPLES / "routing.py", "--init", str(rates))
    xml, endpoint = example_config("routing", 5560)
    switch = live_switch_factory(event_zmq_xml=configuration(publisher(), api=xml))
    module = Module(switch)
    module.start()
    with running(tmp_path, EXAMPLES / "routing.py", str(rates), endpoint):
        connected(module)
        with Subscriber(module.endpoint()) as stream:
            stream.subscribed(switch)
            for number, dialled in {
                "+4989123": "sofia/gateway/south/4989123|sofia/gateway/north/4989123",
                "4930123": "sofia/gateway/berlin/4930123",
            }.items():
                switch.api(f"bgapi originate loopback/{number}/outbound &park()")
                events = stream.until(
                    lambda event, name=f"loopback/{number}-b": (  # type: ignore[misc]
                        event["Event-Name"] == "CHANNEL_DESTROY" and event.get("Channel-Name") == name
                    ),
                    SECONDS,
                )
                executed = [
                    (event["Application"], event["Application-Data"])
                    for event in events
                    if event["Event-Name"] == "CHANNEL_EXECUTE" and event["Channel-Name"] == f"loopback/{number}-b"
                ]
                assert executed == [("set", "hangup_after_bridge=true"), ("bridge", dialled)]
            # A number that no row is for is left to the switch's own files, where there is none.
            assert (
                switch.api("originate loopback/33123/outbound &park()", SECONDS).strip() == "-ERR NO_ROUTE_DESTINATION"
            )
    assert module.command("stop") == "+OK stopped"
    switch.kill()
