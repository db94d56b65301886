# SPDX-License-Identifier: GPL-2.0-only
"""Bugs of EROFS in files and of the shared page cache, put back; the labels are the museum's entry numbers."""
from __future__ import annotations

from typing import Any

from kemu.machine.series import Series
from tests.quality.hunt import Mutant

import erofs_memback.harness.experiments_file  # noqa: F401 - registers
from erofs_memback import fileio, ishare, super

mutants: list[Mutant] = []


def mutant(name: str, experiments: str, *edits: tuple[Any, ...], title: str = "", detector: str = "",
           shrink: float = 12.0) -> None:
    """``edits``: (function, (old, new), ...) each."""
    s = Series(name, ("erofs_memback",))
    for original, *hunks in edits:
        s.edits(original, *hunks)
    mutants.append(Mutant(s, tuple(experiments.split()), title, detector, shrink=shrink))


ONE = "file.same-bytes"
_PUT = "    if refcount_dec_and_test(rq.ref):\n        kfree(rq)\n"

mutant("29-direct-request-freed-by-the-completion", ONE, (fileio.erofs_fileio_ki_complete, (_PUT, "    kfree(rq)\n")),
       (fileio.erofs_fileio_rq_submit, (_PUT, "")),
       detector="KASAN")
mutant("29-one-reference", ONE, (fileio.erofs_fileio_rq_alloc, ("refcount_set(rq.ref, 2)", "refcount_set(rq.ref, 1)")))
mutant("request-never-freed", ONE, (fileio.erofs_fileio_rq_submit, (_PUT, "")), title="leak")
mutant("completed-twice", ONE, (fileio.erofs_fileio_rq_submit, ("    if ret != -EIOCBQUEUED:\n", "    if True:\n")))
mutant("31-behind-the-end-is-success", ONE, (fileio.erofs_fileio_ki_complete,
                                             ("    if ret >= 0 and ret !=", "    if ret > 0 and ret !=")), title="KMSAN")
mutant("31-short-read-is-success", ONE, (fileio.erofs_fileio_ki_complete,
                                         ("    if ret >= 0 and ret != rq.bio.bi_iter.bi_size:\n        ret = -EIO\n", "")),
       title="KMSAN")
mutant("error-not-passed-on", ONE, (fileio.erofs_fileio_ki_complete,
                                    ("    elif ret < 0 and not rq.bio.bi_status:\n        rq.bio.bi_status = "
                                     "errno_to_blk_status(ret)\n", "")))
mutant("folio-ended-as-success", ONE, (fileio.erofs_fileio_ki_complete,
                                       ("erofs_onlinefolio_end(fi.folio, ret < 0, False)",
                                        "erofs_onlinefolio_end(fi.folio, 0, False)")))
mutant("position-in-sectors", ONE, (fileio.erofs_fileio_rq_submit,
                                    ("rq.bio.bi_iter.bi_sector << SECTOR_SHIFT", "rq.bio.bi_iter.bi_sector << 12")))
mutant("request-goes-on-elsewhere", ONE, (fileio.erofs_fileio_scan_folio, ("map.m_pa + ofs != io.dev.m_pa or", "False or")))
mutant("part-not-counted", ONE, (fileio.erofs_fileio_scan_folio,
                                 ("            if attached == 1:\n                erofs_onlinefolio_split(folio)\n", "")))
mutant("hole-not-zeroed", ONE, (fileio.erofs_fileio_scan_folio, ("            folio_zero_segment(folio, cur, cur + len_)\n", "")))
mutant("last-request-kept", ONE, (fileio.erofs_fileio_read_folio, ("    erofs_fileio_rq_submit(io.rq)\n", "")))
mutant("33-no-limit", "file.nested",
       (super.erofs_fc_fill_super, ("(inode.i_sb.s_op is erofs_sops and not inode.i_sb.s_bdev) or inode.i_sb.s_stack_depth",
                                    "False")))
mutant("33-own-device-asked", "file.nested", (super.erofs_fc_fill_super, ("and not inode.i_sb.s_bdev)", "and not sb.s_bdev)")))

SHARED = "file.shared"
mutant("59-operations-mixed", SHARED, (ishare.erofs_ishare_fill_inode,
                                       ("if not si or aops is not si.i_mapping.a_ops:", "if not si:")))
mutant("shared-inode-not-put", SHARED, (ishare.erofs_ishare_free_inode, ("    dput(vi.sharedentry)\n", "")))
mutant("shared-list-not-left", SHARED, (ishare.erofs_ishare_free_inode, ("    list_del(vi.ishare_list)\n", "")))
mutant("real-inode-not-put", SHARED, (fileio.erofs_fileio_readahead, ("    if need_iput.v:\n        iput(realinode)\n", "")))
mutant("real-inode-not-held", SHARED, (ishare.erofs_real_inode, ("realinode = igrab(vi)", "realinode = vi")))
mutant("real-file-not-put", SHARED, (ishare.erofs_ishare_file_release, ("    fput(file.private_data)\n", "")))
mutant("fingerprint-not-freed", SHARED, (ishare.erofs_ishare_fill_inode, ("        kfree(fp.opaque)\n", "")), title="leak")

# whose shrunk input still is an image or an archive with several odd things
mutants[:] = [m._replace(small=60) if m.series.name in ("31-behind-the-end-is-success", "error-not-passed-on") else m
              for m in mutants]
