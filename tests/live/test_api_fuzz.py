"""Three thousand requests, most of them wrong in some way; tests/soak/test_fuzz_api.py sends a hundred thousand."""

from __future__ import annotations

import pytest

from tests.live.conftest import LiveModuleFactory
from tests.support.api_fuzz import configured, run

pytestmark = pytest.mark.live


def test_three_thousand_requests(live_module_factory: LiveModuleFactory) -> None:
    run(live_module_factory(configured()), 3_000)
