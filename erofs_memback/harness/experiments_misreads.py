# SPDX-License-Identifier: GPL-2.0-only
"""What Linux itself is known to read wrongly, on demand: images whose layouts the other experiments leave out."""
from __future__ import annotations

import functools
from dataclasses import replace

from kemu.explore.experiment import experiment, known_bad
from kemu.explore.run import Expected, Run
from kemu.forge import tree
from kemu.forge.content import content
from kemu.forge.erofs.choose import choose_image
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.erofs.plan import ImagePlan, InodePlan, ZPlan
from kemu.forge.erofs.suspects import suspects
from kemu.forge.erofs.writer import build
from kemu.forge.pick import Pick
from kemu.forge.placement import Placement
from kemu.rung.py.trial import manifest

from erofs_memback.harness.experiments import SMALL
from erofs_memback.harness.mount import umount
from erofs_memback.harness.words import compare, describe, kernel, layout_of, mounted

__role__ = "harness"
known_bad("linux-misreads", "Linux 7.2")
SUSPECT = replace(SMALL, suspects=True, beyond_fsck=True, block_bits=(12, 9, 10, 11))


def with_hole(pick: Pick) -> ErofsImage:
    """A file whose first extent is followed by a hole."""
    data = 1 + pick.int("bytes", 0, 8191)
    hole = pick.int("hole", 1, 3) * 4096
    return _one(content("ruler", 1, data) + bytes(hole), InodePlan(
        data="full", z=ZPlan(cuts=(data, hole), kinds="1h", suspects=True)))


def with_inline_tail(pick: Pick) -> ErofsImage:
    """A file whose tail is a pcluster behind its inode, that may begin a block that does not begin a page."""
    return _one(content("ruler", 1, 600), InodePlan(
        data="full", extended=True, at="edge", gap=pick.int("gap", 0, 127), z=ZPlan(cuts=(1024,), tail=True)), 9)


def interlaced(pick: Pick) -> ErofsImage:
    """A file that is not compressed in pclusters of several blocks in a page, each turned by its place in the file."""
    bits = pick.int("block bits", 9, 11)
    return _one(content("noise", 1, 4096 * pick.int("pages", 1, 3)), InodePlan(
        data="extents", z=ZPlan(cuts=(4096,), kinds="p", interlaced=True, suspects=True)), bits)


def _one(data: bytes, plan: InodePlan, bits: int = 12) -> ErofsImage:
    file = tree.File(data=data)
    return build(tree.Dir(entries={b"f": file}), ImagePlan(blkszbits=bits, inodes={id(file): plan}))


def any_image(pick: Pick) -> ErofsImage:
    """Whatever the forge draws."""
    return choose_image(pick, SUSPECT)


@experiment("linux.misreads", series="linux-misreads")
def misreads(run: Run) -> None:
    """A sound image with a layout that Linux is known to read wrongly holds exactly what was put into it."""
    image: ErofsImage = run.pick.one_of("layout", (with_hole, with_inline_tail, interlaced, any_image))(run.pick)
    if not suspects(image):
        return
    run.show(*describe(Placement(), image))
    want = image.mount_error(4096)
    run.expected = Expected(want or "", [] if want else image.manifest(), image.contents())
    with kernel(run, "bdev", image.data) as [source]:
        mnt = mounted(run, source)
        if mnt is not None:
            compare(run, manifest(mnt), image.manifest(), functools.partial(layout_of, image), "what was written")
            umount(mnt)
