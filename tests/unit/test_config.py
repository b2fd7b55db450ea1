from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from freeswitch_zmq.errors import ConfigError
from freeswitch_zmq.module.config import PUBLISHER, SETTINGS, PublisherConfig, Settings, parse_config
from tests.unit.configurations import config, configuration, param, publisher


def test_everything_at_once() -> None:
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
                param("replay-mb", "0"),
                param("replay-events", "5"),
                param("apply-inbound-acl", "192.0.2.0/24"),
                param("apply-inbound-acl", "2001:db8::/32"),
                param("security", "null"),
                param("handshake-ms", "1"),
                param("max-message-bytes", "2147483647"),
                name="Main.events-1_a",
            ),
            settings=param("threaded-system-exec", "require") + param("io-threads", "16") + param("ipv6", "yes"),
        )
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
            replay_mb="0",
            replay_events=5,
            apply_inbound_acl=("192.0.2.0/24", "2001:db8::/32"),
            security="null",
            handshake_ms=1,
            max_message_bytes=2**31 - 1,
        ),
    )


def test_every_parameter_has_a_field_and_every_field_a_parameter() -> None:
    assert [field.name for field in fields(Settings)] == [parameter.field for parameter in SETTINGS]
    assert [field.name for field in fields(PublisherConfig)] == ["name", *(parameter.field for parameter in PUBLISHER)]


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


def test_equal_texts_are_equal_configurations() -> None:
    one = config(publisher(param("framing", "topic"), param("queue-size", "7")))
    other = config(publisher(param("queue-size", "7"), param("framing", "topic")))
    assert one == other
    assert one != config(publisher(param("queue-size", "8"), param("framing", "topic")))


def test_a_configuration_does_not_change() -> None:
    parsed = config(publisher())
    with pytest.raises(FrozenInstanceError):
        parsed.publishers[0].queue_size = 5  # type: ignore[misc]  # that is what must not go
