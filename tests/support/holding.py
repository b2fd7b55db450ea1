"""Commands that run until the test ends them: what has to happen meanwhile happens, however busy the machine is.

The switch's script folder has tests/switch/script_hold.py.
"""

from __future__ import annotations

import secrets
from typing import Any

from .switch import REPOSITORY, Switch

HOLD = "api:python script_hold *"
"""What a caller has to be allowed; with `bgapi` accordingly."""

HOLD_SCRIPT = REPOSITORY / "tests" / "switch" / "script_hold.py"
"""For the script folder."""


class Hold:
    """Commands of one name, which end together.

    Args:
        switch: where they run.

    Attributes:
        args: of the command `python`; what is put behind them changes nothing.
    """

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._name = secrets.token_hex(8)
        self.args = f"script_hold {self._name}"

    def params(self, *words: object, **more: Any) -> dict[str, Any]:
        """Of a request for one; the words stand behind its arguments."""
        return {"command": "python", "args": " ".join([self.args, *map(str, words)]), **more}

    def release(self) -> None:
        """They end, and so does at once whichever is begun later."""
        assert self._switch.api(f"python script_hold::release {self._name}", 30).strip() == "+OK"
