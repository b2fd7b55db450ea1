from __future__ import annotations

import threading

import pytest

from freeswitch_zmq.errors import StartError
from freeswitch_zmq.module.worker import STACK_BYTES, Worker
from tests.support.waiting import wait_for


class Recorder(Worker):
    """Writes down what is called in which thread; raises where it is told to."""

    def __init__(self, **errors: BaseException) -> None:
        self.failures: list[BaseException] = []
        super().__init__("recorder", self.failures.append)
        self.calls: list[str] = []
        self.threads: set[int] = set()
        self.may_open = threading.Event()
        self.may_open.set()
        self.may_run = threading.Event()
        self.may_run.set()
        self._errors = errors
        self._woken = threading.Event()

    def _note(self, what: str) -> None:
        self.calls.append(what)
        self.threads.add(threading.get_ident())
        if what in self._errors:
            raise self._errors[what]

    def open(self) -> None:
        assert self.may_open.wait(60.0)
        self._note("open")

    def run(self) -> None:
        assert self.may_run.wait(60.0)
        self._note("run")
        while not self.stopping:
            assert self._woken.wait(60.0)

    def close(self) -> None:
        self._note("close")

    def wake(self) -> None:
        self._woken.set()


def test_it_is_ready_when_start_returns_and_gone_when_stop_does() -> None:
    worker = Recorder()
    worker.start()
    assert worker.calls[0] == "open"
    assert [thread.name for thread in threading.enumerate()].count("recorder") == 1
    assert worker.alive
    assert worker.stop()
    assert [thread.name for thread in threading.enumerate()].count("recorder") == 0
    assert worker.calls == ["open", "run", "close"]
    assert len(worker.threads) == 1
    assert threading.get_ident() not in worker.threads
    assert worker.failures == []


def test_stop_is_harmless_before_and_after() -> None:
    never = Recorder()
    assert never.stop()
    assert never.calls == []
    worker = Recorder()
    worker.start()
    assert worker.stop()
    assert worker.stop()
    assert worker.calls == ["open", "run", "close"]


def test_what_open_raises_start_raises_after_closing() -> None:
    error = StartError("port in use")
    worker = Recorder(open=error)
    with pytest.raises(StartError) as caught:
        worker.start()
    assert caught.value is error
    assert not worker.alive
    assert worker.calls == ["open", "close"]
    assert worker.stop()


def test_an_open_and_a_close_that_fail() -> None:
    at_open, at_close = StartError("open"), ValueError("close")
    worker = Recorder(open=at_open, close=at_close)
    with pytest.raises(StartError):
        worker.start()
    assert worker.failures == [at_close]


def test_what_run_raises_is_reported_and_everything_closed() -> None:
    error = ValueError("run")
    worker = Recorder(run=error)
    worker.may_run.clear()
    worker.start()
    worker.may_run.set()
    wait_for(lambda: not worker.alive, "the thread to end")
    assert worker.calls == ["open", "run", "close"]
    assert worker.failures == [error]
    assert worker.failure is error
    assert worker.stop()


def test_both_errors_of_run_and_close_are_reported() -> None:
    worker = Recorder(run=ValueError("run"), close=ValueError("close"))
    worker.may_run.clear()
    worker.start()
    worker.may_run.set()
    wait_for(lambda: not worker.alive, "the thread to end")
    assert [str(error) for error in worker.failures] == ["run", "close"]


def test_one_that_does_not_get_ready_is_an_error_and_ends_later() -> None:
    worker = Recorder()
    worker.may_open.clear()
    with pytest.raises(StartError) as caught:
        worker.start(timeout=0.01)
    assert str(caught.value) == "recorder did not get ready within 0.01 s; try again, and report it with the log"
    worker.may_open.set()
    assert worker.stop()
    assert worker.calls == ["open", "run", "close"]


def test_a_stop_that_takes_too_long_says_so() -> None:
    worker = Recorder()
    worker.may_open.clear()
    starting = threading.Thread(target=worker.start)
    starting.start()
    wait_for(lambda: worker.alive, "the thread")
    assert not worker.stop(timeout=0.01)
    worker.may_open.set()
    assert worker.stop()
    starting.join()


def test_stopping_oneself_does_not_wait_for_oneself() -> None:
    class Suicidal(Recorder):
        def run(self) -> None:
            assert self.may_run.wait(60.0)
            self.calls.append(f"gone: {self.stop()}")

    worker = Suicidal()
    worker.may_run.clear()
    worker.start()
    worker.may_run.set()
    wait_for(lambda: not worker.alive, "the thread to end")
    assert worker.calls == ["open", "gone: False", "close"]


def test_the_thread_is_there_from_its_first_moment_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Quick(Recorder):
        def open(self) -> None:
            self.calls.append(f"alive: {self.alive}")
            opened.set()

    start = threading.Thread.start
    opened = threading.Event()

    def slow_start(thread: threading.Thread) -> None:
        start(thread)
        assert opened.wait(60.0)

    monkeypatch.setattr(threading.Thread, "start", slow_start)
    worker = Quick()
    worker.start()
    assert worker.stop()
    assert worker.calls[0] == "alive: True"


@pytest.mark.parametrize("setting", [0, 256 * 1024])
def test_the_stack_is_ours_and_the_process_keeps_its_setting(setting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # What size a thread got can't be asked for, so the size that is set at the moment of its start is.
    sizes: list[int] = []
    start = threading.Thread.start

    def noting_start(thread: threading.Thread) -> None:
        sizes.append(threading.stack_size())
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noting_start)
    before = threading.stack_size(setting)
    try:
        worker = Recorder()
        worker.start()
        assert threading.stack_size() == setting
        assert worker.stop()
    finally:
        threading.stack_size(before)
    assert sizes == [STACK_BYTES]


def test_a_daemon_so_that_an_exit_of_the_switch_never_waits() -> None:
    worker = Recorder()
    worker.start()
    [thread] = [thread for thread in threading.enumerate() if thread.name == "recorder"]
    assert thread.daemon
    assert worker.stop()
