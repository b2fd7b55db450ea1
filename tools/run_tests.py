"""Runs the tests twice and sums up: under the distribution's Python and packages, and with the newest ones.

The distribution's come first, so that what is read last is the run in which the live tests take part.
Arguments are handed to both runs of pytest. The last line printed is the sum; it is kept in `.venv/last-tests`
for whoever runs this through make.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Optional

from tools import python_check, setup_venv

_ROOT = Path(__file__).resolve().parents[1]
_DEBIAN = _ROOT / ".venv-debian"
_SUMMARY = _ROOT / ".venv" / "last-tests"


def main() -> int:
    """Entry point."""
    _SUMMARY.unlink(missing_ok=True)
    arguments = sys.argv[1:]
    total: Counter[str] = Counter()
    codes = []
    missing = _make_debian()
    if not missing:
        python = _DEBIAN / "bin" / "python"
        codes.append(
            run_pass(
                "the distribution's pyzmq and ujson",
                python,
                ["-m", "not live and not soak", *_but_security(arguments)],
                total,
            )
        )
    # What has run on the stand-in above runs here on a real FreeSWITCH, where one was found.
    codes.append(
        run_pass("the newest pyzmq and ujson", Path(sys.executable), ["-m", "not soak and not twin", *arguments], total)
    )
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


def _but_security(arguments: list[str]) -> list[str]:
    """tests/security takes minutes and runs below; on a switch it has the distribution's packages anyway."""
    return arguments or ["--ignore=tests/security"]


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


def run_pass(title: str, python: Path, arguments: list[str], total: Counter[str]) -> int:
    """Run pytest under `python`, add what it reports to `total`, and return its exit code."""
    print(f"\nTests with {title} ({_versions(python)})", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [str(python), "-m", "pytest", f"--junit-xml={report}", *arguments]
        code = subprocess.run(command, cwd=_ROOT, check=False, stdin=subprocess.DEVNULL).returncode
        if report.exists():
            for suite in ElementTree.parse(report).iter("testsuite"):
                for what in ("tests", "failures", "errors", "skipped"):
                    total[what] += int(suite.get(what, "0"))
    return code


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
