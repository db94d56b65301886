# SPDX-License-Identifier: GPL-2.0-only
"""The unit tests of each package on one core, and the processor time that they take.

    python -m tests.times [PACKAGE...]      a package is a folder of tests/unit: linux, linux/fs, machine, ...; all of them
                                            without a word

Exit code 1 if tests fail or a package takes more than LIMIT seconds (user and system, processes that the tests start included), 2
for a package that has none.
"""
from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

UNIT = Path(__file__).parent / "unit"
LIMIT = 60.0


def packages() -> list[str]:
    """The folders of tests/unit, and "." for what stands in itself."""
    return [".", *sorted(p.name for p in UNIT.iterdir() if (p / "__init__.py").is_file())]


def measure(package: str) -> tuple[int, str, float]:
    """Exit code of pytest, its last line, and seconds of processor time."""
    what = [str(UNIT / package)] if package != "." else sorted(map(str, UNIT.glob("test_*.py")))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:xdist", "-m", "not slow and not linux", *what],
                          capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
    lines = [line for line in done.stdout.splitlines() if re.search(r"\d (passed|failed|error)", line)]
    return (done.returncode, lines[-1].strip("= ") if lines else "",
            after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def main(names: list[str]) -> int:
    for name in names:
        if not (UNIT / name).is_dir():
            print(f"tests.times: {name} is no folder of tests/unit", file=sys.stderr)
            return 2
    bad = 0
    print(f"{'package':<24} {'cpu s':>7}  tests")
    for name in names or packages():
        code, line, seconds = measure(name)
        late = seconds > LIMIT
        bad |= bool(code) or late
        print(f"{name:<24} {seconds:7.1f}  {line}{f'  more than {LIMIT:.0f} s' if late else ''}", flush=True)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
