# SPDX-License-Identifier: GPL-2.0-only
"""One file read in every way at once: through the page cache, past it, through mappings; read ahead, and thrown out again."""
from __future__ import annotations

import os
from collections.abc import Sequence

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge import tree
from kemu.forge.content import content
from kemu.forge.erofs.plan import ImagePlan, InodePlan, ZPlan
from kemu.forge.erofs.writer import build
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.case import Case, judge
from kemu.rung.uml.sched.hunt import Hunt
from kemu.rung.uml.sched.program import MNT, Program, Step, close, map_, mount, open_, read
from kemu.rung.uml.sched.wire import ANY, What
from kemu.samples import sample

from erofs_memback.harness.differential import real_images
from erofs_memback.harness.experiments_sched.common import GONE, MOST, bios_end, ends, image_of, paths, read_pages, source

__role__ = "harness"
LAYOUTS = ("plain", "inline", "chunk")
TWIN = 11 * 4096 - 77
WILLNEED, DONTNEED = 3, 4               # POSIX_FADV_*


def plain_image(layout: str = "plain", bits: int = 12) -> bytes:
    """Two files of some pages that are not compressed; of small blocks there are several in a page."""
    files = {b"f": tree.File(data=content("ruler", 9, 6 * 4096 - 33)), b"g": tree.File(data=content("text", 9, 4 * 4096 + 512))}
    inodes = {id(f): InodePlan(data=layout, gap=n) for n, f in enumerate(files.values())}
    return build(tree.Dir(entries=dict(files)), ImagePlan(blkszbits=bits, inodes=inodes)).data


def packed_images() -> list[tuple[str, bytes]]:
    """Images whose files share pclusters: deduplicated, in fragments, with tails among the metadata."""
    return [(name, data) for name, data in real_images() if any(w in name for w in ("frag", "dedupe", "tail"))]


def twin_image(layout: str, size: int) -> bytes:
    """Two files of the same pclusters; the second has the first ``size`` bytes of the other."""
    body = content("text", 3, TWIN)
    files = {b"f": tree.File(data=body), b"g": tree.File(data=body[:size])}
    inodes = {id(f): InodePlan(data=layout, z=ZPlan(cuts=(9 * 4096 + 100,), big=3, max_blocks=8)) for f in files.values()}
    return build(tree.Dir(entries=dict(files)), ImagePlan(dedupe=True, inodes=inodes)).data


def twins_case(pick: Pick) -> Case:
    """Files that are stored once: each task has pages of its own, and the pclusters are everybody's."""
    size = pick.one_of("bytes in common", (8192, TWIN, 3 * 4096 + 100))
    image = twin_image(pick.one_of("layout", ("full", "compact")), size)
    strategy = pick.one_of("options", ("cache_strategy=disabled", "", "cache_strategy=readahead"))
    files = [(f"{MNT}/g", size), (f"{MNT}/f", TWIN)]
    tasks = [read_pages(pick, i, *file) for i, file in enumerate(files)]
    if pick.int("a third", 0, 1):
        tasks.append(way(pick, 2, *pick.one_of("file", files)))
    backend = pick.one_of("backend", ("disk", "file", "loop"))
    return Case(Program([mount(source(backend), options=strategy)], tasks, GONE, ends(pick, backend)), [image], backend,
                told=["two files of the same pclusters"])


@experiment("sched.twins", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(twins_case))
def twins(run: Run) -> None:
    """Several files in the same pclusters, read at once: each reader sees what it sees alone."""
    judge(run, twins_case(run.pick))


def image_for(pick: Pick) -> tuple[bytes, str]:
    """An image whose files have something in common."""
    kind = pick.int("kind", 0, 5)
    if kind == 1:
        return plain_image(pick.one_of("layout", LAYOUTS)), "files as they are"
    packed = packed_images()
    if kind == 2 and packed:
        name, data = pick.one_of("packed", packed)
        return data, name
    if kind == 3:
        return sample("demo.erofs").read_bytes(), "demo.erofs"
    if kind == 4:
        data, what = image_of(pick)
        if data:
            return data, what
    return sample("pair.erofs").read_bytes(), "pair.erofs"


def way(pick: Pick, slot: int, path: str, size: int) -> list[Step]:
    """A way to come at a file's bytes, or to drive them out; the simplest maps them."""
    size = max(1, min(size, MOST))
    match pick.int("way", 0, 5):
        case 0:
            return [open_(slot, path), map_(slot, 0, size), map_(slot, 0, size), close(slot)]
        case 1:
            return [open_(slot, path, os.O_RDONLY | os.O_DIRECT), read(slot, 0, size, 4096), close(slot)]
        case 2:
            return [open_(slot, path), Step(What.FADVISE, slot=slot, b=size, c=WILLNEED), read(slot, 0, size, 4096), close(slot)]
        case 3:
            return [open_(slot, path), Step(What.FADVISE, slot=slot, b=size, c=DONTNEED),
                    Step(What.INVALIDATE, slot=slot, may=(ANY,)), read(slot, size // 2, size), close(slot)]
        case 4:
            return [Step(What.DROP_SLAB), open_(slot, path), Step(What.INVALIDATE, slot=slot, may=(ANY,)), close(slot)]
        case _:
            return read_pages(pick, slot, path, size)


def ways(pick: Pick, files: Sequence[tuple[str, int]]) -> list[list[Step]]:
    """Two or three tasks at one of the files, or at several of them."""
    one = pick.one_of("file", files)
    tasks = []
    for i in range(2 + pick.int("a third", 0, 1)):
        path, size = one if not pick.int("another", 0, 2) else pick.one_of("file", files)
        tasks.append(way(pick, i, path, size) if i else read_pages(pick, i, path, size))
        if pick.int("more", 0, 1):
            tasks[i] += way(pick, i, *pick.one_of("file", files))
    return tasks


def plain_case(pick: Pick) -> Case:
    """Files that are not compressed; the simplest have blocks smaller than a page, and their bios end late."""
    bits = pick.one_of("block bits", (9, 12, 11))
    image = plain_image(pick.one_of("layout", LAYOUTS), bits)
    files = [(f"{MNT}/f", 6 * 4096), (f"{MNT}/g", 5 * 4096)]
    late = bios_end(pick)
    backend = "disk" if late else pick.one_of("backend", ("disk", "file", "loop"))
    return Case(Program([mount(source(backend))], ways(pick, files), GONE, late), [image], backend,
                told=[f"files as they are, blocks of {1 << bits} bytes"])


@experiment("sched.plain", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(plain_case))
def plain(run: Run) -> None:
    """Files that are not compressed, read in every way at once: each reader sees what it sees alone."""
    judge(run, plain_case(run.pick))


def cache_case(pick: Pick) -> Case:
    """Two or three tasks at one file, or at files that share their blocks."""
    image, what = image_for(pick)
    files = sorted(paths(image, "file"), key=lambda f: -f[1])[:8]
    backend = pick.one_of("backend", ("disk", "file", "loop"))
    if not files:
        image, what = sample("pair.erofs").read_bytes(), "pair.erofs"
        files = paths(image, "file")
    late = bios_end(pick) if backend == "disk" else 0
    strategy = pick.one_of("options", ("", "cache_strategy=disabled", "cache_strategy=readahead"))
    return Case(Program([mount(source(backend), options=strategy)], ways(pick, files), GONE, late), [image], backend, told=[what])


@experiment("sched.cache", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(cache_case))
def cache(run: Run) -> None:
    """However a file's bytes come in and go out at once, each reader sees what it sees alone."""
    judge(run, cache_case(run.pick))
