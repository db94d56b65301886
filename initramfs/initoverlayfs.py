# SPDX-License-Identifier: GPL-2.0-only
"""initoverlayfs (2023-12-11): a small initramfs whose storage init finds the large one, an EROFS image on a disk, puts an overlay over it and goes there.

User space does it, so this is a program of the emulated machine and no port: ``/init`` of the small archive. The disk has the bytes of ``--image``.
"""
from __future__ import annotations

import errno
from typing import Any

from kemu.linux import user as sys
from kemu.linux.brd import ramdisk
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.exec import do_execve
from kemu.linux.init_syscalls import init_chdir, init_chroot
from kemu.linux.mount import MS_MOVE, MS_RDONLY
from kemu.linux.printk import pr_info
from kemu.machine.machine import Machine

__harness__ = True
config: dict[str, bool] = {}
DISK = "vda"
STEPS = ("/initoverlayfs", "/initoverlayfs/lower", "/initoverlayfs/rw", "/initoverlayfs/root")


def add_disk(m: Machine, image: bytes | str) -> None:
    """The disk with the large image; with the machine current."""
    disk = ramdisk(m.place(image, 0, "linear", "storage"), name=DISK, completion="sync")
    if IS_ERR(disk):
        raise MemoryError(f"no disk: {errno.errorcode.get(-PTR_ERR(disk))}")


def storage_init(argv: list[str], envp: list[str]) -> int:
    """What the program does. Return: 0, or the errno of the step that failed, which the log names."""
    steps: list[tuple[str, Any]] = [
        ("mount devtmpfs", lambda: sys.sys_mount("devtmpfs", "/dev", "devtmpfs")),
        *((f"mkdir {d}", lambda d=d: _made(sys.sys_mkdir(d))) for d in STEPS[:3]),
        ("mount erofs", lambda: sys.sys_mount("/dev/" + DISK, STEPS[1], "erofs", MS_RDONLY)),
        ("mount tmpfs", lambda: sys.sys_mount("tmpfs", STEPS[2], "tmpfs", 0, "mode=0755")),
        ("mkdir upper", lambda: sys.sys_mkdir(STEPS[2] + "/upper")),
        ("mkdir work", lambda: sys.sys_mkdir(STEPS[2] + "/work")),
        (f"mkdir {STEPS[3]}", lambda: _made(sys.sys_mkdir(STEPS[3]))),
        ("mount overlay", lambda: sys.sys_mount("overlay", STEPS[3], "overlay", 0,
                                                f"lowerdir={STEPS[1]},upperdir={STEPS[2]}/upper,workdir={STEPS[2]}/work")),
        ("chdir", lambda: init_chdir(STEPS[3])),
        ("move the root", lambda: sys.sys_mount(".", "/", None, MS_MOVE)),
        ("chroot", lambda: init_chroot(".")),
    ]
    for what, step in steps:
        err = step()
        if err:
            pr_info("storage-init: %s: %d\n", what, err)
            return int(err)
    pr_info("storage-init: /init of %s\n", DISK)
    return 0


def _made(err: int) -> int:
    return 0 if err == -errno.EEXIST else err


def prepare(m: Machine) -> None:
    """Make ``/init`` of the small archive the storage init: what PID 1 sees is seen when it has gone to the large tree."""
    look = m.parts.pop("looks_for_init", None)

    def program(argv: list[str], envp: list[str]) -> int:
        m.parts["programs"].clear()
        add_disk(m, m.parts["second_image"])            # its driver is a module of the small archive
        err = storage_init(argv, envp)
        if look is not None:
            look()
        if not err:
            err = do_execve("/init", argv, envp)
            pr_info("storage-init: exec /init: %d\n", err) if err else None
        return err
    m.parts["programs"] = {"/init": program}
