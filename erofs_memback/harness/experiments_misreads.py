# SPDX-License-Identifier: GPL-2.0-only
"""What Linux itself is known to read wrongly, on demand: images whose layouts the other experiments leave out."""
from __future__ import annotations

import functools
from dataclasses import replace

from kemu.explore.experiment import experiment, known_bad
from kemu.explore.run import Expected, Run
from kemu.forge.erofs.choose import choose_image
from kemu.forge.erofs.suspects import suspects
from kemu.rung.py.trial import manifest

from erofs_memback.harness.experiments import SMALL
from erofs_memback.harness.mount import umount
from erofs_memback.harness.words import compare, describe, kernel, layout_of, mounted
from kemu.forge.placement import Placement

__role__ = "harness"
known_bad("linux-misreads", "Linux 7.2")
SUSPECT = replace(SMALL, suspects=True, beyond_fsck=True, block_bits=(12, 9, 10, 11))


@experiment("linux.misreads", series="linux-misreads")
def misreads(run: Run) -> None:
    """A sound image with a layout that Linux is known to read wrongly holds exactly what was put into it."""
    image = choose_image(run.pick, SUSPECT)
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
