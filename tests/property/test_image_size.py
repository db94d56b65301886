# SPDX-License-Identifier: GPL-2.0-only
"""Where the layered initrd says that an image ends is where the mounted file system says it."""
from __future__ import annotations

import struct

import pytest

from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.pick import Pick, SeedValues
from kemu.machine.machine import Machine

from erofs_memback.harness.mount import mount_in
from initramfs.segments import erofs_image_size


@pytest.mark.parametrize("seed", range(24))
def test_split_and_mount_agree(seed: int) -> None:
    image = choose_image(Pick(SeedValues(seed)), ErofsOptions(max_nodes=2, max_devices=0, short_root=True))
    with Machine(memory=32 << 20) as m:
        mounted = mount_in(m, image.data)
        region, sbi = mounted.region, mounted.sb.s_fs_info
        assert erofs_image_size(region.addr + 1024, region.addr + region.size) == sbi.dif0.blocks << sbi.blkszbits
        mounted.umount()


def test_forged_images_have_both_kinds_of_roots() -> None:
    kinds = set()
    for seed in range(60):
        image = choose_image(Pick(SeedValues(seed)), ErofsOptions(max_nodes=2, max_devices=0, short_root=True)).data
        if struct.unpack_from("<I", image, 1024 + 80)[0] & 0x80:
            kinds.add(bool(struct.unpack_from("<Q", image, 1024 + 112)[0]))
    assert kinds == {False, True}
