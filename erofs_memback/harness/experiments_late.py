# SPDX-License-Identifier: GPL-2.0-only
"""What must hold for compressed files when bios end later, in whatever context: several readers of neighbouring parts, the umount
close behind them, and
allocations that fail only where nobody may wait."""
from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge import tree
from kemu.forge.content import content
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.erofs.plan import ImagePlan, InodePlan, ZPlan
from kemu.forge.erofs.writer import build, fix_checksum
from kemu.linux.cred import current_cred
from kemu.linux.dcache import dput
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fcntl import O_RDONLY
from kemu.linux.fs import OFFSET_MAX, vfs_read
from kemu.linux.fs.file_table import __fput_sync as close
from kemu.linux.fs.namei import lookup_slow
from kemu.linux.fs.open import dentry_open
from kemu.linux.gfp import NO_WAIT
from kemu.linux.include.dcache import Qstr
from kemu.linux.mm.truncate import invalidate_mapping_pages
from kemu.linux.mount import VfsMount, mntput
from kemu.linux.path import Path
from kemu.linux.port.ramdisk import COMPLETIONS
from kemu.linux.task_work import task_work_run
from kemu.linux.types import Ref, this
from kemu.rung.py.trial import errname, log_tail

from erofs_memback.harness.mount import settle
from erofs_memback.harness.words import kernel
from erofs_memback.internal import EROFS_SB

__role__ = "harness"
PAGE = 4096


@functools.lru_cache(maxsize=64)
def _compressed(blocks: int, cut: int, blkszbits: int, layout: str, kind: str) -> tuple[ErofsImage, bytes]:
    """An image with one compressed file in extents of ``cut`` bytes."""
    data = content(kind, 1, blocks * PAGE)
    file = tree.File(data=data)
    z = ZPlan(cuts=(cut,), big=3, max_blocks=16)
    return build(tree.Dir(entries={b"f": file}), ImagePlan(blkszbits=blkszbits,
                                                           inodes={id(file): InodePlan(data=layout, z=z)})), data


class Reader:
    """A task that reads pages of /f; ``wrong``: what it got instead of the file's bytes."""

    def __init__(self, mnt: VfsMount, data: bytes, pages: list[tuple[int, int]], ahead: bool = True):
        self.ahead = ahead
        self.mnt = mnt
        self.data = data
        self.pages = pages
        self.wrong: list[str] = []

    def __call__(self) -> None:
        """Read the file, and remember what is wrong."""
        dentry = lookup_slow(Qstr(b"f"), self.mnt.mnt_root, 0)
        if IS_ERR(dentry):
            self.wrong.append(errname(PTR_ERR(dentry)))
            return
        file = dentry_open(Path(self.mnt, dentry), O_RDONLY, current_cred())
        if IS_ERR(file):
            self.wrong.append(errname(PTR_ERR(file)))
        else:
            if not self.ahead:
                file.f_ra.ra_pages = 0
            for first, count in self.pages:
                buf = bytearray(count * PAGE)
                n = vfs_read(file, buf, len(buf), Ref(first * PAGE))
                if n < 0:
                    self.wrong.append(errname(n))
                elif bytes(buf[:n]) != self.data[first * PAGE:first * PAGE + n]:
                    self.wrong.append(f"other bytes at page {first}")
            close(file)
        dput(dentry)


@contextmanager
def _mounted(run: Run, image: bytes, completion: str) -> Iterator[VfsMount]:
    """A mount whose bios end as ``completion`` says; who uses it ends it."""
    with kernel(run, "bdev", image, completion=completion) as [source]:
        mnt = source.mount()
        if IS_ERR(mnt):
            run.fail(f"mount: {errname(PTR_ERR(mnt))}", *log_tail(), cause="mount result", where=run.heard)
        yield mnt


def _file(run: Run) -> tuple[bytes, bytes, int]:
    pick = run.pick
    extent = pick.one_of("pages of an extent", (4, 2, 8, 16))
    blocks = extent * pick.int("extents", 2, 5)
    image, data = _compressed(blocks, extent * PAGE, pick.one_of("block bits", (12, 9)),
                              pick.one_of("layout", ("full", "compact", "extents")),
                              pick.one_of("content", ("text", "mixed")))
    return image.data, data, blocks


def _forget(mnt: VfsMount, data: bytes, mask: int) -> None:
    """The whole file has been read, and of its pages those whose bit is set (again and again) are not cached any more."""
    if not mask:
        return
    Reader(mnt, data, [(0, len(data) // PAGE)])()
    settle()
    dentry = lookup_slow(Qstr(b"f"), mnt.mnt_root, 0)
    for page in range(len(data) // PAGE):
        if mask >> page % 12 & 1:
            invalidate_mapping_pages(dentry.d_inode.i_mapping, page, page)
    dput(dentry)
    cache = EROFS_SB(mnt.mnt_sb).managed_cache.i_mapping        # what is compressed has to be read again
    invalidate_mapping_pages(cache, 0, OFFSET_MAX)


def _readers(run: Run, blocks: int, most: int) -> list[tuple[list[tuple[int, int]], bool]]:
    pick = run.pick
    return [([(pick.int("first page", 0, blocks - 1), pick.int("pages", 1, most))], not pick.int("no readahead", 0, 1))
            for _ in range(pick.int("readers", 1, 3))]


def _run_all(readers: list[Reader], end: Callable[[], None] | None = None) -> None:
    left = len(readers)

    def body(r: Reader) -> None:
        nonlocal left
        r()
        left -= 1
        if not left and end is not None:
            end()

    for i, r in enumerate(readers):
        this.sched.spawn(f"reader{i}", functools.partial(body, r))
    settle()


def _judge(run: Run, readers: list[Reader]) -> None:
    for i, r in enumerate(readers):
        if r.wrong:
            run.fail(f"reader {i} of {r.pages}: {r.wrong[0]}", *log_tail(), cause=f"reader: {r.wrong[0].partition(' at ')[0]}",
                     severity="critical", where=run.heard)


@experiment("bdev.late-bios", series="erofs", on_linux=("sched.cache", "sched.umount"))
def late_bios(run: Run) -> None:
    """Readers whose bios end later get right bytes, and who is last unmounts at once: nobody may look at anything that goes with
    it.
    """
    image, data, blocks = _file(run)
    completion = run.pick.one_of("where bios end", ("softirq", "kworker", "mixed"))
    assert completion in COMPLETIONS
    plans = _readers(run, blocks, 16)
    mask = run.pick.int("not cached", 0, 4095)
    run.show(f"a file of {blocks} pages, readers of (first page, pages), readahead: {plans}; cached but for: {mask:b}; bios end "
             f"in: {completion}")
    with _mounted(run, image, completion) as mnt:
        _forget(mnt, data, mask)
        readers = [Reader(mnt, data, p, ahead) for p, ahead in plans]

        def leave() -> None:
            mntput(mnt)
            task_work_run()

        run.chooser.arm_schedule(400)
        _run_all(readers, leave)
        run.chooser.disarm_schedule()
        _judge(run, readers)


@experiment("bdev.short-of-memory", series="erofs")
def short_of_memory(run: Run) -> None:
    """What fails only because nobody may wait for memory fails nobody's read: who reads can wait."""
    image, data, blocks = _file(run)
    completion = run.pick.one_of("where bios end", ("kworker", "softirq"))
    plans = _readers(run, blocks, 8)
    mask = run.pick.int("not cached", 0, 4095)
    run.show(f"a file of {blocks} pages, readers of (first page, pages), readahead: {plans}; cached but for: {mask:b}; bios end "
             f"in: {completion}")
    with _mounted(run, image, completion) as mnt:
        _forget(mnt, data, mask)
        readers = [Reader(mnt, data, p, ahead) for p, ahead in plans]
        run.chooser.arm_faults(60, kinds=(NO_WAIT,))
        _run_all(readers)
        run.chooser.disarm_faults()
        run.saw(f"{len(readers)} readers, {len(run.chooser.faults)} faults")
        _judge(run, readers)
        mntput(mnt)
        settle()


# ------------------------------------------------------------------------- extents over each other

def overlapped(kind: str, pages: int) -> tuple[bytes, bytes]:
    """An image whose file /f has extents of four pages each, the second ``pages`` pages behind the first's begin; and the bytes
    that the file would have without that. Empty if it cannot be made.
    """
    whole, data = _compressed(16, 4 * PAGE, 12, "extents", kind)
    image = bytearray(whole.data)
    inode = next(i for i in whole.inodes.values() if i.extents and i.size == len(data))
    places = [e.pa for e in inode.extents if e.pa is not None]
    at = image.find(struct.pack("<I", places[1] & 0xFFFFFFFF), inode.pos)
    if at < 0:
        return b"", data
    struct.pack_into("<I", image, at, places[0] + PAGE * pages)
    fix_checksum(image)
    return bytes(image), data


@experiment("bdev.overlapping", series="erofs", weight=0.5, on_linux=("sched.overlapping", "sched.cache", "sched.twins"))
def overlapping(run: Run) -> None:
    """Extents whose compressed bytes lie over each other's end no reader's read in a hang; whoever comes first, all read the
    same.
    """
    pick = run.pick
    blocks = 16
    kind = pick.one_of("content", ("noise", "mixed"))
    image, data = overlapped(kind, pick.int("pages apart", 1, 3))
    if not image:
        return
    plans = [[(pick.int("first page", 0, blocks - 1), pick.int("pages", 1, 16)) for _ in range(pick.int("reads", 1, 3))]
             for _ in range(pick.int("readers", 1, 2))]
    run.show(f"extents of 4 pages, the second over the first; readers of (first page, pages): {plans}")
    with _mounted(run, image, pick.one_of("where bios end", ("kworker", "softirq", "sync"))) as mnt:
        readers = [Reader(mnt, data, p) for p in plans]
        run.chooser.arm_schedule()
        _run_all(readers)
        run.chooser.disarm_schedule()
        mntput(mnt)
        settle()
