"""`freeswitch.Session`: what a script on a call can do with it."""
# ruff: noqa: N802, ARG002  # names and arguments are FreeSWITCH's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from . import swig
from .causes import cause_named
from .files import play
from .host import core as _core
from .log import DEBUG, INVALID, level_number

if TYPE_CHECKING:
    from .channel import Channel

__all__ = ["CoreSession", "Session"]

_FILE = "switch_cpp.cpp"


class CoreSession:
    """A leg of a call. Without one, methods log an error and return what FreeSWITCH returns then."""

    _channel: Channel | None = None

    # What it is.

    def ready(self) -> bool:
        """Whether the call is up, and was not sent somewhere else."""
        channel = self._need()
        return channel is not None and channel.ready

    def answered(self) -> bool:
        """Whether it was answered."""
        channel = self._need()
        return channel is not None and channel.answered.is_set()

    def mediaReady(self) -> bool:
        """Whether media could flow."""
        channel = self._need()
        return channel is not None and channel.ready and channel.answered.is_set()

    def bridged(self) -> bool:
        """Whether it is bridged; nothing bridges calls here."""
        return False

    def getState(self) -> str:
        """Such as `CS_EXECUTE`."""
        return self._channel.state if self._channel is not None else "ERROR"

    def hangupCause(self) -> str:
        """Only a session that made its call itself knows another than NONE."""
        return "NONE"

    def get_uuid(self) -> str:
        """The call's uuid."""
        return self._channel.uuid if self._channel is not None else "uninitialized"

    # Variables.

    def getVariable(self, var: object) -> str | None:
        """Its value, None when it is not set."""
        name = swig.needed(var, "CoreSession_getVariable", 2, "char *")
        channel = self._need()
        return "" if channel is None else channel.get(name)

    def setVariable(self, var: object, val: object) -> None:
        """Set it; None or nothing takes it away."""
        name = swig.needed(var, "CoreSession_setVariable", 2, "char *")
        value = swig.c_string(val, "CoreSession_setVariable", 3, "char *")
        channel = self._need()
        if channel is not None:
            channel.set(name, value)

    # What it does.

    def answer(self) -> int:
        """Answer it."""
        channel = self._need()
        if channel is None:
            return -1
        channel.other.answer()
        channel.answer()
        return int(channel.up)

    def preAnswer(self) -> int:
        """Early media."""
        channel = self._need()
        if channel is None:
            return -1
        channel.other.progressed.set()
        return int(channel.up)

    def hangup(self, cause: object = "normal_clearing") -> None:
        """Hang it up."""
        name = swig.c_string(cause, "CoreSession_hangup", 2)
        channel = self._need()
        if channel is not None:
            channel.hang_up(cause_named(name or ""))
            self._hung_up()

    def execute(self, app: object, data: object = None) -> None:
        """Run a dialplan application; other threads run meanwhile."""
        from .applications import execute  # that module knows this one

        name = swig.c_string(app, "CoreSession_execute", 2)
        argument = swig.c_string(data, "CoreSession_execute", 3)
        channel = self._need()
        if channel is None:
            return
        if not name:
            self._say("ERR", "No application specified\n")
            return
        execute(_core(), channel, name, argument or "")
        self._hung_up()

    def streamFile(self, file: object, starting_sample_count: object = 0) -> int:
        """Play a file: 1, or 0 once it is hung up."""
        swig.c_int(starting_sample_count, "CoreSession_streamFile", 3)
        path = swig.needed(file, "CoreSession_streamFile", 2, "char *")
        channel = self._need()
        if channel is None:
            return -1
        if channel.up:
            play(channel, path)
        return int(channel.up)

    def sleep(self, ms: object, sync: object = 0) -> int:
        """Wait: 1, or 0 once it is hung up."""
        swig.c_int(sync, "CoreSession_sleep", 3)
        channel = self._need()
        if channel is None:
            return -1
        channel.wait(max(0, swig.c_int(ms, "CoreSession_sleep", 2)) / 1000)
        return int(channel.up)

    def getDigits(self, maxdigits: object, terminators: object, timeout: object, *_more: object) -> str:
        """Nobody presses digits here: wait `timeout` milliseconds for none."""
        self._wait(swig.c_int(timeout, "CoreSession_getDigits", 4))
        return ""

    def read(self, min_digits: int, max_digits: int, prompt_audio_file: str, timeout: int, *_more: object) -> str:
        """The same behind a prompt."""
        self.streamFile(prompt_audio_file)
        self._wait(timeout)
        return ""

    def playAndGetDigits(
        self,
        min_digits: int,
        max_digits: int,
        max_tries: int,
        timeout: int,
        terminators: str,
        audio_files: str,
        *_more: object,
    ) -> str:
        """The same again, so many times."""
        for _ in range(max_tries):
            self.streamFile(audio_files)
            self._wait(timeout)
        return ""

    def collectDigits(self, *times: object) -> int:
        """Wait for digits that nobody presses."""
        self._wait(swig.c_int(times[-1], "CoreSession_collectDigits", len(times) + 1) if times else 0)
        return 0 if self._channel is not None else -1

    def flushDigits(self) -> int:
        """Forget digits."""
        return 0 if self._need() is not None else -1

    def flushEvents(self) -> int:
        """Forget events sent to the call."""
        return 0 if self._need() is not None else -1

    def setAutoHangup(self, val: object) -> int:
        """Whether it is hung up when the session goes; a call's own session never does that here."""
        return 0 if self._need() is not None else -1

    def setInputCallback(self, cbfunc: Callable[..., Any], funcargs: object = None) -> None:
        """Call it for digits, which nobody presses."""

    def unsetInputCallback(self) -> None:
        """No more."""

    def consoleLog(self, level_str: object, msg: object) -> None:
        """A line in the log, with the call's uuid before it."""
        name = swig.c_string(level_str, "CoreSession_consoleLog", 2, "char *")
        text = swig.c_string(msg, "CoreSession_consoleLog", 3, "char *")
        wanted = DEBUG if name is None else level_number(name)
        self._log(DEBUG if wanted == INVALID else wanted, text or "")

    def destroy(self) -> None:
        """Let go of the call."""
        self._channel = None

    # Inner workings.

    def _need(self) -> Channel | None:
        if self._channel is None:
            self._say("ERR", "session is not initalized\n")
        return self._channel

    def _wait(self, milliseconds: int) -> None:
        channel = self._need()
        if channel is not None:
            channel.wait(max(0, milliseconds) / 1000)

    def _hung_up(self) -> None:
        """A chance to tell a script that the call has ended."""

    def _say(self, level: str, text: str) -> None:
        self._log(level_number(level), text)

    def _log(self, level: int, text: str) -> None:
        uuid = self._channel.uuid if self._channel is not None else ""
        _core().log.write(level, text, file=_FILE, line=1340, uuid=uuid)


class Session(CoreSession):
    """What a script gets for the call that it runs on, or makes from a uuid."""

    def __init__(self, *args: object) -> None:
        self._hook: Callable[..., object] | None = None
        self._hook_argument: object = None
        if not args:
            return
        first = args[0]
        if isinstance(first, str):
            self._channel = _core().calls.find(first) or _originated(first)
        elif first is not None:
            self._channel = first  # type: ignore[assignment]  # only the stand-in itself passes a channel

    def setHangupHook(self, pyfunc: Callable[..., object], arg: object = None) -> None:
        """Call it with the session and `hangup` as soon as the script does something after the hangup."""
        self._hook, self._hook_argument = pyfunc, arg

    def ready(self) -> bool:
        """Whether the call is up, and was not sent somewhere else."""
        ready = super().ready()
        self._hung_up()
        return ready

    def _hung_up(self) -> None:
        hook = self._hook
        if hook is None or self._channel is None or self._channel.up:
            return
        self._hook = None
        if self._hook_argument is None:
            hook(self, "hangup")
        else:
            hook(self, "hangup", self._hook_argument)


def _originated(url: str) -> Channel | None:
    """A session made from a dial string makes the call."""
    from .calls import parse_target  # that module knows this one
    from .dialplan import Action

    if "/" not in url:
        return None
    channel, _cause = _core().calls.originate(parse_target(url), Action("park", ""), ("", ""), 60.0)
    return channel
