# SPDX-License-Identifier: GPL-2.0-only
"""Legal layouts that Linux 7.2 reads wrongly, as far as the forge has found them.

The ground truth of such an image is what the format says. Linux answers something else, so a property that compares with Linux
(or with a faithful port) would always stop there: images avoid these layouts unless ``ErofsOptions(suspects=True)`` asks for
them.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kemu.forge import tree as t
from kemu.forge.erofs.image import ErofsImage, InodeTruth


@dataclass(frozen=True, slots=True)
class Suspect:
    """One place of an image: ``what`` is a key of WHY."""

    path: str
    what: str
    la: int


#: what Linux does, and where in C
WHY = {
    "inline-pcluster-at-block-start":
        "fs/erofs/decompressor.c, __z_erofs_lz4_decompress(): an inline pcluster whose offset within the page equals the block "
        "size leaves "
        "s_blocksize - pageofs_in = 0 bytes to look for the start of the data in: EUCLEAN, \"compressed data start not found\". "
        "Needs blocks smaller than a page.",
    "interlaced-over-blocks":
        "fs/erofs/decompressor.c, z_erofs_transform_plain(): with in-place I/O and blocks smaller than a page, the first "
        "memmove() of an "
        "interlaced pcluster of several blocks overwrites input that the loop behind it still needs: wrong data.",
    "extent-before-hole":
        "fs/erofs/zmap.c, z_erofs_load_full_lcluster(): a HOLE head sets m->compressedblks = 0, and neither a head found by "
        "looking back "
        "from it nor z_erofs_get_extent_compressedlen() looking at it sets it again: the extent before the hole reads as zeros, "
        "if the "
        "hole starts within an lcluster, or right behind the only lcluster of that extent where big pclusters are advised.",
}


def _of_inode(i: InodeTruth, bs: int) -> Iterator[tuple[str, int]]:
    before = None
    for e in i.extents:
        if e.how == "inline-lz4" and e.pa is not None and e.pa % bs == 0:
            yield "inline-pcluster-at-block-start", e.la
        if e.how == "interlaced" and e.plen > bs:
            yield "interlaced-over-blocks", e.la
        if e.how == "hole" and i.layout == "full" and before is not None and before.pa is not None and (
                e.la % i.lcluster or (i.big and before.la // i.lcluster == e.la // i.lcluster - 1)):
            yield "extent-before-hole", e.la
        before = e


def suspects(image: ErofsImage) -> list[Suspect]:
    """The places of ``image`` where Linux 7.2 is known to differ from the ground truth (on some page size)."""
    return [Suspect(t.manifest_path(path), what, la) for path, node in t.walk(image.root)
            for what, la in _of_inode(image.inodes[id(node)], image.block_size)]
