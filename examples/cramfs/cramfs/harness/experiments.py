# SPDX-License-Identifier: GPL-2.0-only
"""What must hold for cramfs, whatever the image, its place in memory and the calls that fail."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.placement import Placement, choose_placement
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.report.manifest import FIELDS, Entry
from kemu.rung.py import trial
from kemu.rung.py.backend import Source
from kemu.rung.py.disks import Disks
from kemu.rung.py.mount import umount
from kemu.rung.py.trial import errname, log_tail, manifest

from cramfs.harness.choose import REFUSALS, choose_image, damage, refused
from cramfs.harness.mount import BDEV, CRAMFS
from cramfs.harness.writer import Image

__role__ = "harness"


def kernel(run: Run, place: Placement, data: bytes) -> AbstractContextManager[list[Source]]:
    """A machine that is up, with cramfs loaded and the image on a disk. Afterwards the disk is taken away, cramfs is unloaded,
    and nothing may be left."""
    return trial.kernel(run, CRAMFS, BDEV, data, place=place)


def somewhere(run: Run) -> Placement:
    return choose_placement(run.pick, (4096, 16384), ("linear", "vmalloc", "slab"))


def mount_and_walk(run: Run, disk: Source) -> tuple[str, list[Entry]]:
    """Mount, walk, unmount: what the mount came to, and the tree."""
    mnt = disk.mount()
    if IS_ERR(mnt):
        run.saw(f"mount {errname(PTR_ERR(mnt))}")
        return errname(PTR_ERR(mnt)), []
    entries = manifest(mnt)
    umount(mnt)
    for e in entries:
        run.saw(f"{e['type']}:{e['error']}")
    return "mounted", entries


def forms_of(image: Image, path: str) -> str:
    """How the last block of a file is kept: equal causes count once."""
    forms = next((node.forms for p, node in image.walk() if os.fsdecode(p) == path), [])
    return forms[-1] if forms else "no data"


def compare(run: Run, got: list[Entry], image: Image, *, errors: bool = False) -> None:
    """The first entry that is not what was written is the finding. ``errors``: an errno instead is right too."""
    want = {e["path"]: e for e in image.manifest()}
    for e in got:
        w = want.get(e["path"])
        if errors and e["error"] is not None:
            continue
        if w is None:
            run.fail(f"{e['path']!a} was never written", *log_tail(), cause="invented name")
        for name in ("error", *FIELDS):
            if w is not None and e[name] != w[name]:
                form = forms_of(image, e["path"])
                run.fail(
                    f"{e['path']!a} ({form}): {name} differs",
                    f"here:    {str(e[name])[:100]}",
                    f"written: {str(w[name])[:100]}",
                    *log_tail(),
                    cause=f"{name} differs ({form})",
                    severity="critical" if name in ("sha256", "target") else "high",
                    where=run.filled() if name in ("sha256", "target") else run.heard,
                )
    missing = want.keys() - {e["path"] for e in got}
    if missing and not errors:
        run.fail(f"{min(missing)!a} is missing", *log_tail(), cause="missing name")


def _as_written(run: Run, ext: bool) -> None:
    place = somewhere(run)
    image = choose_image(run.pick, place.page_size, ext)
    how = run.pick.one_of("refused for", REFUSALS) if run.pick.rare("refused", 8) else ""
    run.show(
        f"{place.memory} memory, {place.at} bytes behind a page boundary, {place.page_size}-byte pages", image.describe(), how
    )
    with kernel(run, place, refused(image, how) if how else image.data) as [disk]:
        result, got = mount_and_walk(run, disk)
        said = log_tail()
        if how:
            if result != "EINVAL" or not any(how in line for line in said):
                run.fail(f"mount: {result}, expected: EINVAL, {how}", *said, cause=f"not refused: {how}")
        elif result != "mounted":
            run.fail(f"mount: {result}", *said, cause=f"mount {result}", where=run.heard)
        else:
            compare(run, got, image)


@experiment("cramfs.same-as-written", weight=2.0)
def same_as_written(run: Run) -> None:
    """A mounted image holds exactly what was put into it, or is refused for what is wrong with it; after the umount nothing is
    left."""
    _as_written(run, False)


@experiment("cramfs.block-pointers")
def block_pointers(run: Run) -> None:
    """The same with CRAMFS_FLAG_EXT_BLOCK_POINTERS: blocks that are stored as they are, and blocks that lie anywhere."""
    _as_written(run, True)


@experiment("cramfs.damaged", run_seconds=120.0)
def damaged(run: Run) -> None:
    """A damaged image gives errors, never a report or a hang, and the second mount says what the first one said."""
    place = somewhere(run)
    image = choose_image(run.pick, place.page_size, bool(run.pick.int("ext", 0, 1)))
    data, said = damage(run.pick, image)
    if not data:
        return
    run.show(
        f"{place.memory} memory, {place.at} bytes behind a page boundary, {place.page_size}-byte pages", image.describe(), *said
    )
    with kernel(run, place, data) as [disk]:
        first = mount_and_walk(run, disk)
        second = mount_and_walk(run, disk)
        if first != second:
            differ = next((a["path"] for a, b in zip(first[1], second[1]) if a != b), "")
            run.fail(
                f"the second mount differs from the first: {first[0]}, then {second[0]}; {differ!a}",
                *log_tail(),
                cause="second mount differs",
            )


@experiment("cramfs.failing-calls")
def failing_calls(run: Run) -> None:
    """Where a call fails, a reader gets what was written or an errno; the next mount is whole again, and nothing is left."""
    image = choose_image(run.pick)
    run.show(image.describe())
    with kernel(run, Placement(), image.data) as [disk]:
        mount_and_walk(run, disk)  # once without failures: what is made when it is first needed is there now
        run.chooser.arm_faults(limit=80, most=3)
        mnt = disk.mount()
        if IS_ERR(mnt):
            run.saw(f"mount {errname(PTR_ERR(mnt))}")
        else:
            got = manifest(mnt)
            run.saw(*(f"{e['type']}:{e['error']}" for e in got))
            run.chooser.disarm_faults()
            umount(mnt)
            compare(run, got, image, errors=True)
        run.chooser.disarm_faults()
        result, got = mount_and_walk(run, disk)
        if result != "mounted":
            run.fail(f"the next mount fails: {result}", *log_tail(), cause="next mount fails")
        compare(run, got, image)


@experiment("cramfs.bad-medium")
def bad_medium(run: Run) -> None:
    """Where a sector cannot be read, a reader gets what was written or an errno."""
    image = choose_image(run.pick, ext=bool(run.pick.int("ext", 0, 1)))
    sectors = len(image.data) // 512
    first = run.pick.int("first bad sector", 0, sectors - 1)
    bad = range(first, min(sectors, first + run.pick.one_of("bad sectors", (1, 8, 64))))
    run.show(image.describe(), f"sectors {bad.start} to {bad.stop - 1} cannot be read")
    with kernel(run, Placement(), image.data) as [disk]:
        assert isinstance(disk, Disks)
        disk.bad_sectors(bad)
        mnt = disk.mount()
        if IS_ERR(mnt):
            run.saw(f"mount {errname(PTR_ERR(mnt))}")
            return
        got = manifest(mnt)
        umount(mnt)
        compare(run, got, image, errors=True)
