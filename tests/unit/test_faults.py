from __future__ import annotations

import threading

from freeswitch_zmq.module.faults import Faults
from tests.unit.fake_freeswitch import FakeSwitch


def raised(error: Exception) -> Exception:
    """The same with a traceback."""
    try:
        raise error
    except type(error) as caught:
        return caught


def raised_elsewhere(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_the_first_of_a_kind_and_place_is_logged_and_all_are_counted(switch: FakeSwitch) -> None:
    faults = Faults()
    for number in range(3):
        faults.caught("the pump", raised(ValueError(f"wrong {number}")))
    assert faults.count == 3
    [line] = switch.texts("ERR")
    assert line.startswith("the pump met ValueError: wrong 0 (test_faults.py:")
    assert line.endswith("). This is logged only once and counted in `python event_zmq status`; please report it")
    faults.caught("the pump", raised(TypeError("wrong")))
    faults.caught("the keeper", raised(ValueError("wrong")))
    faults.caught("the pump", raised_elsewhere(ValueError("wrong")))
    faults.caught("the pump", ValueError("without a traceback"))
    assert faults.count == 7
    assert len(switch.texts("ERR")) == 5
    assert "without a traceback (?)" in switch.texts("ERR")[-1]


def test_what_no_log_takes_is_logged_all_the_same(switch: FakeSwitch) -> None:
    Faults().caught("the pump", ValueError("\udcff\0"))
    assert "met ValueError: ?\\0 (?)" in switch.texts("ERR")[0]


def test_the_log_does_not_fill_though_each_is_of_another_kind(switch: FakeSwitch) -> None:
    faults = Faults()
    for number in range(250):
        faults.caught(f"place {number}", ValueError("x"))
    assert faults.count == 250
    assert len(switch.texts("ERR")) == 100


def test_many_threads_are_counted_to_the_last(switch: FakeSwitch) -> None:
    faults = Faults()
    error = raised(ValueError("x"))

    def catch() -> None:
        for _ in range(200):
            faults.caught("a thread", error)

    threads = [threading.Thread(target=catch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults.count == 800
    assert len(switch.texts("ERR")) == 1
