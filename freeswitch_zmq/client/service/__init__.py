"""For the program that a switch asks what to do with a call, or for XML.

    from freeswitch_zmq.client.service import Service, answer, playback

    service = Service("tcp://127.0.0.1:5558")

    @service.call("ivr")
    def ivr(call):
        return [answer(), playback("tone_stream://%(250,0,800)")]

    if __name__ == "__main__":
        service.run()

The switch is told of it in `<callouts>` and `<xml-bindings>`; docs/protocol.md says what goes between the two, for
those who write in another language. `freeswitch_zmq.client.service.testing` plays the switch in a test.
"""

from freeswitch_zmq.certificate import KeyPair
from freeswitch_zmq.client.service.actions import (
    Action,
    action,
    answer,
    hangup,
    log,
    play_and_get_digits,
    playback,
    respond,
    say,
    sleep,
    transfer,
)
from freeswitch_zmq.client.service.asked import ActionResult, Call, Channel, Hangup, XmlRequest
from freeswitch_zmq.client.service.documents import (
    a1_hash,
    configuration,
    dialplan,
    directory,
    document,
    extension,
    not_found,
    user,
)
from freeswitch_zmq.client.service.reply import Reply
from freeswitch_zmq.client.service.service import Service
from freeswitch_zmq.errors import StartError, StateError
from freeswitch_zmq.jsonrpc import RpcError

__all__ = [
    "Action",
    "ActionResult",
    "Call",
    "Channel",
    "Hangup",
    "KeyPair",
    "Reply",
    "RpcError",
    "Service",
    "StartError",
    "StateError",
    "XmlRequest",
    "a1_hash",
    "action",
    "answer",
    "configuration",
    "dialplan",
    "directory",
    "document",
    "extension",
    "hangup",
    "log",
    "not_found",
    "play_and_get_digits",
    "playback",
    "respond",
    "say",
    "sleep",
    "transfer",
    "user",
]
