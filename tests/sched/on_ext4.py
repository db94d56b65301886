# SPDX-License-Identifier: GPL-2.0-only
"""A file-backed mount over ext4, read directly: a lower file system whose asynchronous reads end in another context, and which
looks at the request when it has been submitted (ext4_dio_read_iter(): ``file_accessed(iocb->ki_filp)``). Its kernel has
CONFIG_EXT4_FS.
"""
from __future__ import annotations

import functools
import gzip
from pathlib import Path

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.case import Case, judge
from kemu.rung.uml.sched.hunt import Hunt
from kemu.rung.uml.sched.program import LATE, LATE_RCU, Program, mount, umount
from kemu.samples import sample

from erofs_memback.harness.experiments_sched.cache import ways
from erofs_memback.harness.experiments_sched.common import DISK, GONE, paths, place, places

NAME = "port.on-ext4"
EXT4 = ("CONFIG_EXT4_FS=y",)
BLOCK = 4096
# made by mke2fs: one file, i, whose n-th block begins with a mark that has its number
TEMPLATE = Path(__file__).parents[1] / "data" / "sched" / "sixteen-blocks.ext4.gz"


@functools.cache
def on_ext4(image: bytes) -> bytes:
    """An ext4 file system with the file ``i``, which is that image."""
    out = bytearray(gzip.decompress(TEMPLATE.read_bytes()))
    for n in range(16):
        at = out.find(b"kemu%012d" % n)
        assert not at % BLOCK, f"block {n} of i"
        out[at:at + BLOCK] = image[n * BLOCK:(n + 1) * BLOCK].ljust(BLOCK, b"\0")
    return bytes(out)


def on_ext4_case(pick: Pick) -> Case:
    """Two or three tasks at a mount of a file of ext4."""
    image = sample("pair.erofs").read_bytes()
    late = pick.one_of("bios end", (LATE, LATE_RCU))
    begin = [*places(2), mount(DISK, place(0), "ext4"), mount(f"{place(0)}/i", place(1), options="directio")]
    tasks = ways(pick, paths(image, "file", place(1)))
    return Case(Program(begin, tasks, [umount(place(1)), umount(place(0)), *GONE], late), [on_ext4(image)],
                told=["pair.erofs in a file of ext4, directio"])


@experiment(NAME, series="port", rungs=("sched",), run_seconds=60.0, feed=Hunt(on_ext4_case))
def reading(run: Run) -> None:
    """Readers of an image in a file of ext4: each sees what it sees alone."""
    judge(run, on_ext4_case(run.pick))
