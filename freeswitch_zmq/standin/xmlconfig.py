"""The XML registry: reads the configuration with its preprocessing, keeps it, and looks things up in it."""

from __future__ import annotations

import glob
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, NamedTuple, Optional

from . import text, xmltree
from .events import Event
from .variables import Variables

__all__ = ["ConfigError", "Preprocessor", "SearchBinding", "XmlRegistry", "sections_named"]

_SECTIONS = ("config", "directory", "dialplan", "languages", "chatplan", "channels")
_MOST_NESTED = 100
_COMMAND = re.compile(r'cmd[^=]*=[^"]*"([^"]*)".*?data[^=]*=[^"]*"([^"]*)"', re.IGNORECASE | re.DOTALL)
_OLD_COMMAND = re.compile(r'<!--#(\S+) (?:[^"]*"([^"]*)"|(.*))', re.DOTALL)

LogError = Callable[[str, str], None]
Search = Callable[[Optional[str], Optional[str], Optional[str], Optional[str], Optional[Event]], Optional[str]]


class ConfigError(Exception):
    """The configuration can't be read; the message is what `reloadxml` shows in its brackets."""


def sections_named(names: str) -> frozenset[str]:
    """The sections that occur in `names`; none of them known means every section."""
    return frozenset(section for section in _SECTIONS if section in names.lower())


class SearchBinding(NamedTuple):
    """Somebody who is asked before the files.

    Attributes:
        sections: As :func:`sections_named` gives them; empty for all.
        search: Gets section, tag, key name, key value and further parameters; returns XML, or None for nothing.
    """

    sections: frozenset[str]
    search: Search


class Preprocessor:
    """Puts the files of the configuration together to one document.

    Args:
        variables: What `$${name}` means; `set` lines change it.
        log: Called with a level's name and a message.
    """

    def __init__(self, variables: Variables, log: LogError) -> None:
        self._variables = variables
        self._log = log

    def read(self, file: Path, folder: Path) -> str:
        """The document that begins in `file`; relative includes of that file are meant from `folder`.

        Raises:
            ConfigError: The file can't be opened.
        """
        lines = self._lines(str(file), str(folder), 0)
        if lines is None:
            raise ConfigError("Cannot Open log directory or XML Root!")
        return "".join(lines)

    def _lines(self, file: str, folder: str, depth: int) -> Iterator[str] | None:
        if depth > _MOST_NESTED:
            return None
        try:
            source = text.to_text(Path(file).read_bytes())
        except OSError as error:
            self._log("ERR", f"Couldn't open {file} ({error.strerror})\n")
            return None
        return self._process(source, file, folder, depth)

    def _process(self, source: str, file: str, folder: str, depth: int) -> Iterator[str]:
        in_comment = False
        for number, raw in enumerate(source.splitlines(keepends=True) if source.isascii() else _lines(source), 1):
            line = self._expand(raw, file, number)
            if "<include>" in raw or "</include>" in raw or "<?" in raw:
                continue
            if in_comment:
                _, mark, line = line.partition("-->")
                if not mark:
                    continue
                in_comment = False
            at = line.lower().find("x-pre-process")
            if at >= 0:
                # Also where it stands in a comment: FreeSWITCH looks at nothing but the "<" before it.
                found = _COMMAND.search(line[at:].partition("/>")[0] + "/>") if line[at - 1 : at] == "<" else None
                if found:
                    yield from self._run(found.group(1), found.group(2), folder, depth)
                continue
            old = _OLD_COMMAND.search(line)
            if old:
                yield line[: old.start()]
                _, mark, rest = line[old.start() :].partition("-->")
                in_comment = not mark
                yield rest
                command = _OLD_COMMAND.search(line[old.start() :].partition("-->")[0])
                if command:
                    yield from self._run(command.group(1), command.group(2) or command.group(3) or "", folder, depth)
                continue
            yield line

    def _run(self, command: str, data: str, folder: str, depth: int) -> Iterator[str]:
        lower = command.lower()
        name, mark, value = data.partition("=")
        if lower == "set" and mark:
            self._variables.set(name.rstrip(" "), value.lstrip(" "))
        elif lower == "env-set" and mark and value.startswith("$"):
            self._variables.set_from_environment(name, value[1:])
        elif lower == "include":
            yield from self._include(data, folder, depth)
        elif lower in ("exec", "exec-set", "stun-set"):
            self._log("WARNING", f"The stand-in does not run X-PRE-PROCESS {command}\n")

    def _include(self, pattern: str, folder: str, depth: int) -> Iterator[str]:
        full = pattern if pattern.startswith(("/", "~")) else f"{folder}/{pattern}"
        files = sorted(glob.glob(full))  # noqa: PTH207  # a pattern as text is what the C library has too
        if not files:
            self._log("INFO", f"No files to include at {full}\n")
        for file in files:
            lines = self._lines(file, str(Path(file).parent), depth + 1)
            if lines is None:
                self._log("ERR", f"Error including {full}\n")
            else:
                yield from lines

    def _expand(self, line: str, file: str, number: int) -> str:
        out: list[str] = []
        at = 0
        while True:
            start = line.find("$${", at)
            if start < 0:
                return "".join(out) + line[at:]
            out.append(line[at:start])
            end = _closing(line, start + 2)
            if end < 0:
                self._log("ERR", f"Error [unterminated ${{var}}] in file {file} line {number}\n")
                out.append("$")
                at = start + 1
                continue
            out.append(self._variables.get(line[start + 3 : end]) or "")
            at = end + 1


def _lines(source: str) -> list[str]:
    """Split at line feeds only: Python's own way would split at others too."""
    parts = source.split("\n")
    return [part + "\n" for part in parts[:-1]] + parts[-1:]


def _closing(line: str, at: int) -> int:
    """Where the brace that is open at `at` is closed, -1 for nowhere."""
    depth = 0
    for place in range(at, len(line)):
        depth += {"{": 1, "}": -1}.get(line[place], 0)
        if depth == 0:
            return place
    return -1


class XmlRegistry:
    """The configuration as it was last read without an error.

    Args:
        folder: Holds `freeswitch.xml`.
        variables: The switch's global variables.
        log: Called with a level's name and a message.
    """

    def __init__(self, folder: Path, variables: Variables, log: LogError) -> None:
        self._folder = folder
        self._preprocessor = Preprocessor(variables, log)
        self._log = log
        self._lock = threading.Lock()
        self._root: xmltree.Element | None = None
        self._bindings: tuple[SearchBinding, ...] = ()

    @property
    def root(self) -> xmltree.Element:
        """The whole document.

        Raises:
            ConfigError: Nothing was read yet.
        """
        if self._root is None:
            raise ConfigError("no XML root")
        return self._root

    def load(self) -> None:
        """Read it anew; on an error what was there stays.

        Raises:
            ConfigError: With the words that `reloadxml` shows.
        """
        with self._lock:
            source = self._preprocessor.read(self._folder / "freeswitch.xml", self._folder)
            if not source:
                raise ConfigError("Cannot Open log directory or XML Root!")
            try:
                self._root = xmltree.parse(source)
            except xmltree.XmlError as error:
                raise ConfigError(str(error)) from error

    def bind(self, binding: SearchBinding) -> None:
        """Ask it before the files, after those that were bound earlier."""
        self._bindings = (*self._bindings, binding)

    def locate(
        self, section: str | None, tag: str | None, key: str | None, value: str | None, params: Event | None = None
    ) -> xmltree.Element | None:
        """What a bound search has, else what the files have, else None.

        Args:
            section: Such as `configuration`.
            tag: The element's name; None for the whole section.
            key: The attribute that tells it from others.
            value: That attribute's value, in any case.
            params: What else a search is told; a search adds to it.
        """
        for document in (self._searched(section, tag, key, value, params), self._root):
            found_section = document.find("section", "name", section) if document is not None else None
            found = found_section.find(tag, key, value) if found_section is not None else None
            if found is not None:
                return found
        return None

    def configuration(self, name: str) -> xmltree.Element | None:
        """A module's configuration, such as `acl.conf`."""
        return self.locate("configuration", "configuration", "name", name)

    def _searched(
        self, section: str | None, tag: str | None, key: str | None, value: str | None, params: Event | None = None
    ) -> xmltree.Element | None:
        wanted = sections_named(section or "")
        for binding in self._bindings:
            if binding.sections and not (wanted & binding.sections):
                continue
            answer = binding.search(section, tag, key, value, params)
            if answer is None:
                continue
            try:
                document = xmltree.parse(answer)
            except xmltree.XmlError as error:
                self._log("ERR", f"Error[{error}]\n")
                continue
            if not _says_not_found(document):
                return document
        return None


def _says_not_found(document: xmltree.Element) -> bool:
    section = document.find("section", "name", "result")
    result = section.first("result") if section is not None else None
    return result is not None and result.attributes.get("status", "").lower() == "not found"
