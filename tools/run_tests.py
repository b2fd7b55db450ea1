"""Runs the tests under the distribution's Python and packages and with the newest ones, and sums up.

All at the same time, because tests of a switch wait more than they work; for the same reason what takes half of the
time has a process of its own. The distribution's are shown first, so that what is read last are runs in which the live
tests take part.
Arguments are handed to each run of pytest. The last line printed is the sum; it is kept in `.venv/last-tests`
for whoever runs this through make.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Optional

from tools import python_check, setup_venv

_ROOT = Path(__file__).resolve().parents[1]
_DEBIAN = _ROOT / ".venv-debian"
_SUMMARY = _ROOT / ".venv" / "last-tests"
SHOW_SECONDS = 0.2


def main() -> int:
    """Entry point."""
    _SUMMARY.unlink(missing_ok=True)
    arguments = sys.argv[1:]
    total: Counter[str] = Counter()
    missing = _make_debian()
    passes: list[Pass] = []
    codes = []
    try:
        if not missing:
            passes.append(Pass("the distribution's pyzmq and ujson", _DEBIAN / "bin" / "python", _of_debian(arguments)))
        newest = "the newest pyzmq and ujson", Path(sys.executable)
        passes.extend(Pass(*newest, each) for each in _of_newest(arguments))
        codes = [each.finish(total) for each in passes]
    finally:
        for each_pass in passes:
            each_pass.end()
    failed = total["failures"] + total["errors"]
    passed = total["tests"] - failed - total["skipped"]
    # A run that ended badly without a failed test (interrupted, crashed, nothing collected) is a failure too.
    failed = failed or int(any(codes))
    summary = f"{passed} passed, {failed} failed, {total['skipped']} skipped"
    if missing:
        # Not without a word: half of what is promised was not seen on this machine.
        print(f"Tests with the distribution's pyzmq and ujson: NOT RUN. {missing}")
    _SUMMARY.write_text(summary + "\n", "utf-8")
    print(summary, flush=True)
    return 1 if failed else 0


def _of_debian(arguments: list[str]) -> list[str]:
    """Without what runs once: tests/security takes minutes, tests/install has the distribution's Python anyway."""
    return ["-m", "not live and not soak", *(arguments or ["--ignore=tests/security", "--ignore=tests/install"])]


def _of_newest(arguments: list[str]) -> list[list[str]]:
    """What runs on the stand-in there runs here on a real FreeSWITCH, where one was found."""
    aside = ["tests/security", "tests/unit"]
    parts = [arguments] if arguments else [aside, [f"--ignore={folder}" for folder in aside]]
    return [["-m", "not soak and not twin", *part] for part in parts]


def _make_debian() -> Optional[str]:
    """See that the second environment is there; returns what it says when this machine can't have it.

    Raises:
        SystemExit: It could be made and was not.
    """
    if not python_check.SYSTEM_PYTHON.exists():
        return f"there is no {python_check.SYSTEM_PYTHON}"
    command = [str(python_check.SYSTEM_PYTHON), "-m", "tools.setup_venv", "--debian", str(_DEBIAN), "test"]
    done = subprocess.run(command, cwd=_ROOT, check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode == setup_venv.UNAVAILABLE:
        return done.stderr.strip().splitlines()[-1]
    if done.returncode != 0:
        sys.exit(done.stderr.strip() or f"{_DEBIAN} could not be made")
    return None


class Pass:
    """A run of pytest under `python`, which begins at once."""

    def __init__(self, title: str, python: Path, arguments: list[str]) -> None:
        self._title = f"\nTests with {title} ({_versions(python)})"
        self._folder = tempfile.TemporaryDirectory()
        self._output = Path(self._folder.name, "output")
        self._report = Path(self._folder.name, "report.xml")
        command = [str(python), "-m", "pytest", f"--junit-xml={self._report}", *arguments]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    def finish(self, total: Counter[str]) -> int:
        """Show what it prints, add what it reports to `total`, and return its exit code."""
        print(self._title, flush=True)
        with self._output.open("rb") as output:
            ended = False
            while True:
                text = output.read()
                sys.stdout.buffer.write(text)
                sys.stdout.flush()
                if ended:
                    break
                ended = self._process.poll() is not None
                if not ended and not text:
                    time.sleep(SHOW_SECONDS)
        if self._report.exists():
            for suite in ElementTree.parse(self._report).iter("testsuite"):
                for what in ("tests", "failures", "errors", "skipped"):
                    total[what] += int(suite.get(what, "0"))
        return self._process.returncode

    def end(self) -> None:
        """Take away what is left of it."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        self._folder.cleanup()


def _versions(python: Path) -> str:
    code = (
        "import sys, zmq, ujson;"
        "print(f'Python {sys.version.split()[0]}, pyzmq {zmq.__version__}, libzmq {zmq.zmq_version()},"
        " ujson {ujson.__version__}')"
    )
    return subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
