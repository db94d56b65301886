# SPDX-License-Identifier: GPL-2.0-only
"""LZ4 images of this machine's files, and what fsck.erofs of erofs-utils takes to read all that is in them."""
from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import processor_time, tool

NO_TOOLS = "not measured: no erofs-utils here"


def copy_usr(into: Path, size: int) -> int:
    """Copy files of this machine's /usr until ``size`` bytes are there; how many are."""
    total = 0
    for base in ("/usr/lib", "/usr/share", "/usr/bin"):
        for d, _, files in os.walk(base):
            for f in sorted(files):
                p = Path(d, f)
                if p.is_symlink() or not p.is_file() or not os.access(p, os.R_OK):
                    continue
                n = p.stat().st_size
                if not 0 < n < 20 << 20:
                    continue
                to = into / str(p)[1:]
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(p, to)
                total += n
                if total >= size:
                    return total
    return total


@contextmanager
def lz4_images(contents: int, options: Sequence[str]) -> Iterator[dict[str, Path]]:
    """Images with ``contents`` bytes of files, one for each option of mkfs.erofs; none without erofs-utils."""
    mkfs = tool("mkfs.erofs")
    with tempfile.TemporaryDirectory() as tmp:
        out: dict[str, Path] = {}
        if mkfs and tool("fsck.erofs"):
            root = Path(tmp, "root")
            root.mkdir()
            copy_usr(root, contents)
            for option in options:
                out[option] = Path(tmp, "image" + option)
                subprocess.run([mkfs, "-zlz4", option, "--quiet", str(out[option]), str(root)], check=True, capture_output=True)
            shutil.rmtree(root)
        yield out


@contextmanager
def shared_memory() -> Iterator[Path]:
    """A folder in memory, if there is any; else a temporary one."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as tmp:
        yield Path(tmp)


def fsck_extract(image: Path, written: bool) -> float:
    """Seconds of processor time in which fsck.erofs reads all files of an image, and drops what it read or writes it out."""
    with shared_memory() as tmp:
        how = f"--extract={tmp}/out" if written else "--extract"
        return processor_time([str(tool("fsck.erofs")), how, str(image)], check=True)
