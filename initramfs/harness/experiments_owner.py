# SPDX-License-Identifier: GPL-2.0-only
"""What must hold of the memory of a layered initrd, page by page: what no image touches is free when the root stands, the rest
when it is left, each page once, and what is the crash kernel's never.
"""
from __future__ import annotations

from typing import Any

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.cpio import Member, Segment, encode, trailer
from kemu.forge.cpio_choose import CpioOptions, break_cpio, choose_cpio
from kemu.linux.fs.namespace import g, next_mnt
from kemu.linux.fs_struct import current_fs
from kemu.machine.boot import Boot, BootResult, InitMemory
from kemu.machine.config import flipped
from kemu.machine.machine import Machine

from initramfs.harness.observed import REFUSED, UNDONE, Observed, boot, expected_pages, whole_pages
from initramfs.harness.trials import State, cpio_archive, erofs_image, leave

__role__ = "harness"


class Parts:
    """A few images and archives, at any byte, images in one page among them."""

    def __init__(self, run: Run):
        pick = run.pick
        self.data = b""
        self.images: list[tuple[int, int]] = []
        self.kinds: list[str] = []
        for i in range(pick.int("segments", 1, 4)):
            kind = "erofs" if not i else pick.one_of("kind", ("erofs", "cpio", "zeros"))
            if kind == "zeros":
                self.data += bytes(pick.int("zeros", 1, 9000))
            elif kind == "cpio":
                self.data += bytes(-len(self.data) % 4) + cpio_archive(f"p{i}", False)
            else:
                self.data += bytes(pick.int("bytes between", 0, 600))
                start = len(self.data)
                self.data += erofs_image(f"p{i}", False, pick.int("blocks", 1, 3))
                self.images.append((start, len(self.data)))
            self.kinds.append(kind)
        self.at = pick.int("at", 0, 4095)

    def describe(self) -> str:
        """What it is made of, in one line."""
        return f"{', '.join(self.kinds)}: {len(self.data)} bytes, {self.at} bytes behind a page boundary; images at {self.images}"


def _boot(run: Run, parts: Parts, **kw: Any) -> Observed:
    return boot("layered", parts.data, run=run, at=parts.at, **kw)


def _standing(run: Run, seen: Observed) -> None:
    if seen.ended or seen.said(UNDONE):
        run.fail(f"no layered root: {seen.ended or seen.said(UNDONE)}", *seen.log[-6:], cause="no layered root", where=run.heard)


@experiment("layered.pages", series="layered")
def pages(run: Run) -> None:
    """Pages that no image touches are free when the root stands, the others when its last mount has gone, all of them once; or,
    retained, none.
    """
    parts = Parts(run)
    cmdline = run.pick.one_of("command line", ("", "retain_initrd", "initramfs_async=0"))
    retain = cmdline == "retain_initrd"
    run.show(parts.describe() + (f", {cmdline}" if cmdline else ""))
    last: list[str] = []
    beyond: list[str] = []

    def after(seen: Observed, r: BootResult) -> None:
        if r.ok:
            assert r.initrd is not None
            leave(State())
            last.append(whole_pages(r.machine))
            first, end = r.initrd.addr, r.initrd.addr + r.initrd.size
            beyond.extend(f"{a - first} to {b - first}" for a, b, _, what, _ in r.machine.part(InitMemory).freed
                          if what == "initrd" and not first <= a <= b <= end)

    seen = _boot(run, parts, cmdline=cmdline, after=after)
    _standing(run, seen)
    want = expected_pages(parts.images, len(parts.data), parts.at)
    want, end = ("r" * len(want),) * 2 if retain else (want, "F" * len(want))
    if seen.freed != want:
        run.fail(f"pages when the root stands (F: free): {seen.freed}", f"expected: {want}", cause="pages: root stands",
                 severity="critical")
    if last != [end]:
        run.fail(f"pages when the root is left (F: free): {last}", f"expected: {end}", cause="pages: root left", severity="high")
    if beyond:
        run.fail(f"freed beyond the initrd's {len(parts.data)} bytes: {', '.join(beyond)}", cause="freed beyond",
                 severity="critical")
    if retain and seen.exported != parts.data:
        run.fail("/sys/firmware/initrd is not the initrd", cause="exported")
    if seen.left:
        run.fail(f"after the boot: {seen.left[0]}", *seen.left, cause="left behind", severity="medium")


@experiment("layered.crash-kernel", series="layered", weight=0.5)
def crash_kernel(run: Run) -> None:
    """An initrd that overlaps the crash kernel's memory is not lent, and nothing of that memory is freed; one beside it is as
    ever.
    """
    parts = Parts(run)
    size = len(parts.data)
    first = run.pick.int("first page", -3, 8) * 4096 - parts.at
    crashk = (first, first + 4096 * run.pick.int("pages", 1, 4))
    retain = run.pick.rare("retain_initrd", 4)
    run.show(parts.describe(),
             f"the crash kernel's memory: bytes {crashk[0]} to {crashk[1]} of it{', retain_initrd' if retain else ''}")

    def prepare(m: Machine) -> None:
        b = m.part(Boot)
        b.crashk_res = (b.initrd_start + crashk[0], b.initrd_start + crashk[1])

    options: dict[str, Any] = {"cmdline": "retain_initrd" if retain else "", "config": {"CONFIG_CRASH_RESERVE": True},
                               "prepare": prepare}
    seen = _boot(run, parts, **options)
    if crashk[0] < size and crashk[1] > 0:
        ever = boot("upstream", parts.data, at=parts.at, **options)
        for what in seen.differences(ever, but=("initrd: overlaps",)):
            run.fail(f"overlaps the crash kernel's memory, and is not as ever: {what}", *seen.describe(what, ever),
                     cause=f"crash kernel: {what}", severity="critical")
        return
    _standing(run, seen)
    want = expected_pages(parts.images, size, parts.at)
    if seen.freed != ("r" * len(want) if retain else want):
        run.fail(f"pages when the root stands (F: free): {seen.freed}", f"expected: {want}", cause="crash kernel: pages",
                 severity="high")


@experiment("layered.schedules", series="layered", weight=0.5)
def schedules(run: Run) -> None:
    """Whoever runs first while the layers are made, kworkers that close files later among them: the root stands, and it is the
    same.
    """
    data = erofs_image("a", False) + cpio_archive("c", False)
    data += bytes(-len(data) % 512) + erofs_image("b", False)
    run.show("an image, an archive, an image")
    seen = boot("layered", data, run=run, schedule=True, preempt=2000)
    _standing(run, seen)
    plain = _plain.get(flipped())
    if plain is None:
        plain = _plain[flipped()] = boot("layered", data)
    for what in seen.differences(plain):
        if what != "log":
            run.fail(f"depends on who runs first: {what}", *seen.describe(what, plain), cause=f"schedule: {what}",
                     severity="critical")


_plain: dict[tuple[tuple[str, Any], ...], Observed] = {}


@experiment("layered.broken-archive", series="layered", weight=0.5)
def broken_archive(run: Run) -> None:
    """An archive between images that the unpacker complains about is no layer: everything is as ever. One that it takes is."""
    archive = choose_cpio(run.pick, CpioOptions(max_segments=1, max_members=4, max_size=200))
    if run.pick.int("broken", 0, 1):
        archive = break_cpio(archive, run.pick, 1)
    data = erofs_image("a", False) + archive.data + bytes(-len(archive.data) % 512)
    if run.pick.int("image behind", 0, 1):
        data += erofs_image("b", False)
    run.show("an image, and " + archive.describe())
    if archive.messages is None:
        return
    seen = boot("layered", data, run=run)
    if seen.said(REFUSED):                  # not cut at all
        return
    if not archive.messages:
        _standing(run, seen)
        return
    ever = boot("upstream", data)
    for what in seen.differences(ever, but=("initrd: ",)):
        if what != "log":
            run.fail(f"the unpacker says '{archive.messages[0]}', and it is not as ever: {what}", *seen.describe(what, ever),
                     cause=f"broken archive: {what}")


@experiment("layered.root-is-alone", series="layered", weight=0.5)
def root_is_alone(run: Run) -> None:
    """Archives are unpacked into the layers only, whatever their names and links say; every task has the same root, and nothing
    else is mounted in it.
    """
    pick = run.pick
    members = [Member(b"d", 0o040755, nlink=2), Member(b"away", 0o120777,
                                                       pick.one_of("target",
                                                                   (b"/d", b"/", b"..", b"../..", b"/.initrd-layers/0")))]
    members += [Member(pick.one_of("name", (b"away/x", b"/x", b"../x", b"d/../../x", b"/d/x", b"d/x")), 0o100644,
                       b"from the archive")]
    archive = encode([Segment(members=[*members, trailer()])])
    data = erofs_image("a", False) + archive + (erofs_image("b", False) if pick.int("image behind", 0, 1) else b"")
    run.show(f"an image, and an archive with {members[1].data.decode()} behind a link and {members[2].name.decode()}")
    other: list[Any] = []

    def after(seen: Observed, r: BootResult) -> None:
        if not r.ok:
            return
        root = current_fs().root
        other.extend(t.comm for t in r.machine.sched.tasks if t.fs is not None
                     and (t.fs.root.dentry is not root.dentry or t.fs.root.mnt is not root.mnt))
        other.extend(str(m.mnt_sb.s_type.name) for m in next_mnt(g.init_mnt_ns.root) if m.mnt_sb.s_type.name == "rootfs")

    seen = boot("layered", data, run=run, after=after)
    _standing(run, seen)
    # the same members over the same tree, by upstream's unpacker
    ever = boot("upstream", cpio_archive("a", False) + archive
                + (cpio_archive("b", False) if data.endswith(erofs_image("b", False)) else b""))

    def names(o: Observed) -> list[tuple[str, ...]]:
        return sorted((e["path"], e["type"], e["sha256"]) for e in o.tree)

    if names(seen) != names(ever):
        run.fail("the root is not what unpacking the same would be", *[f"+ {n}" for n in names(seen) if n not in names(ever)],
                 *[f"- {n}" for n in names(ever) if n not in names(seen)], cause="names", severity="critical")
    if other:
        run.fail(f"another root is still there: {', '.join(other)}", cause="another root", severity="critical")
