from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from zmq.utils import z85

from freeswitch_zmq.errors import ConfigError
from freeswitch_zmq.module.addresses import BUILT_IN_LISTS
from freeswitch_zmq.module.config import parse_config
from freeswitch_zmq.module.schema import (
    ACCESS,
    PUBLISHER,
    SETTINGS,
    AccessConfig,
    KeyConfig,
    PublisherConfig,
    Settings,
)
from tests.support.keys import SecretFile, access, key, new_pair, new_secret_file
from tests.unit.configurations import config, configuration, param, publisher

QUOTE = {'"': "&quot;"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> SecretFile:
    """The switch's own key."""
    return new_secret_file(tmp_path_factory.mktemp("keys"))


def test_everything_at_once(server: SecretFile) -> None:
    crm, backup, collector = (new_pair() for _ in range(3))
    parsed = parse_config(
        configuration(
            publisher(
                param("bind", "tcp://127.0.0.1:5601"),
                param("bind", "ipc:///run/events"),
                param("connect", "tcp://192.0.2.1:5602"),
                param("framing", "topic"),
                param("format-fields", "#fs1,Event-Name"),
                param("event-filter", "CHANNEL_*,sofia::register"),
                param("event-exclude", "CHANNEL_STATE"),
                param("header-filter", "A = b"),
                param("header-filter", "C ~ <d>&"),
                param("fields", "Unique-ID,Caller-*"),
                param("queue-size", "1"),
                param("send-hwm", "10000000"),
                param("replay-mb", "1000000"),
                param("replay-events", "5"),
                param("apply-inbound-acl", "192.0.2.0/24"),
                param("apply-inbound-acl", "2001:db8::/32"),
                param("apply-inbound-acl", "lan"),
                param("apply-inbound-acl", "rfc1918.auto"),
                param("security", "curve"),
                param("server-public-key", collector.hex),
                param("handshake-ms", "1"),
                param("max-message-bytes", "2147483647"),
                name="Main.events-1_a",
            ),
            settings=param("threaded-system-exec", "require") + param("io-threads", "16") + param("ipv6", "yes"),
            access=access(
                server.path,
                [
                    key("crm", crm, "Main.events-1_a").replace("/>", ' allow="ping, api:show *,sendevent:heartbeat"/>'),
                    f'<key name="backup-1.x_y" public-key="{escape(backup.public.decode(), QUOTE)}"/>',
                ],
            ),
        ),
        lambda: ["wan", "lan"],
    )
    assert parsed.settings == Settings(threaded_system_exec="require", io_threads=16, ipv6=True)
    assert parsed.publishers == (
        PublisherConfig(
            name="Main.events-1_a",
            bind=("tcp://127.0.0.1:5601", "ipc:///run/events"),
            connect=("tcp://192.0.2.1:5602",),
            framing="topic",
            format_fields="#fs1,Event-Name",
            event_filter="CHANNEL_*,sofia::register",
            event_exclude="CHANNEL_STATE",
            header_filter=("A = b", "C ~ <d>&"),
            fields="Unique-ID,Caller-*",
            queue_size=1,
            send_hwm=10_000_000,
            replay_mb=1_000_000,
            replay_events=5,
            apply_inbound_acl=("192.0.2.0/24", "2001:db8::/32", "lan", "rfc1918.auto"),
            security="curve",
            server_public_key=bytes.fromhex(collector.hex),
            handshake_ms=1,
            max_message_bytes=2**31 - 1,
        ),
    )
    assert parsed.access.server_keys is not None
    assert parsed.access.server_keys.public.hex() == server.pair.hex
    assert parsed.access.server_keys.secret == z85.decode(server.pair.secret)
    # Hex or Z85, it is the same key; without publishers it may come nowhere.
    assert parsed.access.keys == (
        KeyConfig("crm", bytes.fromhex(crm.hex), ("Main.events-1_a",), ("ping", "api:show *", "sendevent:HEARTBEAT")),
        KeyConfig("backup-1.x_y", bytes.fromhex(backup.hex), (), ()),
    )


def test_no_secret_key_is_in_any_text_of_a_configuration(server: SecretFile) -> None:
    parsed = config(publisher(), access=access(server.path))
    assert parsed.access.server_keys is not None
    for secret in (server.pair.secret.decode(), parsed.access.server_keys.secret.hex()):
        assert secret not in repr(parsed)
        assert secret not in str(parsed.access)
    assert repr(parsed.access.server_keys.secret) not in repr(parsed)


def test_every_parameter_has_a_field_and_every_field_a_parameter() -> None:
    assert [field.name for field in fields(Settings)] == [parameter.field for parameter in SETTINGS]
    assert [field.name for field in fields(PublisherConfig)] == ["name", *(parameter.field for parameter in PUBLISHER)]
    assert [parameter.field for parameter in ACCESS] == ["server_secret_key_file"]  # of which server_keys comes


def test_publishers_stay_in_their_order() -> None:
    parsed = config(*(publisher(param("bind", f"ipc:///{name}"), name=name) for name in "cab"))
    assert [each.name for each in parsed.publishers] == ["c", "a", "b"]


def test_without_settings_their_defaults_count() -> None:
    parsed = parse_config('<configuration><publishers><publisher name="x"/></publishers></configuration>')
    assert parsed.settings == Settings(threaded_system_exec="enforce", io_threads=1, ipv6=False)


def test_sections_may_come_in_any_order_and_in_parts() -> None:
    parsed = parse_config(
        "<configuration><publishers><publisher name='a'/></publishers>"
        f"<settings>{param('io-threads', '2')}</settings><settings>{param('ipv6', 'on')}</settings>"
        "<publishers><publisher name='b'><param name='bind' value='ipc:///b'/></publisher></publishers></configuration>"
    )
    assert (parsed.settings.io_threads, parsed.settings.ipv6) == (2, True)
    assert [each.name for each in parsed.publishers] == ["a", "b"]


def test_a_param_may_not_be_in_two_parts_of_a_section() -> None:
    part = f"<settings>{param('ipv6', 'on')}</settings>"
    with pytest.raises(ConfigError) as caught:
        parse_config(f"<configuration>{part}{part}<publishers>{publisher()}</publishers></configuration>")
    assert caught.value.problems == ('<settings>: "ipv6" stands there twice; leave one',)


def test_blanks_around_a_value_mean_nothing() -> None:
    parsed = config(publisher(param("framing", " topic\n"), param("bind", "  ipc:///x ")))
    assert (parsed.publishers[0].framing, parsed.publishers[0].bind) == ("topic", ("ipc:///x",))


def test_comments_and_bytes_that_are_no_utf8_are_fine() -> None:
    parsed = config(publisher("<!-- bind -->", param("header-filter", "A = \udcff"), "<!-- \udcff -->"))
    assert parsed.publishers[0].header_filter == ("A = \ufffd",)


def test_any_free_port_can_be_had_by_many() -> None:
    parsed = config(*(publisher(param("bind", "tcp://127.0.0.1:*"), name=name) for name in "ab"))
    assert len(parsed.publishers) == 2


def test_without_access_there_are_no_keys() -> None:
    for text in ("", "<access/>", "<access></access>"):
        assert config(publisher(), access=text).access == AccessConfig(None, ())


def test_access_may_come_in_parts_too(server: SecretFile) -> None:
    one, other = new_pair(), new_pair()
    parsed = config(
        publisher(), access=access(None, [key("one", one)]) + access(server.path) + access(None, [key("other", other)])
    )
    assert parsed.access.server_keys is not None
    assert [each.name for each in parsed.access.keys] == ["one", "other"]


def test_access_may_stand_before_the_publishers_that_it_names(server: SecretFile) -> None:
    pair = new_pair()
    section = access(server.path, [key("one", pair, "a,b")])
    xml = configuration(
        publisher(param("bind", "ipc:///a"), name="a"), publisher(param("bind", "ipc:///b"), name="b"), access=section
    )
    swapped = xml.replace(section, "").replace("<settings>", section + "<settings>")
    assert parse_config(swapped) == parse_config(xml)
    assert parse_config(xml).access.keys[0].publishers == ("a", "b")


def test_blanks_and_repetitions_in_a_key_mean_nothing() -> None:
    pair = new_pair()
    parsed = config(
        publisher(param("bind", "ipc:///a"), name="a"),
        publisher(param("bind", "ipc:///b"), name="b"),
        access=f'<access><key name="x" public-key=" {pair.hex.upper()}\n" publishers=" b, a ,b,, "/></access>',
    )
    assert parsed.access.keys == (KeyConfig("x", bytes.fromhex(pair.hex), ("b", "a"), ()),)


def test_a_key_file_is_read_anew_each_time(tmp_path: Path) -> None:
    secret_file = new_secret_file(tmp_path)
    section = access(secret_file.path)
    before = config(publisher(), access=section)
    assert config(publisher(), access=section) == before
    again = new_secret_file(tmp_path)
    assert again.path == secret_file.path
    after = config(publisher(), access=section)
    assert after != before
    assert after.access.server_keys is not None
    assert after.access.server_keys.public.hex() == again.pair.hex


def test_freeswitchs_lists_are_only_asked_for_when_one_is_named() -> None:
    asked: list[int] = []

    def acl_lists() -> list[str]:
        asked.append(1)
        return ["lan"]

    def parse(*lists: str) -> None:
        parse_config(configuration(publisher(*(param("apply-inbound-acl", name) for name in lists))), acl_lists)

    parse()
    parse("loopback.auto", "192.0.2.0/24", *(name for name in BUILT_IN_LISTS if name != "loopback.auto"))
    assert asked == []
    parse("lan")
    assert asked


def test_equal_texts_are_equal_configurations() -> None:
    one = config(publisher(param("framing", "topic"), param("queue-size", "7")))
    other = config(publisher(param("queue-size", "7"), param("framing", "topic")))
    assert one == other
    assert one != config(publisher(param("queue-size", "8"), param("framing", "topic")))


def test_a_configuration_does_not_change() -> None:
    parsed = config(publisher())
    with pytest.raises(FrozenInstanceError):
        parsed.publishers[0].queue_size = 5  # type: ignore[misc]  # that is what must not go
