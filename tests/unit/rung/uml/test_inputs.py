# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel is asked about is a regular file of a size that it can have; everything else is told at once, before a kernel is
built.
"""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kemu.rung.uml.inputs import read_input

TREE = Path(__file__).parents[3] / "data"


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    with open(tmp_path / "huge", "wb") as f:
        f.truncate(5 << 40)
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize(("name", "words"), [
    ("/dev/zero", "EINVAL (Invalid argument): "), ("/dev/full", "EINVAL (Invalid argument): "),
    ("fifo", "EINVAL (Invalid argument): "), ("link", "EINVAL (Invalid argument): "),
    ("loop", "ELOOP (Too many levels of symbolic links)"),
    ("huge", "EFBIG (File too large): 5497558138880 bytes; at most 1073741824 are taken"),
    ("nonesuch", "ENOENT (No such file or directory)"),
    ("nonesuch/x", "ENOENT"), ("/etc/passwd/x", "ENOTDIR (Not a directory)")])
@pytest.mark.parametrize("command", [("linux", "oracle", "FILE"), ("linux", "oracle", "FILE", "--as", "cpio"),
                                     ("linux", "oracle", "small.erofs", "--device", "FILE"),
                                     ("linux", "boot", "FILE"), ("linux", "boot", "--builtin", "FILE"),
                                     ("boot", "FILE", "--rung", "linux"),
                                     ("boot", "--builtin", "FILE", "--rung", "linux")], ids=" ".join)
def test_no_image_and_no_archive(odd: Path, command: tuple[str, ...], name: str, words: str) -> None:
    """The cache is empty, so whoever wants a kernel first would have to fetch one."""
    args = [name if a == "FILE" else str(TREE / a) if a == "small.erofs" else a for a in command]
    if command[0] == "boot" and words.startswith("EFBIG"):
        words = "E"                                     # of the shared check
    done = subprocess.run([sys.executable, "-m", "kemu", *args], capture_output=True, text=True, cwd=odd, timeout=20, check=False,
                          env=os.environ | {"XDG_CACHE_HOME": str(odd / "cache"), "PATH": "/nonesuch"})
    assert done.returncode == 1 and done.stdout == "", done
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("kemu: ") and words in done.stderr, done.stderr
    assert not (odd / "cache" / "kemu" / "linux" / "work").exists()


@pytest.mark.parametrize("path", ["/proc/kmsg", "/proc/cpuinfo", "/proc/self/mem"])
def test_a_file_of_proc_is_read_as_far_as_it_says(path: str) -> None:
    if os.access(path, os.R_OK):
        assert read_input(path) == b""
