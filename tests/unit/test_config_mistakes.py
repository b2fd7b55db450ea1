from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest
import zmq

from freeswitch_zmq.certificate import parse_public_key, read_secret_certificate
from freeswitch_zmq.errors import ConfigError
from freeswitch_zmq.module.config import parse_config
from freeswitch_zmq.permissions import parse_permissions
from tests.support.keys import SecretFile, access, new_secret_file
from tests.unit.configurations import configuration, param, publisher

P = '<publisher name="default">'
EVENTS = "threaded-system-exec, io-threads, ipv6"
HEX = "0a1b" * 16
OWN_KEY = (
    "needs the switch's own key: make one with `fszmq keygen --server` and name its file in <access> as "
    "server-secret-key-file"
)


def said(read: Callable[[str], object], text: str) -> str:
    """What is wrong about it in the words of who reads it; of them only the place is ours."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # whatever it says
        read(text)
    assert len(str(caught.value)) > 20
    return str(caught.value)


def problems(xml: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(xml)
    assert str(caught.value) == "; ".join(caught.value.problems)
    return list(caught.value.problems)


# What stands in a publisher, and the one line that comes of it.
IN_A_PUBLISHER = {
    "a parameter's name misspelt": (
        param("queue_size", "5"),
        'there is no parameter "queue_size" (did you mean "queue-size"?)',
    ),
    "a parameter of another place": (
        param("io-threads", "2"),
        'there is no parameter "io-threads"; known are: bind, connect, framing, format-fields, event-filter, '
        "event-exclude, header-filter, fields, queue-size, send-hwm, replay-mb, replay-events, apply-inbound-acl, "
        "security, server-public-key, handshake-ms, max-message-bytes",
    ),
    "a parameter in other case": (
        param("Framing", "topic"),
        'there is no parameter "Framing" (did you mean "framing"?)',
    ),
    "a word that is not one of two": (
        param("framing", "multi"),
        'framing: "multi" is not one of: single, topic',
    ),
    "no number": (
        param("queue-size", "many"),
        'queue-size: "many" is not a whole number from 1 to 10000000',
    ),
    "a number too small": (
        param("send-hwm", "0"),
        'send-hwm: "0" is not a whole number from 1 to 10000000',
    ),
    "a number too large": (
        param("max-message-bytes", "2147483648"),
        'max-message-bytes: "2147483648" is not a whole number from 1 to 2147483647',
    ),
    "no value at all": (
        param("handshake-ms", ""),
        'handshake-ms: "" is not a whole number from 1 to 600000',
    ),
    "an event that FreeSWITCH has not": (
        param("event-filter", "CHANNEL_CREATE,CHANNEL_ANSWERED"),
        'event-filter: FreeSWITCH has no event "CHANNEL_ANSWERED" (did you mean "CHANNEL_ANSWER"?)',
    ),
    "the same to be left out": (
        param("event-exclude", "HEARTBEAT,,API"),
        'event-exclude: "HEARTBEAT,,API" has an empty name in it; put single commas between the names',
    ),
    "a header filter of another form": (
        param("header-filter", "Call-Direction: inbound"),
        'header-filter: "Call-Direction: inbound" is not of the form "Header = value" (or !=, or ~ and !~ with a '
        "regex)",
    ),
    "a broken regex": (
        param("header-filter", "Caller-ANI ~ ^(49"),
        'header-filter: "^(49" is not a regular expression that Python takes: missing ), unterminated subpattern at '
        "position 1",
    ),
    "a regex with a number too large": (
        param("header-filter", "A ~ x{99999999999999999999}"),
        'header-filter: "x{99999999999999999999}" is not a regular expression that Python takes: the repetition '
        "number is too large",
    ),
    "a comparison as in other languages": (
        param("header-filter", "Direction == inbound"),
        'header-filter: "Direction == inbound" is not of the form "Header = value" (or !=, or ~ and !~ with a regex)',
    ),
    "a subclass as the event socket has it": (
        param("event-filter", "HEARTBEAT,CUSTOM sofia::register"),
        'event-filter: "CUSTOM sofia::register" has a space in it; put commas between the names, a subclass is '
        "CUSTOM^name",
    ),
    "fields with a hole": (
        param("fields", "Unique-ID,,Caller-*"),
        'fields: "Unique-ID,,Caller-*" has an empty name in it; put single commas between the header names',
    ),
    "a topic with a hole": (
        param("format-fields", "Event-Name,"),
        'format-fields: "Event-Name," has an empty field; give header names separated by single commas',
    ),
    "no endpoint": (
        param("bind", "*:5556"),
        'bind: "*:5556" is not an endpoint such as tcp://127.0.0.1:5556 or ipc:///run/events',
    ),
    "a port too large": (
        param("bind", "tcp://*:70000"),
        'bind: "tcp://*:70000": the port is not from 1 to 65535 (tcp://HOST:* takes any free one)',
    ),
    "multicast to be bound": (
        param("bind", "epgm://eth0;239.192.1.1:5555"),
        'bind: "epgm://eth0;239.192.1.1:5555": bind takes tcp://, ipc://, inproc://, tipc://; multicast goes with '
        "connect",
    ),
    "to connect to anything": (
        param("connect", "tcp://*:5556"),
        'connect: "tcp://*:5556": to connect takes an address and a port, not *',
    ),
    "no network": (
        param("apply-inbound-acl", "192.0.2.7/24"),
        'apply-inbound-acl: "192.0.2.7/24" is neither a list of acl.conf.xml nor a network such as 192.0.2.0/24: '
        "192.0.2.7/24 has host bits set",
    ),
    "several networks in one": (
        param("apply-inbound-acl", "192.0.2.0/24,198.51.100.0/24"),
        'apply-inbound-acl: "192.0.2.0/24,198.51.100.0/24" is neither a list of acl.conf.xml nor a network such as '
        "192.0.2.0/24; repeat the parameter for several",
    ),
    "a list that is not there": (
        param("apply-inbound-acl", "lan"),
        'apply-inbound-acl: acl.conf.xml has no list "lan"; add it there, or name a network such as 192.0.2.0/24',
    ),
    "a list of FreeSWITCH's own misspelt": (
        param("apply-inbound-acl", "rfc1918"),
        'apply-inbound-acl: acl.conf.xml has no list "rfc1918" (did you mean "rfc1918.auto"?)',
    ),
    "another security": (
        param("security", "plain"),
        'security: "plain" is not one of: null, curve',
    ),
    "encryption without a key of one's own": (
        param("security", "curve"),
        f"security: curve {OWN_KEY}",
    ),
    "a collector's key without one of one's own": (
        param("connect", "tcp://192.0.2.1:5560") + param("server-public-key", HEX),
        f"server-public-key: {OWN_KEY}",
    ),
    "no key of a collector": (
        param("connect", "tcp://192.0.2.1:5560") + param("server-public-key", "collector"),
        f"server-public-key: {said(parse_public_key, 'collector')}",
    ),
    "replay": (
        param("replay-mb", "1.5"),
        'replay-mb: "1.5" is not a whole number from 0 to 1000000',
    ),
    "twice what can be there once": (
        param("framing", "topic") + param("framing", "single"),
        '"framing" stands there twice; leave one',
    ),
    "twice the same": (
        param("bind", "ipc:///run/a") + param("bind", "ipc:///run/a"),
        'bind: "ipc:///run/a" stands there twice; leave one',
    ),
    "no value": (
        '<param name="framing"/>',
        'a param needs both name="…" and value="…"',
    ),
    "no name": (
        '<param value="topic"/>',
        'a param needs both name="…" and value="…"',
    ),
    "an attribute misspelt": (
        '<param name="framing" value="topic" vlaue="x"/>',
        '<param>: there is no attribute "vlaue" (did you mean "value"?)',
    ),
    "an element misspelt": (
        '<parm name="framing" value="topic"/>',
        'there is no element <parm> (did you mean "param"?)',
    ),
    "an element of another kind": (
        "<bind>tcp://*:5556</bind>",
        "there is no element <bind>; known are: param",
    ),
    "text": (
        param("framing", "topic") + "framing = topic",
        'the text "framing = topic" means nothing here; take it out',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("params", "problem"), IN_A_PUBLISHER.values(), ids=IN_A_PUBLISHER.keys())
def test_a_mistake_in_a_publisher(params: str, problem: str) -> None:
    place = f"{P} " if problem.startswith("<param>") else f"{P}: "
    assert problems(configuration(publisher(params))) == [place + problem]


IN_SETTINGS = {
    "a word that is not one of two": (
        param("threaded-system-exec", "true"),
        '<settings>: threaded-system-exec: "true" is not one of: enforce, require',
    ),
    "too many threads": (
        param("io-threads", "17"),
        '<settings>: io-threads: "17" is not a whole number from 1 to 16',
    ),
    "neither true nor false": (
        param("ipv6", "maybe"),
        '<settings>: ipv6: "maybe" is neither true nor false',
    ),
    "a publisher's parameter": (
        param("bind", "tcp://*:5556"),
        f'<settings>: there is no parameter "bind"; known are: {EVENTS}',
    ),
    "an unknown element": (
        "<setting/>",
        '<settings>: there is no element <setting>; known are: param',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "problem"), IN_SETTINGS.values(), ids=IN_SETTINGS.keys())
def test_a_mistake_in_the_settings(settings: str, problem: str) -> None:
    assert problems(configuration(publisher(), settings=settings)) == [problem]


def whole(inside: str, attributes: str = 'name="event_zmq.conf"') -> str:
    return f"<configuration {attributes}>{inside}</configuration>"


NO_PUBLISHER = '<publishers>: there is no publisher; add <publisher name="default"/>'
ONE = f"<publishers>{publisher()}</publishers>"

OF_THE_WHOLE = {
    "nothing": (whole(""), NO_PUBLISHER),
    "no publisher": (configuration(), NO_PUBLISHER),
    "a section misspelt": (
        whole("<publisher name='default'/>"),
        '<configuration>: there is no element <publisher> (did you mean "publishers"?)',
    ),
    "a section of a later version": (
        whole(ONE + "<queues/>"),
        "<configuration>: there is no element <queues>; known are: settings, publishers, api, callouts, xml-bindings, "
        "access",
    ),
    "an attribute of the whole": (
        whole(ONE, 'nane="event_zmq.conf"'),
        '<configuration>: there is no attribute "nane" (did you mean "name"?)',
    ),
    "an attribute of a section": (
        whole('<publishers name="x"><publisher name="default"/></publishers>'),
        '<publishers>: there is no attribute "name"; none is known here',
    ),
    "an attribute of a publisher": (
        configuration('<publisher name="default" bind="tcp://*:5556"/>'),
        f'{P}: there is no attribute "bind"; known are: name',
    ),
    "something else among the publishers": (
        configuration(publisher(), param("framing", "topic")),
        "<publishers>: there is no element <param>; known are: publisher",
    ),
    "a publisher without a name": (
        configuration("<publisher/>"),
        '<publisher name="">: needs a name="…" of letters, digits, dots, hyphens and underscores',
    ),
    "a publisher with a strange name": (
        configuration(publisher(name="my events")),
        '<publisher name="my events">: needs a name="…" of letters, digits, dots, hyphens and underscores',
    ),
    "two of a name": (
        configuration(publisher(), publisher(param("bind", "tcp://*:5557"))),
        f"{P}: stands there twice; give each publisher a name of its own",
    ),
    "two at one place": (
        configuration(
            publisher(param("bind", "tcp://*:5557"), name="a"), publisher(param("bind", "tcp://*:5557"), name="b")
        ),
        '<publisher name="b">: bind: "tcp://*:5557" is taken by publisher "a"; give it another port',
    ),
    "one at a place that is another's too": (
        configuration(
            publisher(param("bind", "tcp://*:5557"), name="a"),
            publisher(param("bind", "tcp://127.0.0.1:5557"), name="b"),
        ),
        '<publisher name="b">: bind: "tcp://127.0.0.1:5557" is taken by publisher "a"; give it another port',
    ),
    "the same for one publisher": (
        configuration(publisher(param("bind", "tcp://127.0.0.1:5557"), param("bind", "tcp://0.0.0.0:5557"))),
        f'{P}: bind: "tcp://0.0.0.0:5557" is taken by publisher "default"; give it another port',
    ),
    "two at the place that is the default": (
        configuration(publisher(name="a"), publisher(name="b")),
        '<publisher name="b">: bind: "tcp://*:5556" is taken by publisher "a"; give it another port',
    ),
    "text in the whole": (
        whole("hello" + ONE + "world"),
        '<configuration>: the text "hello world" means nothing here; take it out',
    ),
    "text without end": (
        whole(ONE.replace("<publishers>", "<publishers>" + "x" * 100)),
        f'<publishers>: the text "{"x" * 40}" means nothing here; take it out',
    ),
    "not well-formed": (
        "<configuration>",
        "FreeSWITCH gave a configuration that is not well-formed XML: no element found: line 1, column 15",
    ),
    "no XML": (
        "-ERR no reply\n",
        "FreeSWITCH gave a configuration that is not well-formed XML: syntax error: line 1, column 0",
    ),
}


@pytest.mark.parametrize(("xml", "problem"), OF_THE_WHOLE.values(), ids=OF_THE_WHOLE.keys())
def test_a_mistake_in_the_whole(xml: str, problem: str) -> None:
    assert problems(xml) == [problem]


# In <access>, where a publisher "default" is there, and the key file that belongs to it.


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> SecretFile:
    return new_secret_file(tmp_path_factory.mktemp("keys"))


def a_key(**attributes: str) -> str:
    """A `<key>` without a mistake, but for these attributes; an empty one is left out."""
    given = {"name": "crm", "public_key": HEX, "publishers": "default", **attributes}
    words = [f"{name.replace('_', '-')}={quoteattr(value)}" for name, value in given.items() if value]
    return f"<key {' '.join(words)}/>"


K = '<key name="crm">'

IN_ACCESS = {
    "a parameter misspelt": (
        param("server-secret-key", "/x"),
        '<access>: there is no parameter "server-secret-key" (did you mean "server-secret-key-file"?)',
    ),
    "a parameter of another place": (
        param("security", "curve"),
        '<access>: there is no parameter "security"; known are: server-secret-key-file',
    ),
    "a key file that is not there": (
        param("server-secret-key-file", "/nonexistent/x.key_secret"),
        f"<access>: server-secret-key-file: {said(read_secret_certificate, '/nonexistent/x.key_secret')}",
    ),
    "an element misspelt": (
        "<keys/>",
        '<access>: there is no element <keys> (did you mean "key"?)',
    ),
    "an element of another kind": (
        "<publisher/>",
        "<access>: there is no element <publisher>; known are: param, key",
    ),
    "text": (
        a_key() + "crm",
        "<access>: the text means nothing here; take it out",
    ),
    "a key without a name": (
        a_key(name=""),
        '<key name="">: needs a name="…" of letters, digits, dots, hyphens and underscores',
    ),
    "a key with a strange name": (
        a_key(name="my crm"),
        '<key name="my crm">: needs a name="…" of letters, digits, dots, hyphens and underscores',
    ),
    "two of a name": (
        a_key() + a_key(public_key="ab" * 32),
        f"{K}: stands there twice; give each key a name of its own",
    ),
    "two of a key": (
        a_key() + a_key(name="other", public_key=HEX.upper()),
        '<key name="other">: has the same public-key as "crm"; leave one, or make another pair',
    ),
    "no key": (
        a_key(public_key=""),
        f'{K}: needs a public-key="…"; the peer makes one with: fszmq keygen',
    ),
    "an empty key": (
        a_key(public_key=" "),
        f"{K}: public-key: {said(parse_public_key, '')}",
    ),
    "a key with a digit too few": (
        a_key(public_key=HEX[:-1]),
        f"{K}: public-key: {said(parse_public_key, HEX[:-1])}",
    ),
    "the name of a file": (
        a_key(public_key="/etc/freeswitch/tls/crm.key"),
        f"{K}: public-key: {said(parse_public_key, '/etc/freeswitch/tls/crm.key')}",
    ),
    "a publisher that is not there": (
        a_key(publishers="default,defualt"),
        f'{K}: publishers: there is no publisher "defualt" (did you mean "default"?)',
    ),
    "a publisher of quite another name": (
        a_key(publishers="*"),
        f'{K}: publishers: there is no publisher "*"; known are: default',
    ),
    "an attribute misspelt": (
        a_key(publisher="default"),
        f'{K}: there is no attribute "publisher" (did you mean "publishers"?)',
    ),
    "an attribute of another kind": (
        a_key(secret_key="x"),
        f'{K}: there is no attribute "secret-key"; known are: name, public-key, publishers, allow',
    ),
    "an unknown permission": (
        a_key(allow="ping,reboot:now"),
        f"{K}: allow: {said(parse_permissions, 'ping,reboot:now')}",
    ),
    "a hole in the permissions": (
        a_key(allow="ping,,status"),
        f"{K}: allow: {said(parse_permissions, 'ping,,status')}",
    ),
    "something in a key": (
        a_key().replace("/>", "><param/></key>"),
        f"{K}: there is no element <param>; none is known here",
    ),
    "text in a key": (
        a_key().replace("/>", f">{HEX}</key>"),
        f"{K}: the text means nothing here; take it out",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("inside", "problem"), IN_ACCESS.values(), ids=IN_ACCESS.keys())
def test_a_mistake_in_access(inside: str, problem: str) -> None:
    assert problems(configuration(publisher(), access=f"<access>{inside}</access>")) == [problem]


def test_an_attribute_of_access() -> None:
    assert problems(configuration(publisher(), access='<access mode="strict"/>')) == [
        '<access>: there is no attribute "mode"; none is known here'
    ]


def test_a_key_file_is_named_once(server: SecretFile) -> None:
    one = param("server-secret-key-file", str(server.path))
    for section in (f"<access>{one}{one}</access>", f"<access>{one}</access>" * 2):
        assert problems(configuration(publisher(), access=section)) == [
            '<access>: "server-secret-key-file" stands there twice; leave one'
        ]


def test_a_key_file_that_others_can_read(tmp_path: Path) -> None:
    secret_file = new_secret_file(tmp_path)
    secret_file.path.chmod(0o640)
    [problem] = problems(configuration(publisher(), access=access(secret_file.path)))
    assert problem == f"<access>: server-secret-key-file: {said(read_secret_certificate, str(secret_file.path))}"


def test_a_secret_key_at_a_wrong_place_is_not_told_on(server: SecretFile) -> None:
    # Everybody can read the log, and the console too.
    secret = server.pair.secret.decode()
    wrong = [
        *(
            (param("server-public-key", text), a_key(public_key=text))
            for text in (secret + "x", f" {secret}x", f"secret-key={secret}", secret[:-1])
        ),
        ("", param("server-secret-key-file", secret)),
        ("", escape(secret)),
        ("", a_key().replace("/>", f">{escape(secret)}</key>")),
    ]
    for in_publisher, in_access in wrong:
        xml = configuration(publisher(in_publisher), access=f"<access>{in_access}</access>")
        with pytest.raises(ConfigError) as caught:
            parse_config(xml)
        assert secret[:30] not in str(caught.value)


WITH_KEYS = {
    "a collector's key without connect": (
        param("server-public-key", HEX),
        "server-public-key: goes with connect; who subscribes here is told by <access>",
    ),
    "connect without the collector's key": (
        param("connect", "tcp://192.0.2.1:5560") + param("security", "curve"),
        "security: curve needs the collector's server-public-key for connect",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("params", "problem"), WITH_KEYS.values(), ids=WITH_KEYS.keys())
def test_what_does_not_fit_together_though_the_switch_has_its_key(
    server: SecretFile, params: str, problem: str
) -> None:
    assert problems(configuration(publisher(params), access=access(server.path))) == [f"{P}: {problem}"]


@pytest.mark.skipif(not zmq.has("pgm"), reason="this libzmq was built without pgm")
def test_multicast_can_not_be_encrypted(server: SecretFile) -> None:
    group = "epgm://127.0.0.1;239.192.1.1:5555"
    for params in (param("server-public-key", HEX), param("server-public-key", HEX) + param("security", "curve")):
        assert problems(configuration(publisher(param("connect", group), params), access=access(server.path))) == [
            f'{P}: connect: "{group}" can\'t be encrypted; give multicast a publisher of its own'
        ]


def test_a_list_is_looked_for_among_those_of_freeswitch_and_the_nearest_is_named() -> None:
    lists = ["lan", "dmz", "domains"]
    xml = configuration(
        publisher(param("apply-inbound-acl", "lan"), param("apply-inbound-acl", "domain"), name="a"),
        publisher(
            param("bind", "ipc:///b"), param("apply-inbound-acl", "LAN"), param("apply-inbound-acl", "dmz"), name="b"
        ),
    )
    with pytest.raises(ConfigError) as caught:
        parse_config(xml, lambda: lists)
    assert caught.value.problems == (
        '<publisher name="a">: apply-inbound-acl: acl.conf.xml has no list "domain" (did you mean "domains"?)',
        '<publisher name="b">: apply-inbound-acl: acl.conf.xml has no list "LAN"; add it there, or name a network '
        "such as 192.0.2.0/24",
    )


# One mistake is one line: what only follows from another is not told.


def test_a_mistake_in_a_publisher_is_none_in_a_key_that_names_it() -> None:
    xml = configuration(publisher(param("framing", "multi")), access=f"<access>{a_key()}</access>")
    assert problems(xml) == [f'{P}: framing: "multi" is not one of: single, topic']


def test_a_key_file_with_a_mistake_is_not_told_as_a_missing_one() -> None:
    section = f"<access>{param('server-secret-key-file', '/nonexistent/x')}</access>"
    told = problems(configuration(publisher(param("security", "curve")), access=section))
    assert [problem.split(": ")[0] for problem in told] == ["<access>"]


def test_all_mistakes_are_told_at_once_with_their_places() -> None:
    xml = configuration(
        publisher(param("framing", "multi"), param("qeue-size", "1"), param("bind", "nowhere"), name="a"),
        publisher(param("event-filter", "HARTBEAT"), "<x/>", name="b"),
        publisher(name="c d"),
        settings=param("io-threads", "none") + param("ipv6", "perhaps"),
    )
    assert problems(xml) == [
        '<settings>: io-threads: "none" is not a whole number from 1 to 16',
        '<settings>: ipv6: "perhaps" is neither true nor false',
        '<publisher name="a">: framing: "multi" is not one of: single, topic',
        '<publisher name="a">: there is no parameter "qeue-size" (did you mean "queue-size"?)',
        '<publisher name="a">: bind: "nowhere" is not an endpoint such as tcp://127.0.0.1:5556 or ipc:///run/events',
        '<publisher name="b">: there is no element <x>; known are: param',
        '<publisher name="b">: event-filter: FreeSWITCH has no event "HARTBEAT" (did you mean "HEARTBEAT"?)',
        '<publisher name="c d">: needs a name="…" of letters, digits, dots, hyphens and underscores',
    ]


def test_a_second_one_is_told_though_the_first_is_wrong() -> None:
    assert problems(configuration(publisher(param("framing", "multi"), param("framing", "topic")))) == [
        f'{P}: framing: "multi" is not one of: single, topic',
        f'{P}: "framing" stands there twice; leave one',
    ]


def test_two_wrong_values_of_a_repeatable_one_are_no_repetition() -> None:
    assert problems(configuration(publisher(param("bind", "here"), param("bind", "there")))) == [
        f'{P}: bind: "here" is not an endpoint such as tcp://127.0.0.1:5556 or ipc:///run/events',
        f'{P}: bind: "there" is not an endpoint such as tcp://127.0.0.1:5556 or ipc:///run/events',
    ]


@pytest.mark.parametrize(
    ("inside", "problem"),
    [
        ('<param name="framing" value="topic"/>', "there is no element <param>; none is known here"),
        ("<x/>", "there is no element <x>; none is known here"),
        ("topic", 'the text "topic" means nothing here; take it out'),
    ],
    ids=["a param", "an element", "text"],
)
def test_what_stands_in_a_param_is_told(inside: str, problem: str) -> None:
    # As it comes about when the slash is forgotten: the framing would not be what the admin thinks.
    xml = configuration(publisher(f'<param name="bind" value="tcp://*:5556">{inside}</param>'))
    assert problems(xml) == [f"{P}: {problem}"]
