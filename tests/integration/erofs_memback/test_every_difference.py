# SPDX-License-Identifier: GPL-2.0-only
"""Images of every kind of difference between two inodes, read by the port: what was made is what it shows, through every back
end.
"""
from __future__ import annotations

import pytest

from kemu.forge.erofs.every import every_difference
from kemu.machine.machine import Machine
from kemu.report import manifest
from kemu.report.walk import walk

from erofs_memback import memback
from erofs_memback.harness.mount import mount_in


@pytest.mark.parametrize("backend", ["bdev", "memback"])
def test_the_port_reads_what_was_made(backend: str) -> None:
    wrong = []
    for label, image in every_difference():
        with Machine(memory=64 << 20, series=[memback.series] if backend == "memback" else []) as m:
            mounted = mount_in(m, image.data, backend=backend)
            text = manifest.diff(image.manifest(), manifest.ordered(walk(mounted.path)), "made", "here", lines=4)
            mounted.umount()
        if text:
            wrong.append(f"{label}: {text}")
    assert not wrong, "\n".join(wrong[:5])
