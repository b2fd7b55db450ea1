"""`reload`: what is wrong changes nothing, and what is right changes only what it names."""

from __future__ import annotations

import threading

from tests.support.module import Module, Subscriber, configuration, publisher, sequences

BROKEN = {
    "unknown parameter": (
        configuration(publisher(("queue-sze", "1"))),
        'there is no parameter "queue-sze" (did you mean "queue-size"?)',
    ),
    "unknown element": (
        configuration().replace("publishers>", "publisher>"),
        'there is no element <publisher> (did you mean "publishers"?)',
    ),
    "unknown attribute": (
        configuration().replace("value=", 'valu="x" value=', 1),
        'there is no attribute "valu" (did you mean "value"?)',
    ),
    "unknown event": (
        configuration(publisher(("event-filter", "CHANNEL_ANSWR"))),
        'event-filter: FreeSWITCH has no event "CHANNEL_ANSWR" (did you mean "CHANNEL_ANSWER"?)',
    ),
    "no number": (
        configuration(publisher(("queue-size", "many"))),
        'queue-size: "many" is not a whole number from 1 to 10000000',
    ),
    "no endpoint": (
        configuration(publisher(bind="127.0.0.1:5556")),
        'bind: "127.0.0.1:5556" is not an endpoint such as tcp://127.0.0.1:5556 or ipc:///run/events',
    ),
    "no framing": (configuration(publisher(("framing", "triple"))), 'framing: "triple" is not one of: single, topic'),
    "no regex": (
        configuration(publisher(("header-filter", "A ~ ("))),
        'header-filter: "(" is not a regular expression',
    ),
    "no such list": (
        configuration(publisher(("apply-inbound-acl", "everybody"))),
        'apply-inbound-acl: acl.conf.xml has no list "everybody"; add it there, or name a network such as 192.0.2.0/24',
    ),
    "no publisher": (configuration(" "), '<publishers>: there is no publisher; add <publisher name="default"/>'),
    "a name twice": (
        configuration(publisher(), publisher()),
        '<publisher name="default">: stands there twice; give each publisher a name of its own',
    ),
    "a parameter twice": (
        configuration(publisher(("framing", "single"), ("framing", "topic"))),
        '"framing" stands there twice; leave one',
    ),
    "bad setting": (
        configuration(settings=[("threaded-system-exec", "off")]),
        '<settings>: threaded-system-exec: "off" is not one of: enforce, require',
    ),
    "not well-formed": (configuration()[:-10], "FreeSWITCH can't read its XML files: +OK [[error near line"),
    "not ours": ('<configuration name="other.conf"/>', "event_zmq.conf is missing from FreeSWITCH's configuration"),
}


def test_a_broken_configuration_changes_nothing(module: Module) -> None:
    switch = module.switch
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(switch)
        before = module.publisher()
        for case, (xml, message) in BROKEN.items():
            answer = module.reload(xml)
            assert answer.startswith("-ERR "), case
            assert message in answer, case
            module.wait_log(message)
        (switch.conf_dir / "autoload_configs" / "event_zmq.conf.xml").unlink()
        assert "-ERR event_zmq.conf: event_zmq.conf is missing" in module.command("reload")
        switch.sendevent("CUSTOM", [("Event-Subclass", "test::end")])
        numbers = sequences(subscriber.until(lambda event: event.get("Event-Subclass") == "test::end"))
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        now = module.publisher()
        assert (now["epoch"], now["endpoints"]) == (before["epoch"], before["endpoints"])


def test_several_mistakes_are_told_at_once(module: Module) -> None:
    xml = configuration(publisher(("queue-sze", "1"), ("framing", "x")), settings=[("io-threads", "0")])
    assert module.reload(xml).count("-ERR") == 3


def test_a_changed_filter_changes_only_that(module: Module) -> None:
    switch = module.switch
    endpoint = module.endpoint()
    with Subscriber(endpoint) as subscriber:
        before = module.at_rest()
        subscriber.subscribed(switch)  # so it has all that was taken until then
        assert module.reload(configuration(publisher(("event-filter", "CUSTOM, TRAP")))) == (
            '+OK reloaded: publisher "default" changed'
        )
        switch.sendevent("HEARTBEAT", [("Mine", "filtered")])
        switch.sendevent("TRAP", [("Mine", "yes")])
        events = subscriber.until(lambda event: event.get("Mine") == "yes")
        # One of the switch's own may have come before the reload.
        assert "filtered" not in {event.get("Mine") for event in events}
        numbers = sequences(events)
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert numbers[0] > before["accepted"]
        now = module.publisher()
        assert (now["epoch"], now["endpoints"]) == (before["epoch"], [endpoint])
        # The port written out is the same as the one that was found free.
        assert "changed" in module.reload(configuration(publisher(("queue-size", "77"), bind=endpoint)))
        subscriber.subscribed(switch)
        assert module.publisher()["epoch"] == before["epoch"]


def test_endpoints_and_publishers_come_and_go(module: Module) -> None:
    switch = module.switch
    first = module.endpoint()
    with Subscriber(first) as subscriber:
        subscriber.subscribed(switch)
        answer = module.reload(configuration(publisher(("bind", "tcp://127.0.0.1:*"), bind=first), publisher(name="b")))
        assert "+OK reloaded" in answer
        assert 'publisher "b" added' in answer
        second = module.endpoint(number=1)
        with Subscriber(second) as other, Subscriber(module.endpoint("b")) as third:
            other.subscribed(switch)
            third.subscribed(switch)
        # The publisher "b" takes over the other's endpoint, whose own goes.
        answer = module.reload(configuration(publisher(bind=first), publisher(name="b", bind=second)))
        assert answer.startswith("+OK"), answer
        assert module.endpoint("b") == second
        with Subscriber(second) as other:
            other.subscribed(switch)
        answer = module.reload(configuration(publisher(bind=first)))
        assert 'publisher "b" removed' in answer
        assert set(module.status()["publishers"]) == {"default"}
        subscriber.subscribed(switch)


def test_an_endpoint_that_can_not_be_opened_changes_nothing(module: Module) -> None:
    switch = module.switch
    first = module.endpoint()
    taken = f"tcp://127.0.0.1:{switch.esl_port}"
    before = module.publisher()
    for xml in (
        configuration(publisher(("bind", taken), ("event-filter", "TRAP"), bind=first)),
        configuration(publisher(bind=first), publisher(name="new", bind=taken)),
        configuration(publisher(("send-hwm", "5"), ("bind", taken), bind=first)),
    ):
        answer = module.reload(xml)
        assert answer.startswith(f"-ERR can't listen on {taken}: Address already in use; another program"), answer
        now = module.publisher()
        assert (now["epoch"], now["endpoints"]) == (before["epoch"], [first])
        with Subscriber(first) as subscriber:
            subscriber.subscribed(switch)


def test_limits_for_new_connections_keep_the_old_ones(module: Module) -> None:
    switch = module.switch
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(switch)
        changed = [("handshake-ms", "500"), ("max-message-bytes", "200"), ("apply-inbound-acl", "192.0.2.0/24")]
        answer = module.reload(configuration(publisher(*changed)))
        assert answer.startswith("+OK reloaded"), answer
        assert 'handshake-ms of publisher "default" counts from the next start on' in answer
        switch.sendevent("TRAP", [("Mine", "yes")])
        subscriber.until(lambda event: event.get("Mine") == "yes")
        with Subscriber(module.endpoint()) as stranger:
            module.wait(module.publisher, lambda now: now["refused"] > 0)
            stranger.nothing(0.5)


def test_one_thing_at_a_time(module: Module) -> None:
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(module.command("reload"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answer.startswith("+OK reloaded") or "-ERR event_zmq is reloading" in answer for answer in answers)
    assert any(answer.startswith("+OK") for answer in answers)
