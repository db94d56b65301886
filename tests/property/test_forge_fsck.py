# SPDX-License-Identifier: GPL-2.0-only
"""Random images are accepted by fsck.erofs, with equal contents."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.pick import Pick, SeedValues
from tests.property.forge_fsck import complaint, find_fsck, too_old

FSCK = find_fsck()
pytestmark = [
    pytest.mark.skipif(FSCK is None, reason="fsck.erofs is not installed (erofs-utils 1.8 or newer)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="fsck.erofs makes the device nodes of random trees only for root"),
]


@pytest.fixture(scope="module", autouse=True)
def recent_fsck() -> None:
    if FSCK and too_old(FSCK):
        pytest.skip("fsck.erofs is older than 1.8 and does not know all of these layouts")


def check(seeds: range, options: ErofsOptions, folder: Path) -> None:
    for seed in seeds:
        image = choose_image(Pick(SeedValues(seed)), options, f"seed {seed}")
        wrong = complaint(str(FSCK), image, folder)
        if wrong and "isn't supported on this platform" in wrong:
            pytest.skip(f"this fsck.erofs has no blocks of {image.block_size} bytes")
        assert wrong is None, f"{wrong}\n{image.describe()}"


def test_fsck_accepts_40_images(tmp_path: Path) -> None:
    check(range(40), ErofsOptions(), tmp_path)


@pytest.mark.slow
def test_fsck_accepts_500_images(tmp_path: Path) -> None:
    check(range(1000, 1500), ErofsOptions(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("bits", range(9, 17))
def test_fsck_accepts_every_block_size(bits: int, tmp_path: Path) -> None:
    check(range(40), ErofsOptions(block_bits=(bits,)), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["plain", "inline", "chunk", "full", "compact", "extents"])
def test_fsck_accepts_every_layout(layout: str, tmp_path: Path) -> None:
    check(range(60), ErofsOptions(layouts=(layout,), max_nodes=4), tmp_path)
