"""What all endpoints of the API have in common: who may do what, how many commands run, and what can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, Optional

from freeswitch_zmq.grants import Grants
from freeswitch_zmq.module.api.request import Caller, Request
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.publication import Publication
from freeswitch_zmq.module.schema import ApiConfig

__all__ = ["AnswerLater", "Desk"]

AnswerLater = Callable[[Request, Optional[str]], None]
"""Called in the pump's thread with the output of the command that runs for a request."""

_NOTHING = Grants(())


class _Book(NamedTuple):
    """What stands in a configuration, and what was made of it. A reload puts another one in its place: who was in the
    middle of something leaves nothing of the former in it.
    """

    config: ApiConfig
    grants: Grants
    of_keys: dict[str, tuple[tuple[str, ...], Grants]]


class Desk:
    """See above.

    Args:
        config: what stands in the file.
        commands: runs them.
        ring: the keys.
        publications: by name; changed by others.
        status: gives what `status json` prints.
        core_uuid: of the switch.
    """

    def __init__(
        self,
        config: ApiConfig,
        commands: Commands,
        ring: KeyRing,
        publications: Mapping[str, Publication],
        status: Callable[[], dict[str, Any]],
        core_uuid: str,
    ) -> None:
        self.commands = commands
        self.publications = publications
        self.status = status
        self.core_uuid = core_uuid
        self._ring = ring
        self.configure(config)

    def configure(self, config: ApiConfig) -> None:
        """Other permissions and limits from the next request on."""
        self._book = _Book(config, Grants(config.allow, config.deny), {})

    @property
    def config(self) -> ApiConfig:
        """What stands in the file."""
        return self._book.config

    def caller(self, user_id: Optional[str], address: str) -> Caller:
        """Who that is.

        Args:
            user_id: as access control gave it to libzmq: the public key in hex; None where no keys are asked for.
            address: the peer's.
        """
        book = self._book
        if user_id is None:
            return Caller(address, None, book.grants)
        key = self._ring.find(bytes.fromhex(user_id))
        if key is None:  # taken away since it connected
            return Caller(address, None, _NOTHING)
        allow, grants = book.of_keys.get(key.name, ((), _NOTHING))
        if allow != key.allow:
            grants = Grants(key.allow, book.config.deny)
            book.of_keys[key.name] = key.allow, grants
        return Caller(address, key, grants)

    def still_knows(self, caller: Caller) -> bool:
        """Whether its key has not been taken away meanwhile."""
        return caller.key is None or self._ring.find(caller.key.public_key) is not None

    @property
    def pending(self) -> int:
        """Commands that FreeSWITCH has not finished, also those whose callers have given up."""
        return self.commands.running
