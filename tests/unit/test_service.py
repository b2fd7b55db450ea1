from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq

import freeswitch_zmq.module
from freeswitch_zmq.errors import ConfigError, HostError, StartError, StateError
from freeswitch_zmq.jsonrpc import SHUTTING_DOWN
from freeswitch_zmq.module import entry, source
from freeswitch_zmq.module import keeper as keeper_module
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.config import parse_config
from freeswitch_zmq.module.running import Running
from freeswitch_zmq.module.status import as_text
from tests.support.caller import Caller
from tests.support.keys import Identity, access, key, new_pair, new_secret_file
from tests.support.module import Subscriber, sequences
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.unit.asking import jobs
from tests.unit.configurations import api, configuration, local, param, publisher
from tests.unit.fake_freeswitch import FakeEvent, job_event
from tests.unit.stations import fire_until_heard, held_up, is_free
from tests.unit.whole import CORE_UUID, LOCATE, Whole

_marks = itertools.count(1)


def module_threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("event_zmq"))


def hear(whole: Whole, subscriber: Subscriber) -> int:
    """Waits until events come through; the number of the last one."""
    fire_until_heard(whole.switch, subscriber.socket)
    mark = f"{next(_marks)}"
    whole.switch.fire(FakeEvent("HEARTBEAT", [("Mark", mark)]))
    # Those that were fired until one came may still be on their way.
    return int(subscriber.until(lambda event: event.get("Mark") == mark)[-1]["ZMQ-Sequence"])


def test_the_api_comes_and_goes_with_the_rest(whole: Whole) -> None:
    whole.switch.answers["slow"] = ""
    whole.switch.deaf.add("slow")
    section = api(*local(allow="ping, status, api:slow"))
    whole.xml = configuration(publisher(*local()), api=section)
    line = whole.service.start()
    [address] = whole.service.status()["api"]["endpoints"]
    assert line == f'started: publisher "default" at {whole.endpoint()}; the API at {address}'
    assert module_threads().count("event_zmq tcp://127.0.0.1:*") == 2
    with Caller(address, zmq.DEALER) as caller:
        assert caller.call("ping")["core_uuid"] == CORE_UUID
        assert caller.call("status")["state"] == "running"
        number = caller.send("api", {"command": "slow"})
        wait_for(lambda: jobs(whole.switch), "the command")
        whole.service.stop()
        answer = caller.receive()
        assert (answer["id"], answer["error"]["code"]) == (number, SHUTTING_DOWN)
    assert module_threads() == []
    assert "api" not in whole.service.status()
    # What comes of the command after the next start is no news, and nobody's answer.
    whole.xml = configuration(publisher(*local()), api=section.replace("127.0.0.1:*", address.rpartition("/")[2]))
    whole.service.start()
    with Caller(address, zmq.DEALER) as caller, Subscriber(whole.endpoint()) as subscriber:
        assert caller.call("ping")
        hear(whole, subscriber)
        whole.switch.fire(job_event(jobs(whole.switch)[0], "late"), FakeEvent("CUSTOM"))
        names = [event["Event-Name"] for event in subscriber.until(lambda event: event["Event-Name"] == "CUSTOM")]
        assert "BACKGROUND_JOB" not in names
        assert not caller.socket.poll(0)


def test_start_status_stop(whole: Whole) -> None:
    assert whole.service.status()["state"] == "stopped"
    line = whole.service.start()
    assert line == f'started: publisher "default" at {whole.endpoint()}'
    assert whole.switch.texts("NOTICE")[-1] == line
    assert module_threads() == [
        "event_zmq access",
        "event_zmq access lists",
        "event_zmq keeper",
        "event_zmq pump",
        "event_zmq tcp://127.0.0.1:*",
    ]
    with Subscriber(whole.endpoint()) as subscriber:
        hear(whole, subscriber)
        status = whole.service.status()
        assert (status["state"], status["core_uuid"], status["threaded_system_exec"]) == ("running", CORE_UUID, True)
        assert 0 <= status["uptime_seconds"] < 60
        assert whole.status()["subscriptions"] == 1
        assert json.loads(json.dumps(status)) == status
    endpoint = whole.endpoint()
    assert whole.service.stop() == "stopped"
    assert whole.switch.texts("NOTICE")[-1] == "stopped"
    status = whole.service.status()
    assert (status["state"], status["publishers"], status["uptime_seconds"]) == ("stopped", {}, 0)
    assert module_threads() == []
    assert whole.switch.consumers == []
    assert is_free(endpoint)


def test_it_can_be_started_again_and_has_another_epoch(whole: Whole) -> None:
    epochs = set()
    for _ in range(3):
        whole.service.start()
        epochs.add(whole.status()["epoch"])
        whole.service.stop()
    assert len(epochs) == 3


def test_twice_is_one_clear_line(whole: Whole) -> None:
    with pytest.raises(StateError) as caught:
        whole.service.stop()
    assert str(caught.value) == "event_zmq is not running; `pyrun event_zmq` starts it"
    with pytest.raises(StateError, match="is not running"):
        whole.service.reload()
    whole.service.start()
    endpoint = whole.endpoint()
    with pytest.raises(StateError) as caught:
        whole.service.start()
    assert str(caught.value) == "event_zmq is running already; `reload` takes up a changed configuration"
    assert whole.endpoint() == endpoint


def test_one_thing_at_a_time(whole: Whole) -> None:
    gate = threading.Event()
    xml = whole.xml

    def slowly(command: str) -> str:
        assert gate.wait(60.0)
        return xml

    whole.switch.answers[LOCATE] = slowly
    starting = threading.Thread(target=whole.service.start)
    starting.start()
    wait_for(lambda: whole.service._doing, "the start to begin")
    for command in (whole.service.start, whole.service.stop, whole.service.reload):
        with pytest.raises(StateError) as caught:
            command()
        assert str(caught.value) == "event_zmq is starting; try again when that is done"
    assert whole.service.status()["state"] == "starting"
    gate.set()
    starting.join()
    assert whole.service.status()["state"] == "running"


def no_configuration(whole: Whole) -> None:
    whole.switch.answers[LOCATE] = "can't find anything\n"


def a_mistake(whole: Whole) -> None:
    whole.configure(param("framing", "x"))


def fork_setting_required(whole: Whole) -> None:
    whole.xml = configuration(publisher(*local()), settings=param("threaded-system-exec", "require"))


def no_answer_to_fsctl(whole: Whole) -> None:
    whole.switch.answers["fsctl"] = "INVALID COMMAND!\n"


def an_unknown_list(whole: Whole) -> None:
    whole.configure(*local(apply_inbound_acl="nobodys"))


def no_key_of_ones_own(whole: Whole) -> None:
    whole.configure(*local(security="curve"))


def nowhere_to_listen(whole: Whole) -> None:
    whole.configure(*local(bind=["tcp://127.0.0.1:*", "ipc:///nonexistent/folder/x"]))


def bgapi_refused(whole: Whole) -> None:
    whole.switch.answers["bgapi"] = "-ERR no threads\n"


@pytest.mark.parametrize(
    ("obstacle", "error", "text"),
    [
        (no_configuration, ConfigError, "event_zmq.conf is missing"),
        (a_mistake, ConfigError, "is not one of: single, topic"),
        (fork_setting_required, StartError, "threaded-system-exec is off, and event_zmq.conf.xml requires it"),
        (no_answer_to_fsctl, HostError, "FreeSWITCH answered"),
        (an_unknown_list, ConfigError, 'acl.conf.xml has no list "nobodys"'),
        (no_key_of_ones_own, ConfigError, "security: curve needs the switch's own key"),
        (nowhere_to_listen, StartError, "can't listen on ipc:///nonexistent/folder/x"),
        (bgapi_refused, HostError, 'did not take "version"'),
    ],
)
def test_a_start_that_fails_leaves_nothing(
    whole: Whole,
    obstacle: Callable[[Whole], None],
    error: type[Exception],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source, "_LOADING_SECONDS", 0.1)
    answers, xml = dict(whole.switch.answers), whole.xml
    obstacle(whole)
    with pytest.raises(error, match=text):
        whole.service.start()
    assert module_threads() == []
    assert whole.switch.consumers == []
    assert whole.service._running is None
    assert not [line for line in whole.switch.lines if line[0] == "ERR"]
    whole.switch.answers.update(answers)
    whole.xml = xml
    whole.service.start()


def test_no_start_while_the_switch_shuts_down(whole: Whole) -> None:
    whole.switch.is_running = False
    with pytest.raises(StateError, match="the switch is shutting down"):
        whole.service.start()
    assert module_threads() == []


def test_a_port_in_use_is_told_and_free_again_later(whole: Whole) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        other.listen()
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        whole.configure(*local(bind=address))
        with pytest.raises(StartError, match=f"can't listen on {address}: Address already in use"):
            whole.service.start()
    whole.service.start()
    assert whole.endpoint() == address


def test_reload_takes_up_what_changed_and_numbers_go_on(whole: Whole) -> None:
    whole.service.start()
    epoch = whole.status()["epoch"]
    with Subscriber(whole.endpoint()) as subscriber:
        before = hear(whole, subscriber)
        whole.configure(*local(event_exclude="API"))
        assert whole.service.reload() == 'reloaded: publisher "default" changed'
        assert whole.service.reload() == "reloaded: nothing changed"
        assert whole.switch.texts("NOTICE")[-1] == "reloaded: nothing changed"
        whole.switch.fire(FakeEvent("API"), FakeEvent("HEARTBEAT"))
        event = subscriber.event()
        # What the reload itself asked of FreeSWITCH is no news.
        assert (event["Event-Name"], event["ZMQ-Sequence"]) == ("HEARTBEAT", str(before + 1))
        assert whole.status()["epoch"] == epoch


@pytest.mark.parametrize(
    "obstacle", [no_configuration, a_mistake, an_unknown_list, no_key_of_ones_own, nowhere_to_listen]
)
def test_a_reload_that_fails_changes_nothing(whole: Whole, obstacle: Callable[[Whole], None]) -> None:
    whole.service.start()
    before = whole.status()
    with Subscriber(whole.endpoint()) as subscriber:
        first = hear(whole, subscriber)
        obstacle(whole)
        with pytest.raises((ConfigError, StartError)):
            whole.service.reload()
        whole.switch.fire(*[FakeEvent("HEARTBEAT")] * 3)
        assert sequences(subscriber.event() for _ in range(3)) == [first + 1, first + 2, first + 3]
        now = whole.status()
        assert (now["epoch"], now["endpoints"]) == (before["epoch"], before["endpoints"])


def test_a_reload_of_broken_files_does_not_even_look(whole: Whole) -> None:
    whole.service.start()
    whole.switch.answers["reloadxml"] = "+OK [[error near line 3]: root tag missing]\n"
    whole.xml = ""
    with pytest.raises(ConfigError, match="can't read its XML files"):
        whole.service.reload()
    assert whole.service.status()["state"] == "running"


def test_reload_insists_on_the_fork_setting(whole: Whole) -> None:
    whole.service.start()
    whole.threaded = False
    fork_setting_required(whole)
    with pytest.raises(StartError, match="requires it"):
        whole.service.reload()
    whole.configure(*local())
    whole.service.reload()
    assert whole.threaded


# Keys.


def test_status_tells_of_keys_and_of_who_was_refused(whole: Whole, tmp_path: Path) -> None:
    server, alice, stranger = new_secret_file(tmp_path), new_pair(), new_pair()
    assert whole.service.status()["keys"] == {}
    whole.configure(*local(security="curve"), access=access(server.path, [key("alice", alice)]))
    whole.service.start()
    nobody_yet = {"publishers": ["default"], "let_in": 0, "last_let_in": "", "last_address": ""}
    assert whole.service.status()["keys"] == {"alice": nobody_yet}
    with Subscriber(whole.endpoint(), identity=Identity(alice, server.pair.public)) as subscriber:
        hear(whole, subscriber)
        found = whole.service.status()
        assert found["keys"]["alice"]["let_in"] == 1
        assert found["keys"]["alice"]["last_address"] == "127.0.0.1"
        assert found["keys"]["alice"]["last_let_in"].startswith("20")
        assert whole.status()["security"] == "curve"
        wait_for(lambda: whole.status()["connections"] == 1, "the connection to be counted")
        with Subscriber(whole.endpoint(), identity=Identity(stranger, server.pair.public)):
            wait_for(lambda: whole.status()["refused"], "a refusal")
        [refusal] = whole.status()["refusals"]
        assert (refusal["endpoint"], refusal["reason"]) == (whole.endpoint(), "key")
        assert (refusal["latest_address"], refusal["latest_key"]) == ("127.0.0.1", stranger.hex)
    # No text of the module's holds a secret.
    everything = json.dumps(found) + as_text(whole.service.status()) + str(whole.switch.lines)
    assert server.pair.secret.decode() not in everything
    whole.configure(*local(security="curve", bind=whole.endpoint()), access=access(server.path))
    answer = whole.service.reload()
    assert answer == f'reloaded: publisher "default" changed; key "alice" removed; {whole.endpoint()} opened'
    assert whole.service.status()["keys"] == {}


OPEN = {
    "every address of a network": (local(bind="tcp://*:{port}", apply_inbound_acl="192.0.2.0/24"), "192.0.2.0/24"),
    "a list": (local(bind="tcp://*:{port}", apply_inbound_acl="lan"), "lan"),
    "one of several": (
        local(bind="tcp://*:{port}", apply_inbound_acl=["loopback.auto", "rfc1918.auto", "lan"]),
        "rfc1918.auto",
    ),
    "only this machine": (local(bind="tcp://*:{port}", apply_inbound_acl=["loopback.auto", "127.0.0.1"]), ""),
    "at an address of this machine": (local(bind="tcp://127.0.0.1:{port}", apply_inbound_acl="0.0.0.0/0"), ""),
    "by keys": (local(bind="tcp://*:{port}", apply_inbound_acl="0.0.0.0/0", security="curve"), ""),
    "over ipc": (local(bind="ipc://{tmp}/events", apply_inbound_acl="0.0.0.0/0"), ""),
    "in this process": (local(bind="inproc://unit-open", apply_inbound_acl="0.0.0.0/0"), ""),
    "where we go": (local(bind=[], connect="tcp://192.0.2.1:{port}", apply_inbound_acl="0.0.0.0/0"), ""),
}


@pytest.mark.parametrize(("params", "who"), OPEN.values(), ids=OPEN.keys())
def test_what_is_open_to_other_machines_without_keys_is_warned_of(
    whole: Whole, tmp_path: Path, params: tuple[str, ...], who: str
) -> None:
    place = {"port": str(free_port()), "tmp": str(tmp_path)}
    params = tuple(param.replace("{port}", place["port"]).replace("{tmp}", place["tmp"]) for param in params)
    whole.configure(*params, access=access(new_secret_file(tmp_path).path))
    whole.service.start()
    address = f"tcp://*:{place['port']}"
    warning = (
        f'publisher "default" at {address} lets in whom apply-inbound-acl "{who}" has without key and encryption: on a '
        'network that others use too take security "curve" (docs/security.md)'
    )
    assert whole.switch.texts("WARNING") == ([warning] if who else [])
    # Told at a start, and not again at each reload.
    whole.service.reload()
    assert len(whole.switch.texts("WARNING")) == bool(who)
    whole.service.stop()
    whole.service.start()
    assert len(whole.switch.texts("WARNING")) == 2 * bool(who)


def test_what_a_reload_opens_to_other_machines_is_warned_of_then(whole: Whole) -> None:
    port = free_port()
    whole.configure(*local(bind=f"tcp://*:{port}"))
    whole.service.start()
    assert whole.switch.texts("WARNING") == []
    whole.configure(*local(bind=f"tcp://*:{port}", apply_inbound_acl="lan"))
    whole.service.reload()
    [warning] = whole.switch.texts("WARNING")
    assert '"lan"' in warning
    whole.configure(*local(bind=f"tcp://*:{port}", apply_inbound_acl=["lan", "192.0.2.0/24"], queue_size=5))
    whole.service.reload()
    assert whole.switch.texts("WARNING") == [warning]
    whole.configure(*local(bind=f"tcp://*:{port}"))
    whole.service.reload()
    whole.configure(*local(bind=f"tcp://*:{port}", apply_inbound_acl="lan"))
    whole.service.reload()
    assert whole.switch.texts("WARNING") == [warning] * 2


def test_a_reload_that_fails_warns_of_nothing(whole: Whole) -> None:
    whole.service.start()
    whole.configure(*local(bind=[f"tcp://*:{free_port()}", "ipc:///nonexistent/folder/x"], apply_inbound_acl="lan"))
    with pytest.raises(StartError):
        whole.service.reload()
    assert whole.switch.texts("WARNING") == []


def test_status_can_be_asked_while_a_publisher_is_added(whole: Whole) -> None:
    whole.service.start()
    running = whole.service._running
    assert isinstance(running, Running)
    endpoint = whole.endpoint()
    wanted = parse_config(configuration(publisher(*local(bind=endpoint)), publisher(*local(), name="new")))
    reloading = threading.Thread(target=running.reload, args=(wanted,))
    with held_up(running.pump):
        reloading.start()
        wait_for(lambda: running.pump._calls, "the reload to wait for the pump")
        assert whole.endpoint() == endpoint
    reloading.join()
    assert set(whole.service.status()["publishers"]) == {"default", "new"}


def test_a_forged_shutdown_stops_nothing(whole: Whole) -> None:
    whole.service.start()
    with Subscriber(whole.endpoint()) as subscriber:
        hear(whole, subscriber)
        whole.switch.fire(FakeEvent("SHUTDOWN"))
        assert subscriber.event()["Event-Name"] == "SHUTDOWN"
        hear(whole, subscriber)
    assert whole.service.status()["state"] == "running"


def test_the_switchs_shutdown_reaches_subscribers_and_stops_everything(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "ORPHANED_SECONDS", 60.0)  # it is the event that stops it
    whole.service.start()
    with Subscriber(whole.endpoint()) as subscriber:
        hear(whole, subscriber)
        whole.switch.is_running = False
        whole.switch.fire(FakeEvent("SHUTDOWN"))
        assert subscriber.until(lambda event: event["Event-Name"] == "SHUTDOWN")
        wait_for(lambda: not module_threads(), "everything to stop")
    assert whole.service.status()["state"] == "stopped"
    assert whole.switch.consumers == []
    assert whole.switch.texts("NOTICE")[-1] == "the switch shuts down; stopping"


@pytest.mark.parametrize(
    "command",
    ["version", LOCATE],
    ids=["waiting for the commands", "waiting for the configuration"],
)
def test_the_shutdown_stops_it_during_its_start_too(
    whole: Whole, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    # Without the shutdown it would wait for a minute.
    monkeypatch.setattr(source, "_TIMEOUT", 60.0)
    monkeypatch.setattr(source, "_LOADING_SECONDS", 60.0)
    run = Commands.run
    monkeypatch.setattr(Commands, "run", lambda commands, command, timeout=60.0: run(commands, command, timeout))
    whole.switch.deaf.add(command.split(" ", 1)[0])  # FreeSWITCH does not come to it any more
    outcome: list[HostError] = []

    def start() -> None:
        try:
            whole.service.start()
        except HostError as error:
            outcome.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    try:
        wait_for(lambda: command in whole.switch.commands, "the start to ask")
        whole.switch.is_running = False
        whole.switch.fire(FakeEvent("SHUTDOWN"))
        starting.join(20.0)
        assert not starting.is_alive()
        assert len(outcome) == 1
        assert module_threads() == []
    finally:
        starting.join()


def test_the_shutdown_stops_it_during_a_reload_too(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_TIMEOUT", 60.0)
    whole.service.start()
    whole.switch.deaf.add("xml_locate")  # FreeSWITCH does not come to it any more
    whole.switch.commands.clear()
    outcome: list[HostError] = []

    def reload() -> None:
        try:
            whole.service.reload()
        except HostError as error:
            outcome.append(error)

    reloading = threading.Thread(target=reload)
    reloading.start()
    wait_for(lambda: LOCATE in whole.switch.commands, "the reload to ask")
    whole.switch.is_running = False
    whole.switch.fire(FakeEvent("SHUTDOWN"))
    wait_for(lambda: not module_threads(), "everything to stop")
    reloading.join(20.0)
    assert not reloading.is_alive()
    assert len(outcome) == 1


def read_on(subscriber: zmq.Socket[bytes]) -> None:
    """As a script does that waits for events."""
    while subscriber.poll(20_000):
        subscriber.recv()


def test_other_scripts_reach_inproc_endpoints_through_the_context(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry, "_service", whole.service)
    with pytest.raises(StateError, match="is not running"):
        freeswitch_zmq.module.context()
    whole.configure(*local(bind="inproc://events"))
    whole.service.start()
    context = freeswitch_zmq.module.context()
    subscriber = context.socket(zmq.SUB)
    subscriber.connect("inproc://events")
    subscriber.subscribe(b"")
    fire_until_heard(whole.switch, subscriber)
    stopping = threading.Thread(target=whole.service.stop)
    stopping.start()
    with pytest.raises(zmq.ContextTerminated):
        read_on(subscriber)
    subscriber.close()
    stopping.join()
    assert whole.switch.texts("WARNING") == []


def test_a_script_that_does_not_let_go_is_told_of_and_does_not_hold_up_the_stop(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    from freeswitch_zmq.module import running

    monkeypatch.setattr(running, "_TERM_SECONDS", 0.05)
    whole.configure(*local(bind="inproc://events"))
    whole.service.start()
    context = whole.service.context()
    with context.socket(zmq.SUB):
        whole.service.stop()
        assert whole.switch.texts("WARNING") == [
            "another script still has a socket of event_zmq's ZeroMQ context open; it should close it when it gets "
            'ContextTerminated (docs/operations.md, "inproc")'
        ]
    # Starting is possible all the same, in a context of its own.
    whole.service.start()
    assert whole.service.context() is not context
