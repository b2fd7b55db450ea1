"""The examples of services: their logic, played by the double, and the configuration beside them."""

from __future__ import annotations

import importlib.util
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

from freeswitch_zmq.client import service as client_service
from freeswitch_zmq.client.service import Service, a1_hash
from freeswitch_zmq.client.service.testing import CallerHungUp, SwitchDouble
from freeswitch_zmq.module.config import parse_config
from freeswitch_zmq.module.schema import CalloutConfig, XmlBindingConfig

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
SECONDS = 60


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def section(name: str) -> tuple[tuple[CalloutConfig, ...], tuple[XmlBindingConfig, ...]]:
    """What NAME.xml means to a switch."""
    text = (EXAMPLES / f"{name}.xml").read_text("utf-8")
    found = parse_config(
        f'<configuration name="event_zmq.conf"><publishers><publisher name="default"/></publishers>{text}'
        "</configuration>"
    )
    return found.callouts, found.xml_bindings


def program(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=environment)


def double_of(service: Service, **options: Any) -> SwitchDouble:
    """One that does not mind when the machine stands still."""
    return SwitchDouble(service, **{"timeout_ms": 60_000, **options})


def ivr() -> SwitchDouble:
    """Its service behind the call-out that is beside it."""
    [config], _ = section("ivr")
    service = load("ivr").service
    assert isinstance(service, Service)
    return double_of(
        service,
        allow_applications=config.allow_applications,
        allow_variables=config.allow_variables,
        variables=config.variables,
        max_turns=config.max_turns,
    )


@pytest.mark.parametrize(
    ("pressed", "transferred", "cause", "turns"),
    [
        (["1", "1007"], "1007 XML default", None, 3),
        (["2"], "1000 XML default", None, 2),
        (["1", ""], "1000 XML default", None, 3),
        (["1", "10"], "1000 XML default", None, 3),
        ([""], None, "NORMAL_CLEARING", 2),
        (["7"], None, "NORMAL_CLEARING", 2),
    ],
)
def test_the_menu(pressed: list[str], transferred: str | None, cause: str | None, turns: int) -> None:
    record = ivr().call("ivr", responses={"play_and_get_digits": pressed})
    assert (record.status, record.problem, record.answered) == ("ok", "", True)
    assert (record.transferred, record.hangup_cause, record.turns) == (transferred, cause, turns)


def test_a_caller_who_hangs_up_in_the_menu(capsys: pytest.CaptureFixture[str]) -> None:
    def play(application: str, argument: str, variables: dict[str, str]) -> None:
        raise CallerHungUp

    assert ivr().call("ivr", responses=play, uuid="u-1").status == "ok"
    assert capsys.readouterr().out == "u-1 hung up: NORMAL_CLEARING\n"


def test_the_endpoints_are_those_of_the_configuration() -> None:
    [callout], _ = section("ivr")
    assert f'"{callout.endpoint[0]}"' in (EXAMPLES / "ivr.py").read_text("utf-8")
    for name in ("directory", "routing"):
        _, [binding] = section(name)
        assert binding.bindings == ({"directory": "directory", "routing": "dialplan"}[name],)
        assert binding.endpoint == (load(name).ENDPOINT,)
    _, [binding] = section("directory")
    assert binding.cache_ttl_ms > 0
    assert binding.cache_stale_ms > 0


def test_the_directory(tmp_path: Path) -> None:
    database = tmp_path / "users.sqlite"
    made = program("directory.py", "--init", str(database))
    assert (made.returncode, made.stderr) == (0, "")
    passwords = dict(re.findall(r"^(\d+)@example\.com (\S+)$", made.stdout, re.MULTILINE))
    assert set(passwords) == {"1000", "1001"}
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert not any(password.encode() in database.read_bytes() for password in passwords.values())

    double = double_of(load("directory").make_service(database))
    found = double.lookup("directory", user="1001", domain="example.com")
    assert found is not None
    [user] = found.iter("user")
    params = {each.get("name"): each.get("value") for each in user.iter("param")}
    assert params == {"a1-hash": a1_hash("1001", "example.com", passwords["1001"])}
    assert {each.get("name"): each.get("value") for each in user.iter("variable")} == {
        "user_context": "default",
        "effective_caller_id_name": "Extension 1001",
        "effective_caller_id_number": "1001",
    }
    for name, domain in (("1002", "example.com"), ("1001", "example.org"), ("", "example.com"), ("' OR 1", "' OR 1")):
        assert double.lookup("directory", user=name, domain=domain) is None

    before = database.read_bytes()
    again = program("directory.py", "--init", str(database))  # what is there is not touched
    assert again.returncode != 0
    assert "FileExistsError" in again.stderr
    assert database.read_bytes() == before


def test_a_database_that_is_missing(tmp_path: Path) -> None:
    database = tmp_path / "users.sqlite"
    told = program("directory.py", str(database))
    assert (told.returncode, told.stderr) == (
        1,
        f"{database}: unable to open database file; directory.py --init {database} makes a database of users\n",
    )
    database.write_text("not a database, but long enough to be looked at\n" * 100)
    told = program("directory.py", str(database))
    assert (told.returncode, "is not a database" in told.stderr, "Traceback" in told.stderr) == (1, True, False)


def blocks(name: str) -> list[str]:
    """The Python in a document."""
    return re.findall(r"^```python\n(.*?)^```", (REPOSITORY / name).read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_what_is_shown_in_services_md() -> None:
    shown, test = (compile(block, "services.md", "exec") for block in blocks("docs/services.md")[:2])
    names: dict[str, Any] = {"__name__": "shown"}
    exec(shown, names)
    exec(test, names)
    tests = [each for name, each in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for each in tests:
        each()


def test_what_is_shown_elsewhere() -> None:
    [shown] = [block for block in blocks("README.md") if "Service(" in block]
    names: dict[str, Any] = {"__name__": "shown"}
    exec(compile(shown, "README.md", "exec"), names)
    record = double_of(names["service"]).call("ivr")
    assert (record.status, record.transferred) == ("ok", "1000 XML default")
    assert 'if __name__ == "__main__":\n        service.run()' in (client_service.__doc__ or "")


def bridges(found: ElementTree.Element | None) -> str | None:
    if found is None:
        return None
    [bridge] = [each for each in found.iter("action") if each.get("application") == "bridge"]
    return bridge.get("data")


@pytest.mark.parametrize(
    ("number", "dial"),
    [
        ("4989123", "sofia/gateway/south/4989123|sofia/gateway/north/4989123"),
        ("+4989123", "sofia/gateway/south/4989123|sofia/gateway/north/4989123"),
        ("4930123", "sofia/gateway/berlin/4930123"),
        ("15551234", "sofia/gateway/west/15551234"),
        ("33123", None),
        ("112", "sofia/gateway/west/112"),
        ("12", None),
        ("4930123${system(x)}", None),
        ("4930123|user/1000", None),
        ("", None),
    ],
)
def test_the_routes(tmp_path: Path, number: str, dial: str | None) -> None:
    table = tmp_path / "rates.csv"
    table.write_text(load("routing").EXAMPLE, "utf-8")
    double = double_of(load("routing").make_service(table))
    assert bridges(double.lookup("dialplan", destination_number=number, context="outbound")) == dial
    assert double.lookup("dialplan", destination_number=number, context="default") is None


def test_the_table_of_routes(tmp_path: Path) -> None:
    table = tmp_path / "rates.csv"
    assert program("routing.py", "--init", str(table)).returncode == 0
    assert program("routing.py", "--init", str(table)).returncode != 0
    routing = load("routing")
    routes = routing.Routes(table)
    assert [each.gateway for each in routes.best("49")] == ["south", "north"]
    table.write_text("prefix,gateway,price\n,anywhere,1\n1,a,3\n1,b,2\n1,c,1\n1,d,4\n", "utf-8")
    routes = routing.Routes(table)
    assert [each.gateway for each in routes.best("12")] == ["c", "b", "a"]
    assert [each.gateway for each in routes.best("99")] == ["anywhere"]
    table.write_text("prefix,gateway,price\n49,north,1\n", "utf-8-sig")  # as spreadsheets do it
    assert [each.gateway for each in routing.Routes(table).best("49")] == ["north"]
    for row in ("x,a,1", "1,a b,1", "1,a,cheap", "1,a,NaN", "1,a", "1,,1"):
        table.write_text(f"prefix,gateway,price\n49,north,1\n{row}\n", "utf-8")
        with pytest.raises(ValueError, match="line 3: the columns are prefix, gateway and price"):
            routing.Routes(table)
