# SPDX-License-Identifier: GPL-2.0-only
"""overlayfs and tmpfs on the emulated kernel against Linux: the same script of operations, the same results.

KEMU_FS_SCRIPTS: how many layer stacks (200; the acceptance run has 2,000). KEMU_FS_SEED: where the seeds begin.
"""
from __future__ import annotations

import os
import random
from pathlib import Path

from kemu.linux.drivers.char.mem import devlist
from kemu.linux.fs.char_dev import cdev_add
from kemu.linux.fs.namespace import mnt_init
from kemu.linux.fs.overlayfs.super import ovl_init
from kemu.linux.fs.ramfs.inode import init_ramfs_fs
from kemu.linux.kdev_t import MKDEV
from kemu.linux.mm.shmem import shmem_init
from kemu.linux.port import user as sys
from kemu.machine.machine import Machine
from kemu.rung.uml.agentbin import MODULE
from kemu.rung.uml.build import Kernel
from tests import fs_script
from tests.uml import own_init
from tests.unit.initramfs.archive import archive, record

HERE = Path(__file__).parent
AGENT = Path(MODULE).parent / "agent"
NAMES = ("a", "b", "c", "d", "e")
XATTRS = ("user.k", "trusted.t", "security.s", "user.overlay.z", "trusted.overlay.overlay.n", "system.x", "nonsense")


class Maker:
    """Operations below a directory; names that an earlier operation may have made are preferred."""

    def __init__(self, r: random.Random, base: str, known: set[str] | None = None):
        self.r = r
        self.base = base
        self.dirs: list[str] = [""]
        self.names: list[str] = sorted(known or ())
        self.dirs += self.names

    def old(self) -> str:
        if self.names and self.r.random() < 0.8:
            return self.base + self.r.choice(self.names)
        return self.new()

    def new(self, keep: bool = False, directory: bool = False) -> str:
        p = self.r.choice(self.dirs) + "/" + self.r.choice(NAMES)
        if keep and p.count("/") < 4:
            self.names.append(p)
            if directory:
                self.dirs.append(p)
        return self.base + p


def _operation(m: Maker, lower: bool) -> str:
    r = m.r
    kind = r.randrange(26)
    p = m.old() if kind >= 10 or r.random() < 0.3 else m.new(True, kind < 5)
    if kind < 5:
        words = ["mkdir", p, r.choice(("755", "700", "1777", "2775", "555"))]
    elif kind < 9:
        words = ["open", p, r.choice(("c", "cx", "ct", "ca", "a", "t", "")), r.randbytes(r.choice((0, 1, 30))).hex(),
                 r.choice(("644", "600", "4755", "2770"))]
    elif kind < 10:
        words = ["rep", p, "c", "7a", str(r.choice((1, 4095, 4096, 4097, 10000)))]
    elif kind < 12:
        words = ["unlink", p]
    elif kind < 13:
        words = ["rmdir", p]
    elif kind < 16:
        words = ["rename", p, m.new(True, True) if r.random() < 0.6 else m.old(), r.choice(("0", "0", "0", "1", "2", "4"))]
    elif kind < 17:
        words = ["link", p, m.new(True)]
    elif kind < 18:
        words = ["symlink", r.choice(("a", "../b", "/t/m/c", "x" * 200)), m.new(True)]
    elif kind < 19:
        words = ["mknod", m.new(True), r.choice(("20644", "60600", "140600", "100600")), r.choice(("0", "259"))]
    elif kind < 20:
        words = ["chmod", p, r.choice(("755", "4711", "0", "1700"))]
    elif kind < 21:
        words = ["chown", p, r.choice(("0", "7", "-1")), r.choice(("0", "8", "-1"))]
    elif kind < 22:
        words = ["truncate", p, r.choice(("0", "1", "5000"))]
    elif kind < 24:
        words = ["setx", p, r.choice(XATTRS), r.choice(("", "00", "6869")), r.choice(("0", "0", "1", "2"))]
    elif kind < 25:
        words = ["rmx", p, r.choice(XATTRS)]
    else:
        words = ["ls", p]
    if lower and r.random() < 0.12:             # what only overlayfs writes
        words = r.choice((["mknod", p, "20000", "0"], ["setx", p, "trusted.overlay.opaque", "79", "0"]))
    return "\t".join(words)


def script(seed: int) -> list[str]:
    r = random.Random(seed)
    layers = r.choice((1, 1, 2, 2, 3))
    lines = [f"mkdir\t/t/{d}\t755" for d in ("m", "u", *(f"l{i}" for i in range(layers)))]
    one_fs = r.random() < 0.3
    for d in ("u", *(f"l{i}" for i in range(layers))):
        if not one_fs:
            lines.append(f"mount\ttmpfs\t/t/{d}\ttmpfs\t0\tmode={r.choice(('755', '1777', '700'))}")
    lines += ["mkdir\t/t/u/up\t" + r.choice(("755", "711")), "mkdir\t/t/u/work\t755"]
    known: set[str] = set()
    for i in range(layers):
        m = Maker(r, f"/t/l{i}", known if r.random() < 0.8 else None)
        lines += [_operation(m, True) for _ in range(r.randrange(3, 14))]
        known |= set(m.names)
    options = "lowerdir=" + ":".join(f"/t/l{i}" for i in range(layers))
    shape = r.random()
    if shape < 0.85:
        options += ",upperdir=/t/u/up,workdir=/t/u/work"
    elif shape < 0.9:
        options += r.choice((",upperdir=/t/u/up", ",upperdir=/t/u/up,workdir=/t/u/up", ",upperdir=/t/u/up,workdir=/t/u",
                             ",workdir=/t/u/work",
                             "::", ":", ":::/t/u", ":/t/none", ",nonsense", ",upperdir=/t/l0/x,workdir=/t/u/work",
                             ",upperdir=/t/l0,workdir=/t/u/work"))
    lines += [f"mount\toverlay\t/t/m\toverlay\t0\t{options}", "tree\t/t/m"]
    m = Maker(r, "/t/m", known)
    lines += [_operation(m, False) for _ in range(r.randrange(5, 30))]
    return [*lines, "tree\t/t/m"]


def on_linux(kernel: Kernel, scripts: list[list[str]], folder: Path, own_namespace: bool = False) -> list[list[str]]:
    """The results of each script; ``own_namespace``: each in a mount namespace of its own, whose root it may change."""
    program = own_init.compiled(HERE / "fs_script.c", folder / "fs_script", "-I", AGENT, "-I", MODULE, AGENT / "sha256.c",
                                AGENT / "util.c")
    text = "".join(f"case {i}{' ns' * own_namespace}\n" + "".join(line + "\n" for line in s) for i, s in enumerate(scripts))
    initrd = archive(record("/init", 0o100755, program), record("/script", data=text.encode()))
    out, console = own_init.run(kernel, initrd, ("root=0:0", "kunit.enable=0"), "512M", 60 + len(scripts) * 0.1)
    results: list[list[str]] = []
    for line in out.decode("utf-8", "surrogateescape").splitlines():
        if line.startswith("case "):
            results.append([])
        elif line != "end of script":
            results[-1].append(line)
    assert len(results) == len(scripts), console[-3000:]
    return results


def on_py(lines: list[str]) -> list[str]:
    with Machine() as m:
        shmem_init()
        init_ramfs_fs()
        mnt_init()
        ovl_init()
        for major, minor, _, _, fops in devlist:
            cdev_add(fops, MKDEV(major, minor))
        sys.sys_mkdir("/t")
        sys.sys_mount("tmpfs", "/t", "tmpfs", 0, "mode=0755")
        out = fs_script.run(lines)
        m.idle()
    return out


def test_the_same_results(kernel: Kernel, tmp_path: Path) -> None:
    seed = int(os.environ.get("KEMU_FS_SEED", "0"))
    scripts = [script(seed + i) for i in range(int(os.environ.get("KEMU_FS_SCRIPTS", "200")))]
    wrong = []
    for i, (lines, linux) in enumerate(zip(scripts, on_linux(kernel, scripts, tmp_path))):
        here = on_py(lines)
        if here != linux:
            at = next((n for n, (a, b) in enumerate(zip(here, linux)) if a != b), min(len(here), len(linux)))
            what = (here[at:at + 1] or ["nothing"])[0], (linux[at:at + 1] or ["nothing"])[0]
            line = int(what[1].split(" ")[0]) if what[1] != "nothing" else -1
            wrong.append(f"seed {seed + i}, {lines[line]!r}: here {what[0]!r}, Linux {what[1]!r}")
    assert not wrong, f"{len(wrong)} of {len(scripts)} differ:\n" + "\n".join(wrong[:12])


# a version 2 security.capability: CAP_NET_RAW, effective
CAPABILITY = "0100000200200000000000000000000000000000"


def privileges(base: str) -> list[str]:
    """Files with set-id bits and capabilities that are written by their owner, by another and by root."""
    lines = []
    for n, mode in enumerate(("4755", "2755", "6777", "2745", "6644", "755", "4711")):
        for who in ("0", "7", "9"):
            p = f"{base}/{n}-{who}"
            lines += [f"open\t{p}\tc\t6869\t600", f"chown\t{p}\t7\t8", f"chmod\t{p}\t{mode}", f"as\t{who}", f"open\t{p}\t\t6a\t0",
                      "as\t0", f"open\t{p}\ta\t6b\t0", f"chmod\t{p}\t{mode}", f"as\t{who}", f"open\t{p}\tt\t\t0", "as\t0"]
        p = f"{base}/{n}-cap"
        lines += [f"open\t{p}\tc\t6869\t600", f"chmod\t{p}\t{mode}", f"setx\t{p}\tsecurity.capability\t{CAPABILITY}\t0",
                  f"open\t{p}\t\t\t0", f"tree\t{p}", f"open\t{p}\t\t6a\t0", f"tree\t{p}"]
    return [*lines, f"tree\t{base}"]


def test_a_write_takes_privileges_away(kernel: Kernel, tmp_path: Path) -> None:
    overlay = ["mkdir\t/t/m\t777", "mkdir\t/t/l\t777", "mkdir\t/t/u\t777", "mkdir\t/t/u/up\t777", "mkdir\t/t/u/work\t777",
               "open\t/t/l/below\tc\t6869\t600", "chown\t/t/l/below\t7\t8", "chmod\t/t/l/below\t6777",
               "mount\toverlay\t/t/m\toverlay\t0\tlowerdir=/t/l,upperdir=/t/u/up,workdir=/t/u/work",
               "as\t9", "open\t/t/m/below\t\t6a\t0", "as\t0"]
    scripts = [["mkdir\t/t/m\t777", *privileges("/t/m")],
               ["mkdir\t/t/m\t777", "mount\tramfs\t/t/m\tramfs\t0\tmode=777", *privileges("/t/m")],
               [*overlay, *privileges("/t/m")]]
    for lines, linux in zip(scripts, on_linux(kernel, scripts, tmp_path), strict=True):
        assert on_py(lines) == linux
        assert len({line.split(" ")[2] for line in linux if "/m/" in line}) > 3, "bits that went and bits that stayed"
