"""The commands that the API runs for a caller are that caller's: no subscriber and no ring hears of them."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import zmq

from tests.support.caller import Caller, RpcFailure
from tests.support.eavesdrop import Eavesdropper, held
from tests.support.esl import Esl
from tests.support.flow import Load
from tests.support.holding import HOLD, Hold
from tests.support.module import Module, api, configuration, publisher
from tests.support.ports import free_port

from .conftest import ModuleFactory

ALLOW = (
    f"ping,status,replay:*,api:*,{HOLD},api:global_getvar,bgapi:echo *,bgapi:msleep *,"
    "sendevent:BACKGROUND_JOB,sendevent:API,sendevent:CUSTOM^test::*"
)

ODD = (
    "{}",
    "\t{}\t",
    "\v{}\v",
    " \t \v {} \v \t ",
    "\f{}\f",
    "\x1c{}\x1f",
    "\x01{}\x7f",
    "\x85{}\x85",
    "\xa0{}\xa0",
    "\u2028{}\u2029",
    "\u3000{}\u3000",
    "\ufeff{}",
    "\U0001f4de{}\uffff",
    "{}   two   spaces",
    "%s%n%d%{}%",
    "'{}'",
    '"{}"',
    "'{}",
    "{}\\",
    "\\n{}\\n",
    "$${{{}}}",
    "${{{}}}",
    "uuid:{} x",
    "uuid:x {}",
    "[3]{}",
    "{}[5000]",
    "{}: {}",
    "^^:{}:x",
    "_body {}",
    "array::{}",
    "xARRAY::{}|:x",
    "ARRAY: :{}",
    "|:{}",
    "x" * 60_000 + "{}",
)
"""Arguments that FreeSWITCH may tell in other words than it was told."""

LISTS = ("ARRAY::{}", "ARRAY::{}|:x", "ARRAY::|:{}", "ARRAY::ARRAY::{}", " \t\vARRAY::{}")
"""It would tell these as lists, or as something else."""


@pytest.fixture
def module(module_factory: ModuleFactory) -> Module:
    """With a publisher of everything that holds everything, and an API that does nearly everything."""
    return module_factory(configuration(publisher(("replay-mb", "100")), api=api(("allow", ALLOW))))


@pytest.fixture
def caller(module: Module) -> Iterator[Caller]:
    with Caller(module.api_endpoint()) as caller:
        yield caller


@pytest.fixture
def ear(module: Module) -> Iterator[Eavesdropper]:
    with Eavesdropper(module.endpoint(), module.switch) as ear:
        yield ear


def nobody_heard(secret: str, ear: Eavesdropper, caller: Caller, module: Module) -> None:
    """Fails when a subscriber, or a replay, has that word in an event."""
    ear.caught_up()
    assert ear.of(secret) == []
    pages = held(caller, module)
    assert not any(secret.encode() in page for page in pages)
    assert any(b"test::mark" in page for page in pages)


def test_arguments_and_outputs(module: Module, caller: Caller, ear: Eavesdropper) -> None:
    secret = secrets.token_hex(16)
    for text in ODD:
        args = text.format(secret, secret)
        said = caller.call("api", command="echo", args=args)["output"]
        assert said == args.strip(" \t\v"), text
        assert caller.code("api", command="show", args=args) == -32003, text
        assert caller.code("api", command=f"no_{secret}", args=args) == -32003, text
    for text in LISTS:
        for method in ("api", "bgapi"):
            assert caller.code(method, command="echo", args=text.format(secret)) == -32602, text
    nobody_heard(secret, ear, caller, module)
    # What runs in the background is everybody's, so whoever listens hears it.
    job = caller.call("bgapi", command="echo", args=secret)["job_uuid"]
    assert {"API", "BACKGROUND_JOB"} == {event["Event-Name"] for event in ear.wait_for(secret, 3)}
    assert [event["_body"] for event in ear.of(job) if event["Event-Name"] == "BACKGROUND_JOB"] == [secret]
    assert module.status()["errors"] == 0


def test_from_many_callers_under_load(module: Module, caller: Caller, ear: Eavesdropper) -> None:
    secret, held = secrets.token_hex(16), Hold(module.switch)

    def ask(number: int) -> None:
        with Caller(module.api_endpoint(), zmq.DEALER) as caller:
            wanted: dict[int, str] = {}
            for each in range(60):
                text = f"{secret} {number} {each}"
                wanted[caller.send("api", {"command": "echo", "args": text})] = text
                # It answers in time or it doesn't, and the output comes to nobody then.
                if each % 2:
                    caller.send("api", {"command": "msleep", "args": f"300 {secret} {each}", "timeout": 60})
                else:
                    caller.send("api", held.params(secret, each, timeout=0.1))
            answers = caller.answers(120)
            assert {key: answers[key]["result"]["output"] for key in wanted} == wanted
            codes = [answer["error"]["code"] for answer in answers.values() if "error" in answer]
            assert codes == [-32002] * 30

    with Load(module.switch):
        failures = in_threads(ask, 6)
    held.release()
    assert failures == []
    module.wait(module.api, lambda now: now["pending"] == 0)
    assert module.api()["late"] == 180
    nobody_heard(secret, ear, caller, module)


def in_threads(function: object, count: int) -> list[BaseException]:
    """Runs it so many times at once, each with its number; what they raised."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            assert callable(function)
            function(number)
        except BaseException as error:  # noqa: BLE001  # told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_others_who_give_the_same_command_are_heard(module: Module, caller: Caller, ear: Eavesdropper) -> None:
    text = secrets.token_hex(16)
    with Caller(module.api_endpoint(), zmq.DEALER) as asking:
        for _ in range(100):
            asking.send("api", {"command": "echo", "args": text})
            assert module.switch.api(f"echo {text}") == text
        asking.answers(100)
    ear.caught_up()
    ear.wait_for(text, 100)
    assert len(ear.of(text)) == 100


def test_over_a_stop_and_a_start(module_factory: ModuleFactory) -> None:
    secret = secrets.token_hex(16)
    endpoint, asked = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    module = module_factory(
        configuration(publisher(("replay-mb", "10"), bind=endpoint), api=api(("allow", ALLOW), bind=asked))
    )
    held = Hold(module.switch)
    with module.switch.esl() as esl, Caller(asked, zmq.DEALER) as caller:
        esl.events("json BACKGROUND_JOB")
        for number in range(20):
            timeout = 0.1 if number % 2 else 60
            caller.send("api", held.params(secret, number, timeout=timeout))
        codes = [answer["error"]["code"] for answer in caller.answers(10).values()]
        assert codes == [-32002] * 10
        assert module.command("stop") == "+OK stopped"
        codes = [answer["error"]["code"] for answer in caller.answers(10).values()]
        assert codes == [-32005] * 10
        module.start()
        with Eavesdropper(endpoint, module.switch) as ear, Caller(asked) as other:
            held.release()  # now that somebody listens
            # FreeSWITCH has fired them: whoever may listen at the event socket has them.
            assert len(_of_jobs(esl, secret, 20)) == 20
            nobody_heard(secret, ear, other, module)
            assert other.call("api", command="echo", args=secret)["output"] == secret
            nobody_heard(secret, ear, other, module)
            caller.nothing(0)
    assert module.status()["errors"] == 0


def _of_jobs(esl: Esl, word: str, count: int) -> list[str]:
    """The first so many BACKGROUND_JOB events at the event socket that have it."""
    found: list[str] = []
    while message := esl.receive(30.0):
        if word in message.text:
            found.append(message.text)
            if len(found) == count:
                break
    return found


CLAIMS: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("Event-Calling-Function", "bgapi_exec"),),
    (("event-calling-function", "bgapi_exec"), ("Event-Calling-File", "mod_commands.c")),
    (("Event-Calling-Function", "bgapi_exec"), ("Event-UUID", "")),
    (("Event-UUID", ""), ("Event-UUID", ""), ("Event-Calling-Function", "bgapi_exec")),
    (("Event-Calling-Function", "bgapi_exec"), ("Event-UUID[0]", "")),
    (("Event-Calling-Function[0]", "bgapi_exec"),),
    (("Event-Calling-Function", "ARRAY::bgapi_exec"),),
    (("Event-Name", "BACKGROUND_JOB"), ("Event-Calling-Function", "bgapi_exec")),
)
"""What a forger may say of an event."""

FROM_WITHIN = [each for each in CLAIMS if "Event-Calling-Function[0]" not in dict(each)]
"""A script can take FreeSWITCH's own word out of an event, so or in other ways; but then it can do anything."""


def test_nobody_can_forge_an_answer(module: Module, caller: Caller, ear: Eavesdropper) -> None:
    """Who may send events and listen at the event socket knows the id of a command."""
    secret, forged = secrets.token_hex(16), secrets.token_hex(16)
    switch = module.switch
    held = Hold(switch)
    with switch.esl() as esl, Caller(module.api_endpoint(), zmq.DEALER) as victim:
        esl.events("json API")
        victim.send("api", held.params(secret, timeout=80))
        told = next(event for event in _api_events(esl) if event.get("API-Command") == "bgapi")
        job = told["API-Command-Argument"].split(" ")[0].removeprefix("uuid:")
        assert f"uuid:{job} python {held.args} {secret}" == told["API-Command-Argument"]
        headers = [("Job-UUID", job), ("Job-Command", "python"), ("Forged", forged)]
        for claims in CLAIMS:
            for given in ([*headers, *claims], [*claims, *headers]):
                switch.sendevent("BACKGROUND_JOB", given, b"forged")
                switch.sendevent("CUSTOM", [("Event-Subclass", "test::x"), *given], b"forged")
        _fire(module, [["BACKGROUND_JOB", "", [*headers, *claims], "forged"] for claims in FROM_WITHIN])
        caller.call("sendevent", name="BACKGROUND_JOB", headers=dict(headers), body="forged")
        for claims in CLAIMS[1:]:
            code = caller.code("sendevent", name="BACKGROUND_JOB", headers=dict([*headers, *claims]), body="forged")
            assert code == -32602, claims
        # An id that somebody chose himself is not taken while it is in use.
        assert caller.code("bgapi", command="echo", args="forged", job_uuid=job) == -32602
        # They all went out as anybody's, before the true answer came.
        count = 4 * len(CLAIMS) + len(FROM_WITHIN) + 1
        assert len(ear.wait_for(forged, count)) == count
        victim.nothing(0)
        held.release()
        (answer,) = victim.answers(1).values()
        assert answer["result"]["output"] == "+OK"
    nobody_heard(secret, ear, caller, module)
    assert module.api()["pending"] == 0


def test_forged_events_about_commands_make_no_true_one_known(module: Module, caller: Caller, ear: Eavesdropper) -> None:
    secret, forged = secrets.token_hex(16), secrets.token_hex(16)
    held = Hold(module.switch)
    about = [("API-Command", "python"), ("API-Command-Argument", f"{held.args} {secret}"), ("Forged", forged)]
    with ExitStack() as open_now:
        esl = open_now.enter_context(module.switch.esl())
        victims = [open_now.enter_context(Caller(module.api_endpoint())) for _ in range(5)]
        esl.events("json API")
        for victim in victims:
            victim.send("api", held.params(secret, timeout=80))
        job = next(event for event in _api_events(esl) if event.get("API-Command") == "bgapi")["API-Command-Argument"]
        of_bgapi = [("API-Command", "bgapi"), ("API-Command-Argument", job), ("Forged", forged)]
        for each in CLAIMS:
            claims = [(name, value.replace("bgapi_exec", "switch_api_execute")) for name, value in each]
            for headers in (about, of_bgapi):
                module.switch.sendevent("API", [*claims, *headers])
                if each in FROM_WITHIN:
                    _fire(module, [["API", "", [*headers, *claims], None]])
        caller.call("sendevent", name="API", headers=dict(about))
        held.release()
        for victim in victims:
            assert victim.receive()["result"]["output"] == "+OK"
    ear.caught_up()
    assert len(ear.of(forged)) == 2 * (len(CLAIMS) + len(FROM_WITHIN)) + 1
    assert all("Forged" in event for event in ear.of(secret)), ear.of(secret)


def _api_events(esl: Esl) -> Iterator[dict[str, str]]:
    while message := esl.receive(30.0):
        yield message.event()


def _fire(module: Module, events: list[list[object]]) -> None:
    """As a script inside FreeSWITCH does."""
    file = module.switch.root / "fire.json"
    file.write_text(json.dumps(events), "utf-8")
    assert module.switch.api(f"python script_fire {file}").strip() == "+OK"


def test_what_status_asks_for_is_not_told(module: Module, caller: Caller, ear: Eavesdropper) -> None:
    for _ in range(100):
        caller.call("status")
    ear.caught_up()
    commands = {event.get("API-Command") for event in ear.of('"Event-Name":"API"')}
    assert commands <= {"python"}, commands
    with pytest.raises(RpcFailure, match="may not"):
        caller.call("bgapi", command="status")
