# SPDX-License-Identifier: GPL-2.0-only
"""The mount tree on the emulated kernel against Linux: the same script, the same results, the same /proc/self/mountinfo after
every few operations.

Mounts, binds, moves, remounts, umounts (lazy, expiring), pivot_root, chroot, propagation, and who is busy. KEMU_MOUNT_SCRIPTS:
how many scripts (300); KEMU_MOUNT_SEED: where the seeds begin.
"""
from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from kemu.linux.fs.namespace import mnt_init
from kemu.linux.fs.ramfs.inode import init_ramfs_fs
from kemu.linux.mm.shmem import shmem_init
from kemu.linux.port import user as sys
from kemu.machine.machine import Machine
from kemu.rung.uml.build import Kernel
from tests import fs_script
from tests.uml.test_fs_script import on_linux

RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, NOATIME, BIND, MOVE, REC = 1, 2, 4, 8, 32, 1024, 4096, 8192, 16384
UNBINDABLE, PRIVATE, SLAVE, SHARED, STRICTATIME, NOUSER = 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 24, 1 << 31
FORCE, DETACH, EXPIRE, NOFOLLOW = 1, 2, 4, 8
DIRS = ("/t/a", "/t/b", "/t/c", "/t/a/x", "/t/a/y", "/t/b/x", "/t/b/y", "/t/c/x", "/t/a/x/z", "/t/b/x/z")
FILES = ("/t/f", "/t/a/f", "/t/b/f", "/t/a/x/f")
OTHERS = ("/t", "/", "/t/link", "/t/none", "/t/a/link", "/t/a/x/..", "/t/b/.")


class Maker:
    """One script. What an earlier operation has used is preferred, so that operations meet."""

    def __init__(self, r: random.Random, propagation: bool):
        self.r = r
        self.used: list[str] = []
        self.propagation = propagation
        self.made = 0
        self.mounts: list[str] = []             # where something was mounted, as far as is known without running it

    def place(self) -> str:
        r = self.r
        if self.used and r.random() < 0.6:
            return r.choice(self.used)
        p = r.choice(DIRS) if r.random() < 0.86 else r.choice(FILES) if r.random() < 0.5 else r.choice(OTHERS)
        self.used.append(p)
        return p

    def mount(self) -> str:
        """Most often a place where something is mounted."""
        return self.r.choice(self.mounts) if self.mounts and self.r.random() < 0.75 else self.place()

    def mounted(self, p: str) -> str:
        self.mounts.append(p)
        return p

    def new_mount(self) -> list[str]:
        """A file system with a file that says which one it is, and places to mount on."""
        self.made += 1
        p = self.mounted(self.place())
        kind = self.r.choice(("tmpfs", "tmpfs", "ramfs"))
        name = f"{kind}{self.made}"
        flags = self.r.choice((0, 0, 0, 0, RDONLY, NOSUID, NODEV | NOEXEC, NOATIME, STRICTATIME))
        out = [f"mount\t{name}\t{p}\t{kind}\t{flags}\t{self.r.choice(('', '', 'mode=700', 'size=1M'))}"]
        return out + self.fill(p, name)

    @staticmethod
    def fill(p: str, name: str) -> list[str]:
        return [f"open\t{p}/who\tct\t{name.encode().hex()}\t644", f"mkdir\t{p}/x\t755", f"mkdir\t{p}/y\t755",
                f"open\t{p}/f\tc\t66\t644"]

    def change_type(self) -> str:
        r = self.r
        mount = self.mount()
        flags = r.choice((SHARED, SHARED, SHARED, SLAVE, SLAVE, PRIVATE, UNBINDABLE, SHARED | SLAVE)) | r.choice((0, REC))
        return f"mount\tnone\t{mount}\t\t{flags}\t"

    def operation(self) -> list[str]:
        r = self.r
        if self.propagation and r.random() < 0.2:
            return [self.change_type()]
        kind = r.randrange(100)
        if kind < 22:
            return self.new_mount()
        if kind < 40:
            return [f"mount\t{self.mount()}\t{self.mounted(self.place())}\t\t{BIND | r.choice((0, REC, REC, RDONLY))}\t"]
        if kind < 50:
            return [f"mount\t{self.mount()}\t{self.mounted(self.place())}\t\t{MOVE}\t"]
        if kind < 66:
            p = self.mount()
            # a walk that only passes through clears the mark here, but not where Linux walks under RCU
            if r.random() < 0.1:
                return [f"umount\t{p}\t{EXPIRE}", *r.choice(([], [f"hold\t{p}\tr", "drop"])), f"umount\t{p}\t{EXPIRE}",
                        f"hold\t{p}\tr", "drop"]
            return [f"umount\t{p}\t{r.choice((0, 0, 0, DETACH, DETACH, FORCE, NOFOLLOW, EXPIRE | DETACH, 64))}"]
        if kind < 72:
            return [f"mount\tnone\t{self.mount()}\t\t"
                    f"{REMOUNT | r.choice((0, RDONLY, BIND, BIND | RDONLY, BIND | NOSUID, BIND | NOATIME, NODEV))}\t"
                    f"{r.choice(('', '', '', 'size=2M', 'mode=711', 'nonsense'))}"]
        if kind < 80:
            return [self.change_type()] if self.propagation else self.new_mount()
        if kind < 86:
            return [f"hold\t{self.place()}{r.choice(('', '/f', '/who'))}\t{r.choice('rw')}"]
        if kind < 88:
            return ["drop"]
        if kind < 90:
            return [f"chdir\t{self.place()}"]
        if kind < 92:
            return [r.choice((f"rmdir\t{self.place()}", f"unlink\t{self.place()}",
                              f"rename\t{self.place()}\t/t/new{r.randrange(3)}\t0",
                              f"rename\t{self.place()}\t{self.place()}\t{r.choice((0, 2))}"))]
        if kind < 94:
            p = self.mount()
            return [f"pivot\t{p}\t{p}{r.choice(('', '/x', '/y', '/none'))}", "who\t/who", f"pivot\t.\t{r.choice(('.', 'x'))}"]
        if kind < 95:
            return [f"chroot\t{self.place()}", "who\t/who", "who\t/../who"]
        if kind < 96:
            return [f"mount\tnone\t{self.place()}\t{r.choice(('nosuch', 'nullfs', 'tmpfs', 'rootfs'))}"
                    f"\t{r.choice((0, NOUSER))}\t{r.choice(('', 'nonsense=1'))}"]
        return [f"who\t{self.place()}{r.choice(('/who', '/x/who', '/../who', '/x/../who'))}"]


def script(seed: int) -> list[str]:
    r = random.Random(seed)
    m = Maker(r, seed % 2 == 1)
    lines = [f"mkdir\t{d}\t755" for d in DIRS]
    lines += [f"open\t{f}\tc\t66\t644" for f in FILES]
    lines += ["symlink\ta\t/t/link", "symlink\t/t/b/x\t/t/a/link", "open\t/t/who\tc\t74\t644"]
    if m.propagation and r.random() < 0.6:
        lines.append(f"mount\tnone\t{r.choice(('/t', '/'))}\t\t{SHARED | REC}\t")
    for i in range(r.randrange(6, 40)):
        lines += m.operation()
        if i % 3 == 2:
            lines.append("mi")
    lines += ["mi", *(f"who\t{d}/who" for d in (*DIRS, "/", "/x", "."))]
    return lines


def on_py(lines: list[str]) -> list[str]:
    with Machine() as m:
        shmem_init()
        init_ramfs_fs()
        mnt_init()
        sys.sys_mkdir("/t")
        sys.sys_mount("tmpfs", "/t", "tmpfs", 0, "mode=0755")
        out = fs_script.run(lines)
        fs_script.run(["drop"])
        m.idle()
    return out


@pytest.mark.linux
def test_the_same_mount_tree(kernel: Kernel, tmp_path: Path) -> None:
    seed = int(os.environ.get("KEMU_MOUNT_SEED", "0"))
    scripts = [script(seed + i) for i in range(int(os.environ.get("KEMU_MOUNT_SCRIPTS", "300")))]
    wrong = []
    for i, (lines, linux) in enumerate(zip(scripts, on_linux(kernel, scripts, tmp_path, own_namespace=True))):
        here = on_py(lines)
        if here != linux:
            at = next((n for n, (a, b) in enumerate(zip(here, linux)) if a != b), min(len(here), len(linux)))
            what = (here[at:at + 1] or ["nothing"])[0], (linux[at:at + 1] or ["nothing"])[0]
            line = int(what[1].split(" ")[0]) if what[1].split(" ")[0].isdigit() else -1
            wrong.append(f"seed {seed + i}, {lines[line]!r}: here {what[0]!r}, Linux {what[1]!r}")
    assert not wrong, f"{len(wrong)} of {len(scripts)} differ:\n" + "\n".join(wrong[:12])
