# SPDX-License-Identifier: GPL-2.0-only
"""A boot in which one call fails, or another task runs first: the documented fallback or the documented panic, and nothing left
behind.
"""
from __future__ import annotations

import random
from typing import Any

import pytest

from kemu.check.bootstate import leftovers
from kemu.report import manifest
from tests.unit.initramfs.archive import ELF, archive, record

from initramfs.harness.boots import boot_initrd

DATA = archive(record("d", 0o040755, nlink=2), record("d/f", data=b"x" * 9000), record("d/g", ino=7, nlink=2),
               record("h", data=b"y", ino=7, nlink=2),
               record("l", 0o120777, b"d/f"), record("n", 0o020600, rdev=(1, 3)), record("init", 0o100755, ELF))
PANICS = ("VFS: Failed to create nullfs", "Can't create rootfs", "VFS: Failed to mount rootfs on nullfs",
          "can't allocate buffers",
          "can't allocate link hash entry", "can't allocate dir_entry buffer", "do_initcalls: Failed to allocate",
          "VFS: Unable to mount root fs",
          "No working init found.")
BUGS = ("kernel BUG in kernel_init_freeable",)         # BUG_ON(!async_wq)


class Nth:
    """The n-th fallible call fails."""

    def __init__(self, n: int):
        self.n = n
        self.count = 0
        self.what = ("", "")

    def task(self, runnable: list[Any], current: Any, where: str) -> int:
        return 0

    def fault(self, kind: str, what: str) -> bool:
        self.count += 1
        if self.count == self.n:
            self.what = (kind, what)
            return True
        return False

    def value(self, name: str, low: int, high: int) -> int:
        return low


class Schedule(Nth):
    """Now and then another task goes on."""

    def __init__(self, seed: int):
        super().__init__(0)
        self.random = random.Random(seed)

    def task(self, runnable: list[Any], current: Any, where: str) -> int:
        return self.random.randrange(len(runnable)) if self.random.random() < 0.3 else 0


def boot(chooser: Any = None, data: bytes = DATA, **kw: Any) -> tuple[Any, list[str]]:
    left: list[str] = []
    # without EROFS, whose buffers stay as long as the module
    r = boot_initrd(data, chooser=chooser, config={"CONFIG_EROFS_FS": False}, after=lambda r: left.extend(leftovers(r.machine)),
                    **kw)
    return r, left


def test_nothing_is_left_behind() -> None:
    for cmdline in ("", "root=0:0 rootfstype=tmpfs", "retain_initrd", "initramfs_async=0"):
        r, left = boot(cmdline=cmdline)
        assert r.ok and left == [], cmdline


def test_a_file_that_the_archive_cuts_off_stays_open() -> None:
    """What Linux 7.2 does: the file of an incomplete record is never put."""
    r, left = boot(data=DATA + record("cut", data=bytes(100))[:-50])
    assert r.ok
    assert left == ["1 open file that no descriptor holds"]


@pytest.mark.parametrize("cmdline", ["root=0:0", "root=0:0 rootfstype=tmpfs", "root=0:0 initramfs_async=0 retain_initrd"])
def test_every_single_fault(cmdline: str) -> None:
    wrong = []
    n = 1
    while True:
        chooser = Nth(n)
        r, left = boot(chooser, cmdline=cmdline, tree=False)
        if chooser.count < n:
            break
        if r.ok:
            if left and not (chooser.what[1] == "sysfs_create_bin_file" and "Failed to create initrd sysfs file" in r.log):
                wrong.append(f"{n} {chooser.what}: {left}")
        elif not any(p in r.error.title for p in (*PANICS, *BUGS)):
            wrong.append(f"{n} {chooser.what}: {r.error.title}")
        if r.splats and not any(b in r.splats[-1].title for b in BUGS):
            wrong.append(f"{n} {chooser.what}: {r.splats[-1].title}")
        n += 1
    assert n > 100, "fallible calls of a boot"
    assert not wrong, "\n".join(wrong)


def test_no_schedule_changes_the_tree() -> None:
    want = boot()[0].tree
    for seed in range(80):
        r, left = boot(Schedule(seed))
        assert r.ok and left == [], seed
        assert manifest.equal(r.tree, want), seed
