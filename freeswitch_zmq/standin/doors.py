"""mod_python3: imports and reloads a script at each call and calls one of its functions."""

from __future__ import annotations

import importlib
import os
import sys
from types import TracebackType
from typing import Any, Callable

from . import freeswitch_module, text
from .core import Core
from .events import Event
from .script_event import wrapped
from .session import Session
from .stream import CommandStream
from .xmlconfig import SearchBinding, sections_named

__all__ = ["RECURSION_LIMIT", "Doors"]

RECURSION_LIMIT = 240
_FILE = "mod_python3.c"
_LONGEST_FRAME = 255


class Doors:
    """The ways into a script.

    Args:
        core: The switch.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._xml_handler = ""

    def load(self) -> None:
        """What loading mod_python3 does to the process, then `python.conf`: bindings and startup scripts."""
        core = self._core
        folder = str(core.script_dir)
        path = os.environ.get("PYTHONPATH", "")
        own = [os.path.abspath(entry) for entry in path.split(os.pathsep) if entry]  # noqa: PTH100  # text in, text out
        os.environ["PYTHONPATH"] = f"{path}{os.pathsep}{folder}" if path else folder
        # In front PYTHONPATH's, as an interpreter begins; but not the folder that `python -m` put there.
        rest = [entry for entry in sys.path[1:] if entry not in own]
        sys.path[:] = [*own, folder, *rest]
        core.say("NOTICE", "Python Framework Loading...\n", _FILE, 511)
        sys.argv = [""]
        sys.setrecursionlimit(RECURSION_LIMIT)
        core.say("DEBUG", f"Set python recursion limit to {RECURSION_LIMIT}\n", _FILE, 425)
        freeswitch_module.install(core)
        self._configure()

    def run(self, args: str) -> None:
        """`pyrun`: the script's `runtime`, in a thread of its own."""
        self._core.thread(lambda: self._drop(self.call("runtime", args)), f"pyrun {args}")

    def fsapi(self, args: str, stream: CommandStream, session: Session | None = None) -> None:
        """`python` as a command."""
        self.call("fsapi", args, session=session, stream=stream)

    def handler(self, args: str, session: Session) -> None:
        """`python` as an application."""
        self.call("handler", args, session=session)

    def call(
        self,
        function: str,
        args: str,
        *,
        session: Session | None = None,
        stream: CommandStream | None = None,
        params: Event | None = None,
    ) -> object:
        """Call a script's function with the arguments of that door, and return what it returns.

        Args:
            function: Its name; `SCRIPT::name` in `args` names another.
            args: The script's name, and what it is told.
            session: The call.
            stream: Where it writes.
            params: What is looked up.
        """
        words = text.separate(args, " ", 2)
        if not words:
            self._say("ERR", "No module name specified!\n", 217)
            return None
        script, mark, other = words[0].partition("::")
        told = words[1] if len(words) > 1 else ""
        self._say("NOTICE", f"Invoking py module: {script}\n", 231)
        target = self._find(script, other if mark else function)
        if target is None:
            return None
        sys.modules["__main__"].__dict__["freeswitch"] = sys.modules.get("freeswitch")
        self._say("DEBUG", "Call python script \n", 323)
        try:
            if not _is_utf8(told):
                return target()  # The real one can't make the arguments then, and calls it without any.
            return target(*_arguments(session, stream, params, told))
        except SystemExit:
            return None
        except BaseException as error:  # noqa: BLE001  # whatever a script raises ends here
            self._say("ERR", "Error calling python script\n", 334)
            self._report(script, error)
            return None
        finally:
            self._say("DEBUG", "Finished calling python script \n", 325)

    def _find(self, script: str, function: str) -> Callable[..., object] | None:
        try:
            module = importlib.import_module(script)
        except BaseException as error:  # noqa: BLE001  # whatever a script raises ends here
            self._say("ERR", "Error importing module\n", 270)
            self._report(script, error)
            return None
        try:
            module = importlib.reload(module)
        except BaseException as error:  # noqa: BLE001  # whatever a script raises ends here
            self._say("ERR", "Error reloading module\n", 278)
            self._report(script, error)
            return None
        try:
            found: Callable[..., object] = getattr(module, function)
        except AttributeError as error:
            self._say("ERR", f"Module does not define {function}\n", 286)
            self._report(script, error)
            return None
        return found

    def _fetch(
        self, section: str | None, tag: str | None, key: str | None, value: str | None, params: Event | None
    ) -> str | None:
        waiting = freeswitch_module.script_waits_for()
        if waiting:
            self._say("ALERT", f"{waiting} of a script looks up XML in a script: a real FreeSWITCH hangs for good\n", 1)
        asked = params if params is not None else self._core.event("REQUEST_PARAMS", _FILE, "python_fetch", 374)
        for name, part in (("section", section), ("tag_name", tag), ("key_name", key), ("key_value", value)):
            asked.add(name, part or "", top=True)
        answer = self.call("xml_fetch", self._xml_handler, params=asked)
        if answer is None:
            return None
        if not isinstance(answer, str):
            kind = type(answer).__name__
            self._say("ALERT", f"xml_fetch returned a {kind} and no str: that crashes a real FreeSWITCH\n", 1)
            return None
        answer = answer.partition("\0")[0]
        if not answer:
            self._say("ERR", "No Result\n", 389)
            return None
        return answer

    def _configure(self) -> None:
        configuration = self._core.xml.configuration("python.conf")
        if configuration is None:
            self._say("ERR", "Open of python.conf failed\n", 411)
            return
        settings = configuration.first("settings")
        for name, value in settings.params() if settings is not None else ():
            if name == "xml-handler-script":
                self._xml_handler = value
            elif name == "xml-handler-bindings" and self._xml_handler:
                self._say("INFO", f"binding '{self._xml_handler}' to '{value}'\n", 425)
                self._core.xml.bind(SearchBinding(sections_named(value), self._fetch))
            elif name == "startup-script":
                self.run(value)

    def _report(self, script: str, error: BaseException) -> None:
        lines = [f'Python Error by calling script "{script}": {type(error)}\nMessage: {_words(error)}']
        at: TracebackType | None = _script_frames(error.__traceback__)
        if at is not None:
            lines.append("\nException: NoneType: None\n\nTraceback (most recent call last)")
        while at is not None:
            code = at.tb_frame.f_code
            lines.append(f'\n\tFile: "{code.co_filename}", line {at.tb_lineno}, in {code.co_name}'[:_LONGEST_FRAME])
            at = at.tb_next
        self._say("ERR", "".join(lines) + "\n", 184)

    def _say(self, level: str, message: str, line: int) -> None:
        self._core.say(level, message, _FILE, line)

    @staticmethod
    def _drop(_result: object) -> None:
        """A thread's result is nobody's."""


def _arguments(
    session: Session | None, stream: CommandStream | None, params: Event | None, told: str
) -> tuple[Any, ...]:
    written = freeswitch_module.Stream(stream) if stream is not None else None
    if stream is not None and stream.event is not None:
        params = stream.event
    event = wrapped(params) if params is not None else None
    if event is not None and written is not None:
        return (session if session is not None else "na", written, event, told)
    if event is not None:
        return (event, told)
    return (session, told) if session is not None else (told,)


def _is_utf8(told: str) -> bool:
    try:
        told.encode()
    except UnicodeEncodeError:
        return False
    return True


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # a script's own exception may fail at that too
        return "<unknown exception date> "


def _script_frames(at: TracebackType | None) -> TracebackType | None:
    """Without our own frame, which a real one does not have."""
    return at.tb_next if at is not None else None
