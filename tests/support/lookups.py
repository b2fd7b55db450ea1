"""XML lookups of a running switch: the configuration, documents, and what the switch says of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from xml.etree.ElementTree import Element, fromstring, tostring

from freeswitch_zmq.client.service import directory, document, user

from .esl import Esl
from .module import Module, Param, configuration, params, publisher
from .switch import Switch

DOMAIN = "example.com"
ALL = "configuration|directory|dialplan|languages|chatplan"
ENDS = ("cached", "found", "not_found", "stale", "failed")
LOOKUP_SECONDS = 60.0
"""For a command that looks up: what takes so long hangs."""


def binding(*endpoints: str, name: str = "users", bindings: str = "directory", **given: object) -> str:
    """A `<binding>`; further params with underscores. It waits for answers longer than any test takes."""
    values: list[Param] = [("bindings", bindings), *(("endpoint", each) for each in endpoints)]
    values += [(key.replace("_", "-"), str(value)) for key, value in {"timeout_ms": 30_000, **given}.items()]
    return f'<binding name="{name}">{params(values)}</binding>'


def bound(*bindings: str, more: str = "") -> str:
    """An event_zmq.conf.xml with these, and one publisher."""
    return configuration(publisher(), api=f"{more}<xml-bindings>{''.join(bindings)}</xml-bindings>")


def users_document(*names: str, domain: str = DOMAIN, **variables: str) -> str:
    """What a service answers: these users."""
    users = [user(name, variables=variables) for name in names]
    return tostring(document("directory", directory(domain, *users)), "unicode")


def known(*names: str) -> Callable[[dict[str, Any]], Any]:
    """The answers of a service that knows these users and nothing else."""

    def answer(request: dict[str, Any]) -> Any:
        name = request["params"]["params"].get("user")
        return {"xml": users_document(name)} if name in names else null(request)

    return answer


def null(request: dict[str, Any]) -> bytes:
    """The answer that there is none."""
    return f'{{"jsonrpc":"2.0","id":"{request["id"]}","result":null}}'.encode()


def find_user(switch: Switch | Esl, name: str, domain: str = DOMAIN) -> str:
    """What the switch finds: the user's id, or nothing. It looks up once when it finds one, and else twice."""
    found = switch.api(f"user_data {name}@{domain} attr id", LOOKUP_SECONDS).strip()
    return "" if found == "-ERR no reply" else found


@contextmanager
def connections(switch: Switch, count: int) -> Iterator[list[Esl]]:
    """So many to the event socket, one after the other: it takes five at once, and forgets others for a minute."""
    with ExitStack() as stack:
        yield [stack.enter_context(switch.esl()) for _ in range(count)]


def locate(switch: Switch, section: str = "directory", tag: str = "domain", value: str = DOMAIN) -> Element | None:
    """What one lookup finds."""
    text = switch.api(f"xml_locate {section} {tag} name {value}", LOOKUP_SECONDS).strip()
    return None if text == "can't find anything" else fromstring(text)


def elements(root: Element) -> list[tuple[str, dict[str, str]]]:
    """All of them, for a comparison."""
    return [(each.tag, dict(each.attrib)) for each in root.iter()]


def counters(module: Module, name: str = "users") -> dict[str, Any]:
    """A binding's part of the status. How lookups ended adds up."""
    part: dict[str, Any] = module.status()["xml_bindings"][name]
    assert part["lookups"] == sum(part[each] for each in ENDS), part
    return part


def ended(module: Module, name: str = "users") -> dict[str, int]:
    """How lookups ended, without what was never seen."""
    part = counters(module, name)
    return {each: part[each] for each in ENDS if part[each]}


def connected(module: Module, *names: str) -> None:
    """Returns when somebody is at every endpoint of these bindings."""

    def all_there(bindings: dict[str, Any]) -> bool:
        return all(each["connected"] for name in names or bindings for each in bindings[name]["connections"])

    module.wait(lambda: module.status()["xml_bindings"], all_there)


class Asking:
    """Threads that call a function over and over, until the block ends; what one raises is raised there.

    Args:
        functions: one for each thread.

    Attributes:
        count: calls that returned.
    """

    def __init__(self, functions: Sequence[Callable[[], object]]) -> None:
        self.count = 0
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._work, args=(function,), name=f"asking {number}")
            for number, function in enumerate(functions)
        ]

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        if self._errors and kind is None:
            raise self._errors[0]

    def _work(self, function: Callable[[], object]) -> None:
        try:
            while not self._ending.is_set():
                function()
                with self._lock:
                    self.count += 1
        except BaseException as error:  # noqa: BLE001  # raised at the end
            self._errors.append(error)

    def more(self, count: int, timeout: float = 60.0) -> None:
        """Returns after so many more calls."""
        wanted, deadline = self.count + count, time.monotonic() + timeout
        while self.count < wanted:
            if self._errors:
                raise self._errors[0]
            assert time.monotonic() < deadline, f"{self.count} of {wanted} calls after {timeout:g} s"
            time.sleep(0.01)
