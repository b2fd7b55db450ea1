"""A `<binding>`: a service that answers lookups, its cache, and what is done when it does not answer."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from typing import Any, Callable, Optional

import zmq

from freeswitch_zmq.module.asking.backend import BackendOptions
from freeswitch_zmq.module.asking.complaints import Complaints
from freeswitch_zmq.module.asking.question import INVALID, OK, OVERDUE_SECONDS, TIMEOUT, Outcome
from freeswitch_zmq.module.asking.requester import Requester
from freeswitch_zmq.module.lookups.asked import Asked
from freeswitch_zmq.module.lookups.cache import Cache
from freeswitch_zmq.module.schema import XmlBindingConfig
from freeswitch_zmq.xml_document import check_document

__all__ = ["XmlBinding"]


class XmlBinding:
    """See above. `fetch` is called by many threads of FreeSWITCH's at the same time.

    Args:
        config: what stands in the file.
        options: for the sockets.
        context: the module's.
        on_error: called with an exception that was caught.
    """

    def __init__(
        self,
        config: XmlBindingConfig,
        options: BackendOptions,
        context: zmq.Context[zmq.Socket[bytes]],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self.cache = Cache()
        self._who = f'binding "{config.name}"'
        self._complaints = Complaints()
        self._counter_lock = threading.Lock()
        self._counters: Counter[str] = Counter()
        self.requester = Requester(context, self._who, config.endpoint, options, self._note, on_error)
        self.configure(config)

    def configure(self, config: XmlBindingConfig) -> None:
        """Other times and limits from the next lookup on."""
        self.cache.configure(config.cache_ttl_ms / 1000, config.cache_stale_ms / 1000)
        self.config = config

    def fetch(self, asked: Asked) -> Optional[bytes]:
        """The document, or None: not found."""
        key = asked.key() if self.cache.keeps else None
        document = self.cache.get(key) if key is not None else None
        if document is not None:
            self._count("cached")
            return document
        seconds, flushes = self.config.timeout_ms / 1000, self.cache.flushes
        read = partial(self._read, asked.section)
        question = self.requester.ask("xml.fetch", asked.as_params(), seconds, read)
        outcome = question.wait(seconds + OVERDUE_SECONDS)
        if outcome is None:
            self.requester.drop(question)
            outcome = Outcome(TIMEOUT, problem="the thread that asks did not answer")
        if outcome.status == OK:
            found: Optional[bytes] = outcome.value
            if key is not None:
                self.cache.put(key, found, flushes)
            self._count("not_found" if found is None else "found")
            return found
        if key is not None and outcome.status != INVALID:
            document = self.cache.get(key, in_need=True)
        self._count("failed" if document is None else "stale")
        what = "counts as not found" if document is None else "is answered with an older document"
        text = f"{self._who}: {outcome.problem}; {asked.section} {asked.key_name}={asked.key_value} {what}"
        self._complaints.log("WARNING", outcome.status, text)
        return document

    def _read(self, section: str, result: Any) -> Optional[bytes]:
        """In the requester's thread, whose stack is larger than that of a call."""
        if result is None:
            return None
        if not isinstance(result, dict) or set(result) != {"xml"}:
            raise ValueError('the result is neither null nor {"xml": "<document …>"}')
        return check_document(result["xml"], section, self.config.response_max_bytes)

    def _count(self, what: str) -> None:
        with self._counter_lock:
            self._counters[what] += 1

    def _note(self, level: str, text: str) -> None:
        self._complaints.log(level, text, f"{self._who}: {text}")

    def counted(self) -> dict[str, Any]:
        """For `status`."""
        with self._counter_lock:
            counters = {name: self._counters[name] for name in ("cached", "found", "not_found", "stale", "failed")}
        return {
            **self.requester.counted(),
            "lookups": sum(counters.values()),
            **counters,
            "cache": {"entries": len(self.cache), "bytes": self.cache.bytes},
        }
