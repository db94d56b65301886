# SPDX-License-Identifier: GPL-2.0-only
"""A report of a read behind a buffer, without stopping (mm/kasan/report.c)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.linux.printk import pr_err
from kemu.machine.current import this
from kemu.machine.splat import Splat, Survived

C = "mm/kasan/report.c"


@custom(C, "kasan_report",
        "the report goes to the log, as KASAN's does; the caller then fails instead of going on with what it read")
def report_over_read(splat: Splat) -> None:
    """Write a detector's report into the kernel log and tell the watch."""
    for line in str(splat).split("\n"):
        pr_err("%s\n", line)
    this.machine.part(Survived).splats.append(splat)
    if this.watch is not None:
        this.watch.event("splat", splat=splat)
