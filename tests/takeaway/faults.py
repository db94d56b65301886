# SPDX-License-Identifier: GPL-2.0-only
"""Faults of Linux 7.2 that findings are taken away of, each with the choices that show it and the change that mends it."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kemu.explore.source import ListSource, SeedSource, Source
from kemu.rung.c.cover.case import Case
from kemu.rung.kept import offsets_of
from tests.c.test_packed_inode import LINK, image, with_metabox


@dataclass(frozen=True)
class Fault:
    """``experiment`` with the choices of ``source`` shows it; with the edits of ``file`` it does not."""

    name: str
    experiment: str
    source: Callable[[], Source]
    file: str
    edits: tuple[tuple[str, str], ...]


def _kept(data: bytes) -> Source:
    return ListSource(offsets_of(Case(data)))


FAULTS = (
    Fault("extent-before-a-hole", "linux.misreads", lambda: SeedSource(9), "fs/erofs/zmap.c", (
        ("\t\tif (m->compressedblks < 0)\n\t\t\tm->compressedblks = 1;\n\t} else if", "\t\tm->compressedblks = 1;\n\t} else if"),
        ("\t\t\tm.delta[0] = 1;\n", "\t\t\tm.delta[0] = 1;\n\t\t\tm.compressedblks = -1;\n"))),
    Fault("inline-behind-a-block", "linux.misreads", lambda: SeedSource(34), "fs/erofs/decompressor.c", (
        ("\t\t\t      rq->sb->s_blocksize - rq->pageofs_in));",
         "\t\t\t      rq->sb->s_blocksize -\n\t\t\t      (rq->pageofs_in & (rq->sb->s_blocksize - 1))));"),)),
    Fault("interlaced-in-place", "linux.misreads", lambda: SeedSource(2), "fs/erofs/decompressor.c", (
        ("\tif (rq->alg == Z_EROFS_COMPRESSION_INTERLACED) {\n\t\tcur = bs",
         "\tif (rq->alg == Z_EROFS_COMPRESSION_INTERLACED && nrpages_in == 1 &&\n"
         "\t    rq->out[0] == rq->in[0] && rq->inputsize > bs) {\n"
         "\t\tunsigned int left = rq->inputsize;\n\t\tu8 *copy;\n\n"
         "\t\tkin = kmap_local_page(rq->in[0]);\n"
         "\t\tcopy = kmemdup(kin + rq->pageofs_in, left, GFP_NOWAIT | __GFP_NOWARN);\n"
         "\t\tif (!copy) {\n\t\t\tkunmap_local(kin);\n\t\t\treturn ERR_PTR(-ENOMEM);\n\t\t}\n"
         "\t\tcur = bs - (rq->pageofs_out & (bs - 1));\n"
         "\t\tcnt = min(cur, rq->outputsize);\n"
         "\t\tmemcpy(kin + rq->pageofs_out, copy + left - cur, cnt);\n"
         "\t\tmemcpy(kin + rq->pageofs_out + cnt, copy, rq->outputsize - cnt);\n"
         "\t\tkunmap_local(kin);\n\t\tkfree(copy);\n\t\treturn NULL;\n\t}\n"
         "\tif (rq->alg == Z_EROFS_COMPRESSION_INTERLACED) {\n\t\tcur = bs"),)),
    Fault("packed-inode-is-a-fifo", "bdev.kept.py", lambda: _kept(image(LINK, fifo=True)), "fs/erofs/super.c", (
        ("\t\tsbi->packed_inode = inode;\n",
         "\t\tsbi->packed_inode = inode;\n\t\tif (!S_ISREG(inode->i_mode))\n\t\t\treturn -EFSCORRUPTED;\n"),)),
    Fault("metabox-is-a-fifo", "bdev.kept.py", lambda: _kept(with_metabox(0o010644)), "fs/erofs/super.c", (
        ("\t\tsbi->metabox_inode = inode;\n",
         "\t\tsbi->metabox_inode = inode;\n\t\tif (!S_ISREG(inode->i_mode))\n\t\t\treturn -EFSCORRUPTED;\n"),)),
)
