# SPDX-License-Identifier: GPL-2.0-only
"""What must hold of the layered initrd for every row of segments (docs/explanation/layered.md): it is cut where its parts truly
begin and end, or refused where something is wrong with it; its root is what the parts' makers say; its memory has one owner.
"""
from __future__ import annotations

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.cpio import Member
from kemu.forge.cpio_model import Undefined
from kemu.forge.rows import Row, RowOptions, choose_row
from kemu.linux.errno import EINVAL, ENOENT
from kemu.machine.machine import Machine
from kemu.report import manifest

from initramfs.harness.observed import CONSOLE, PROGRAM, REFUSED, UNDONE, Observed, boot, expected_pages
from initramfs.segments import split

__role__ = "harness"
SMALL = RowOptions(most=4)
BASE: list[Member] = [*CONSOLE]


def a_row(run: Run, options: RowOptions = RowOptions(), builtin: list[Member] | None = None) -> Row | None:
    """A row whose effect is defined; None: there is nothing to try."""
    try:
        row = choose_row(run.pick, options, builtin)
    except Undefined:
        return None
    return row if row.data else None


# ------------------------------------------------------------------------- where segments begin and end

@experiment("layered.offsets", series="layered")
def offsets(run: Run) -> None:
    """A row of up to eight segments is cut where they truly begin and end, or refused, with one message, where something is
    wrong.
    """
    row = a_row(run, RowOptions(beyond=True))
    if row is None:
        return
    at = run.pick.int("at", 0, 4095)
    run.show(row.describe(), f"{at} bytes behind a page boundary")
    with Machine(memory=64 << 20) as m:
        region = m.place(row.data, at, "linear", "initrd", True)
        got = split(region.addr, region.addr + region.size)
        log = m.log.lines()
        found = None if isinstance(got, int) else [(s.kind, s.start - region.addr, s.end - region.addr) for s in got]
    check_cut(run, row, got if isinstance(got, int) else 0, found or [], log)
    run.saw(row.flaw.split(" ")[0] if row.flaw else f"{len(row.parts)} segments", *{p.method or p.kind for p in row.parts})


def check_cut(run: Run, row: Row, error: int, found: list[tuple[str, int, int]], log: list[str]) -> None:
    """What split() came to, beside the truth."""
    if row.refused is not None:
        if error != -EINVAL or len(log) != 1 or not log[0].startswith(f"{REFUSED}{row.refused}:"):
            run.fail(f"refused is expected at offset {row.refused}: {error or found}", *log, cause="cut: not refused")
        return
    if not row.layered:
        if error != -ENOENT or log:
            run.fail(f"a row without an image is not left alone: {error or found}", *log, cause="cut: not left alone")
        return
    if error:
        run.fail(f"a row with nothing wrong is refused: {error}", *log, cause="cut: refused")
    starts = [p.offset for p in row.parts]
    if [s for _, s, _ in found] != starts or [k for k, _, _ in found] != [p.kind for p in row.parts]:
        run.fail(f"segments begin elsewhere: {found}", *[f"{p.kind} at {p.offset}" for p in row.parts], cause="cut: beginnings",
                 severity="critical")
    for p, (_, _, end), behind in zip(row.parts, found, [*starts[1:], len(row.data)]):
        # a decompressor may take a few of the NULs behind its data
        if end != p.end and not (p.method and p.end < end <= behind):
            run.fail(f"the segment at {p.offset} ends at {end}, not at {p.end}", cause="cut: ends", severity="critical")


# ------------------------------------------------------------------------- what the root is

def check_root(run: Run, row: Row, seen: Observed) -> None:
    """Tree, memory and leftovers of a boot that went as the row says."""
    try:
        reference = row.root([*BASE, PROGRAM])
    except Undefined:
        return
    truth = [e for e in reference.manifest() if e["path"] != f"/{PROGRAM.name.decode()}"]
    tree = reference.seen(seen.tree)
    text = manifest.diff(truth, tree, "the segments", "the root", lines=12)
    if text:
        field = next((f[0] for a, b in zip(manifest.ordered(truth), manifest.ordered(tree)) if a["path"] == b["path"]
                      for f in manifest.entry_differences(a, b)), "names")
        run.fail(f"the root differs: {field}", *text.split("\n"), cause=f"root: {field}", severity="critical")


@experiment("layered.merge", series="layered", weight=3.0)
def merge(run: Run) -> None:
    """The root of every row is what its parts' makers say, wherever the row lies; what no image touches is freed, once; a row
    that is refused boots as ever.
    """
    row = a_row(run, builtin=[*BASE, PROGRAM])
    if row is None:
        return
    at = run.pick.int("at", 0, 4095)
    retain = run.pick.rare("retain_initrd", 6)
    cmdline = "retain_initrd" if retain else ""
    watched = run if not run.pick.int("without detectors", 0, 7) else None          # seven boots in the time of two
    run.show(row.describe(), f"{at} bytes behind a page boundary{', retain_initrd' if retain else ''}")
    seen = boot("layered", row.data, run=watched, builtin=BASE, at=at, cmdline=cmdline)
    if not row.layered:
        ever = boot("upstream", row.data, builtin=BASE, at=at, cmdline=cmdline)
        for what in seen.differences(ever, but=(REFUSED,)):
            run.fail(f"not as ever: {what}", *seen.describe(what, ever), cause=f"not as ever: {what}", severity="critical")
        run.saw("refused" if row.refused is not None else "left alone")
        return
    if seen.ended or seen.said(UNDONE):
        run.fail(f"the boot ends: {seen.ended or seen.said(UNDONE)}", *seen.log[-6:], cause="no layered root", where=run.heard)
    if seen.left:
        run.fail(f"after the boot: {seen.left[0]}", *seen.left, cause="left behind", severity="medium")
    if seen.mounts != [("/", "nullfs", "rw"), ("/", "overlay", "rw")]:
        run.fail(f"mounted: {seen.mounts}", cause="mounts")
    images = [(p.offset, p.end) for p in row.parts if p.image is not None]
    pages = expected_pages(images, len(row.data), at)
    if retain:
        pages = "r" * len(pages)
        if seen.exported != row.data:
            run.fail("the retained initrd is not what it was", cause="retained")
    if seen.freed != pages or seen.twice:
        run.fail(f"pages of the initrd (F: free): {seen.freed}", f"expected:                       {pages}", cause="pages",
                 severity="critical")
    check_root(run, row, seen)
    run.saw(*{p.method or p.kind for p in row.parts}, f"{len(row.parts)} segments")


__all__ = ["BASE", "SMALL", "a_row", "check_root"]
