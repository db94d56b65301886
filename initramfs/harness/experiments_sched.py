# SPDX-License-Identifier: GPL-2.0-only
"""The booted kernel with every switch of its boot chosen: ``kemu fuzz sched.boot --rung sched``."""
from __future__ import annotations

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.cpio_choose import choose_cpio
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.boots import BootCase, BootHunt, judge_boot
from kemu.samples import sample

__role__ = "harness"


def boot_case(pick: Pick) -> BootCase:
    """An archive with an /init first; others by the forge, one or two behind each other; unpacked at once, or beside the boot."""
    kind = pick.int("initrd", 0, 2)
    data, told = sample("root.cpio").read_bytes(), ["root.cpio"]
    for _ in range(kind):
        archive = pick.group(lambda: choose_cpio(pick))
        data = archive.data + bytes(-len(archive.data) % 4) + data
        told.append(archive.describe())
    words = [word for word in ("initramfs_async=0", "retain_initrd", "rdinit=/sbin/none") if pick.rare(word, 4)]
    return BootCase(data, " ".join(words), told)


@experiment("sched.boot", series="sched", rungs=("sched",), run_seconds=60.0, feed=BootHunt(boot_case), weight=0.5)
def booting(run: Run) -> None:
    """Whoever is preempted where in a boot: init finds the same tree, and the kernel says the same."""
    judge_boot(run, boot_case(run.pick))
