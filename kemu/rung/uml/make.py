# SPDX-License-Identifier: GPL-2.0-only
"""Running the kernel's make: progress while it runs, the compiler's own words when it fails."""
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kemu.rung.uml.cache import write_whole
from kemu.rung.uml.errors import BuildError
from kemu.rung.uml.fence import fence_writes

Say = Callable[[str], None]

_STEP = re.compile(r"^  ([A-Z][A-Z0-9_ ]{0,7}?) +(\S+)")
_BAD = re.compile(r"error:|: undefined reference|^ERROR:|^WARNING: modpost|\*\*\* (?!\[|Waiting)|No such file|fatal|cannot "
                  r"find|multiple definition|Killed")
_CONTEXT = re.compile(r"^(In file included from|\s+from |.*: (In function|At top level|warning:|note:)|\s+\d* *\|)")


@dataclass(frozen=True)
class Made:
    """What a make did: the warnings it printed, and the objects it made (without suffix)."""

    warnings: list[str]
    compiled: set[str]


def nothing(text: str) -> None:
    """A ``say`` that says nothing."""


def make(objects: Path, targets: Sequence[str], say: Say = nothing, jobs: int = 0, env: dict[str, str] | None = None,
         top: Path | None = None) -> Made:
    """Run ``make ARCH=um O=objects targets`` in the tree that ``objects`` is a directory of.

    ``say`` gets a line beginning with ``\\r`` per step, and an empty one when it is over. ``BuildError`` carries the
    compiler's, the linker's or make's message.
    """
    jobs = jobs or os.cpu_count() or 1
    argv = ["nice", "-n", "5", "make", "-C", str(top or objects.parent), f"O={objects}", "ARCH=um", f"-j{jobs}", *targets]
    child = os.environ | {"LC_ALL": "C", "KBUILD_BUILD_USER": "kemu", "KBUILD_BUILD_HOST": "kemu",
                          "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970"} | (env or {})
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ARCH", "O", "KBUILD_OUTPUT", "CROSS_COMPILE"):
        child.pop(name, None)
    started = time.monotonic()
    expected = _expected(objects)
    lines: list[str] = []
    compiled: set[str] = set()
    steps = 0
    own = objects / ".kemu-tmp"
    own.mkdir(parents=True, exist_ok=True)
    with (fence_writes(objects, *_ccache()) as restrict,
          subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           env=child | {"TMPDIR": str(own)}, text=True,
                           errors="replace", preexec_fn=restrict) as run):
        assert run.stdout is not None
        for line in run.stdout:
            line = line.rstrip("\n")
            m = _STEP.match(line)
            if m:
                steps += 1
                compiled.add(os.path.splitext(m[2])[0])
                of = f"/{expected}" if expected > steps else ""
                say(f"\r{steps}{of} {m[1]} {m[2]} ({time.monotonic() - started:.0f} s)")
            else:
                lines.append(line)
    say("\r")
    if run.returncode:
        message = compiler_message(lines)
        raise BuildError(f"make {' '.join(t for t in targets if not t.startswith('CONFIG_'))} failed", message)
    if steps > 400:
        _remember(objects, steps)
    if steps and "vmlinux" in targets:
        say(f"built in {time.monotonic() - started:.0f} s ({steps} steps)")
    return Made([line for line in lines if re.search(r"\bwarning:|^WARNING:", line)], compiled)


def _ccache() -> list[Path]:
    """Where a compiler that is ccache keeps what it has compiled."""
    if "ccache" not in os.path.realpath(shutil.which("gcc") or ""):
        return []
    places = [os.environ.get("CCACHE_DIR", ""), os.path.expanduser("~/.ccache"), os.path.expanduser("~/.cache/ccache"), "/run"]
    return [Path(p) for p in places if p and os.path.isdir(p)]


def keep_warnings(objects: Path, made: Made) -> list[str]:
    """The warnings of all objects as they are now: an incremental make repeats only those of what it compiles."""
    path = objects / ".kemu-warnings"
    try:
        old = [str(line) for line in json.loads(path.read_text())]
    except (OSError, ValueError):
        old = []
    kept = [line for line in old if not _stale(line, made.compiled)]
    now = kept + [line for line in made.warnings if line not in kept]
    write_whole(path, json.dumps(now))
    return now


def _stale(line: str, compiled: set[str]) -> bool:
    """Whether the object that a warning is about has been made again. Linking always is; a header's users cannot be told."""
    if line.startswith("WARNING:"):
        return True
    source = line.split(":")[0].removeprefix("../")
    return source.endswith(".h") or os.path.splitext(source)[0] in compiled


def compiler_message(lines: list[str], most: int = 40) -> str:
    """What went wrong, out of a build's output: the diagnostics with their context, without make's own echo of the failure."""
    keep: list[str] = []
    for i, line in enumerate(lines):
        if _BAD.search(line):
            start = i
            while start > 0 and _CONTEXT.match(lines[start - 1]) and i - start < 6:
                start -= 1
            end = i + 1
            while end < len(lines) and _CONTEXT.match(lines[end]) and end - i < 6:
                end += 1
            keep += [text for text in lines[start:end] if text not in keep]
    if not keep:
        keep = [line for line in lines if line.strip()][-12:]
    more = len(keep) - most
    return "\n".join(keep[:most] + ([f"... and {more} lines more"] if more > 0 else []))


def _counts(objects: Path) -> Path:
    return objects.parent.parent / f"steps-{objects.name}"


def _expected(objects: Path) -> int:
    """How many steps a build from nothing takes, if one has been seen and this is one."""
    try:
        return 0 if (objects / "vmlinux.o").exists() else int(_counts(objects).read_text())
    except (OSError, ValueError):
        return 0


def _remember(objects: Path, steps: int) -> None:
    write_whole(_counts(objects), str(steps))
