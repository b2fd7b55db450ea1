"""What is held for replay, as far as `status` shows it."""

from __future__ import annotations

from tests.support.module import Module, Param, configuration, publisher
from tests.switch.conftest import ModuleFactory


def test_what_nobody_subscribed_to_is_held(module_factory: ModuleFactory) -> None:
    module = module_factory(_holding("40"))
    assert module.publisher()["replay"] == {"held": 0, "bytes": 0, "oldest": 1, "newest": 0}
    assert "\n  replay      nothing is held yet" in module.command("status")
    _fire(module, 25)
    part = module.wait(module.publisher, lambda now: (now["replay"]["held"], now["skipped"]) == (25, 25))
    assert (part["published"], part["subscriptions"]) == (0, 0)
    assert part["replay"]["bytes"] > 25 * 200
    _fire(module, 50)
    part = module.wait(module.publisher, lambda now: (now["replay"]["newest"], now["skipped"]) == (75, 75))
    assert (part["replay"]["held"], part["replay"]["oldest"], part["replay"]["newest"]) == (40, 36, 75)
    assert "\n  replay      40 events (0.0 MB), from 36 to 75" in module.command("status")
    # A reload keeps what fits.
    assert module.reload(_holding("10")).startswith("+OK reloaded")
    part = module.at_rest()
    assert (part["replay"]["held"], part["replay"]["oldest"], part["replay"]["newest"]) == (10, 66, 75)
    assert module.reload(configuration(publisher(("event-filter", "TRAP")))).startswith("+OK reloaded")
    part = module.at_rest()
    assert (part["replay"], part["accepted"], part["shed"]) == (None, 75, 0)


def _holding(events: str) -> str:
    params: list[Param] = [("event-filter", "TRAP"), ("replay-mb", "1"), ("replay-events", events)]
    return configuration(publisher(*params))


def _fire(module: Module, count: int) -> None:
    for _ in range(count):
        module.switch.sendevent("TRAP")
