# SPDX-License-Identifier: GPL-2.0-only
"""Boots without an init in the initramfs, on the port and on Linux: root=, rootfstype=, rootflags=, ro and rw, rdinit= and init=,
and an initrd that is the image of a RAM disk. Compared: what is said from the unpacking on, how the boot ends, and (where init
runs) nothing more: there is no user space here.

A seventh of all pairs of an initrd and a command line is tried; all of them with KEMU_ROOTS=all. The RAM disk needs a kernel with
CONFIG_BLK_DEV_RAM; it is built if KEMU_FLAVOURS names "ram" or it is in the cache.
"""
from __future__ import annotations

import gzip
import os
import re

import pytest

from kemu.rung.uml.build import Kernel, Recipe, build, cached
from kemu.rung.uml.initrd import boot_initrd as boot_linux
from kemu.rung.uml.tree import Tree
from tests.conftest import DATA
from tests.unit.initramfs.archive import ELF, archive, record

from initramfs.harness.boots import boot_initrd

pytestmark = pytest.mark.linux
RAM = ("CONFIG_BLK_DEV_RAM=y",)
IMAGE = (DATA / "small.erofs").read_bytes()
NOTHING = archive(record("etc", 0o040755), record("etc/x", data=b"x"))
NOT_EXEC = archive(record("init", 0o100644, ELF), record("sbin", 0o040755), record("sbin/init", 0o100755, ELF))
BROKEN = archive(record("init", 0o100755, b"no program\n"), record("sbin", 0o040755), record("sbin/init", 0o100755, b"\x7fELFxx"),
                 record("bin", 0o040755), record("bin/sh", 0o100644, ELF), record("etc", 0o040755), record("etc/init", 0o040755))
LINK = archive(record("init", 0o120777, b"/real"), record("real", 0o100755, ELF))
SCRIPT = archive(record("init", 0o100755, b"#!/interp -x\n"), record("interp", 0o100755, ELF))
LOOP = archive(record("init", 0o100755, b"#!/init\n"))
INITRDS = {"none": b"", "nothing": NOTHING, "not-exec": NOT_EXEC, "broken": BROKEN, "link": LINK, "script": SCRIPT, "loop": LOOP,
           "image": IMAGE,
           "image.gz": gzip.compress(IMAGE, mtime=0), "junk": b"junk" * 300, "cut.gz": gzip.compress(IMAGE, mtime=0)[:2000],
           "cpio+image": NOTHING + bytes(8) + IMAGE,
           "ext2": bytes(1024) + bytes(56) + b"\x53\xef" + bytes(5000),
           "romfs": b"-rom1fs-" + (4096).to_bytes(4, "big") + bytes(5000),
           "squashfs": b"hsqs" + bytes(36) + (3000).to_bytes(8, "little") + bytes(4000),
           "cramfs": b"\x45\x3d\xcd\x28" + (4096).to_bytes(4, "little") + bytes(5000)}
PLAIN = ("", "rdinit=/none", "rdinit=/etc/x", "init=/etc/x", "init=/none", "rdinit=/sbin/init", "root=tmpfs rootfstype=tmpfs rw",
         "root=x rootfstype=ramfs,tmpfs ro",
         "root=x rootfstype=tmpfs rootflags=size=1M,mode=700", "root=x rootfstype=tmpfs rootflags=nonsense",
         "root=x rootfstype=nosuch", "root=none",
         "root=/dev/none rootfstype=erofs", "root=0x100", "root=1:0", "root=PARTUUID=12-01", "root=LABEL=x", "root=/dev/nfs",
         "root=/dev/root", "root=a:b:c",
         "root= rootfstype=tmpfs", "root=1:0 rootdelay=0", "noinitrd", "root=/dev/ram0", "root=/dev/ram",
         "root=/dev/ram0 rootfstype=erofs ro",
         "root=/dev/ram0 rw", "root=/dev/ram0 rootflags=user_xattr", "root=/dev/ram0 rootflags=nosuch", "root=/dev/ram0 noinitrd",
         "root=/dev/ram0 rootfstype=tmpfs,erofs", "root=/dev/ram0 ramdisk_start=1", "root=/dev/ram0 init=/none",
         "retain_initrd root=/dev/ram0",
         "root=100 rootfstype=erofs", "root=/dev/ram0 rootfstype=", "initramfs_async=0", "root=/dev/ram0 rootflags=")
# of the boot before the initrd, of the test's kernel, and the times and sizes of the machine
SKIP = re.compile(r"kemu: |Freeing|Memory:|kunit|printk|random|clocksource|Console|Initialized stdio|workingset|loop: |hash "
                  r"table|brd: |Kernel command line|Unknown kernel"
                  r"|This architecture|Unpacking initramfs|devtmpfs: init|VFS: Finished|erofs: "
                  r"initialized|EROFS|kmemleak|registered")


def said(lines: list[str]) -> list[str]:
    out = []
    started = False
    for line in lines:
        started = started or line.startswith(("devtmpfs: init", "Unpacking", "Trying to unpack"))
        line = re.sub(r"\(error -(\d+)\)|device \d+:\d+", lambda m: m[0] if m[1] else "device N", line.rstrip())
        if started and line and not SKIP.search(line) and not line.startswith("    ") and not line.startswith("  with "):
            out.append(line)
    return out


def both(kernel: Kernel, data: bytes, cmdline: str, ram: bool) -> tuple[list[str], list[str]]:
    linux = boot_linux(data, cmdline + " ignore_loglevel", kernel=kernel, timeout=20)
    end = [f"hang: {linux.end}"] if linux.end == "hang" else []
    here = boot_initrd(data, cmdline=cmdline + " ignore_loglevel", tree=False, config={"CONFIG_BLK_DEV_RAM": ram})
    return said(linux.console.splitlines()) + end, said(here.log)


def differences(kernel: Kernel, ram: bool) -> list[str]:
    wrong = []
    every = 1 if os.environ.get("KEMU_ROOTS") == "all" else 7
    for i, (name, data) in enumerate(INITRDS.items()):
        for k, cmdline in enumerate(PLAIN):
            if (i + k) % every or ("/etc/x" in cmdline and name == "none"):
                continue
            linux, here = both(kernel, data, cmdline, ram)
            if linux != here:
                wrong.append(f"{name}, {cmdline!r}:\n  Linux {linux}\n  here  {here}")
    return wrong


def test_roots(kernel: Kernel) -> None:
    wrong = differences(kernel, False)
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong[:8])


def test_ram_disks(tree: Tree) -> None:
    recipe = Recipe(tree, "fast", RAM)
    if not cached(recipe) and "ram" not in os.environ.get("KEMU_FLAVOURS", "").split(","):
        pytest.skip("no kernel with CONFIG_BLK_DEV_RAM in the cache: `kemu linux build --config CONFIG_BLK_DEV_RAM=y`, or "
                    "KEMU_FLAVOURS=ram")
    wrong = differences(build(recipe), True)
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong[:8])
