# SPDX-License-Identifier: GPL-2.0-only
"""Races that Linux had, put back into the C as it is now; the numbers are the bug museum's."""
from __future__ import annotations

from tests.sched.planted import Race

MUSEUM = (
    # 55: an element of compressed_bvecs[] is published by its page, and filled afterwards; who submits does not lock either
    Race("torn-bvec", "sched.twins", (
        ("fs/erofs/zdata.c", "\t\t\tspin_lock(&pcl->lockref.lock);\n\t\t\twhile (fe->icur > 0) {\n"
         "\t\t\t\tif (pcl->compressed_bvecs[--fe->icur].page)\n\t\t\t\t\tcontinue;\n"
         "\t\t\t\tpcl->compressed_bvecs[fe->icur] = *bvec;\n\t\t\t\tspin_unlock(&pcl->lockref.lock);\n"
         "\t\t\t\treturn 0;\n\t\t\t}\n\t\t\tspin_unlock(&pcl->lockref.lock);\n",
         "\t\t\twhile (fe->icur > 0) {\n"
         "\t\t\t\tif (cmpxchg(&pcl->compressed_bvecs[--fe->icur].page, NULL, bvec->page))\n\t\t\t\t\tcontinue;\n"
         "\t\t\t\tpcl->compressed_bvecs[fe->icur] = *bvec;\n\t\t\t\treturn 0;\n\t\t\t}\n"),
        ("fs/erofs/zdata.c", "\tspin_lock(&pcl->lockref.lock);\n\tzbv = pcl->compressed_bvecs[nr];\n"
         "\tspin_unlock(&pcl->lockref.lock);\n", "\tzbv = pcl->compressed_bvecs[nr];\n"))),
    # 53: the error of one pcluster of a chain is taken for the next one's, which somebody else waits for
    Race("error-of-another", "sched.faults.ahead", (
        ("fs/erofs/zdata.c", "\t\terr = z_erofs_decompress_pcluster(&be, io->eio) ?: err;",
         "\t\terr = z_erofs_decompress_pcluster(&be, io->eio || err) ?: err;"),)),
    # 29: a request is freed when it is complete, whether or not its submitter has come back
    Race("request-freed-early", "sched.later", (
        ("fs/erofs/fileio.c", "\tif (refcount_dec_and_test(&rq->ref))\n\t\tkfree(rq);\n}\n\nstatic void erofs_fileio_rq_submit",
         "\tkfree(rq);\n}\n\nstatic void erofs_fileio_rq_submit"),
        ("fs/erofs/fileio.c", "\t\terofs_fileio_ki_complete(&rq->iocb, ret);\n"
         "\tif (refcount_dec_and_test(&rq->ref))\n\t\tkfree(rq);\n",
         "\t\terofs_fileio_ki_complete(&rq->iocb, ret);\n")), "sched-kasan"),
    # 57: the mount's data is looked at when the work is queued that ends the last read: the mount may be gone by then
    Race("superblock-after-work", "sched.umount", (
        ("fs/erofs/zdata.c", "\t\tif (sbi->sync_decompress == EROFS_SYNC_DECOMPRESS_AUTO)\n"
         "\t\t\tsbi->sync_decompress = EROFS_SYNC_DECOMPRESS_FORCE_ON;\n#ifdef", "#ifdef"),
        ("fs/erofs/zdata.c", "\t\tqueue_work(z_erofs_workqueue, &io->u.work);\n\t\treturn;\n",
         "\t\tqueue_work(z_erofs_workqueue, &io->u.work);\n"
         "\t\tif (sbi->sync_decompress == EROFS_SYNC_DECOMPRESS_AUTO)\n"
         "\t\t\tsbi->sync_decompress = EROFS_SYNC_DECOMPRESS_FORCE_ON;\n\t\treturn;\n")), "sched-kasan"),
)
