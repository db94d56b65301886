# SPDX-License-Identifier: GPL-2.0-only
"""Forged images through the port of fs/erofs on the emulated kernel: what it reads is what was written."""
from __future__ import annotations

import errno

import pytest

from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.pick import Pick, SeedValues
from kemu.report import manifest
from kemu.rung.py.trial import manifest as read_manifest

from erofs_memback.harness.mount import MountError, mounted


@pytest.mark.parametrize("backend", ["bdev", "memback"])
@pytest.mark.parametrize("options", [ErofsOptions(), ErofsOptions(beyond_fsck=True, flaws=True)], ids=["legal", "flawed"])
def test_the_port_reads_what_was_written(backend: str, options: ErofsOptions) -> None:
    for seed in range(150):
        image = choose_image(Pick(SeedValues(seed)), options, f"seed {seed}")
        want = image.mount_error(4096)
        try:
            with mounted(image.data, backend=backend) as m:
                assert want is None, image
                got = read_manifest(m.mnt)
        except MountError as e:
            assert errno.errorcode[e.errno] == want, (e.message, image)
            continue
        assert got == image.manifest(), manifest.diff(image.manifest(), got, "truth", "port") + repr(image)
