"""`<callouts>` and `<xml-bindings>`: what they mean, and the one line that comes of each mistake."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from freeswitch_zmq.certificate import parse_public_key
from freeswitch_zmq.module.config import parse_config
from freeswitch_zmq.module.schema import CALLOUT, XML_BINDING, CalloutConfig, XmlBindingConfig
from tests.support.keys import access, new_secret_file
from tests.unit.configurations import config, configuration, param, publisher
from tests.unit.test_config_mistakes import HEX, OWN_KEY, problems, said

AT = param("endpoint", "tcp://127.0.0.1:5558")
SOME = AT + param("bindings", "directory")
CALLOUT_PARAMS = (
    "endpoint, timeout-ms, max-turns, variables, allow-applications, allow-variables, allow-expressions, "
    "max-message-bytes, server-public-key"
)
BINDING_PARAMS = (
    "bindings, endpoint, timeout-ms, response-max-bytes, cache-ttl-ms, cache-stale-ms, circuit-breaker-ms, "
    "server-public-key"
)


def callouts(*elements: str) -> str:
    return f"<callouts>{''.join(elements)}</callouts>"


def callout(*params: str, name: str = "ivr") -> str:
    return f'<callout name="{name}">{"".join(params)}</callout>'


def bindings(*elements: str) -> str:
    return f"<xml-bindings>{''.join(elements)}</xml-bindings>"


def binding(*params: str, name: str = "users") -> str:
    return f'<binding name="{name}">{"".join(params)}</binding>'


def whole(section: str) -> str:
    return configuration(publisher(), api=section)


# What they mean.


def test_without_them_there_are_none() -> None:
    for section in ("", callouts(), bindings(), "<callouts/><xml-bindings/>"):
        found = config(publisher(), api=section)
        assert (found.callouts, found.xml_bindings) == ((), ())


def test_every_parameter_has_a_field_and_every_field_a_parameter() -> None:
    assert [field.name for field in fields(CalloutConfig)] == ["name", *(each.field for each in CALLOUT)]
    assert [field.name for field in fields(XmlBindingConfig)] == ["name", *(each.field for each in XML_BINDING)]


def test_the_defaults_of_a_callout() -> None:
    [found] = config(publisher(), api=callouts(callout(AT))).callouts
    assert (found.name, found.endpoint) == ("ivr", ("tcp://127.0.0.1:5558",))
    assert (found.timeout_ms, found.max_turns, found.max_message_bytes) == (2000, 100, 1048576)
    assert (found.variables, found.allow_variables, found.allow_expressions) == ((), ("*",), False)
    assert "answer" in found.allow_applications
    assert not {"system", "lua", "python", "*"} & set(found.allow_applications)
    assert found.server_public_key is None


def test_the_defaults_of_a_binding() -> None:
    assert config(publisher(), api=bindings(binding(SOME))).xml_bindings == (
        XmlBindingConfig(
            name="users",
            bindings=("directory",),
            endpoint=("tcp://127.0.0.1:5558",),
            timeout_ms=1000,
            response_max_bytes=1048576,
            cache_ttl_ms=0,
            cache_stale_ms=0,
            circuit_breaker_ms=10_000,
            server_public_key=None,
        ),
    )


def test_everything_at_once(tmp_path: Path) -> None:
    asks = callout(
        param("endpoint", "tcp://127.0.0.1:5558"),
        param("endpoint", "ipc:///run/ivr"),
        param("timeout-ms", "600000"),
        param("max-turns", "1"),
        param("variables", "caller_*, language"),
        param("variables", "domain_name"),
        param("allow-applications", "answer,play*"),
        param("allow-applications", "hangup"),
        param("allow-variables", "crm_*"),
        param("allow-expressions", "true"),
        param("max-message-bytes", "1"),
        param("server-public-key", HEX),
        name="a.b-c_1",
    )
    looks = binding(
        param("bindings", "directory | dialplan|configuration|languages|chatplan"),
        param("endpoint", "inproc://x"),
        param("timeout-ms", "1"),
        param("response-max-bytes", "1073741824"),
        param("cache-ttl-ms", "2147483648"),
        param("cache-stale-ms", "1099511627776"),
        param("circuit-breaker-ms", "600000"),
        param("server-public-key", HEX),
    )
    found = config(publisher(), api=callouts(asks) + bindings(looks), access=access(new_secret_file(tmp_path).path))
    assert found.callouts == (
        CalloutConfig(
            name="a.b-c_1",
            endpoint=("tcp://127.0.0.1:5558", "ipc:///run/ivr"),
            timeout_ms=600_000,
            max_turns=1,
            variables=("caller_*", "language", "domain_name"),
            allow_applications=("answer", "play*", "hangup"),
            allow_variables=("crm_*",),
            allow_expressions=True,
            max_message_bytes=1,
            server_public_key=bytes.fromhex(HEX),
        ),
    )
    assert found.xml_bindings == (
        XmlBindingConfig(
            name="users",
            bindings=("directory", "dialplan", "configuration", "languages", "chatplan"),
            endpoint=("inproc://x",),
            timeout_ms=1,
            response_max_bytes=2**30,
            cache_ttl_ms=2**31,
            cache_stale_ms=2**40,
            circuit_breaker_ms=600_000,
            server_public_key=bytes.fromhex(HEX),
        ),
    )


def test_empty_lists_grant_nothing() -> None:
    names = ("variables", "allow-applications", "allow-variables")
    [found] = parse_config(whole(callouts(callout(AT + "".join(param(name, "") for name in names))))).callouts
    assert (found.variables, found.allow_applications, found.allow_variables) == ((), (), ())


def test_several_keep_their_order_and_may_share_an_endpoint_and_a_name() -> None:
    names = ["z", "a", "m"]
    section = callouts(*[callout(AT, name=name) for name in names])
    section += bindings(binding(SOME, name="z")) + bindings(binding(SOME, name="a"), binding(SOME, name="m"))
    found = config(publisher(), api=section)
    assert [each.name for each in found.callouts] == names
    assert [each.name for each in found.xml_bindings] == names


# What is wrong.

IN_BOTH = {
    "no endpoint": (
        "",
        'needs a param "endpoint": where the service listens, such as tcp://127.0.0.1:5558',
    ),
    "no address": (
        param("endpoint", "5558"),
        'endpoint: "5558" is not an endpoint such as tcp://127.0.0.1:5556 or ipc:///run/events',
    ),
    "the same endpoint twice": (
        AT + AT,
        'endpoint: "tcp://127.0.0.1:5558" stands there twice; leave one',
    ),
    "no time at all": (
        AT + param("timeout-ms", "0"),
        'timeout-ms: "0" is not a whole number from 1 to 600000',
    ),
    "a time with its unit": (
        AT + param("timeout-ms", "1s"),
        'timeout-ms: "1s" is not a whole number from 1 to 600000',
    ),
    "twice what can be there once": (
        AT + param("timeout-ms", "5") + param("timeout-ms", "6"),
        '"timeout-ms" stands there twice; leave one',
    ),
    "no key": (
        AT + param("server-public-key", "abc"),
        f"server-public-key: {said(parse_public_key, 'abc')}",
    ),
    "a key without one's own": (
        AT + param("server-public-key", HEX),
        f"server-public-key: {OWN_KEY}",
    ),
    "an element of another kind": (
        AT + "<endpoint/>",
        "there is no element <endpoint>; known are: param",
    ),
    "text": (
        AT + "ask me",
        'the text "ask me" means nothing here; take it out',
    ),
}  # fmt: skip

IN_A_CALLOUT = {
    "a parameter of a binding": (
        AT + param("cache-ttl-ms", "5"),
        f'there is no parameter "cache-ttl-ms"; known are: {CALLOUT_PARAMS}',
    ),
    "no turn": (
        AT + param("max-turns", "0"),
        'max-turns: "0" is not a whole number from 1 to 1000000',
    ),
    "a hole in the names": (
        AT + param("variables", "a,,b"),
        'variables: "" is no name or pattern; names are separated by single commas',
    ),
    "an application with its argument": (
        AT + param("allow-applications", "playback x"),
        'allow-applications: "playback x" is no name or pattern; names are separated by single commas',
    ),
    "no pattern": (
        AT + param("allow-variables", "${x}"),
        'allow-variables: "${x}" is no name or pattern; names are separated by single commas',
    ),
    "neither true nor false": (
        AT + param("allow-expressions", "perhaps"),
        'allow-expressions: "perhaps" is neither true nor false',
    ),
    "an answer without a byte": (
        AT + param("max-message-bytes", "0"),
        'max-message-bytes: "0" is not a whole number from 1 to 2147483647',
    ),
}  # fmt: skip

IN_A_BINDING = {
    "a parameter of a callout": (
        SOME + param("max-turns", "5"),
        f'there is no parameter "max-turns"; known are: {BINDING_PARAMS}',
    ),
    "no section": (
        AT,
        'needs a param "bindings": what it answers, such as directory or dialplan|configuration',
    ),
    "an unknown section": (
        AT + param("bindings", "directory|phrases"),
        'bindings: "phrases" is not one of: directory, dialplan, configuration, languages, chatplan (several are '
        "joined with |)",
    ),
    "sections with commas": (
        AT + param("bindings", "directory,dialplan"),
        'bindings: "directory,dialplan" is not one of: directory, dialplan, configuration, languages, chatplan '
        "(several are joined with |)",
    ),
    "a section twice": (
        AT + param("bindings", "directory|directory"),
        'bindings: "directory|directory" names something twice; leave one',
    ),
    "a document without a byte": (
        SOME + param("response-max-bytes", "0"),
        'response-max-bytes: "0" is not a whole number from 1 to 1073741824',
    ),
    "a negative time": (
        SOME + param("cache-ttl-ms", "-1"),
        'cache-ttl-ms: "-1" is not a whole number from 0 to 2147483648',
    ),
    "for ever": (
        SOME + param("cache-stale-ms", "1099511627777"),
        'cache-stale-ms: "1099511627777" is not a whole number from 0 to 1099511627776',
    ),
    "a breaker that is open for too long": (
        SOME + param("circuit-breaker-ms", "600001"),
        'circuit-breaker-ms: "600001" is not a whole number from 0 to 600000',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("params", "problem"), [*IN_BOTH.values(), *IN_A_CALLOUT.values()])
def test_a_mistake_in_a_callout(params: str, problem: str) -> None:
    assert problems(whole(callouts(callout(params)))) == [f'<callout name="ivr">: {problem}']


@pytest.mark.parametrize(("params", "problem"), IN_BOTH.values(), ids=IN_BOTH.keys())
def test_a_mistake_in_a_binding_that_a_callout_can_have_too(params: str, problem: str) -> None:
    found = problems(whole(bindings(binding(params + param("bindings", "directory")))))
    assert found == [f'<binding name="users">: {problem}']


@pytest.mark.parametrize(("params", "problem"), IN_A_BINDING.values(), ids=IN_A_BINDING.keys())
def test_a_mistake_in_a_binding(params: str, problem: str) -> None:
    assert problems(whole(bindings(binding(params)))) == [f'<binding name="users">: {problem}']


AROUND = {
    "a name that is none": (
        callouts(callout(AT, name="a b")),
        '<callout name="a b">: needs a name="…" of letters, digits, dots, hyphens and underscores',
    ),
    "no name": (
        bindings(f"<binding>{SOME}</binding>"),
        '<binding name="">: needs a name="…" of letters, digits, dots, hyphens and underscores',
    ),
    "a name twice": (
        callouts(callout(AT), callout(AT)),
        '<callout name="ivr">: stands there twice; give each callout a name of its own',
    ),
    "a name twice in two parts": (
        bindings(binding(SOME)) + bindings(binding(SOME)),
        '<binding name="users">: stands there twice; give each binding a name of its own',
    ),
    "an attribute": (
        callouts(f'<callout name="ivr" endpoint="x">{AT}</callout>'),
        '<callout name="ivr">: there is no attribute "endpoint"; known are: name',
    ),
    "a callout among the bindings": (
        bindings(callout(AT)),
        "<xml-bindings>: there is no element <callout>; known are: binding",
    ),
    "a param without a callout": (
        callouts(AT),
        "<callouts>: there is no element <param>; known are: callout",
    ),
    "an attribute of all": (
        '<callouts name="x"/>',
        '<callouts>: there is no attribute "name"; none is known here',
    ),
    "a misspelt section": (
        "<xml-binding/>",
        '<configuration>: there is no element <xml-binding> (did you mean "xml-bindings"?)',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("section", "problem"), AROUND.values(), ids=AROUND.keys())
def test_a_mistake_around_them(section: str, problem: str) -> None:
    assert problems(whole(section)) == [problem]


def test_all_mistakes_are_told_at_once_with_their_places() -> None:
    section = callouts(callout(param("timeout-ms", "x"), param("max-turns", "y")), callout(name="b"))
    section += bindings(binding(param("bindings", "x"), AT), binding(AT, name="c"))
    places = [problem.split(": ")[0] for problem in problems(whole(section))]
    assert places == [
        '<callout name="ivr">',
        '<callout name="ivr">',
        '<callout name="b">',
        '<binding name="users">',
        '<binding name="c">',
    ]


def test_they_may_stand_at_any_place() -> None:
    section = callouts(callout(AT)) + bindings(binding(SOME))
    at_the_end = whole(section)
    first = at_the_end.replace(section, "").replace("<settings>", section + "<settings>")
    assert parse_config(first) == parse_config(at_the_end)
