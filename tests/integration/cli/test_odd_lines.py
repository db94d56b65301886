# SPDX-License-Identifier: GPL-2.0-only
"""Thousands of odd command lines: a documented exit code, one line that says what is wrong, and nothing left behind.

``KEMU_ODD=all`` runs every line, otherwise one in four.
"""
from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kemu.cli import main
from kemu.cli.common import subcommands
from tests.conftest import DATA
from tests.integration.cli import odd

CODES = {0, 1, 2, 3, 4, 124, 125, 130, 141, 255}
FINDS = {"fuzz", "review", "replay", "findings"}            # 1 is a finding, told on standard output
GROUPS = ("", *subcommands())
STEP = 1 if os.environ.get("KEMU_ODD") == "all" else 4


class TooLong(BaseException):
    """A command line that takes more than its time."""


@contextlib.contextmanager
def limit(seconds: int) -> Iterator[None]:
    """So many seconds of processor time (others may be busy on this machine), or ten times as many by the clock."""
    def late(signum: int, frame: Any) -> None:
        raise TooLong

    old = [signal.signal(s, late) for s in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(10 * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for s, handler in zip((signal.SIGPROF, signal.SIGALRM), old):
            signal.signal(s, handler)


def run(line: list[str]) -> tuple[int, str, str]:
    """Exit code, output and errors of one command line in this process, with files for the streams."""
    kept = [os.dup(1), os.dup(2)]
    streams = sys.stdout, sys.stderr
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False, errors="backslashreplace")
        try:
            with limit(20):
                code = main(line)
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
            sys.stdout, sys.stderr = streams
            for fd, old in zip((1, 2), kept):
                os.dup2(old, fd)
                os.close(old)
        out.seek(0)
        err.seek(0)
        return code, out.read().decode("utf-8", "replace"), err.read().decode("utf-8", "replace")


def wrong(line: list[str], made: Path, before: set[str]) -> str:
    """What is wrong with how this line ended; empty: nothing."""
    try:
        code, out, err = run(line)
    except TooLong:
        return "takes more than 20 s"
    except BaseException as e:
        return f"raises {e!r}"
    lines = err.splitlines()
    if code not in CODES:
        return f"exit code {code}"
    if "Traceback" in out + err or "internal error" in err:
        return err
    if code and not lines and not (code == 1 and line[0] in FINDS and out):
        return f"exit code {code} and not a word"
    if (code and not all(text.startswith("kemu: ") for text in lines)) or (code in (2, 3) and len(lines) != 1):
        return f"exit code {code} and not one line: {err}"
    if (code and lines and line and line[0] in GROUPS[1:] and not lines[-1].startswith((f"kemu: {line[0]}: ",
                                                                                        f"kemu: {line[0]} "))):
        return f"does not say which command: {lines[-1]}"
    left = set(os.listdir()) - before
    asked = ({"missing"} if line[:1] == ["forge"] or line[:2] == ["findings", "export"] else {"patches"}
             if line[:2] == ["series", "new"] else set())
    asked |= {word.removeprefix("--save=").partition("/")[0] for word in line[1:] if word.startswith("--save=")}
    for name in left:
        (shutil.rmtree if os.path.isdir(name) else os.unlink)(name)
    return f"leaves {left - asked} in the working folder" if left - asked else ""


@pytest.mark.parametrize("group", GROUPS, ids=lambda g: g or "none")
def test_odd_command_lines(group, tmp_path, monkeypatch):
    here, made = tmp_path / "here", tmp_path / "made"
    here.mkdir()
    made.mkdir()
    odd.make_files(here, (DATA / "demo.erofs").read_bytes(), (DATA / "root.cpio").read_bytes())
    monkeypatch.chdir(here)
    # no tool, no cache and no kernel tree: what gets as far as that ends there
    for name, value in (("XDG_CACHE_HOME", tmp_path / "cache"), ("XDG_STATE_HOME", tmp_path / "state"), ("HOME", tmp_path),
                        ("PATH", tmp_path / "nothing")):
        monkeypatch.setenv(name, str(value))
    before = set(os.listdir())
    lines = [x for x in odd.command_lines("sample:demo.erofs", str(made / "out"))
             if (x[0] if x and x[0] in GROUPS else "") == group]
    tried = lines[::STEP]
    assert len(tried) >= len(lines) // STEP > 0
    bad = [f"{[word[:80] for word in line]}: {why}" for line in tried if (why := wrong(line, made, before))]
    assert not bad, f"{len(bad)} of {len(tried)}:\n" + "\n".join(bad[:20])


def test_there_are_many():
    lines = list(odd.command_lines("sample:demo.erofs", "out"))
    assert len(lines) // 4 >= 500
    assert {x[0] for x in lines if x} >= set(GROUPS[1:])
