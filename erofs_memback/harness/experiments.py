# SPDX-License-Identifier: GPL-2.0-only
"""What must hold for EROFS through every back end, whatever the image, its place in memory, failing calls and schedules.

Each experiment has a variant per series: ``bdev`` is Linux 7.2 itself on a block device, ``memback`` our memory-backed mount,
``memback-rfc`` the posted one.
"""
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from kemu.explore.experiment import experiment, known_bad
from kemu.explore.run import Expected, Run
from kemu.forge import tree
from kemu.forge.content import content
from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.erofs.mutate import mutate
from kemu.forge.erofs.plan import ImagePlan, InodePlan, ZPlan
from kemu.forge.erofs.writer import build, fix_checksum
from kemu.forge.placement import Placement, choose_placement
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.mount import mntput
from kemu.linux.task_work import task_work_run
from kemu.linux.types import this
from kemu.rung.py.trial import errname, log_tail, manifest, walk

from erofs_memback.harness.backends import Memory
from erofs_memback.harness.mount import settle, umount
from erofs_memback.harness.words import as_disk, compare, describe, kernel, layout_of, mounted, note, short, somewhere

__role__ = "harness"
known_bad("erofs-memback-rfc", "posted 2026-06-18")
BACKENDS = {"erofs": {"backend": "bdev"}, "erofs-memback": {"backend": "memback"},
            "erofs-memback-rfc": {"backend": "memback-rfc"}}
SMALL = ErofsOptions(max_nodes=4, max_blocks=3, max_bytes=1 << 16)
NORMAL = ErofsOptions(max_nodes=6, max_blocks=5, max_bytes=1 << 17)
def features(run: Run, image: ErofsImage) -> None:
    """What is particular about an image, as behaviour: a search then tries failures and schedules on one of each kind."""
    bs, plan = image.block_size, image.plan
    for name in ("volume_name", "devices", "xattr_filter", "compr_cfgs", "sb_extslots", "checksum"):
        if getattr(plan, name, None):
            run.saw(name)
    for t in image.inodes.values():
        for e in t.extents:
            where = "" if e.pa is None else " at a block's start" if e.pa % bs == 0 else " inside a block"
            run.saw(f"{t.layout} {e.how}{where if e.how.startswith('inline') else ''}")
        if t.pos % bs + t.body > bs:
            run.saw(f"{t.layout} crosses a block")


# ------------------------------------------------------------------------- same bytes

@experiment("{backend}.ground-truth", variants=BACKENDS, base="erofs", weight=2.0)
def ground_truth(run: Run, backend: str) -> None:
    """A mounted image holds exactly what was put into it; after the umount nothing is left."""
    image = choose_image(run.pick, NORMAL)
    place = somewhere(run, (4096, 16384))
    run.show(*describe(place, image))
    with kernel(run, backend, image.data, place=place) as [source]:
        want = image.mount_error(place.page_size)
        run.expected = Expected(want or "", [] if want else image.manifest(), image.contents())
        mnt = mounted(run, source)
        if (mnt is None) != (want is not None):
            run.fail(f"mount: {'fails' if mnt is None else 'works'}, expected: {want or 'mounted'}", *log_tail(),
                     cause="mount result", where=run.heard)
        if mnt is not None:
            got = manifest(mnt)
            note(run, got)
            compare(run, got, image.manifest(), functools.partial(layout_of, image), "what was written")
            umount(mnt)


def _same_as_disk(run: Run, backend: str, data: bytes, place: Placement, layout: Callable[[str], str]) -> None:
    want, entries = as_disk(data, place.page_size)
    with kernel(run, backend, data, place=place) as [source]:
        mnt = source.mount()
        got = errname(PTR_ERR(mnt)) if IS_ERR(mnt) else "mounted"
        run.saw(f"mount {got}")
        found: list[dict[str, Any]] = []
        if got == "mounted":
            found = manifest(mnt)
            umount(mnt)
        if got != want:
            run.fail(f"mount: {got}, from a disk: {want}", *log_tail(), cause=f"mount {got} instead of {want}", severity="medium",
                     where=run.heard)
        note(run, found)
        compare(run, found, entries, layout, "a disk", by_layout=False)


@experiment("{backend}.cut-short", variants=BACKENDS, base="erofs")
def cut_short(run: Run, backend: str) -> None:
    """A region that ends early gives what a disk that ends there gives, and nothing outside it is touched."""
    image = choose_image(run.pick, SMALL)
    place = somewhere(run)
    keep = run.pick.int("cut", 0, len(image.data))
    data = image.data[:len(image.data) - keep]
    if not data:
        return
    run.show(*describe(place, image), f"cut to {len(data)} of {len(image.data)} bytes")
    _same_as_disk(run, backend, data, place, functools.partial(layout_of, image))


@experiment("{backend}.damaged", variants=BACKENDS, base="erofs")
def damaged(run: Run, backend: str) -> None:
    """A damaged image gives errors, never a crash or bytes from elsewhere; from memory it gives the same as from a disk."""
    image = choose_image(run.pick, SMALL)
    bad = mutate(image, run.pick)
    place = somewhere(run)
    if not bad.data:
        return
    run.show(*describe(place, bad))
    if backend != "bdev":
        _same_as_disk(run, backend, bad.data, place, functools.partial(layout_of, image))
        return
    with kernel(run, backend, bad.data, place=place) as [source]:
        mnt = mounted(run, source)
        if mnt is not None:
            note(run, manifest(mnt))
            umount(mnt)


@experiment("{backend}.ends-early", variants=BACKENDS, base="erofs", weight=0.5)
def ends_early(run: Run, backend: str) -> None:
    """A file whose inode says that it ends inside one of its extents gives what is there or an error, from memory as from a disk.
    """
    pick = run.pick
    blocks = pick.int("blocks", 1, 16)
    layout = pick.one_of("layout", ("extents", "full", "compact", "plain", "chunk"))
    kind = pick.one_of("content", ("mixed", "text", "ruler"))
    file = tree.File(data=content(kind, 1, blocks * 4096))
    z = ZPlan(cuts=(blocks * 4096,), big=3, max_blocks=16) if layout in ("extents", "full", "compact") else None
    image = build(tree.Dir(entries={b"f": file}), ImagePlan(inodes={id(file): InodePlan(data=layout,
                                                                                        extended=bool(pick.int("extended", 0, 1)),
                                                                                        z=z)}))
    size = pick.int("size", 0, blocks * 4096)
    data = bytearray(image.data)
    inode = image.inodes[id(file)]
    at = inode.pos + 8                  # i_size, in both forms of an inode
    data[at:at + (8 if inode.extended else 4)] = size.to_bytes(8 if inode.extended else 4, "little")
    fix_checksum(data)
    place = somewhere(run)
    run.show(*describe(place, image), f"/f ends after {size} of {blocks * 4096} bytes")
    if backend != "bdev":
        _same_as_disk(run, backend, bytes(data), place, functools.partial(layout_of, image))
        return
    with kernel(run, backend, bytes(data), place=place) as [source]:
        mnt = mounted(run, source)
        if mnt is not None:
            note(run, manifest(mnt))
            umount(mnt)


# ------------------------------------------------------------------------- failing calls

@experiment("{backend}.failing-calls", variants=BACKENDS, base="erofs", weight=1.5)
def failing_calls(run: Run, backend: str) -> None:
    """A mount in which a call fails leaves what was there before; the next mount works, and serves its own image."""
    if run.pick.rare("tail alone", 4):
        image = _tail_alone(run.pick.int("size", 1, 4096))
    else:
        image = _ids_apart() if run.pick.rare("ids apart", 8) else choose_image(run.pick, SMALL)
    other = choose_image(run.pick, ErofsOptions(max_nodes=1, max_blocks=1, max_devices=0, odd=False, xattrs=False,
                                                block_bits=(12,)))
    place = choose_placement(run.pick, (4096,), ("linear",))
    run.show(*describe(place, image))
    with kernel(run, backend, image.data, other.data, place=place) as [first, second]:
        features(run, image)
        mnt = mounted(run, first)           # once without failures: caches and buffers that are kept for ever are there now
        if mnt is not None:
            manifest(mnt)
            umount(mnt)
        with run.unchanged(this.machine):
            run.chooser.arm_faults()
            mnt = mounted(run, first)
            if mnt is not None:
                note(run, manifest(mnt))
                run.chooser.disarm_faults()
                umount(mnt)
            run.chooser.disarm_faults()
        mnt = second.mount()
        if IS_ERR(mnt):
            run.fail(f"the next mount fails: {errname(PTR_ERR(mnt))}", *log_tail(), cause="next mount fails")
        compare(run, manifest(mnt), other.manifest(), functools.partial(layout_of, other), "the image that was to be mounted")
        umount(mnt)


# ------------------------------------------------------------------------- two at once

@experiment("{backend}.two-mounts", variants=BACKENDS, base="erofs", on_linux=("sched.mounts",))
def two_mounts(run: Run, backend: str) -> None:
    """Two tasks that mount two images at the same time each get their own."""
    simple = ErofsOptions(max_nodes=2, max_blocks=2, max_devices=0, odd=False, xattrs=False, block_bits=(12,),
                          layouts=("plain", "inline", "full"))
    images = [run.pick.group(lambda: choose_image(run.pick, simple)) for _ in range(2)]
    if images[0].data == images[1].data:        # else nobody could tell them apart
        images[1].root.uid ^= 1
        images[1] = build(images[1].root, images[1].plan)
    run.show("first: " + images[0].describe(), "second: " + images[1].describe())
    results: list[Any] = [None, None]
    with kernel(run, backend, images[0].data, images[1].data) as sources:

        def task(i: int) -> None:
            mnt = sources[i].mount()
            if IS_ERR(mnt):
                results[i] = errname(PTR_ERR(mnt))
                return
            results[i] = manifest(mnt)
            mntput(mnt)
            task_work_run()

        run.chooser.arm_schedule()
        for i in range(2):
            this.sched.spawn(f"mount{i}", functools.partial(task, i))
        settle()
        run.chooser.disarm_schedule()
        for i in range(2):
            if not isinstance(results[i], list):
                run.fail(f"task {i} cannot mount its image: {results[i]}", *log_tail(), cause=f"concurrent mount: {results[i]}",
                         where=run.heard)
            compare(run, results[i], images[i].manifest(), functools.partial(layout_of, images[i]),
                    "the image that this task mounted")


@experiment("{backend}.readers-and-umount", variants=BACKENDS, base="erofs", on_linux=("sched.readers", "sched.umount"))
def readers_and_umount(run: Run, backend: str) -> None:
    """Tasks that read the same files at the same time, through failing allocations too, get right bytes or ENOMEM; the umount
    waits for nobody.
    """
    image = choose_image(run.pick, SMALL)
    readers = run.pick.int("readers", 2, 3)
    run.show(*describe(Placement(), image), f"{readers} readers")
    features(run, image)
    want = {e["path"]: e for e in image.manifest()}
    if image.mount_error() is not None:
        return
    with kernel(run, backend, image.data) as [source]:
        mnt = mounted(run, source)
        if mnt is None:
            run.fail("mount fails", *log_tail(), cause="mount result", where=run.heard)
        wrong: list[tuple[str, str, str]] = []

        def task() -> None:
            for e in walk(mnt):
                known = want.get(e["path"])
                if known is not None and e["error"] is None and e["sha256"] != known["sha256"]:
                    wrong.append((e["path"], "sha256 differs", layout_of(image, e["path"])))
                elif e["error"] is not None and (known is None or e["error"] != known["error"]):
                    run.saw(f"reader {e['error']}")
                    if not run.chooser.faults:
                        wrong.append((e["path"], f"error {e['error']} instead of None", layout_of(image, e["path"])))

        run.chooser.arm_schedule()
        run.chooser.arm_faults()
        for i in range(readers):
            this.sched.spawn(f"reader{i}", task)
        settle()
        run.chooser.disarm_faults()
        run.chooser.disarm_schedule()
        for path, what, how in wrong[:1]:
            run.fail(f"{short(path)} ({how}), read by {readers} tasks: {what}", *log_tail(), cause=f"{what} ({how})",
                     severity="critical" if "sha256" in what else "high", where=run.filled() if "sha256" in what else run.heard)
        umount(mnt)


# ------------------------------------------------------------------------- cost

# What the series say of themselves: how often a byte is copied on its way from the image to the page cache, for data stored as it
# is and for compressed data. The posted series says two things: its cover letter speaks of "true zero-copy access", which is what
# is counted here; the message of its patch 1 says zero-copy of metadata only, and one copy of file data, which does hold. Ours
# claims one copy. Both copy equally often: this variant judges the words of a cover letter, not the code against ours.
CLAIMS = {"erofs-memback": {"backend": "memback", "plain": 1.0, "compressed": 1.0},
          "erofs-memback-rfc": {"backend": "memback-rfc", "plain": 0.0, "compressed": 0.0}}


@experiment("{backend}.copies-as-claimed", variants=CLAIMS, weight=0.3)
def copies_as_claimed(run: Run, backend: str, plain: float, compressed: float) -> None:
    """Reading a file copies its bytes as often as the series says, counted."""
    layout = run.pick.one_of("stored", ("plain", "full"))
    size = 4096 * run.pick.int("blocks", 4, 64)
    image = _one_file(layout, size)
    stored = sum(e.plen for e in next(iter(i.extents for i in image.inodes.values() if i.layout == layout and i.size == size)))
    claim = plain if layout == "plain" else compressed
    run.show(f"a file of {size} bytes, {'stored as it is' if layout == 'plain' else f'compressed to {stored} bytes'}")
    with kernel(run, backend, image.data) as [source]:
        mnt = mounted(run, source)
        if mnt is None:
            run.fail("mount fails", *log_tail(), cause="mount result", where=run.heard)
        before = this.counters.bytes_copied
        to_reader = this.counters.bytes_to_reader
        for _ in walk(mnt):
            pass
        copied = this.counters.bytes_copied - before
        to_reader = this.counters.bytes_to_reader - to_reader
        umount(mnt)
        slack = 3 * 4096                    # inodes, the root directory, the index
        if copied > claim * stored + slack:
            run.fail(f"{copied} bytes copied for {stored} bytes stored ({layout}): {copied / stored:.1f} copies of each, "
                     f"claimed: {claim:g}",
                     f"to the reader: {to_reader} bytes", f"counters: {this.counters.as_dict()}",
                     cause=f"more copies than claimed ({layout})", severity="low",
                     where=run.filled())


@functools.lru_cache(maxsize=64)
def _tail_alone(size: int) -> ErofsImage:
    """A compressed file whose inline tail is on another page than its inode and index, so that reading it can fail by itself."""
    file = tree.File(data=content("text", 1, 4096 + size))
    return build(tree.Dir(entries={b"f": file}), ImagePlan(inodes={id(file): InodePlan(data="full", at="edge",
                                                                                       z=ZPlan(cuts=(4096,), tail=True))}))


@functools.cache
def _ids_apart() -> ErofsImage:
    """A file whose shared xattrs are listed across a block's end, so that reading the rest of the list can fail by itself."""
    image = None
    for gap in range(128):
        file = tree.File(data=b"x", xattrs={b"user.%d" % n: b"value" for n in range(12)})
        image = build(tree.Dir(entries={b"f": file}), ImagePlan(inodes={id(file): InodePlan(data="plain", gap=gap,
                                                                                            xattr_shared=True)}))
        if image.inodes[id(file)].pos % image.block_size == image.block_size - 64:
            break
    assert image is not None
    return image


@functools.lru_cache(maxsize=256)
def _one_file(layout: str, size: int) -> ErofsImage:
    file = tree.File(data=content("ruler", 1, size))
    root = tree.Dir(entries={b"f": file})
    return build(root, ImagePlan(inodes={id(file): InodePlan(data=layout,
                                                             z=ZPlan(cuts=(16384,)) if layout != "plain" else None)}))


# ------------------------------------------------------------------------- lifetime

@experiment("memback.owner-leaves", series="erofs-memback")
def owner_leaves(run: Run) -> None:
    """The owner may let go of the memory at any time: it is released when the last mount is gone, and no earlier."""
    image = choose_image(run.pick, SMALL)
    early = run.pick.int("owner lets go", 0, 1)
    run.show(*describe(Placement(), image), f"the owner lets go {('after the umount', 'while it is mounted')[early]}")
    if image.mount_error() is not None:
        return
    with kernel(run, "memback", image.data) as [source]:
        assert isinstance(source, Memory)
        region = source.region
        source.released = lambda: region.release("its owner")
        mnt = mounted(run, source)
        if early:
            source.drop()
        if mnt is not None:
            if region.state == "released":
                run.fail("the memory is released while it is mounted", cause="released under a mount", severity="critical")
            compare(run, manifest(mnt), image.manifest(), functools.partial(layout_of, image), "what was written")
            umount(mnt)
        if not early:
            source.drop()
        if region.state != "released":
            run.fail("the memory is never released", cause="never released", severity="medium")
