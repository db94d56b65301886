# SPDX-License-Identifier: GPL-2.0-only
"""What must hold for every boot with an archive: the tree, the message, who owns the memory, and that nothing is left behind;
whatever the archive, its place, failing calls and schedules.

The program that PID 1 runs is in the built-in archive, so that every boot comes to its end.
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from kemu.check.bootstate import leftovers
from kemu.check.initorder import InitOrder
from kemu.check.objects import Objects
from kemu.explore.experiment import experiment
from kemu.explore.run import Expected, Run
from kemu.forge.compressors import available
from kemu.forge.cpio import Member, Segment, encode, trailer
from kemu.forge.cpio_choose import CpioArchive, CpioOptions, break_cpio, choose_cpio
from kemu.forge.cpio_model import CpioModel, Undefined
from kemu.forge.cpio_wild import choose_wild, damage
from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.machine import boot as machine_boot
from kemu.machine.boot import BootResult
from kemu.machine.machine import Machine
from kemu.report import manifest

from initramfs.harness.observed import Observed, boot

__role__ = "harness"
SMALL = CpioOptions(max_segments=2, max_members=5, max_size=200)
CONFIG = {"CONFIG_EROFS_FS": False}         # whose buffers stay as long as the module
# how a boot ends when memory is short (init/main.c, init/initramfs.c, fs/namespace.c), and what no one gets round to reporting
PANICS = ("VFS: Failed to create nullfs", "Can't create rootfs", "VFS: Failed to mount rootfs on nullfs",
          "can't allocate buffers",
          "can't allocate link hash entry", "can't allocate dir_entry buffer", "do_initcalls: Failed to allocate",
          "VFS: Unable to mount root fs",
          "No working init found.", "write error")        # the last: of the built-in archive
BUGS = ("kernel BUG in kernel_init_freeable",)         # BUG_ON(!async_wq)


# ------------------------------------------------------------------------- words of the experiments

class Boot:
    """One boot that has ended."""

    def __init__(self, run: Run, initrd: bytes | None, *, builtin: list[Member] | None = None, cmdline: str = "", at: int = 0,
                 page_size: int = 4096,
                 config: dict[str, bool] | None = None, faults: bool = False, schedule: bool = False,
                 crashk: tuple[int, int] | None = None):
        self.run = run
        self.left: list[str] = []
        self.early: list[str] = []

        def prepare(m: Machine) -> None:
            if crashk is not None:
                b = m.part(machine_boot.Boot)
                b.crashk_res = (b.initrd_start + crashk[0], b.initrd_start + crashk[1])

        def after(seen: Observed, r: BootResult) -> None:
            if r.ok:
                self.left = leftovers(r.machine) + unpackers_objects(run)
            order = run.watches[-1].get(InitOrder) if run.watches else None
            self.early = order.too_early(r.machine) if order is not None else []

        seen = boot("upstream", initrd, run=run, builtin=builtin or (), cmdline=cmdline, at=at, page_size=page_size,
                    config=CONFIG | (config or {}), faults=faults,
                    schedule=schedule, most=(1, 2), prepare=prepare, after=after, ends=BUGS if faults else ())
        assert seen.result is not None
        self.result = seen.result
        self.tree = seen.tree
        self.exported = seen.exported
        self.open_files = seen.open_files

    @property
    def message(self) -> str | None:
        """What unpack_to_rootfs() said of the initrd."""
        return self.result.unpack_error

    def check_end(self, may_fail: bool = False) -> bool:
        """It ended with a program running (True), or, if calls ``may_fail``, in a panic that is documented; without reports."""
        r = self.result
        if r.ok:
            return True
        assert r.error is not None
        if not may_fail or (r.ended == "panic" and not any(p in r.error.title for p in PANICS)):
            why = next((line for line in r.log if line.startswith("Failed to execute")), r.error.title)
            self.run.fail(f"the boot ends: {why}", *r.log[-4:], cause=f"boot ends: {why}")
        return False

    def check_clean(self, *, but: tuple[str, ...] = ()) -> None:
        """Nothing is left behind."""
        left = [text for text in self.left if not any(b in text for b in but)]
        if left:
            self.run.fail(f"after the boot: {left[0]}", *left, cause=f"left: {left[0].lstrip('0123456789 ')}", severity="medium")
        if self.open_files:
            self.run.fail(f"PID 1 looks for its program while {self.open_files} unpacked files are still open for writing "
                          f"(-ETXTBSY)", cause="open for writing")
        if self.early:
            self.run.fail(self.early[0], *self.early, cause="used before registered")

    def check_tree(self, truth: list[dict[str, Any]], messages: list[str], datas: Iterable[bytes] = ()) -> None:
        """The message and the tree are these. ``datas``: contents of files that are known."""
        run = self.run
        pool = {hashlib.sha256(data).hexdigest(): data for data in datas}
        run.expected = Expected(messages[0] if messages else "", truth,
                                {e["path"]: pool[e["sha256"]] for e in truth if e["sha256"] in pool})
        if ([self.message] if self.message else []) != messages:
            run.fail(f"message: {self.message}, expected: {messages[0] if messages else None}", cause=f"message: {self.message}")
        text = manifest.diff(truth, self.tree, "the archive", "the tree", lines=12)
        if text:
            field = next((f[0] for a, b in zip(manifest.ordered(truth), manifest.ordered(self.tree)) if a["path"] == b["path"]
                          for f in manifest.entry_differences(a, b)), "names")
            run.fail(f"the tree differs: {field}", *text.split("\n"), cause=f"tree: {field}",
                     severity="critical" if field == "sha256" else "high")


def unpackers_objects(run: Run) -> list[str]:
    """What the unpacker has allocated for itself and not freed."""
    objects = run.watches[-1].get(Objects) if run.watches else None
    left = [r for r in objects.live.values() if type(r.obj).__module__.startswith("initramfs")] if objects is not None else []
    return [f"{len(left)} of the unpacker's objects, the first a {left[0].label} by {left[0].allocated_in}"] if left else []


def truth_of(*archives: list[Member]) -> tuple[list[dict[str, Any]], list[str]] | None:
    """Tree and messages after one archive has been unpacked over the other; None where that is not defined."""
    model = CpioModel()
    try:
        for members in archives:
            model.unpack(members)
            model.finish()
    except Undefined:
        return None
    return model.manifest(), model.messages


def members_of(archive: CpioArchive) -> list[Member]:
    """The members of all its segments."""
    return [m for s in archive.segments for m in s.members]


# ------------------------------------------------------------------------- what must hold

@experiment("initramfs.archives", series="initramfs", weight=2.0)
def archives(run: Run) -> None:
    """A boot makes the tree that the archive says, or the message that its one mistake deserves; nothing is left behind."""
    archive = choose_cpio(run.pick)
    if run.pick.rare("broken", 3):
        archive = break_cpio(archive, run.pick, 1)
        if archive.truth is None or archive.messages is None:
            return
    at = run.pick.one_of("at", (0, 4, 1, 2048, 4095))
    run.show(archive.describe(), f"{at} bytes behind a page boundary")
    assert archive.truth is not None and archive.messages is not None
    b = Boot(run, archive.data, at=at)
    b.check_end()
    b.check_tree(archive.truth, archive.messages, [m.data for m in members_of(archive)])
    b.check_clean()
    run.saw(b.message or "unpacked", *(e["type"] for e in b.tree))


@experiment("initramfs.links", series="initramfs")
def links(run: Run) -> None:
    """Names, inode numbers, device numbers and types that nearly agree; members with odd padding; the whole compressed or not."""
    pick = run.pick

    def member() -> Member:
        ifmt = pick.one_of("type", (0o100000, 0o100000, 0o040000, 0o020000, 0o140000, 0o120000))
        m = Member(pick.one_of("name", (b"a", b"b", b"c", b"d", b"d/e")), ifmt | 0o644, ino=pick.int("ino", 1, 2),
                   nlink=pick.int("nlink", 1, 3),
                   major=pick.int("major", 0, 1), minor=pick.int("minor", 0, 1), mtime=pick.int("mtime", 0, 3))
        if ifmt in (0o100000, 0o120000):
            m.data = b"0123456789"[:pick.int("size", 0, 10)] or (b"x" if ifmt == 0o120000 else b"")
        return m

    members = pick.several("member", 1, 7, member)
    if pick.rare("trailer in between", 4):
        members.insert(pick.int("where", 0, len(members)), trailer())
    if not pick.rare("no trailer", 3):
        members.append(trailer())
    truth = truth_of(members)
    if truth is None:
        return
    message = pick.one_of("wrong", ("", "no cpio magic", "damaged header", "malformed archive")) if pick.rare("broken", 4) else ""
    if message:
        members.append(Member(b"wrong", 0o100644, magic=b"070703" if message == "no cpio magic" else b"070701",
                              raw={"mode": b"0000000g"} if message == "damaged header" else {},
                              name_pad=b"!" + bytes(4) if message == "malformed archive" else None))
    if pick.rare("odd padding", 2):
        members = [replace(m, data_pad=b"pad"[:-len(m.data) % 4]) if m.data else m for m in members]
    segment = Segment(members=members, method=pick.one_of("method", ("", *available())))
    run.show(repr(segment))
    b = Boot(run, encode([segment, Segment("zeros", count=8)]))
    b.check_end()
    b.check_tree(truth[0], [message] if message else truth[1])
    b.check_clean()


@experiment("initramfs.two-archives", series="initramfs")
def two_archives(run: Run) -> None:
    """An initrd unpacked over a built-in archive of the same names: what comes later replaces what was there."""
    first, second = choose_cpio(run.pick, SMALL), choose_cpio(run.pick, SMALL)
    run.show("built in: " + first.describe(), "initrd: " + second.describe())
    below = [m for m in members_of(first) if m.name != b"TRAILER!!!"]
    truth = truth_of([*below, trailer()], members_of(second))
    if truth is None:
        return
    b = Boot(run, second.data, builtin=below)
    b.check_end()
    b.check_tree(*truth)
    b.check_clean()


@experiment("initramfs.damaged", series="initramfs")
def damaged(run: Run) -> None:
    """However broken an archive is, the boot goes on, nothing behind the archive is read, and nothing is left behind."""
    archive = choose_wild(run.pick, devices=False)
    if run.pick.rare("damaged", 2):
        archive = damage(archive, run.pick)
    run.show(archive.describe())
    b = Boot(run, archive.data)
    b.check_end()
    b.check_clean(but=("open file",))
    run.saw(b.message or "unpacked")


@experiment("initramfs.sizes", series="initramfs", weight=0.5)
def sizes(run: Run) -> None:
    """Names and targets as long as the buffers for them, and longer: nothing behind a buffer is touched, and nothing is left
    behind.
    """
    pick = run.pick
    n = pick.one_of("bytes", (4095, 4096, 4097, 1, 0, 5000, 12300, 65536)) + pick.int("more", 0, 3)
    long = pick.one_of("which", ("name", "target", "data"))
    member = Member(b"n" * n if long == "name" else b"m", 0o120777 if long == "target" else 0o100644,
                    b"" if long == "name" else b"t" * n)
    run.show(f"a {long} of {n} bytes")
    b = Boot(run, encode([Segment(members=[member, trailer()], method=pick.one_of("method", ("", *available())))]))
    b.check_end()
    b.check_clean(but=("open file",))
    run.saw(b.message or "unpacked")


@experiment("initramfs.cut-short", series="initramfs", weight=0.5)
def cut_short(run: Run) -> None:
    """An archive that ends early leaves nothing behind."""
    archive = choose_cpio(run.pick, SMALL)
    cut = run.pick.int("cut", 0, len(archive.data) - 1)
    run.show(archive.describe(), f"without its last {cut} bytes")
    b = Boot(run, archive.data[:len(archive.data) - cut])
    b.check_end()
    b.check_clean()


@experiment("initramfs.memory", series="initramfs", weight=0.5)
def memory(run: Run) -> None:
    """The initrd's memory: its whole pages are freed once, or kept and shown in sysfs unchanged, or trimmed to what is the crash
    kernel's.
    """
    pick = run.pick
    data = encode([Segment(members=[Member(b"f", 0o100644, bytes(range(256)) * pick.int("content", 0, 90)), trailer()])])
    data += bytes(pick.one_of("zeros", (0, 1, 511, 4096)))
    at = pick.one_of("at", (0, 1, 512, 4095))
    retain = pick.rare("retain", 2)
    archive = not pick.rare("no archive", 3)
    if not archive:
        data = b"\xeb" + data[1:]
    crashk = None
    if not retain and pick.rare("crash kernel", 3):
        first = pick.int("first page", -2, 4) * 4096 - at
        crashk = (first, first + pick.int("pages", 1, 4) * 4096)
    ram = pick.rare("ram disk", 2)
    run.show(f"{len(data)} bytes at {at}{', retain_initrd' if retain else ''}{'' if archive else ', no archive'}"
             f"{f', crashkernel {crashk}' if crashk else ''}"
             f"{', BLK_DEV_RAM' if ram else ''}")
    b = Boot(run, data, at=at, cmdline="retain_initrd" if retain else "", crashk=crashk,
             config={"CONFIG_CRASH_RESERVE": crashk is not None, "CONFIG_BLK_DEV_RAM": ram})
    b.check_end()
    b.check_clean()
    r = b.result
    region = r.initrd
    assert region is not None
    for start, end, _, what, _ in r.freed:
        if start < region.addr - 4095 or end > region.addr + region.size + 4095:
            run.fail(f"freed beyond the initrd: {start:#x} to {end:#x}", cause="freed beyond")
        if crashk is not None and start < region.addr + crashk[1] and end > region.addr + crashk[0]:
            run.fail("memory of the crash kernel is freed", cause="crash kernel freed", severity="critical")
    if retain:
        if r.freed or b.exported != data:
            run.fail("the retained initrd is " + ("freed" if r.freed else "not what it was"), cause="retained")
    image = next((e for e in b.tree if e["path"] == "/initrd.image"), None)
    if not archive and ram:
        if image is None or image["size"] != len(data):
            run.fail("/initrd.image is not the initrd", cause="initrd.image")
    elif image is not None:
        run.fail("an /initrd.image nobody asked for", cause="initrd.image")


@experiment("initramfs.failing-calls", series="initramfs", weight=2.0)
def failing_calls(run: Run) -> None:
    """Whichever call fails, the boot ends in the documented fallback or the documented panic, and nothing is left behind."""
    pick = run.pick
    kind = pick.int("initrd", 0, 3)
    data = choose_cpio(pick, SMALL).data if kind == 1 else EVERYTHING if kind != 3 else b"\xeb" + EVERYTHING
    cmdline = pick.one_of("command line", ("", "retain_initrd", "rootfstype=tmpfs", "initramfs_async=0"))
    run.show(("every kind of file", "a small archive", "every kind of file", "no archive, for a RAM disk")[kind], cmdline)
    b = Boot(run, data, cmdline=cmdline, faults=True, config={"CONFIG_BLK_DEV_RAM": kind == 3})
    if not b.check_end(may_fail=True):
        return
    but = ("initrd_start", "belong to no one", "exported") if "Failed to create initrd sysfs file" in b.result.log else ()
    b.check_clean(but=but)
    run.saw(b.message or "unpacked")


@experiment("initramfs.schedules", series="initramfs", on_linux=("sched.boot",))
def schedules(run: Run) -> None:
    """Whoever runs first, PID 1 finds the whole tree, and nothing is left behind."""
    b = Boot(run, EVERYTHING, schedule=True)
    b.check_end()
    truth = truth_of(EVERYTHING_MEMBERS)
    assert truth is not None
    b.check_tree(*truth)
    b.check_clean()


@experiment("initramfs.order", series="initramfs", weight=0.5, on_linux=("sched.boot",))
def order(run: Run) -> None:
    """Nothing is used before its initcall has run, whatever the initrd is."""
    pick = run.pick
    what = pick.int("initrd", 0, 2)
    data = (EVERYTHING, b"\xeb" + EVERYTHING, choose_image(pick,
                                                           ErofsOptions(max_nodes=2, max_blocks=2, max_bytes=1 << 14)).data)[what]
    run.show(("an archive", "no archive", "an EROFS image")[what])
    b = Boot(run, data, config={"CONFIG_EROFS_FS": True, "CONFIG_BLK_DEV_RAM": pick.rare("ram disk", 2)},
             cmdline=pick.one_of("command line", ("", "initramfs_async=0")), schedule=True)
    b.check_end()
    b.check_clean(but=("kmalloc objects",))         # EROFS keeps its buffers


EVERYTHING_MEMBERS = [
    Member(b"d", 0o040755, nlink=2, mtime=1), Member(b"d/f", 0o100644, bytes(range(256)) * 20, mtime=2),
    Member(b"d/g", 0o100644, ino=7, nlink=2, mtime=3),
    Member(b"h", 0o100644, b"both", ino=7, nlink=2, mtime=4), Member(b"l", 0o120777, b"d/f", mtime=5),
    Member(b"n", 0o020600, rmajor=1, rminor=3, mtime=6),
    Member(b"p", 0o010600, mtime=7), trailer()]
EVERYTHING = encode([Segment(members=EVERYTHING_MEMBERS)])

__all__ = ["Boot", "truth_of"]
