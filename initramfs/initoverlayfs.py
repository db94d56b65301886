# SPDX-License-Identifier: GPL-2.0-only
"""initoverlayfs (2023-12-11): a small initramfs whose storage init finds the large one, an EROFS image on a disk, puts an overlay
over it and goes there.

User space does it, so this is a program of the emulated machine and no port: ``/init`` of the small archive. The disk has the
bytes of ``--image``.

``initoverlayfs_image=SIZE:sha256:HEX`` (or ``SIZE:tree:ROOT[:SALT]``) on the command line says what the disk has to hold: the
program reads it through the block device and compares before it mounts anything. When a step fails it exits, and the kernel
panics, for PID 1 must not.
"""
from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass
from typing import Any

from kemu.linux.binfmts import Programs, do_execve
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fcntl import O_RDONLY
from kemu.linux.init import panic
from kemu.linux.init_syscalls import LooksForInit, init_chdir, init_chroot
from kemu.linux.mount import MS_MOVE, MS_RDONLY
from kemu.linux.port import user as sys
from kemu.linux.port.ramdisk import ramdisk
from kemu.linux.printk import pr_info
from kemu.machine.machine import Machine

from initramfs import main
from initramfs.verify import BLOCK, parse_segment

__role__ = "harness"
config: dict[str, bool] = {}
DISK = "vda"
IMAGE_PARAM = "initoverlayfs_image="
STEPS = ("/initoverlayfs", "/initoverlayfs/lower", "/initoverlayfs/rw", "/initoverlayfs/root")


@dataclass(slots=True)
class SecondImage:
    """What the disk of one machine has: bytes, or a path."""

    image: bytes | str = b""


def add_disk(m: Machine, image: bytes | str) -> None:
    """The disk with the large image; with the machine current."""
    disk = ramdisk(m.place(image, 0, "linear", "storage"), name=DISK, completion="sync")
    if IS_ERR(disk):
        raise MemoryError(f"no disk: {errno.errorcode.get(-PTR_ERR(disk))}")


def storage_init(argv: list[str], envp: list[str]) -> int:
    """What the program does. Return: 0, or the errno of the step that failed, which the log names."""
    steps: list[tuple[str, Any]] = [
        ("mount devtmpfs", lambda: sys.sys_mount("devtmpfs", "/dev", "devtmpfs")),
        ("verify " + DISK, lambda: verify_image("/dev/" + DISK)),
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


def verify_image(path: str) -> int:
    """Compare what the disk holds with the command line. Return: 0, also if that says nothing; -EINVAL, with a message; -EIO."""
    words = [w for w in main.g.saved_command_line.split() if w.startswith(IMAGE_PARAM)]
    if not words:
        return 0
    said = parse_segment(words[-1][len(IMAGE_PARAM):])
    if said is None or said.alg == "verity":
        pr_info("storage-init: '%s' is neither SIZE:sha256:HEX nor SIZE:tree:ROOT[:SALT]: refused\n", words[-1])
        return -errno.EINVAL
    fd = sys.sys_open(path, O_RDONLY)
    if isinstance(fd, int):
        return fd
    salt = said.salt if said.alg == "tree" else b""
    digest = hashlib.sha256()
    level: list[bytes] = []
    left, buf = said.size, bytearray(BLOCK)
    while left:
        n = sys.sys_read(fd, buf, min(BLOCK, left))
        if n <= 0:
            break
        block = bytes(buf[:n])
        digest.update(block)
        level.append(hashlib.sha256(salt + block.ljust(BLOCK, b"\0")).digest())
        left -= n
    sys.sys_close(fd)
    while len(level) > 1:
        level = [hashlib.sha256(salt + b"".join(level[i:i + 128]).ljust(BLOCK, b"\0")).digest()
                 for i in range(0, len(level), 128)]
    if left:
        pr_info("storage-init: %s: %lu bytes are said, %lu are there: refused\n", path, said.size, said.size - left)
        return -errno.EINVAL
    if (digest.digest() if said.alg == "sha256" else level[0]) != said.value:
        pr_info("storage-init: %s: %s mismatch: refused\n", path, "sha256" if said.alg == "sha256" else "hash tree")
        return -errno.EINVAL
    return 0


def _made(err: int) -> int:
    return 0 if err == -errno.EEXIST else err


def prepare(m: Machine) -> None:
    """Make ``/init`` of the small archive the storage init: what PID 1 sees is seen when it has gone to the large tree."""
    looks, programs, disk = m.part(LooksForInit), m.part(Programs), m.part(SecondImage)
    look, looks.look = looks.look, None

    def program(argv: list[str], envp: list[str]) -> int:
        programs.at.clear()
        add_disk(m, disk.image)             # its driver is a module of the small archive
        err = storage_init(argv, envp)
        if look is not None:
            look()
        if not err:
            err = do_execve("/init", argv, envp)
            pr_info("storage-init: exec /init: %d\n", err) if err else None
        if err:
            panic("Attempted to kill init! exitcode=0x%08x", 1 << 8)        # do_exit() of PID 1
        return err
    programs.at = {"/init": program}
