# SPDX-License-Identifier: GPL-2.0-only
"""What must hold of a design of the initial root file system: the posted initerofs and ours under the same experiments.

The measure is upstream: with the feature off, or with an initrd that is not for it, nothing may differ; where an attempt fails,
the kernel must be as if it had never tried; where it succeeds, the new root is complete.
"""
from __future__ import annotations

from kemu.explore.experiment import experiment, known_bad
from kemu.explore.run import Run
from kemu.linux.bio import REQ_OP_READ, Bio, bio_init, submit_bio_wait
from kemu.linux.bvec import BioVec
from kemu.linux.fs.namespace import mnt_init
from kemu.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kemu.linux.include.blkdev import get_capacity
from kemu.linux.init_syscalls import init_mkdir
from kemu.linux.mm import page_address
from kemu.linux.rodata import Change, changes
from kemu.linux.string import mem_read

import initramfs.harness.experiments_success
import initramfs.harness.experiments_undo  # noqa: F401 - registers
from initramfs import initerofs_blkdev_rfc as blk
from initramfs.harness.trials import INIT, _file, cpio_archive, erofs_image, run_boot, told  # noqa: F401 - others make inputs of the first two

__role__ = "harness"
known_bad("initerofs-rfc", "as posted")
# upstream is the measure: it is judged by detectors only
DESIGNS = {name: {"design": name} for name in ("upstream", "initerofs-rfc", "layered")}


# ------------------------------------------------------------------------- success

@experiment("{design}.boots", variants=DESIGNS, base="upstream")
def boots(run: Run, design: str) -> None:
    """An image as initrd boots, wherever it lies in memory, with no report of any detector."""
    at = run.pick.int("at", 0, 4095)
    blocks = run.pick.int("blocks", 1, 3)
    run.show(f"an EROFS image at offset {at} of a page")
    result, state = run_boot(design, erofs_image("a", blocks=blocks), machine=run.machine, rodata="guarded", at=at, read_all=True)
    if not result.ok and design != "upstream":
        run.fail(f"the boot ends with: {state.values['end'][0]}", *result.log[-4:], cause="no boot", where=state.by)


@experiment("{design}.writes-no-constants", variants=DESIGNS, base="upstream")
def writes_no_constants(run: Run, design: str) -> None:
    """Constant data of the kernel is after the boot what it was before."""
    seen: list[Change] = []
    run.show("an EROFS image as initrd")
    run_boot(design, erofs_image("a"), machine=run.machine, end=lambda state: seen.extend(changes()))
    if seen:
        which = seen[run.pick.int("which", 0, 1) % len(seen)]
        run.fail(f"constant data was written to: {which.what}", *[c.what for c in seen],
                 cause="constants: " + ("behind" if which.behind else "text"),
                 severity="critical", where=which.user)


@experiment("{design}.says-nothing-new", variants=DESIGNS, base="upstream")
def says_nothing_new(run: Run, design: str) -> None:
    """A boot with an image logs no warning that a boot with the same tree as an archive does not log."""
    run.show("the same tree as an archive and as an image")
    _, upstream = run_boot("upstream", cpio_archive("a"))
    _, state = run_boot(design, erofs_image("a"), machine=run.machine)
    known = {text for _, text in upstream.log}
    new = [text for level, text in state.log if text not in known and (level <= 4 or "called before" in text)]
    if new and design != "upstream":
        which = new[run.pick.int("which", 0, 3) % len(new)]
        run.fail(f"a warning that upstream does not give: {which}", *new, cause=f"warning: {which}", severity="medium",
                 where=state.by)


@experiment("{design}.keeps-the-built-in", variants=DESIGNS, base="upstream")
def keeps_the_builtin(run: Run, design: str) -> None:
    """What the kernel's own archive has is in the root, as with an archive as initrd."""
    run.show("an EROFS image as initrd, the default built-in archive")
    _, upstream = run_boot("upstream", cpio_archive("a"))
    _, state = run_boot(design, erofs_image("a"), machine=run.machine)
    have = state.paths()
    gone = [p for p in upstream.paths() if p not in have]
    if gone and design != "upstream":
        run.fail(f"{', '.join(gone)} of the built-in archive {'is' if len(gone) == 1 else 'are'} not in the root", *gone,
                 cause="built-in archive gone",
                 where=state.by)


# ------------------------------------------------------------------------- rows of segments

@experiment("{design}.rows", variants=DESIGNS, base="upstream")
def rows(run: Run, design: str) -> None:
    """Every archive and every image of an initrd is in the root, in whatever order and with whatever padding."""
    kinds = [run.pick.one_of("kind", ("erofs", "cpio")) for _ in range(run.pick.int("segments", 1, 4))]
    if "erofs" not in kinds:
        return
    data = b""
    for i, kind in enumerate(kinds):
        last = i == len(kinds) - 1
        data += erofs_image(f"p{i}", last) if kind == "erofs" else cpio_archive(f"p{i}", last)
        data += bytes(run.pick.one_of("padding", (0, 4, 512, 1024)))
        data += bytes(-len(data) % run.pick.one_of("alignment", (4, 512, 4096)))
    at = run.pick.int("at", 0, 4095)
    run.show(f"{', '.join(kinds)}; {len(data)} bytes at offset {at} of a page")
    _, state = run_boot(design, data, machine=run.machine, at=at, read_all=True)
    have = state.paths()
    gone = [i for i in range(len(kinds)) if f"/p{i}" not in have or f"/etc/of-p{i}" not in have]
    if gone and design != "upstream":
        first = kinds[gone[0]]
        place = f"behind {'an archive' if kinds[gone[0] - 1] == 'cpio' else 'an image'}" if gone[0] else "at the beginning"
        run.fail(f"segment {gone[0]} ({first}, {place}) of {len(kinds)} is not in the root", *told(state),
                 cause=f"{first} {place} is lost", where=state.by)


# ------------------------------------------------------------------------- as ever

@experiment("{design}.as-ever", variants=DESIGNS, base="upstream")
def as_ever(run: Run, design: str) -> None:
    """With an archive as initrd, or an image where the configuration ignores the initrd, nothing differs from upstream."""
    force = bool(run.pick.int("CONFIG_INITRAMFS_FORCE", 0, 1))
    retain = bool(run.pick.int("retain_initrd", 0, 1))
    erofs = force and bool(run.pick.int("an image", 0, 1))
    cmdline = "retain_initrd" if retain else ""
    data = erofs_image("a", blocks=5) if erofs else cpio_archive("a") + bytes(9000)
    config = {"CONFIG_INITRAMFS_FORCE": force}
    run.show(f"{'an image' if erofs else 'an archive'}, "
             f"CONFIG_INITRAMFS_FORCE={'y' if force else 'n'}{', retain_initrd' if retain else ''}")
    _, upstream = run_boot("upstream", data, config=config, cmdline=cmdline)
    _, state = run_boot(design, data, machine=run.machine, config=config, cmdline=cmdline)
    if design == "upstream":
        return
    for what in upstream.differences(state):
        run.fail(f"not as upstream: {what}: {', '.join(state.values[what]) or 'none'} instead of "
                 f"{', '.join(upstream.values[what]) or 'none'}",
                 *state.lines(upstream), cause=f"as ever: {what}", where=state.by)
    if [t for _, t in state.log] != [t for _, t in upstream.log]:
        run.fail("the log differs from upstream's", cause="as ever: log", severity="low", where=state.by)


# ------------------------------------------------------------------------- the block device of the posted patch

@experiment("initerofs-rfc.disk-has-every-byte", series="initerofs-rfc")
def disk_has_every_byte(run: Run) -> None:
    """The disk has every byte of the initrd, in its last sector too."""
    size = 4096 + run.pick.int("size", 0, 1024)
    run.show(f"an initrd of {size} bytes")
    with run.machine(config={"CONFIG_INITEROFS": True}) as m:
        _ready()
        region = m.place(bytes(size), 0, "linear", "initrd")
        if blk.initerofs_blkdev_create(region.addr, region.size) is None:
            return
        have = get_capacity(blk.g.initerofs_disk) * 512
        blk.initerofs_blkdev_destroy()
        if have < size:
            run.fail(f"the disk ends {size - have} byte{'s' if size - have > 1 else ''} before the initrd", cause="capacity",
                     severity="low", where=("initerofs_blkdev_create", ""))


@experiment("initerofs-rfc.disk-reads-right", series="initerofs-rfc")
def disk_reads_right(run: Run) -> None:
    """A bio gets the bytes that it asks for, however its pages are cut."""
    content = bytes(i * 7 + (i >> 8) & 0xFF for i in range(8192))
    first = run.pick.int("first segment", 1, 1023)
    run.show(f"a bio of 1024 bytes in segments of {first} and {1024 - first}")
    with run.machine(config={"CONFIG_INITEROFS": True}) as m:
        _ready()
        region = m.place(content, 0, "linear", "initrd")
        if blk.initerofs_blkdev_create(region.addr, region.size) is None:
            return
        pages = [alloc_page(GFP_KERNEL), alloc_page(GFP_KERNEL)]
        bio = Bio()
        bio_init(bio, blk.g.initerofs_disk.part0, [BioVec(pages[0], first, 0), BioVec(pages[1], 1024 - first, 0)], 2, REQ_OP_READ)
        bio.bi_vcnt = 2
        bio.bi_iter.bi_size = 1024
        bio.bi_iter.bi_sector = 2
        err = submit_bio_wait(bio)
        got = mem_read(page_address(pages[0]), first) + mem_read(page_address(pages[1]), 1024 - first) if not err else b""
        for p in pages:
            __free_page(p)
        blk.initerofs_blkdev_destroy()
        if not err and got != content[1024:2048]:
            at = next(i for i, (a, b) in enumerate(zip(got, content[1024:2048])) if a != b)
            run.fail(f"a bio of two segments gets other bytes than it asks for, from byte {at} on", cause="segments",
                     where=("initerofs_submit_bio", ""))


def _ready() -> None:
    """A root file system, and somewhere for device nodes."""
    mnt_init()
    init_mkdir("/dev", 0o755)
