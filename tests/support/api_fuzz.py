"""Requests of all kinds to the API, most of them wrong, and for each of them what docs/protocol.md says becomes of it.

What to expect is known from how a request was made, and not found out by reading it: no parser stands in between that
could err as the module's does. Where two things are wrong with one request, either may be told.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import zmq

from .flow import Good
from .module import Event, Module, Subscriber, api, configuration, publisher

ALLOW = (
    "ping, status, replay:*, api:echo *, api:msleep *, api:show *, api:no_such_command, bgapi:echo *, "
    "sendevent:CUSTOM^fuzz::*, sendevent:TRAP"
)
HELD = 100
WINDOW = 64
"""Requests of one caller that wait for their answers at the same time."""

DONE = 0
BROKEN, NO_REQUEST, NO_METHOD, PARAMS = -32700, -32600, -32601, -32602
FORBIDDEN, TIMEOUT, REFUSED, NOT_HELD = -32001, -32002, -32003, -32006

HALF = "half \ud800 a character"
NO_TEXTS: Sequence[Any] = (5, -1.5, True, False, [], {}, ["a"], {"a": "b"}, 10**40, HALF, "a NUL \0")
NO_LINES: Sequence[Any] = (*NO_TEXTS, "two\nlines", "two\rlines", "\n")
NO_WHOLES: Sequence[Any] = (0, -1, -(10**30), 1.5, True, False, "", "0", "-1", "x", "1.5", "٣", "1" * 21, [], {}, [1])
NO_SECONDS: Sequence[Any] = (0, -1, -0.0, True, "5", "", [], {}, 86_401, 10**30, 1e300, -1e300)
NO_HEADERS: Sequence[Any] = (
    *(5, True, "A: b", [], ["A"], {"A": 5}, {"A": None}, {"A": ["b"]}, {"A": {}}, {"A b": "c"}, {"": "c"}, {"ü": "c"}),
    *({"A": "b\nc"}, {"A": "b\rc"}, {"A": "b\0c"}, {"A": HALF}, {HALF: "b"}, {"A:": "b"}, {"A\n": "b"}),
    *({name: "b"} for name in ("Event-Name", "event-uuid", "Core-UUID", "FreeSWITCH-IPv4", "Content-Length")),
    *({name: "b"} for name in ("_body", "ZMQ-Sequence", "zmq-x")),
    {"A": "ARRAY::" + "|:".join("b" * 500)},
)
NO_NAMES: Sequence[Any] = (5, True, "TRAP", {}, {"TRAP": 1}, [5], [None], [["TRAP"]], ["TARP"], ["TRAP", ""], [HALF])
IDS: Sequence[Any] = (
    0,
    1,
    -7,
    1.5,
    -2e-7,
    1e300,
    10**30,
    "",
    "a",
    "ü \U0001f4de",
    "x" * 1000,
    'say "id"',
    None,
    "null",
)
NO_IDS: Sequence[Any] = (True, False, [], {}, [1], {"a": 1}, HALF)
METHODS_THAT_ARE_NOT: Sequence[str] = (
    "pong",
    "",
    "PING",
    "ping ",
    "rpc.ping",
    "api.status",
    "x" * 3000,
    "ü",
    HALF,
    "\0",
)


class Expected(NamedTuple):
    """What becomes of a request.

    Attributes:
        codes: one of these errors; DONE: or a result.
        id: with which it is answered.
        answered: False: nothing comes back.
        is_own: whether a result is the one that it asked for.
    """

    codes: frozenset[int]
    id: Any = None
    answered: bool = True
    is_own: Callable[[Any], bool] = lambda result: True


class Input(NamedTuple):
    """The object of a request, which may be none, and what becomes of it."""

    body: bytes
    expected: Expected


class Facts(NamedTuple):
    """What a result is compared with."""

    core_uuid: str
    epoch: str
    held: Sequence[Event]


class Param(NamedTuple):
    """Values of one param: what it may be, and what it may not with the codes that this is told with.

    Attributes:
        required: it is wrong to leave it out.
        always: it is left out only by mistake.
    """

    good: Callable[[], Any]
    bad: Sequence[tuple[Any, set[int]]]
    required: bool = False
    always: bool = False


def wrong(*values: Any, codes: tuple[int, ...] = (PARAMS,)) -> list[tuple[Any, set[int]]]:
    """Values that are wrong with these codes."""
    return [(value, set(codes)) for value in values]


class Inputs:
    """Makes them.

    Args:
        seed: the same makes the same.
        facts: of the switch.
    """

    def __init__(self, seed: int, facts: Facts) -> None:
        self._random = random.Random(seed)
        self._facts = facts
        self._calls = (self._ping, self._status, self._api, self._api, self._bgapi, self._sendevent, self._replay)

    def make(self) -> Input:
        """The next one."""
        chance = self._random.random()
        if chance < 0.12:
            return self._broken()
        if chance < 0.24:
            return self._no_request()
        request, expected = self._request()
        if chance < 0.34:
            # A notification: done, and never answered.
            del request["id"]
            expected = expected._replace(answered=False)
        return Input(self._spell(request), expected)

    # Valid requests, of methods that there are and that there are not.

    def _request(self) -> tuple[dict[str, Any], Expected]:
        id = self._pick(IDS) if self._random.random() < 0.5 else self._random.randrange(10**6)
        if self._random.random() < 0.06:
            method, params = self._pick(METHODS_THAT_ARE_NOT), self._pick(({}, [], {"a": 1}, [1, 2]))
            return self._members(id, method, params), Expected(frozenset({NO_METHOD}), id)
        method, params, codes, is_own = self._pick(self._calls)()
        if isinstance(params, dict) and self._random.random() < 0.08:
            params[self._pick(("nope", "", "Command", "x" * 3000, HALF, "\0", "ü"))] = self._pick((1, "a", {}, None))
            codes = self._worse(codes, {PARAMS})
        elif self._random.random() < 0.04:
            params, codes = self._pick(([1], ["echo", "a"], [None], [[]], [{}])), {PARAMS}
        elif self._random.random() < 0.02:
            # An empty list says nothing by position: it may be taken for no params at all.
            params, codes = [], {PARAMS, *(codes & {DONE} if method in ("ping", "status") else ())}
        return self._members(id, method, params), Expected(frozenset(codes), id, is_own=is_own)

    @staticmethod
    def _members(id: Any, method: Any, params: Any) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}

    @staticmethod
    def _worse(codes: set[int], more: set[int]) -> set[int]:
        """One more thing is wrong."""
        return (codes - {DONE, TIMEOUT, REFUSED, NOT_HELD}) | more

    def _filled(self, table: dict[str, Param]) -> tuple[dict[str, Any], set[int], set[str]]:
        """Params, the codes that are right for them, and which of them are good."""
        params: dict[str, Any] = {}
        codes: set[int] = set()
        good: set[str] = set()
        spoilt = self._random.choice((0, 0, 0, 1, 1, 2))
        bad = set(self._random.sample(sorted(table), min(spoilt, len(table))))
        for name, param in table.items():
            if name in bad:
                if param.required and self._random.random() < 0.2:
                    codes.add(PARAMS)
                    if self._random.random() < 0.5:
                        params[name] = None  # that is as if it were not there
                    continue
                params[name], told = self._pick(param.bad)
                codes |= told
            elif param.required or param.always or self._random.random() < 0.6:
                params[name] = param.good()
                good.add(name)
            elif self._random.random() < 0.1:
                params[name] = None
        return params, codes or {DONE}, good

    def _ping(self) -> tuple[str, Any, set[int], Callable[[Any], bool]]:
        return "ping", {}, {DONE}, lambda result: result["core_uuid"] == self._facts.core_uuid

    def _status(self) -> tuple[str, Any, set[int], Callable[[Any], bool]]:
        return "status", {}, {DONE}, lambda result: (result["state"], result["errors"]) == ("running", 0)

    _COMMANDS = (
        *wrong(*NO_TEXTS[:-2], ""),
        *wrong("version", "fsctl", "nonsense", "x" * 5000, codes=(FORBIDDEN,)),
        *wrong(HALF, "a NUL \0", "echo x", "ec ho", "echo\n", "echo;", "\necho", codes=(FORBIDDEN, PARAMS)),
        *wrong("\uff45cho", "écho", "echo\0", "../echo", "echo\u2028", codes=(FORBIDDEN, PARAMS)),
    )

    def _api(self) -> tuple[str, Any, set[int], Callable[[Any], bool]]:
        text = self._text()
        command, args, right, is_own = self._pick(
            (
                ("echo", text, {DONE}, lambda result: result == {"output": text}),
                ("ECHO", text, {DONE}, lambda result: result == {"output": text}),
                ("msleep", str(self._random.randrange(1, 20)), {DONE}, lambda result: result == {"output": "+OK"}),
                ("show", "channels count", {DONE}, lambda result: "total." in result["output"]),
                ("show", "nonsense", {REFUSED}, lambda result: False),
                ("no_such_command", None, {REFUSED}, lambda result: False),
            )
        )
        table = {
            "command": Param(lambda: command, self._COMMANDS, required=True),
            "args": Param(lambda: args, wrong(*NO_LINES, "ARRAY::a|:b"), always=True),
            "timeout": Param(lambda: self._pick((1, 5.5, 60, 86_400, "tiny")), wrong(*NO_SECONDS)),
        }
        if args is None:
            del table["args"]
        params, codes, _ = self._filled(table)
        if codes == {DONE}:
            codes = right
        if params.get("timeout") == "tiny":
            params["timeout"] = self._pick((1e-300, 1e-6, 0.0005))
            if codes <= {DONE, REFUSED}:
                codes = codes | {TIMEOUT}
        return "api", params, codes, is_own

    def _bgapi(self) -> tuple[str, Any, set[int], Callable[[Any], bool]]:
        job = "".join(self._random.choices("abcXYZ019_-", k=self._random.choice((20, 64))))
        params, codes, good = self._filled(
            {
                "command": Param(lambda: "echo", [*self._COMMANDS, ("msleep", {FORBIDDEN})], required=True),
                "args": Param(self._text, wrong(*NO_LINES, "ARRAY::a"), always=True),
                "job_uuid": Param(lambda: job, wrong(*NO_TEXTS, "", "x" * 65, "a b", "a\n", "ü", "a/b", "..")),
            }
        )
        given = "job_uuid" in good
        return (
            "bgapi",
            params,
            codes,
            lambda result: result["job_uuid"] == job if given else len(result["job_uuid"]) > 9,
        )

    def _sendevent(self) -> tuple[str, Any, set[int], Callable[[Any], bool]]:
        names = (
            *wrong(*NO_TEXTS[:-2]),
            *wrong("HEARTBEAT", "SHUTDOWN", "BACKGROUND_JOB", "MESSAGE", codes=(FORBIDDEN,)),
        )
        names += (*wrong(HALF, "a\0b", "", "NOPE", " TRAP", "TRAP\n", "\uff34RAP", codes=(FORBIDDEN, PARAMS)),)
        table = {
            "headers": Param(self._headers, wrong(*NO_HEADERS)),
            "body": Param(lambda: self._text() + "\n" + self._text(), wrong(*NO_TEXTS)),
        }
        if self._random.random() < 0.5:
            table["name"] = Param(lambda: self._pick(("CUSTOM", "custom", "Custom")), names, required=True)
            subclasses = [*wrong(*NO_TEXTS[:-2]), *wrong("other::x", "fuzz:", "FUZZ::x", "", codes=(FORBIDDEN,))]
            subclasses += wrong(HALF, "a\0b", "fuzz::a\nb", "fuzz::\0", codes=(FORBIDDEN, PARAMS))
            table["subclass"] = Param(lambda: f"fuzz::{self._word()}", subclasses, required=True)
            params, codes, good = self._filled(table)
            if "subclass" not in good:
                codes = codes | {FORBIDDEN}  # CUSTOM alone is not allowed
        else:
            table["name"] = Param(lambda: self._pick(("TRAP", "trap", "Trap")), names, required=True)
            table["subclass"] = Param(lambda: "", wrong("fuzz::x", "x", codes=(FORBIDDEN, PARAMS)))
            params, codes, _ = self._filled(table)
        return "sendevent", params, codes, lambda result: result == {}

    def _headers(self) -> dict[str, str]:
        return {f"X-{number}_{self._word()}": self._text() for number in range(self._random.randrange(4))}

    def _replay(self) -> tuple[str, Any, set[int], Callable[[Any], bool]]:
        newest = int(self._facts.held[-1]["ZMQ-Sequence"])
        first = self._random.randrange(1, newest + 1)
        last = first + self._random.randrange(50)
        limit = self._random.randrange(1, 20)
        as_text = self._random.choice((int, str))
        others = wrong(1, "1", 10**30, "12345678901234567890", codes=(NOT_HELD,))
        epochs = [*wrong(*NO_WHOLES), *others, *others, *others]
        table = {
            "publisher": Param(
                lambda: "default", wrong(*NO_TEXTS[:-2], HALF, "a\0", "nope", "Default", ""), required=True
            ),
            "epoch": Param(lambda: as_text(self._facts.epoch), epochs, required=True),
            "first": Param(lambda: as_text(first), wrong(*NO_WHOLES), required=True),
            "last": Param(lambda: as_text(last), wrong(*NO_WHOLES)),
            "limit": Param(lambda: as_text(limit), wrong(*NO_WHOLES)),
            "names": Param(lambda: self._pick((["TRAP"], ["CUSTOM", "TRAP"], [])), wrong(*NO_NAMES)),
        }
        params, codes, good = self._filled(table)
        if NOT_HELD in codes and len(codes) == 1 and self._random.random() < 0.3 and "last" in good:
            params["last"], params["first"] = first, last + 1
            codes = {PARAMS, NOT_HELD}
        elif codes == {DONE} and self._random.random() < 0.1:
            params["first"] = self._pick((10**15, 10**19, 10**40, "9" * 20))  # nothing of that is there yet
            codes = {PARAMS} if "last" in good else {DONE}
        held = {event["ZMQ-Sequence"]: event for event in self._facts.held}
        most = limit if "limit" in good else 1000
        until = last if "last" in good else 10**50

        def is_own(result: Any) -> bool:
            events = result["events"]
            numbers = [int(event["ZMQ-Sequence"]) for event in events]
            return (
                len(events) <= most
                and numbers == sorted(set(numbers))
                and all(int(params["first"]) <= number <= until for number in numbers)
                and all(held.get(event["ZMQ-Sequence"], event) == event for event in events)
                and (params.get("names") is None or all(event["Event-Name"] in params["names"] for event in events))
            )

        return "replay", params, codes, is_own

    def _word(self) -> str:
        return f"{self._random.getrandbits(32):08x}"

    def _text(self) -> str:
        """A line without blanks at its ends, which FreeSWITCH takes off."""
        parts = (
            "a",
            "Z",
            "0",
            "é",
            "\U0001f4de",
            '"',
            "'",
            "\\",
            "  ",
            "\t",
            "{",
            "}",
            "%s",
            "%n",
            "<x>",
            "\x01",
            "\x7f",
            "\u2028",
        )
        return "x" + "".join(self._random.choices(parts, k=self._random.randrange(12))) + self._word()

    # JSON that is no request.

    def _no_request(self) -> Input:
        how = self._random.randrange(7)
        request, _ = self._request()
        told = Expected(frozenset({NO_REQUEST}), request["id"])
        unknown = told._replace(id=None)
        if how == 0:
            value = self._pick((5, -1, "ping", True, None, 1.5, "", [], [1], [request], [request, request], [[]]))
            return Input(self._spell(value), unknown)
        if how == 1:
            request["id"] = self._pick(NO_IDS)
            return Input(self._spell(request), unknown)
        if how == 2:
            request["jsonrpc"] = self._pick(("1.0", 2, 2.0, None, "", "2", "2.00", [], {}, True, HALF))
        elif how == 3:
            del request["jsonrpc"]
        elif how == 4:
            request["method"] = self._pick((None, 5, True, [], {}, ["ping"]))
        elif how == 5:
            del request["method"]
        else:
            request["params"] = self._pick((5, "x", True, None, -1.5, HALF))
        if self._random.random() < 0.2:
            # Without an id it could be a notification, if it were a request at all.
            del request["id"]
            told = unknown
        return Input(self._spell(request), told)

    def _broken(self) -> Input:
        """No JSON in UTF-8, or more of it than anybody means."""
        request, _ = self._request()
        raw = self._spell(request).strip()
        at = self._random.randrange(1, len(raw))
        deep = self._random.choice((100, 5000, 20_000))
        number = self._pick(("NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x1", "1e", "9" * 5000, "1_000"))
        body = self._pick(
            (
                raw[:at],
                raw[:at],
                raw[:at] + self._pick((b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80")) + raw[at:],
                raw + self._pick((b"}", b"x", b",", b"\0", b"{}", b" []", b'"', raw)),
                raw[1:],
                raw[:-1] + b",}",
                raw.replace(b'"', b"'"),
                b"// ping\n" + raw,
                b"\xef\xbb\xbf" + raw,
                raw.decode().encode("utf-16"),
                self._pick((b"", b" ", b"\n", b"\0", b"{", b"}", b"[", b'"', b"nul", b"True", b"'ping'")),
                self._random.randbytes(self._random.randrange(1, 300)) + b"\xff",
                b'{"jsonrpc":"2.0","method":"ping","id":' + number.encode() + b"}",
                b'{"jsonrpc":"2.0","method":"two\nlines","id":1}',
                b'{"jsonrpc":"2.0","method":"pi\\ng","id":"\\x41"}',
                b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b"[" * deep + b"]" * deep + b"}",
                b'{"a":' * min(deep, 8000) + b"1" + b"}" * min(deep, 8000),
                b"[" * deep,
            )
        )
        return Input(body, Expected(frozenset({BROKEN})))

    def _spell(self, value: Any) -> bytes:
        """As JSON, in one of the ways in which programs write it."""
        if isinstance(value, dict):
            members = list(value.items())
            if self._random.random() < 0.5:
                self._random.shuffle(members)
            if self._random.random() < 0.05 and "method" in value:
                members.append((self._pick(("extra", "", "ID", "Method", "result")), self._pick((1, {}, [[[]]], None))))
            value = dict(members)
        ascii_only = self._random.random() < 0.5
        text = json.dumps(
            value,
            ensure_ascii=ascii_only,
            indent=self._random.choice((None, None, None, 1)),
            separators=self._random.choice(((",", ":"), (", ", ": "), (" , ", " :\t"))),
        )
        text = f"{self._pick(('', '', ' ', chr(10)))}{text}{self._pick(('', '', ' ', chr(13) + chr(10)))}"
        try:
            return text.encode()
        except UnicodeEncodeError:  # half a character can only be written as an escape
            return json.dumps(value).encode()

    def _pick(self, values: Sequence[Any]) -> Any:
        return self._random.choice(values)


class Asker(threading.Thread):
    """A caller that sends so many of them. What became of it is looked at when it has ended.

    Attributes:
        kind: of its socket.
        sent: messages that it has sent.
        silent: of these, those that were not to be answered.
        codes: of the answers.
        error: what was wrong.
    """

    kind = zmq.DEALER

    def __init__(self, endpoint: str, inputs: Inputs, count: int, name: str) -> None:
        super().__init__(name=name)
        self.sent = self.silent = 0
        self.codes: Counter[int] = Counter()
        self.error: BaseException | None = None
        self._endpoint = endpoint
        self._inputs = inputs
        self._count = count

    def run(self) -> None:
        try:
            with zmq.Context() as context, context.socket(self.kind) as socket:
                for option in (zmq.LINGER, zmq.SNDHWM, zmq.RCVHWM):
                    socket.set(option, 0)
                socket.set(zmq.RECONNECT_IVL, 50)
                socket.connect(self._endpoint)
                self.work(socket)
                assert not socket.poll(300), f"an answer to nothing: {socket.recv_multipart()!r}"
        except BaseException as error:  # noqa: BLE001  # looked at by who started it
            self.error = error

    def work(self, socket: zmq.Socket[bytes]) -> None:
        """Sends them and looks at the answers."""
        raise NotImplementedError

    def ended_well(self) -> None:
        """Waits for its end; fails when something was wrong."""
        self.join()
        if self.error is not None:
            raise AssertionError(f"{self.name}: {self.error}") from self.error

    def send(self, socket: zmq.Socket[bytes], frames: list[bytes], expected: Expected) -> None:
        socket.send_multipart(frames)
        self.sent += 1
        self.silent += not expected.answered

    def receive(self, socket: zmq.Socket[bytes]) -> list[bytes]:
        assert socket.poll(30_000), "no answer within 30 s"
        return socket.recv_multipart()

    def check(self, raw: bytes, asked: Any, expected: Expected) -> None:
        """Whether that answer is right."""
        said = (asked, raw[:2000], expected)
        assert expected.answered, said
        answer = json.loads(raw.decode())
        assert answer["jsonrpc"] == "2.0", said
        assert set(answer) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"}), said
        code = DONE
        if "error" in answer:
            error = answer["error"]
            code = error["code"]
            assert type(code) is int, said
            assert type(error["message"]) is str, said
            assert set(error) <= {"code", "message", "data"}, said
            assert "Traceback" not in error["message"], said
        assert code in expected.codes, said
        assert answer["id"] == expected.id, said
        assert type(answer["id"]) is type(expected.id), said
        if code == DONE:
            assert expected.is_own(answer["result"]), said
        self.codes[code] += 1


class Tagging(Asker):
    """Has many on their way at once, and knows which answer is whose by a frame before the empty one."""

    def work(self, socket: zmq.Socket[bytes]) -> None:
        waiting: dict[bytes, tuple[list[bytes], Expected]] = {}
        for number in range(self._count):
            tag = b"%d" % number
            frames, expected = self._framed(tag)
            self.send(socket, frames, expected)
            if expected.answered:
                waiting[tag] = frames, expected
            while len(waiting) >= WINDOW:
                self._take(socket, waiting)
        while waiting:
            self._take(socket, waiting)

    def _framed(self, tag: bytes) -> tuple[list[bytes], Expected]:
        body, expected = self._inputs.make()
        chance = random.Random(tag).random()
        hops = [b"hop %d" % hop for hop in range(int(chance * 1000) % 10)] if chance < 0.1 else []
        head = [tag, *hops, b""]
        if chance > 0.97:
            # Not exactly one object.
            none = Expected(frozenset({NO_REQUEST}))
            return [*head, *([], [body, body], [b"", body], [body, b""])[int(chance * 1000) % 4]], none
        return [*head, body], expected

    def _take(self, socket: zmq.Socket[bytes], waiting: dict[bytes, tuple[list[bytes], Expected]]) -> None:
        answer = self.receive(socket)
        assert answer[0] in waiting, f"an answer to nothing: {answer!r}"
        asked, expected = waiting.pop(answer[0])
        head = asked[: asked.index(b"") + 1]
        assert answer[:-1] == head, (asked, answer)
        self.check(answer[-1], asked, expected)


class Plain(Asker):
    """A DEALER that asks one thing after the other, with and without an empty frame, and also too many frames."""

    def work(self, socket: zmq.Socket[bytes]) -> None:
        none = Expected(frozenset({NO_REQUEST}))
        for number in range(self._count):
            body, expected = self._inputs.make()
            head, frames = [], [body]
            if number % 3 == 1:
                head, frames = [b""], [b"", body]
            elif number % 50 == 2:
                frames, expected = [body or b"x", body or b"x"], none
            elif number % 50 == 5:
                head, frames, expected = [b""], [b""], none
            elif not body:
                head, expected = [b""], none  # an empty frame alone is what goes before an object
            self.send(socket, frames, expected)
            if expected.answered:
                answer = self.receive(socket)
                assert answer[:-1] == head, (frames, answer)
                self.check(answer[-1], frames, expected)
            if number % 500 == 250:
                self._too_many(socket)

    def _too_many(self, socket: zmq.Socket[bytes]) -> None:
        """A message that ends its connection, and is answered by nobody."""
        self.send(socket, [b"x"] * 200, Expected(frozenset(), answered=False))
        assert not socket.poll(200), f"an answer to nothing: {socket.recv_multipart()!r}"
        deadline = time.monotonic() + 60
        while True:
            # What is sent before libzmq notices the end is lost, and nobody counts it.
            socket.send(b'{"jsonrpc":"2.0","id":"back","method":"ping"}')
            if socket.poll(10_000):  # a second one that is answered too would be an answer to nothing
                break
            assert time.monotonic() < deadline, "it did not come back"
        self.sent += 1
        self.check(socket.recv_multipart()[-1], "ping", Expected(frozenset({DONE}), "back"))


class Req(Asker):
    """A REQ, which can't send what is not answered."""

    kind = zmq.REQ

    def work(self, socket: zmq.Socket[bytes]) -> None:
        asked = 0
        while asked < self._count:
            body, expected = self._inputs.make()
            if not expected.answered:
                continue
            asked += 1
            self.send(socket, [body], expected)
            answer = self.receive(socket)
            assert len(answer) == 1, (body, answer)
            self.check(answer[0], body, expected)


def configured() -> str:
    """What the module needs for it: nothing that is held may go while it runs."""
    return configuration(publisher(("replay-mb", "500")), api=api(("allow", ALLOW)))


def gathered(module: Module) -> Facts:
    """Fires some events that can be replayed, and gives them with the rest."""
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(module.switch)
        for number in range(HELD):
            module.switch.sendevent("TRAP", [("Number", str(number))])
        held = subscriber.until(lambda event: event.get("Number") == str(HELD - 1))
    status = module.status()
    return Facts(status["core_uuid"], status["publishers"]["default"]["epoch"], held)


def run(module: Module, count: int, seed: int = 0) -> None:
    """Sends so many requests from several callers at once, and fails unless each became what it had to."""
    facts = gathered(module)
    log = len(module.switch.log_text())
    endpoint = module.api_endpoint()
    numbers: Iterator[int] = itertools.count(seed)
    shares = [(Tagging, 0.25)] * 3 + [(Plain, 0.1), (Req, 0.15)]
    askers: list[Asker] = [
        kind(endpoint, Inputs(number, facts), round(count * share), f"{kind.__name__} {number}")
        for (kind, share), number in zip(shares, numbers)
    ]
    with Good(module.endpoint(), module.switch) as good:
        began = time.monotonic()
        for asker in askers:
            asker.start()
        problems = []
        for asker in askers:
            try:
                asker.ended_well()
            except AssertionError as error:
                problems.append(error)
        took = time.monotonic() - began
        if problems:
            raise problems[0]
        part = module.wait(module.api, lambda now: now["pending"] == 0)
        good.lost_nothing()
    sent, silent = sum(asker.sent for asker in askers), sum(asker.silent for asker in askers)
    codes = sum((asker.codes for asker in askers), Counter[int]())
    print(f"\n{sent} requests in {took:.1f} s, {silent} without an answer; {dict(sorted(codes.items()))}; {good}")
    print(part)
    assert sent >= count
    # To the message: each is counted once, as done or as an error.
    assert part["requests"] == sent
    assert part["requests"] == part["succeeded"] + part["errors"]
    assert sum(part["errors_by_code"].values()) == part["errors"]
    told = {int(code): number for code, number in part["errors_by_code"].items()}
    assert set(told) <= {BROKEN, NO_REQUEST, NO_METHOD, PARAMS, FORBIDDEN, TIMEOUT, REFUSED, NOT_HELD}
    untold = {code: number - codes[code] for code, number in {DONE: part["succeeded"], **told}.items()}
    assert min(untold.values()) >= 0, untold
    assert sum(untold.values()) == silent, untold
    assert part["undelivered"] == 0
    status = module.status()
    assert status["errors"] == 0
    lines = [line for line in module.switch.log_text()[log:].splitlines() if "[ERR]" in line or "[CRIT]" in line]
    assert lines == []
