"""What FreeSWITCH looks up, and which lookups are the same for the cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Asked"]

_DIRECTORY = ("key", "user", "domain", "group", "group_name", "purpose", "action", "profile", "type", "as_channel")
_ROUTING = (
    "Caller-Destination-Number",
    "Caller-Context",
    "Caller-Dialplan",
    "Caller-Caller-ID-Number",
    "Caller-Caller-ID-Name",
    "Caller-Username",
    "Hunt-Destination-Number",
    "Hunt-Context",
    "context",
    "from",
    "to",
)
KEYS = {"directory": _DIRECTORY, "dialplan": _ROUTING, "chatplan": _ROUTING}
"""The params that make a difference; stated for users in docs/protocol.md. In other sections all but the event's do."""

_EVENT = ("Event-", "FreeSWITCH-", "Core-UUID")


class Asked(NamedTuple):
    """A lookup. `params` are the other headers of FreeSWITCH's event."""

    section: str
    tag_name: str
    key_name: str
    key_value: str
    params: Mapping[str, Any]

    def as_params(self) -> dict[str, Any]:
        """As `xml.fetch` has it."""
        others = {name: value for name, value in self.params.items() if name not in self._fields}
        return {**self._asdict(), "params": others}

    def key(self) -> tuple[Any, ...]:
        """Equal for lookups that have the same answer."""
        names = KEYS.get(self.section)
        if names is None:
            names = tuple(sorted(name for name in self.params if not name.startswith(_EVENT)))
        found = tuple((name, str(self.params[name])) for name in names if name in self.params)
        return (self.section, self.tag_name, self.key_name, self.key_value, found)
