"""What hypothesis makes events of: everything that a C string can hold, and what looks most like JSON of an event."""

from __future__ import annotations

from hypothesis import strategies as st

from freeswitch_zmq.event_names import EVENT_NAMES
from tests.unit.cjson import Pairs, from_c

NASTY = (
    '"Event-Name":',
    ',"Event-Name":"CUSTOM"',
    ',"Event-Name":"HEARTBEAT",',
    '"ZMQ-Sequence":"1"',
    '","ZMQ-Epoch":"1',
    "Event-Name",
    "ZMQ-Sequence",
    '\\"',
    "\\",
    '"',
    "}",
    "{}",
    "[]",
    "\\u0022Event-Name\\u0022:",
    "\U0001f600",
    "\u2028\ufeff\ufffd",
    "\x01\x1f\x7f\b\f\n\r\t",
)

_c_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_c_bytes = st.binary(max_size=10).map(lambda data: from_c(data.replace(b"\0", b"\xff")))
_pieces = st.one_of(_c_text, _c_bytes, st.sampled_from(NASTY))

# Two pieces of broken UTF-8 may make up a whole character; C would hand that over as one.
texts = st.lists(_pieces, max_size=4).map(lambda pieces: from_c("".join(pieces).encode("utf-8", "surrogateescape")))

header_names = st.one_of(
    st.sampled_from(
        (
            *("Event-Name", "event-name", "Event-Subclass", "ZMQ-Epoch", "ZMQ-Sequence", "ZMQ-", "zmq-epoch"),
            *("Unique-ID", "Content-Length", "_body", "variable_x"),
        )
    ),
    texts.filter(bool),
)
event_names = st.sampled_from(EVENT_NAMES)
values = st.one_of(texts, st.lists(texts, min_size=1, max_size=4))


@st.composite
def raw_events(draw: st.DrawFn) -> tuple[str, Pairs, str | None]:
    """A name, and the headers and the body of an event of that name, Event-Name where FreeSWITCH may have put it."""
    name = draw(event_names)
    headers: Pairs = draw(st.lists(st.tuples(header_names, values), max_size=6))
    if draw(st.integers(0, 9)):
        headers.insert(draw(st.integers(0, len(headers))), ("Event-Name", name))
    return name, headers, draw(st.one_of(st.none(), texts))
