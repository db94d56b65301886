# SPDX-License-Identifier: GPL-2.0-only
"""Bugs of compressed files that show when bios end late or extents overlap; the labels are the museum's entry numbers."""
from __future__ import annotations

from typing import Any

from kemu.machine.series import Series
from tests.quality.hunt import Mutant

import erofs_memback.harness.experiments_late  # noqa: F401 - registers
from erofs_memback import zdata_submit

mutants: list[Mutant] = []


def mutant(name: str, experiments: str, *edits: tuple[Any, ...], title: str = "", detector: str = "") -> None:
    """``edits``: (function, (old, new), ...) each."""
    s = Series(name, ("erofs_memback",))
    for original, *hunks in edits:
        s.edits(original, *hunks)
    mutants.append(Mutant(s, tuple(experiments.split()), title, detector))


LATE = "bdev.late-bios"
_AUTO = """\
        if sbi.sync_decompress == EROFS_SYNC_DECOMPRESS_AUTO:
            sbi.sync_decompress = EROFS_SYNC_DECOMPRESS_FORCE_ON
"""
_QUEUE = "        queue_work(pclusters.z_erofs_workqueue, io.work)\n"

mutant("57-superblock-after-the-work", LATE, (zdata_submit.z_erofs_decompress_kickoff, (_AUTO + _QUEUE, _QUEUE + _AUTO)),
       detector="KASAN")
mutant("queue-after-the-work", LATE, (zdata_submit.z_erofs_decompress_kickoff,
                                      (_QUEUE, _QUEUE + "        io.eio = io.eio or False\n")), detector="KASAN")
mutant("decompressed-in-the-interrupt", LATE, (zdata_submit.z_erofs_decompress_kickoff,
                                               ("    if z_erofs_in_atomic():\n", "    if False:\n")))
mutant("51-folio-of-another-pcluster", "bdev.overlapping",
       (zdata_submit.z_erofs_fill_bio_vec, ("                if folio.private is pcl:\n", "                if True:\n")))
mutant("bio-counted-twice", LATE, (zdata_submit.z_erofs_endio,
                                   ("    z_erofs_decompress_kickoff(q, -1)\n", "    z_erofs_decompress_kickoff(q, -2)\n")))
