#!/usr/bin/env python3
"""A menu for callers: 1 is for those who know an extension, 2 for the operator.

    ivr.py

It listens where the environment's IVR_ENDPOINT says, or at tcp://127.0.0.1:5558. Put what is in ivr.xml into
event_zmq.conf.xml, and into the dialplan <action application="python" data="event_zmq ivr"/>. Three turns: the menu,
the extension, the transfer. What the caller pressed is in channel variables, so the program itself remembers nothing,
and may be started again at any time. Needs freeswitch_zmq.
"""

from __future__ import annotations

import os

from freeswitch_zmq.client.service import (
    Action,
    Call,
    Hangup,
    Reply,
    Service,
    answer,
    hangup,
    play_and_get_digits,
    playback,
    transfer,
)

OPERATOR, CONTEXT = "1000", "default"

# Tones, since every switch has them; put your own recordings here.
WELCOME = "tone_stream://%(200,100,440);%(200,100,660)"
MENU = "tone_stream://%(400,200,880)"
WHICH = "tone_stream://%(100,100,880);loops=4"
WRONG = "tone_stream://%(800,200,220)"

service = Service(os.environ.get("IVR_ENDPOINT", "tcp://127.0.0.1:5558"))


@service.call("ivr")
def ivr(call: Call) -> Reply:
    """What comes next for this caller."""
    pressed = call.variables.get("ivr_menu", "")
    if call.turn == 1:
        return Reply([answer(), playback(WELCOME), ask(MENU, "ivr_menu", 1, "^(?:1|2)$")], again=True)
    if call.turn == 2 and pressed == "1":
        return Reply([ask(WHICH, "ivr_extension", 4, r"^\d{4}$")], again=True)
    extension = call.variables.get("ivr_extension", "")
    if call.turn == 3 and extension:
        return Reply([transfer(extension, CONTEXT)])
    if pressed:  # 2, or 1 and no extension that would do
        return Reply([transfer(OPERATOR, CONTEXT)])
    return Reply([playback(WRONG), hangup()])


def ask(prompt: str, variable: str, digits: int, regex: str) -> Action:
    """Three tries of five seconds."""
    return play_and_get_digits(digits, digits, 3, 5000, "#", prompt, WRONG, variable, regex, digit_timeout_ms=3000)


@service.hangup
def hung_up(gone: Hangup) -> None:
    """The caller went away in the menu."""
    print(f"{gone.uuid} hung up: {gone.cause}", flush=True)


if __name__ == "__main__":
    service.run()
